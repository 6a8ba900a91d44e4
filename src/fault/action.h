/*
 * action.h - the kinds of change that the journal knows how to undo, one row each.
 *
 * An undo starts from the journal entry alone, is idempotent, acts only on exactly the process or
 * path that was recorded, and returns 0 only when it has seen that the old state is back (or that
 * there is nothing left to put back). `text` gets one line for people either way.
 *
 * Replays go by rank, then backwards in time: first whole processes (a lab's init takes everything
 * in its namespaces with it; what wears a lab's mark), then single changes, then folders.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum action_kind {
    ACTION_PROCESS,    /* pid, start: killed, and with it the PID namespace whose init it is */
    ACTION_DIR,        /* path; value = length of the allowed prefix of path */
    ACTION_STOPPED,    /* pid, start: continued */
    ACTION_SOFT_LIMIT, /* pid, start; value = old soft limit, value2 = resource */
    ACTION_CGROUP,     /* path: our group; home: where its members go; value: 1 or 2 */
    ACTION_LAB_HOLD,   /* value = service: released */
    ACTION_LAB_LINK,   /* value = id of the impairment: removed */
    ACTION_LAB_NAMES,  /* value = id of the rule: removed */
    ACTION_LAB_MARK,   /* value = mark of a lab without a PID namespace (lab/mark.h) */
    ACTION_COUNT
};

#define ACTION_TEXT_BYTES 256

struct buf;
struct fault_ctx;
struct journal_entry;

typedef int action_undo_fn(struct fault_ctx *c, const struct journal_entry *e, char *text,
                           size_t cap);

struct action {
    const char *name;
    const char *undo_help; /* one sentence: what the undo does */
    int rank;
    action_undo_fn *undo;
};
const struct action *action_of(uint32_t kind); /* NULL = unknown */

action_undo_fn undo_process, undo_dir, undo_stopped, undo_soft_limit, undo_cgroup, undo_lab_hold,
    undo_lab_link, undo_lab_names, undo_mark;

/* Fills the entry of a folder that may be removed later: absolute, parent resolved, strictly below
 * the state folder or below a folder for temporary files and then named squall*. -EINVAL:
 * refused. */
int action_dir_entry(struct journal_entry *e, const char *state_dir, const char *path);
/* A cgroup of ours: below /sys/fs/cgroup and named squall*; home is another group. */
int action_cgroup_entry(struct journal_entry *e, const char *path, const char *home, int version);
/* pid as it is now; -ESRCH when gone. */
int action_process_entry(struct journal_entry *e, uint32_t kind, int32_t pid);

/* Which slots a replay takes. */
struct action_scope {
    int first, end; /* slots */
    int fault;      /* only of this fault; ACTION_ANY_FAULT = all */
    void (*undone)(void *arg, const struct journal_entry *e, int result, const char *text);
    void *arg; /* of `undone`, which may be NULL */
};
#define ACTION_ANY_FAULT (-2)

/* Undoes and frees what the scope holds; a slot whose undo failed stays. Adds one line an action to
 * lines (may be NULL). Returns how many were undone; *ret_failed how many were not. */
int action_replay(struct fault_ctx *c, const struct action_scope *scope, struct buf *lines,
                  int *ret_failed);
