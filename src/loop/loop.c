#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll_fd < 0)
        return -errno;
    heap_init(&loop->timers, 64);
    heap_init(&loop->later, 16);
    list_init(&loop->deferred);
    loop->now_ns = clock_now_ns();
    return 0;
}

void loop_done(struct loop *loop)
{
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->epoll_fd = -1;
    heap_done(&loop->timers);
    heap_done(&loop->later);
}

int io_add(struct loop *loop, struct io *io, int fd, uint32_t events)
{
    assert(io->fd < 0 && fd >= 0 && io->fn);
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    io->fd = fd;
    io->events = events;
    return 0;
}

int io_change(struct loop *loop, struct io *io, uint32_t events)
{
    assert(io->fd >= 0);
    if (io->events == events)
        return 0;
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) < 0)
        return -errno;
    io->events = events;
    return 0;
}

void io_remove(struct loop *loop, struct io *io)
{
    if (io->fd < 0)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->fd = -1;
    /* events of this turn that are already fetched must not reach it */
    for (int i = loop->batch_i; i < loop->batch_n; i++)
        if (loop->batch[i].data.ptr == io)
            loop->batch[i].data.ptr = NULL;
}

static struct heap *heap_of(struct loop *loop, const struct timer *t)
{
    size_t i = t->node.index;
    return i < loop->later.n && loop->later.nodes[i] == &t->node ? &loop->later : &loop->timers;
}

void timer_start(struct loop *loop, struct timer *t, int64_t at_ns)
{
    assert(t->fn);
    timer_stop(loop, t);
    bool wait_a_turn = loop->in_timers && at_ns <= loop->now_ns;
    heap_insert(wait_a_turn ? &loop->later : &loop->timers, &t->node, at_ns);
}

void timer_stop(struct loop *loop, struct timer *t)
{
    if (timer_running(t))
        heap_remove(heap_of(loop, t), &t->node);
}

void loop_defer(struct loop *loop, struct deferred *d)
{
    if (list_empty(&d->link))
        list_append(&loop->deferred, &d->link);
}

void loop_run_timers(struct loop *loop)
{
    struct heap_node *n;
    loop->in_timers = true;
    while ((n = heap_first(&loop->timers)) && n->key <= loop->now_ns) {
        struct timer *t = container_of(n, struct timer, node);
        heap_remove(&loop->timers, n);
        t->fn(loop, t);
    }
    loop->in_timers = false;
    while ((n = heap_first(&loop->later))) {
        heap_remove(&loop->later, n);
        heap_insert(&loop->timers, n, n->key);
    }
}

static void run_deferred(struct loop *loop)
{
    struct list ready;
    if (list_empty(&loop->deferred))
        return;
    ready = loop->deferred;
    ready.next->prev = ready.prev->next = &ready;
    list_init(&loop->deferred);
    while (!list_empty(&ready)) {
        struct deferred *d = container_of(ready.next, struct deferred, link);
        list_remove(&d->link);
        d->fn(loop, d);
    }
}

static int64_t wait_ns(const struct loop *loop, int64_t max_wait_ns)
{
    struct heap_node *first = heap_first(&loop->timers);
    if (!list_empty(&loop->deferred))
        return 0;
    if (!first)
        return max_wait_ns;
    int64_t until = first->key - clock_now_ns();
    if (until < 0)
        until = 0;
    return max_wait_ns >= 0 && max_wait_ns < until ? max_wait_ns : until;
}

int loop_turn(struct loop *loop, int64_t max_wait_ns)
{
    int64_t ns = wait_ns(loop, max_wait_ns);
    struct timespec ts = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    int n = epoll_pwait2(loop->epoll_fd, loop->batch, LOOP_BATCH, ns < 0 ? NULL : &ts, NULL);
    if (n < 0 && errno != EINTR)
        return -errno;
    loop->batch_n = n < 0 ? 0 : n;
    loop->batch_i = 0;
    loop->turn_events = loop->batch_n;
    loop->now_ns = clock_now_ns();
    loop_run_timers(loop);
    while (loop->batch_i < loop->batch_n) {
        struct epoll_event *ev = &loop->batch[loop->batch_i++];
        struct io *io = ev->data.ptr;
        if (io && io->fd >= 0)
            io->fn(loop, io, ev->events);
    }
    loop->batch_n = loop->batch_i = 0;
    run_deferred(loop);
    return 0;
}

void loop_run(struct loop *loop)
{
    loop->stop = false;
    while (!loop->stop && loop_turn(loop, -1) == 0)
        ;
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}
