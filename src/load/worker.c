#include "load/worker.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "load/load_impl.h"
#include "load/serve.h"

#define OPEN_ROWS_MAX   (4u << 20)
#define CLOSED_ROWS_MAX (1u << 20)
#define ROWS_MIN        64
#define NAP_NS          (20 * NS_PER_US)
#define NAP_IN_FLIGHT   16
#define NAP_BATCH       4
#define NAP_WORTH       2
#define NAP_PAUSE_TURNS 64
#define ROWS_SLACK_S    10 /* rows wait so long for the drain before the open model runs out */

static void on_stop(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, stop);
    serve_stop(w, w->stop_ns, loop->now_ns);
}

static void abort_all(struct worker *w)
{
    int64_t now_ns = clock_now_ns();
    w->stop_ns = w->stop_ns < now_ns ? w->stop_ns : now_ns;
    serve_stop(w, w->stop_ns, now_ns);
    serve_drop_queue(w, now_ns);
    while (!list_empty(&w->inflight))
        conn_give_up(w, container_of(w->inflight.next, struct conn, link), REASON_STOPPED, now_ns);
    loop_stop(&w->loop);
}

static void on_wake(struct loop *loop, struct io *io, uint32_t events)
{
    struct worker *w = container_of(io, struct worker, wake);
    uint64_t n;
    if (read(io->fd, &n, sizeof n) < 0)
        return;
    if (atomic_load(&w->abort)) {
        if (!w->stopped || w->open > 0)
            abort_all(w);
        return;
    }
    int64_t at_ns = atomic_load(&w->stop_at_ns);
    if (w->stopped || at_ns == WORKER_NEVER)
        return;
    w->stop_ns = at_ns;
    timer_start(loop, &w->stop, at_ns);
}

void worker_wake(struct worker *w)
{
    uint64_t one = 1;
    ssize_t n = write(w->wake_fd, &one, sizeof one);
    (void)n; /* full means that it will wake up */
}

static double rows_of_plan(const struct worker *w)
{
    const struct plan_load *p = w->plan;
    double rows, most = w->closed_model ? CLOSED_ROWS_MAX : OPEN_ROWS_MAX;
    if (w->closed_model)
        rows = p->requests > 0 ? (double)p->requests : most;
    else
        rows = p->rate_per_s * ((double)p->timeout_ns / NS_PER_S + ROWS_SLACK_S);
    return rows < most ? rows : most;
}

/* This worker's share; a power of two, so that the queue can be as large as the ring. */
static size_t rows_wanted(const struct worker *w)
{
    double all = w->load->ledger_rows ? (double)w->load->ledger_rows : rows_of_plan(w);
    size_t rows = (size_t)(all / w->load->workers_n), least = (size_t)w->conns_n, cap = ROWS_MIN;
    while (cap < rows || cap < least)
        cap *= 2;
    return cap;
}

static void init_connections(struct worker *w)
{
    list_init(&w->free);
    list_init(&w->connecting);
    list_init(&w->idle);
    list_init(&w->inflight);
    w->conns = xcalloc((size_t)w->conns_n, sizeof *w->conns);
    w->parsers = xcalloc((size_t)w->conns_n, sizeof *w->parsers);
    w->spare = xcalloc((size_t)w->conns_n, sizeof *w->spare);
    for (int i = w->conns_n; i-- > 0;) {
        conn_init(&w->conns[i], w);
        w->spare[w->spare_n++] = &w->parsers[i];
    }
}

int worker_init(struct worker *w, struct load *load, unsigned index)
{
    const struct plan_load *p = load->plan;
    unsigned n = load->workers_n, all = (unsigned)p->concurrency;
    w->load = load;
    w->plan = p;
    w->run_start_ns = load->run_start_ns;
    w->closed_model = p->model == PLAN_CLOSED;
    w->stop_ns = WORKER_NEVER;
    atomic_init(&w->stop_at_ns, WORKER_NEVER);
    w->conns_n = (int)(all / n + (index < all % n));
    arrivals_init(&w->arrivals, p, load->seed, index, n);
    size_t cap = rows_wanted(w);
    w->ledger = ledger_new(cap);
    w->queue = xcalloc(cap, sizeof *w->queue);
    w->queue_mask = cap - 1;
    w->scratch.bytes = xmalloc(requests_max_bytes(load->requests));
    w->in = xmalloc(WORKER_IN_BYTES);
    w->lateness = hist_new();
    init_connections(w);
    io_init(&w->wake, on_wake);
    serve_init(w);
    timer_init(&w->stop, on_stop);
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w->wake_fd < 0 ? -errno : 0;
}

void worker_done(struct worker *w)
{
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    ledger_free(w->ledger);
    hist_free(w->lateness);
    free(w->queue);
    free(w->scratch.bytes);
    free(w->in);
    free(w->conns);
    free(w->parsers);
    free(w->spare);
}

static void close_connections(struct worker *w)
{
    for (int i = 0; i < w->conns_n; i++)
        if (w->conns[i].state != CONN_FREE)
            conn_close(w, &w->conns[i]);
}

/*
 * A descriptor table of the thread's own: every system call on a descriptor of a table that several
 * threads share takes and drops a reference (2 % of the CPU per request), and the limit on
 * descriptors counts by table, so each worker has all of it. Only what the worker needs is copied;
 * an inherited pipe held open here would never tell its reader of its end. Not under TSan, which
 * takes equal numbers for the same descriptor. Where it is not allowed the table stays shared.
 */
#ifdef __SANITIZE_THREAD__
#define SHARED_DESCRIPTORS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARED_DESCRIPTORS
#endif
#endif
static void own_descriptors(int keep_fd)
{
#ifndef SHARED_DESCRIPTORS
    if (close_range((unsigned)keep_fd + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0 && keep_fd > 3)
        close_range(3, (unsigned)keep_fd - 1, 0);
#endif
}

static int enter(struct worker *w)
{
    struct load *load = w->load;
    int r = load->enter ? load->enter(load->enter_ctx) : 0;
    if (r < 0)
        return r;
    own_descriptors(w->wake_fd);
    prctl(PR_SET_TIMERSLACK, 1ul);
    r = loop_init(&w->loop);
    return r < 0 ? r : io_add(&w->loop, &w->wake, w->wake_fd, EPOLLIN);
}

/* Interrupt moderation, as network cards do it. Against a fast server a worker is woken for one or
 * two answers at a time, and going to sleep and waking costs more than an answer does. So after a
 * small batch with many requests in flight it naps, and finds several answers at once: 6 % of the
 * CPU per request at 64 connections (bench/load.py). A nap that did not find two answers was not
 * worth it, and the next NAP_PAUSE_TURNS go without: latencies of slower servers stay as they are,
 * those of a fast one may read NAP_NS high. The open model never naps: its arrivals have their
 * instants. */
static void moderate(struct worker *w)
{
    int n = w->loop.turn_events;
    if (w->napped && n < NAP_WORTH)
        w->nap_pause = NAP_PAUSE_TURNS;
    w->napped = false;
    if (w->nap_pause > 0) {
        w->nap_pause--;
    } else if (n > 0 && n < NAP_BATCH && w->open >= NAP_IN_FLIGHT) {
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
        w->napped = true;
    }
}

static void work(struct worker *w)
{
    timer_start(&w->loop, &w->due, w->start_ns);
    serve_finish_when_done(w);
    while (!w->loop.stop && loop_turn(&w->loop, -1) == 0)
        if (w->closed_model)
            moderate(w);
    if (!w->loop.stop)
        abort_all(w); /* the loop itself failed: no row may stay open */
    close_connections(w);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    int code = w->start_code = enter(w);
    sem_post(&w->load->entered);
    if (code == 0)
        work(w);
    loop_done(&w->loop); /* its descriptor is in this thread's table */
    atomic_store_explicit(&w->running, false, memory_order_release);
    return NULL;
}

/* Signals stay with the main thread. */
int worker_start(struct worker *w, int64_t start_ns)
{
    sigset_t all, old;
    w->start_ns = start_ns;
    atomic_store(&w->running, true);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    w->started = code == 0;
    if (code != 0)
        atomic_store(&w->running, false);
    return -code;
}
