/*
 * pod_failure.c - a service is stopped and stays down, refusing connections, until the fault ends.
 *
 * As Chaos Mesh's pod-failure, which swaps the image for one that does nothing. The hold lives in
 * the lab's init; its release is in the journal before the hold is asked for. The undo is confirmed
 * when the service is ready again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "fault/pod.h"

/* the lab bounds the wait by the service's ready limit; this bounds a lab that hangs */
#define READY_WITHIN_NS (120 * NS_PER_S)

static int write_down(struct fault_ctx *c, const struct fault_request *request)
{
    for (uint32_t i = 0; i < request->targets_n; i++) {
        struct journal_entry e = {.kind = ACTION_LAB_HOLD, .value = request->targets[i]};
        snprintf(e.path, sizeof e.path, "%s", request->target_names[i]);
        int slot = ctx_intent(c, &e);
        if (slot < 0)
            return slot;
    }
    return 0;
}

static int apply(struct fault_ctx *c, const struct fault_request *request, struct fault_result *ret)
{
    static struct pod_outcome outcome;
    static struct journal_entry holds[FAULT_TARGETS];
    char names[FAULT_TEXT_BYTES - 64];
    int slots[FAULT_TARGETS];
    struct fault_request at_once = *request;
    at_once.grace_ns = 0;
    fault_names(request, names, sizeof names);
    snprintf(ret->asked, sizeof ret->asked, "stopped and refusing connections: %s", names);
    int r = write_down(c, request);
    if (r < 0)
        return r;
    r = pod_command(c, &at_once, LAB_CMD_HOLD, &outcome);
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    int n = ctx_own(c, ACTION_LAB_HOLD, slots, holds, FAULT_TARGETS);
    for (int i = 0; i < n; i++)
        ctx_active(c, slots[i]);
    return pod_measure(request, &outcome, ret);
}

static void say(struct fault_result *ret, const char *name, const struct lab_answer *a,
                int64_t sent_ns)
{
    char took[32];
    size_t n = strlen(ret->measured), cap = sizeof ret->measured - n;
    units_human_duration(a->t_ns > sent_ns ? a->t_ns - sent_ns : 0, took, sizeof took);
    if (a->result == 0)
        snprintf(ret->measured + n, cap, "%s%s: ready again after %s", n ? "; " : "", name, took);
    else if (a->result == -ESHUTDOWN)
        snprintf(ret->measured + n, cap, "%s%s: ends with its lab", n ? "; " : "", name);
    else
        snprintf(ret->measured + n, cap, "%s%s: not ready again: %s", n ? "; " : "", name,
                 strerror(-a->result));
}

/* All are released at once: one may need another to become ready. */
static int undo(struct fault_ctx *c, const struct fault_request *request, struct fault_result *ret)
{
    static struct journal_entry holds[FAULT_TARGETS];
    static struct lab_answer answers[FAULT_TARGETS];
    struct lab_command commands[FAULT_TARGETS];
    char names[FAULT_TEXT_BYTES - 64];
    int slots[FAULT_TARGETS], failed = 0;
    int n = ctx_own(c, ACTION_LAB_HOLD, slots, holds, FAULT_TARGETS);
    fault_names(request, names, sizeof names);
    snprintf(ret->asked, sizeof ret->asked, "started and ready again: %s", names);
    for (int i = 0; i < n; i++)
        commands[i] =
            (struct lab_command){.kind = LAB_CMD_RELEASE, .service = (int32_t)holds[i].value};
    int64_t sent_ns = clock_now_ns();
    int r = ctx_lab(c, commands, (size_t)n, READY_WITHIN_NS, answers);
    if (r == -EPIPE)
        return 0; /* the lab is gone: the journal's own undo says so for each */
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    for (int i = 0; i < n; i++) {
        say(ret, holds[i].path, &answers[i], sent_ns);
        if (answers[i].result == 0 || answers[i].result == -ESHUTDOWN) /* its lab is being ended */
            journal_free(c->journal, slots[i]);
        else if (failed == 0)
            failed = answers[i].result;
    }
    return failed;
}

const struct fault fault_pod_failure = {
    .name = "pod-failure",
    .help = "Stops the service and keeps it down, its port refusing connections, until the fault "
            "ends.",
    .undo = "The lab starts the service again; confirmed when it is ready.",
    .kills = true,
    .apply = apply,
    .undo_fn = undo,
};
