/*
 * loop.h - one epoll loop a thread: descriptors, timers, signals, children, in explicit and bounded
 * turns.
 *
 * A turn (loop_turn): poll at most until the next timer or max_wait_ns; cache now; run the timers
 * that were due when the turn began (equal times in the order they were armed; one re-armed for
 * "now" waits for the next turn, so it cannot starve descriptors); then descriptor callbacks; then
 * deferred calls. loop->now_ns is the one "now" of the turn.
 *
 * Lifecycle: structs are embedded in their owners. io_add/io_remove, timer_start/timer_stop,
 * child_watch/child_unwatch may be called from any callback; an io removed in this turn gets no
 * more callbacks in it. Memory may be freed only from a deferred call (loop_defer) or outside a
 * turn. Thread rule: a loop belongs to one thread. Errors: 0 or -errno. Limits: LOOP_BATCH events a
 * turn.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "base/heap.h"
#include "base/list.h"

#define LOOP_BATCH 256

struct loop;
struct io;
struct timer;
struct deferred;

typedef void io_fn(struct loop *loop, struct io *io,
                   uint32_t events); /* EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR */
typedef void timer_fn(struct loop *loop, struct timer *timer);
typedef void deferred_fn(struct loop *loop, struct deferred *d);

struct io {
    int fd; /* -1 when not added */
    uint32_t events;
    io_fn *fn;
};

struct timer {
    struct heap_node node;
    timer_fn *fn;
};

struct deferred {
    struct list link;
    deferred_fn *fn;
};

struct loop {
    int epoll_fd;
    int64_t now_ns;
    struct heap timers;
    struct heap later; /* armed for now or earlier by a timer of this turn */
    bool in_timers;
    struct list deferred;
    struct epoll_event batch[LOOP_BATCH];
    int batch_n, batch_i;
    int turn_events; /* how many the last turn brought, for owners that moderate themselves */
    bool stop;
};

int loop_init(struct loop *loop);
void loop_done(struct loop *loop);
int loop_turn(struct loop *loop, int64_t max_wait_ns); /* -1 = until something happens */
void loop_run(struct loop *loop);                      /* turns until loop_stop */
void loop_stop(struct loop *loop);

static inline void io_init(struct io *io, io_fn *fn)
{
    io->fd = -1;
    io->events = 0;
    io->fn = fn;
}
int io_add(struct loop *loop, struct io *io, int fd, uint32_t events);
int io_change(struct loop *loop, struct io *io,
              uint32_t events);                   /* no system call when unchanged */
void io_remove(struct loop *loop, struct io *io); /* does not close; idempotent */

static inline void timer_init(struct timer *t, timer_fn *fn)
{
    heap_node_init(&t->node);
    t->fn = fn;
}
void timer_start(struct loop *loop, struct timer *t, int64_t at_ns); /* restarts when running */
void timer_stop(struct loop *loop, struct timer *t);                 /* idempotent */
static inline bool timer_running(const struct timer *t)
{
    return heap_contains(&t->node);
}
/* Runs the timers due at loop->now_ns; used by loop_turn and by tests with a fake clock. */
void loop_run_timers(struct loop *loop);

static inline void deferred_init(struct deferred *d, deferred_fn *fn)
{
    list_init(&d->link);
    d->fn = fn;
}
void loop_defer(struct loop *loop, struct deferred *d); /* once a turn, however often asked */
