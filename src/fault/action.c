#include "fault/action.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fault/ctx.h"

static const struct action actions[] = {
    [ACTION_PROCESS] = {"process", "kills the process and the PID namespace whose init it is", 0,
                        undo_process},
    [ACTION_DIR] = {"dir", "removes the folder with all in it", 2, undo_dir},
    [ACTION_STOPPED] = {"stopped", "lets the stopped process go on", 1, undo_stopped},
    [ACTION_SOFT_LIMIT] = {"soft-limit", "sets the soft limit back to its old value", 1,
                           undo_soft_limit},
    [ACTION_CGROUP] = {"cgroup", "moves the members back and removes the group", 1, undo_cgroup},
    [ACTION_LAB_HOLD] = {"lab-hold",
                         "lets the lab start the service again and waits until it is "
                         "ready",
                         1, undo_lab_hold},
    [ACTION_LAB_LINK] = {"lab-link", "lets the packets of the lab's links pass as before", 1,
                         undo_lab_link},
    [ACTION_LAB_NAMES] = {"lab-names", "lets names in the lab be answered as before", 1,
                          undo_lab_names},
    [ACTION_LAB_MARK] = {"lab-mark", "kills every process that the lab has started and that lives",
                         0, undo_mark},
};
_Static_assert(ARRAY_SIZE(actions) == ACTION_COUNT, "one row a kind");

const struct action *action_of(uint32_t kind)
{
    return kind < ACTION_COUNT ? &actions[kind] : NULL;
}

int action_process_entry(struct journal_entry *e, uint32_t kind, int32_t pid)
{
    *e = (struct journal_entry){.kind = kind, .fault = -1, .pid = pid};
    e->start = pid > 0 ? procid_start(pid) : 0;
    return e->start ? 0 : -ESRCH;
}

static bool in_scope(const struct action_scope *scope, const struct journal_entry *e)
{
    return scope->fault == ACTION_ANY_FAULT || scope->fault == e->fault;
}

/* The next slot to undo: lowest rank, then latest; -1 = none left. */
static int next_slot(const struct journal *j, const struct action_scope *scope, const bool *passed,
                     struct journal_entry *ret)
{
    int best = -1, best_rank = 0;
    for (int i = scope->first; i < scope->end; i++) {
        struct journal_entry e;
        int state = passed[i] ? JOURNAL_FREE : journal_read(j, i, &e);
        if (state == JOURNAL_FREE || state == -EBADMSG)
            continue;
        /* a damaged entry is in every scope: nobody can say whose it was */
        const struct action *action = state < 0 ? NULL : action_of(e.kind);
        if (action && !in_scope(scope, &e))
            continue;
        int rank = action ? action->rank : 3;
        if (best < 0 || rank < best_rank || (rank == best_rank && e.sequence > ret->sequence)) {
            best = i;
            best_rank = rank;
            *ret = e;
        }
    }
    return best;
}

static void free_torn(struct journal *j, const struct action_scope *scope)
{
    struct journal_entry e;
    for (int i = scope->first; i < scope->end; i++)
        if (journal_read(j, i, &e) == -EBADMSG)
            journal_free(j, i);
}

static int undo_slot(struct fault_ctx *c, int slot, const struct journal_entry *e, char *text)
{
    struct journal_entry again;
    const struct action *action = action_of(e->kind);
    if (journal_read(c->journal, slot, &again) < 0 || !action) {
        snprintf(text, ACTION_TEXT_BYTES, "damaged journal entry, left as it is");
        return -EUCLEAN;
    }
    int r = action->undo(c, e, text, ACTION_TEXT_BYTES);
    if (r == 0)
        journal_free(c->journal, slot);
    return r;
}

int action_replay(struct fault_ctx *c, const struct action_scope *scope, struct buf *lines,
                  int *ret_failed)
{
    bool passed[JOURNAL_SLOTS] = {false};
    struct journal_entry e;
    int undone = 0, slot;
    *ret_failed = 0;
    free_torn(c->journal, scope);
    while ((slot = next_slot(c->journal, scope, passed, &e)) >= 0) {
        char text[ACTION_TEXT_BYTES] = "";
        ctx_beat(c);
        int r = undo_slot(c, slot, &e, text);
        passed[slot] = true;
        undone += r == 0;
        *ret_failed += r != 0;
        if (scope->undone)
            scope->undone(scope->arg, &e, r, text);
        const struct action *action = action_of(e.kind);
        if (lines)
            buf_printf(lines, "%s: %s%s\n", action ? action->name : "damaged", text,
                       r == 0 ? "" : " (not undone)");
    }
    return undone;
}
