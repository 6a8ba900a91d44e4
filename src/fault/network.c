/*
 * network.c - packets between services are delayed, lost, copied, corrupted, slowed or stopped.
 *
 * As Chaos Mesh's NetworkChaos, carried out by the lab's own switch (lab/impair.h) instead of
 * netem. The removal of each link's impairment is in the journal before it is asked for. What the
 * packets met is known when it is over: the undo reads the last report of each (network_measure.h).
 */
#include "fault/network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fault/ctx.h"
#include "fault/network_measure.h"

#define ANSWER_WITHIN_NS (10 * NS_PER_S)

struct lab_link network_part(const struct fault_request *q, int fault, uint32_t part)
{
    const struct fault_link *l = &q->network.links[part];
    struct lab_link link = {.id = (uint64_t)fault * FAULT_ID_PARTS + part,
                            .seed = l->seed,
                            .from = l->from,
                            .to = l->to,
                            .dst_port = (uint16_t)l->dst_port,
                            .spec = q->network.spec};
    snprintf(link.name, sizeof link.name, "%s", q->name[0] ? q->name : q->kind);
    return link;
}

void network_refused(int r, struct fault_result *ret)
{
    const char *why = r == -ENOSPC      ? "the lab carries no more network faults at once"
                      : r == -ETIMEDOUT ? "the lab did not answer in time"
                                        : "the lab refused it";
    snprintf(ret->measured, sizeof ret->measured, "%s", why);
}

static int write_down(struct fault_ctx *c, const struct fault_request *q, int slots[FAULT_LINKS])
{
    for (uint32_t i = 0; i < q->network.links_n; i++) {
        struct journal_entry e = {.kind = ACTION_LAB_LINK,
                                  .value = (int64_t)network_part(q, c->fault, i).id};
        snprintf(e.path, sizeof e.path, "%.*s", (int)sizeof e.path - 1, q->network.where);
        slots[i] = ctx_intent(c, &e);
        if (slots[i] < 0)
            return slots[i];
    }
    return 0;
}

static int apply(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    static struct lab_command commands[FAULT_LINKS];
    static struct lab_answer answers[FAULT_LINKS];
    int slots[FAULT_LINKS];
    uint32_t n = q->network.links_n;
    snprintf(ret->asked, sizeof ret->asked, "%.300s: %.200s", q->network.text, q->network.where);
    if (n == 0)
        return -EINVAL;
    int r = write_down(c, q, slots);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++)
        commands[i] =
            (struct lab_command){.kind = LAB_CMD_LINK_ADD, .link = network_part(q, c->fault, i)};
    r = ctx_lab(c, commands, n, ANSWER_WITHIN_NS, answers);
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = answers[i].result;
    if (r < 0) {
        network_refused(r, ret);
        return r;
    }
    for (uint32_t i = 0; i < n; i++)
        ctx_active(c, slots[i]);
    snprintf(ret->measured, sizeof ret->measured,
             "in force on %u link%s; what it did is measured to its end", q->network.pairs_n,
             q->network.pairs_n == 1 ? "" : "s");
    return 0;
}

static bool is_lifted(int r)
{
    return r == 0 || r == -ENOENT || r == -ESHUTDOWN;
}

static int undo(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    static struct journal_entry entries[FAULT_LINKS];
    static struct lab_command commands[FAULT_LINKS];
    static struct lab_answer answers[FAULT_LINKS];
    static struct impair_report reports[FAULT_LINKS];
    int slots[FAULT_LINKS], failed = 0;
    bool told[FAULT_LINKS] = {false};
    int n = ctx_own(c, ACTION_LAB_LINK, slots, entries, FAULT_LINKS);
    snprintf(ret->asked, sizeof ret->asked, "%.300s: %.200s", q->network.text, q->network.where);
    for (int i = 0; i < n; i++)
        commands[i] = (struct lab_command){.kind = LAB_CMD_LINK_REMOVE,
                                           .link.id = (uint64_t)entries[i].value};
    int r = ctx_lab(c, commands, (size_t)n, ANSWER_WITHIN_NS, answers);
    if (r < 0 && r != -ETIMEDOUT && r != -EPIPE)
        return r;
    for (int i = 0; i < n && r != -EPIPE; i++) {
        uint32_t part = (uint32_t)(entries[i].value % FAULT_ID_PARTS);
        if (is_lifted(answers[i].result))
            journal_free(c->journal, slots[i]);
        else if (failed == 0)
            failed = answers[i].result;
        if (answers[i].result != 0 || part >= q->network.links_n)
            continue;
        told[part] = true;
        reports[part] = answers[i].report;
    }
    network_measure(&q->network, reports, told, ret);
    return failed; /* of a lab that is gone, the journal's own undo says so for each */
}

const struct fault fault_network = {
    .name = "network",
    .help = "Packets between services are delayed, lost, copied, corrupted, slowed or stopped.",
    .undo = "The lab's switch lets packets pass as before; those on their way arrive in their "
            "time.",
    .measures_at_end = true,
    .apply = apply,
    .undo_fn = undo,
};
