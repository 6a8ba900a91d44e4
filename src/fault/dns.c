/*
 * dns.c - names that services ask for in the lab are not answered, answered wrongly, or late.
 *
 * As Chaos Mesh's DNSChaos; the delay is our own. The lab's resolver does it, so no file of a
 * service is changed. The removal of the rule is in the journal before it is asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fault/ctx.h"
#include "fault/network.h"
#include "fault/network_words.h"
#include "fault/pod.h"

#define ANSWER_WITHIN_NS (10 * NS_PER_S)

static void say_asked(const struct fault_request *q, struct fault_result *ret)
{
    char names[200];
    fault_names(q, names, sizeof names);
    snprintf(ret->asked, sizeof ret->asked, "%.300s; for %s", q->names.text, names);
}

static int apply(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    struct lab_command command = {.kind = LAB_CMD_NAMES_ADD, .names = q->names.rule};
    struct lab_answer answer;
    struct journal_entry e = {.kind = ACTION_LAB_NAMES,
                              .value = (int64_t)c->fault * FAULT_ID_PARTS};
    say_asked(q, ret);
    command.names.id = (uint64_t)e.value;
    snprintf(e.path, sizeof e.path, "%.*s", (int)sizeof e.path - 1, q->names.text);
    int slot = ctx_intent(c, &e);
    if (slot < 0)
        return slot;
    int r = ctx_lab(c, &command, 1, ANSWER_WITHIN_NS, &answer);
    if (r == 0)
        r = answer.result;
    if (r < 0) {
        network_refused(r, ret);
        return r;
    }
    ctx_active(c, slot);
    snprintf(ret->measured, sizeof ret->measured,
             "in force for %u service%s; the questions are counted to its end", q->targets_n,
             q->targets_n == 1 ? "" : "s");
    return 0;
}

static void tell(const struct lab_answer *answer, struct fault_result *ret)
{
    struct buf text = {0};
    uint64_t met = answer->result == 0 && answer->value > 0 ? (uint64_t)answer->value : 0;
    words_count(met, &text);
    snprintf(ret->measured, sizeof ret->measured, "%s question%s met it", buf_str(&text),
             met == 1 ? "" : "s");
    buf_done(&text);
    ret->result = met ? 0 : -ENODATA;
    if (answer->result != 0)
        snprintf(ret->why, sizeof ret->why,
                 "the lab could not say what it did; run it again, and see the events of the run");
    else if (met == 0)
        snprintf(
            ret->why, sizeof ret->why,
            "nobody asked for such a name while it lasted: a service that keeps its connections "
            "or remembers names does not ask again, and a lab without `dns: true` has its "
            "names in /etc/hosts");
}

static int undo(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    struct journal_entry e;
    struct lab_answer answer;
    int slot;
    say_asked(q, ret);
    if (ctx_own(c, ACTION_LAB_NAMES, &slot, &e, 1) == 0)
        return 0;
    struct lab_command command = {.kind = LAB_CMD_NAMES_REMOVE, .names.id = (uint64_t)e.value};
    int r = ctx_lab(c, &command, 1, ANSWER_WITHIN_NS, &answer);
    if (r < 0 && r != -EPIPE)
        return r;
    if (r < 0)
        answer.result = r;
    tell(&answer, ret);
    bool lifted = answer.result == 0 || answer.result == -ENOENT || answer.result == -ESHUTDOWN;
    if (lifted)
        journal_free(c->journal, slot);
    /* of a lab that is gone, the journal's own undo says so */
    return lifted || r == -EPIPE ? 0 : answer.result;
}

const struct fault fault_dns = {
    .name = "dns",
    .help = "Names that services ask for are answered with an error, wrongly, or late.",
    .undo = "The lab's resolver answers as before.",
    .measures_at_end = true,
    .apply = apply,
    .undo_fn = undo,
};
