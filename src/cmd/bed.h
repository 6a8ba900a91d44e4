/*
 * bed.h - the bed that services lie in: a lab and the guard that watches over it, opened and closed
 * in the one order in which a kill at any instruction leaves nothing.
 *
 * bed_open undoes what an earlier squall left, makes this process root in a user namespace of its
 * own, starts the guard's family, and only then makes what would have to be undone: the working
 * folder (noted before it is made), the lab, and the note of the lab's init. bed_close ends the lab
 * first and the guard last, which confirms the undo. Between them events of both come from the
 * owner's loop; the owner calls guard_beat(bed->guard) at least every 500 ms.
 *
 * Lifecycle: zeroed, bed_open, bed_close (also after bed_open failed; idempotent), bed_done. Before
 * bed_open no thread may exist. The plan and the loop must outlive it. Errors: struct err.
 */
#pragma once
#include "base/buf.h"
#include "fault/guard.h"
#include "lab/lab.h"
#include "loop/loop.h"

struct bed_config {
    const struct plan *plan;
    const char *id; /* in the name of the working folder */
    struct loop *loop;
    lab_event_fn *on_lab;
    guard_event_fn *on_guard;
    void *ctx;
    const char *pcap; /* file for the packet log, to be made; NULL = none */
    /* When the guard stands and nothing else is made yet: the place for what the owner itself has
     * to note. NULL = nothing. */
    int (*on_guarded)(void *ctx, struct err *err);
};

struct bed {
    struct bed_config config;
    struct lab *lab;     /* NULL = not open */
    struct guard *guard; /* NULL = not open */
    struct io lab_io, guard_io;
    char run_dir[128];
    struct buf recovered; /* one line a change that an earlier squall had left */
    int log_fd;           /* of the packet log, 0 = none */
    uint64_t log_lost;    /* packets that it could not take (disk full) */
    bool logged;          /* there is a packet log; known after bed_close */
    bool undo_failed;     /* of what an earlier one left, or of what this one did */
};

int bed_open(struct bed *b, const struct bed_config *config, struct err *err);
/* -EBUSY when the guard could not confirm an undo; err says which. */
int bed_close(struct bed *b, struct err *err);
/* After bed_close: where the packet log is, and what is missing in it. */
void bed_tell_log(const struct bed *b, bool quiet);
void bed_done(struct bed *b);
