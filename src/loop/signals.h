/*
 * signals.h - the signals a loop handles, taken by signalfd instead of handlers.
 *
 * signals_open blocks the given signals for this thread (and threads and children made later: a
 * child that execs must call signals_reset first) and calls fn in the loop for each. One per
 * process. SIGPIPE is always ignored.
 */
#pragma once
#include <signal.h>

#include "loop/loop.h"

struct signals;
typedef void signal_fn(struct signals *s, int signo);

struct signals {
    struct io io;
    sigset_t old_mask;
    signal_fn *fn;
};

int signals_open(struct loop *loop, struct signals *s, const int *signos, int n, signal_fn *fn);
void signals_close(struct loop *loop, struct signals *s); /* restores the mask */
void signals_reset(
    void); /* in a child before exec: default handlers, nothing blocked; async-signal-safe */
