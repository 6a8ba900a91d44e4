/*
 * ctx.h - what a fault or an undo acts with: the journal, the wire to the lab, and waiting that
 * never outlasts main.
 *
 * One in each process that acts (agent, undertaker, main at its close, `squall undo`); a plain
 * struct of its owner, filled by hand, nothing to free. `cancelled` is asked at least every 100 ms
 * while something is awaited; NULL = never. Errors: -errno; -ECANCELED when `cancelled` said so.
 * Thread rule: one thread.
 */
#pragma once
#include <stdbool.h>

#include "fault/action.h"
#include "fault/fault.h"
#include "fault/journal.h"
#include "lab/control.h"

struct fault_ctx {
    struct journal *journal;
    enum journal_role role;         /* whose heartbeat is kept while waiting */
    int lab_fd;                     /* -1 = no lab */
    int fault;                      /* main's number of the fault being applied or undone */
    char lab_why[LAB_ANSWER_BYTES]; /* of the last ctx_lab: why the lab cannot do such a thing */
    bool (*cancelled)(void *arg);
    void *arg;
};

void ctx_beat(struct fault_ctx *c);
bool ctx_cancelled(struct fault_ctx *c);

/* Sends all commands (serials are filled in) and awaits all answers, at most timeout_ns. 0 when
 * every answer came; an answer that did not has result -ETIMEDOUT, and so has the call. -EPIPE: the
 * lab's init is gone. */
int ctx_lab(struct fault_ctx *c, struct lab_command *commands, size_t n, int64_t timeout_ns,
            struct lab_answer *ret);

/* Writes an action of the current fault down before its effect; slot number or -errno. */
int ctx_intent(struct fault_ctx *c, const struct journal_entry *entry);
void ctx_active(struct fault_ctx *c, int slot);
/* The current fault's slots of one kind, at most cap, in any order; their number. */
int ctx_own(const struct fault_ctx *c, uint32_t kind, int *slots, struct journal_entry *entries,
            int cap);
