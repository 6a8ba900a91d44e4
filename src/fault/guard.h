/*
 * guard.h - the family that applies faults and sees to it that each is undone, as main sees it.
 *
 * main commands; the agent applies and undoes; the undertaker watches main and agent by pidfd,
 * starts a new agent when it dies, and when main is gone replays the journal; the journal
 * (journal.h) outlives them all for `squall undo`. Both are this same binary, exec'd, so they are
 * small and hold nothing of main's.
 *
 * Lifecycle: guard_open -> guard_note_* for what main itself creates outside (before it creates it)
 * -> guard_apply / guard_undo -> guard_close, which undoes everything still active, removes what
 * was noted, confirms, and ends the family. Events come from guard_dispatch when guard_fd() is
 * readable. A stopped or dead main counts as gone (pidfd, and a heartbeat that guard_beat sends;
 * call it at least every 500 ms; 2 s without = gone). Errors: guard_close returns -EBUSY and the
 * list of what could not be confirmed: exit status 6.
 */
#pragma once
#include <sys/types.h>

#include "base/err.h"
#include "fault/fault.h"

struct guard;

enum guard_event_kind {
    GUARD_FAULT_ACTIVE,      /* effect confirmed: `measured` beside `asked`; a second time, or the
                                next, when a fault that measures to its end is undone */
    GUARD_FAULT_NO_EFFECT,   /* applied, but the effect was not seen */
    GUARD_FAULT_FAILED,      /* could not be applied; text says why */
    GUARD_FAULT_ENDED,       /* undone and confirmed */
    GUARD_FAULT_UNDO_FAILED, /* undo not confirmed */
    GUARD_AGENT_RESTARTED,   /* the undertaker replaced a dead agent; its faults were undone */
    GUARD_LOST               /* the family is gone */
};

struct guard_event {
    enum guard_event_kind kind;
    int fault; /* as given to guard_apply */
    int64_t t_ns;
    const char *asked, *measured, *text; /* valid during the call */
};
typedef void guard_event_fn(void *ctx, const struct guard_event *event);

struct guard_config {
    const char *state_dir; /* NULL = default: $XDG_RUNTIME_DIR/squall, /run/squall as root, else
                              /tmp/squall-UID */
    guard_event_fn *on_event;
    void *ctx;
};

/* Start the family before anything is noted: then there is no moment in which a killed main leaves
 * something. Notes before guard_start work too, but only `squall undo` would know of them.
 * guard_new makes the journal; guard_start starts agent and undertaker. Start them before anything
 * is noted: then there is no moment in which a killed main leaves something behind. */
int guard_new(const struct guard_config *config, struct guard **ret, struct err *err);
int guard_note_dir(struct guard *g,
                   const char *path);                /* to be removed at the end, with all in it */
int guard_note_process(struct guard *g, pid_t pid);  /* to be killed at the end */
int guard_note_mark(struct guard *g, uint64_t mark); /* so are all that wear it (lab/mark.h) */
int guard_start(struct guard *g, int lab_agent_fd, struct err *err);
int guard_fd(const struct guard *g);
int guard_dispatch(struct guard *g);
void guard_beat(struct guard *g);
/* `fault` is the caller's number; targets are service indexes. */
int guard_apply(struct guard *g, int fault, const struct fault_request *request);
int guard_undo(struct guard *g, int fault);
/* Undoes all that is active without closing; GUARD_FAULT_ENDED events tell. */
int guard_undo_all(struct guard *g);
int guard_close(struct guard *g, struct err *err); /* frees g always */

/* `squall undo`: replays every journal whose family is gone. Returns how many actions were undone,
 * -EBUSY when some could not be; text gets one line per action. */
struct buf;
int guard_recover(const char *state_dir, struct buf *text, struct err *err);
