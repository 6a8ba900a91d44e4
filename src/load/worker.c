#include "load/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "load/load_impl.h"

#define OPEN_ROWS_MAX   (4u << 20)
#define CLOSED_ROWS_MAX (1u << 20)
#define ROWS_SLACK_S    10 /* rows wait so long for the drain before the open model runs out */
#define TAKE_UP_MAX     4096
#define LATE_NS         NS_PER_MS
#define REST_MIN_NS     (10 * NS_PER_MS)
#define REST_MAX_NS     (100 * NS_PER_MS)
#define LEDGER_REST_NS  NS_PER_MS

static size_t queue_n(const struct worker *w)
{
    return w->queue_tail - w->queue_head;
}

/* The ring of rows has room for all that can be open, so the queue of the same size cannot
 * overflow. */
static void enqueue(struct worker *w, struct ledger_row *row)
{
    assert(queue_n(w) <= w->queue_mask);
    w->queue[w->queue_tail++ & w->queue_mask] = row;
}

void worker_requeue(struct worker *w, struct ledger_row *row)
{
    assert(queue_n(w) <= w->queue_mask);
    if (w->stopped) {
        worker_close_row(w, row, FATE_UNSENT, REASON_LATE_STOP, clock_now_ns());
        return;
    }
    w->queue[--w->queue_head & w->queue_mask] = row;
    worker_expires(w, w->run_start_ns + row->due_ns + w->plan->timeout_ns);
}

static struct ledger_row *dequeue(struct worker *w)
{
    assert(queue_n(w) > 0);
    return w->queue[w->queue_head++ & w->queue_mask];
}

static bool no_more_requests(const struct worker *w)
{
    return w->stopped || !arrivals_left(&w->arrivals);
}

static void finish_when_done(struct worker *w)
{
    if (w->open == 0 && no_more_requests(w))
        loop_stop(&w->loop);
}

static void count_fate(struct worker *w, enum fate fate, enum fate_reason reason)
{
    count_add(&w->counts.reasons[reason], 1);
    count_add(&w->counts.fates[fate], 1);
}

/* Takes the next number; NULL when the ledger is full, with nothing taken. */
static struct ledger_row *open_row(struct worker *w, int64_t due_ns)
{
    struct ledger_row *row = ledger_open(w->ledger);
    if (!row)
        return NULL;
    row->id = w->arrivals.id;
    row->due_ns = due_ns - w->run_start_ns;
    w->open++;
    count_add(&w->counts.due, 1);
    arrivals_next(&w->arrivals);
    return row;
}

static void rest(struct worker *w, int64_t ns)
{
    int64_t at = w->loop.now_ns + ns;
    w->users_resting++;
    if (!timer_running(&w->rest) || w->rest.node.key > at)
        timer_start(&w->loop, &w->rest, at);
}

/* All users that fail while some rest already wake with them; the next round rests longer. */
static void rest_after_failure(struct worker *w)
{
    if (!timer_running(&w->rest)) {
        int64_t longer = w->rest_ns ? w->rest_ns * 2 : REST_MIN_NS;
        w->rest_ns = longer < REST_MAX_NS ? longer : REST_MAX_NS;
    }
    rest(w, w->rest_ns ? w->rest_ns : REST_MIN_NS);
}

static bool connect_failed(enum fate_reason reason)
{
    return reason == REASON_CONNECT_REFUSED || reason == REASON_CONNECT_TIMEOUT ||
           reason == REASON_CONNECT_ERROR;
}

void worker_close_row(struct worker *w, struct ledger_row *row, enum fate fate,
                      enum fate_reason reason, int64_t at_ns)
{
    row->answered_ns = at_ns - w->run_start_ns;
    row->fate = (uint8_t)fate;
    row->reason = (uint8_t)reason;
    count_fate(w, fate, reason);
    ledger_close(w->ledger, row);
    w->open--;
    if (w->closed_model && connect_failed(reason))
        rest_after_failure(w);
    else if (w->closed_model)
        w->users_ready++;
    finish_when_done(w);
}

/* A failed connect fails the request that has waited longest, if one still waits. */
void worker_connect_failed(struct worker *w, enum fate_reason reason, int64_t now_ns)
{
    if (queue_n(w) > 0)
        worker_close_row(w, dequeue(w), FATE_FAILED, reason, now_ns);
}

void worker_serve_soon(struct worker *w)
{
    loop_defer(&w->loop, &w->serve);
}

void worker_expires(struct worker *w, int64_t at_ns)
{
    if (!timer_running(&w->expiry) || w->expiry.node.key > at_ns)
        timer_start(&w->loop, &w->expiry, at_ns);
}

/* Closed model: each ready user turns into a request that is due now. */
static void ready_users(struct worker *w, int64_t now_ns)
{
    while (w->users_ready > 0 && !no_more_requests(w)) {
        struct ledger_row *row = open_row(w, now_ns);
        w->users_ready--;
        if (row)
            enqueue(w, row);
        else
            rest(w, LEDGER_REST_NS);
    }
}

/* One more connection for the queue. False when there is nothing to open. */
static bool open_another(struct worker *w, int64_t now_ns)
{
    if (list_empty(&w->free) || (size_t)w->connecting_n >= queue_n(w))
        return false;
    int r = conn_open(w, container_of(w->free.prev, struct conn, link), now_ns);
    if (r < 0)
        worker_connect_failed(w, r == -ECONNREFUSED ? REASON_CONNECT_REFUSED : REASON_CONNECT_ERROR,
                              now_ns);
    return true;
}

void worker_serve(struct worker *w, int64_t now_ns)
{
    if (now_ns >= w->stop_ns)
        return; /* the stop timer decides about those that wait */
    if (w->closed_model)
        ready_users(w, now_ns);
    while (queue_n(w) > 0) {
        if (!list_empty(&w->idle))
            conn_send(w, container_of(w->idle.prev, struct conn, link), dequeue(w), now_ns);
        else if (!open_another(w, now_ns))
            break;
        if (queue_n(w) > 0)
            now_ns = clock_now_ns();
    }
    /* those still in the queue were opened in due order: the head is the first to expire */
    if (queue_n(w) > 0)
        worker_expires(w, w->run_start_ns + w->queue[w->queue_head & w->queue_mask]->due_ns +
                              w->plan->timeout_ns);
}

static void note_lateness(struct worker *w, int64_t late_ns)
{
    hist_record(w->lateness, late_ns);
    if (late_ns > w->late_limit_ns)
        count_add(&w->counts.late, 1);
    if (late_ns > atomic_load_explicit(&w->counts.lateness_max_ns, memory_order_relaxed))
        atomic_store_explicit(&w->counts.lateness_max_ns, late_ns, memory_order_relaxed);
}

static int64_t next_due_ns(const struct worker *w)
{
    return w->start_ns + w->arrivals.due_ns;
}

/* Due, but there is no row for it: counted, not forgotten. */
static void count_without_row(struct worker *w)
{
    count_add(&w->counts.due, 1);
    count_fate(w, FATE_UNSENT, REASON_LEDGER_FULL);
    arrivals_next(&w->arrivals);
    finish_when_done(w);
}

/* One request that is due: gets its row and, with a connection free, goes out at once. */
static void take_one(struct worker *w, int64_t now_ns)
{
    int64_t due_ns = next_due_ns(w);
    struct ledger_row *row = open_row(w, due_ns);
    note_lateness(w, now_ns - due_ns);
    if (!row) {
        count_without_row(w);
        return;
    }
    enqueue(w, row);
    worker_serve(w, now_ns);
}

/* Open model: what is due by now, then sleep until the next. Bounded, so that a rate beyond this
 * machine cannot starve the answers. */
static void take_up(struct worker *w, int64_t now_ns)
{
    for (int i = 0; i < TAKE_UP_MAX; i++) {
        if (no_more_requests(w) || next_due_ns(w) > now_ns || now_ns >= w->stop_ns)
            break;
        take_one(w, now_ns);
        now_ns = clock_now_ns();
    }
    if (no_more_requests(w))
        timer_stop(&w->loop, &w->due);
    else
        timer_start(&w->loop, &w->due, next_due_ns(w));
}

/* Runs behind the descriptors of the turn, so that a connection that the peer has closed while it
 * was idle is known to be closed before a request could go out on it. */
static void serve(struct loop *loop, struct deferred *d)
{
    struct worker *w = container_of(d, struct worker, serve);
    int64_t now_ns = clock_now_ns();
    if (!w->closed_model && now_ns >= w->start_ns)
        take_up(w, now_ns);
    worker_serve(w, now_ns);
}

static void on_due(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, due);
    if (w->closed_model)
        w->users_ready = w->conns_n; /* the start */
    worker_serve_soon(w);
}

static void on_rest(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, rest);
    w->users_ready += w->users_resting;
    w->users_resting = 0;
    worker_serve_soon(w);
}

static void expire_inflight(struct worker *w, int64_t now_ns)
{
    while (!list_empty(&w->inflight)) {
        struct conn *c = container_of(w->inflight.next, struct conn, link);
        int64_t at_ns = c->since_ns + w->plan->timeout_ns;
        if (at_ns > now_ns) {
            worker_expires(w, at_ns);
            return;
        }
        conn_give_up(w, c, REASON_TIMEOUT, at_ns);
    }
}

static void expire_connecting(struct worker *w, int64_t now_ns)
{
    while (!list_empty(&w->connecting)) {
        struct conn *c = container_of(w->connecting.next, struct conn, link);
        int64_t at_ns = c->since_ns + w->plan->connect_timeout_ns;
        if (at_ns > now_ns) {
            worker_expires(w, at_ns);
            return;
        }
        conn_close(w, c);
        worker_connect_failed(w, REASON_CONNECT_TIMEOUT, at_ns);
    }
}

static void expire_queue(struct worker *w, int64_t now_ns)
{
    while (queue_n(w) > 0) {
        int64_t due_ns = w->queue[w->queue_head & w->queue_mask]->due_ns;
        int64_t at_ns = w->run_start_ns + due_ns + w->plan->timeout_ns;
        if (at_ns > now_ns) {
            worker_expires(w, at_ns);
            return;
        }
        worker_close_row(w, dequeue(w), FATE_UNSENT, REASON_SHED, at_ns);
    }
}

static void on_expiry(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, expiry);
    expire_inflight(w, loop->now_ns);
    expire_connecting(w, loop->now_ns);
    expire_queue(w, loop->now_ns);
    worker_serve_soon(w);
}

/* What became due before the stop and was not sent is counted, not forgotten. */
static void stop_arrivals(struct worker *w, int64_t stop_ns, int64_t now_ns)
{
    if (!w->closed_model)
        while (arrivals_left(&w->arrivals) && next_due_ns(w) < stop_ns) {
            struct ledger_row *row = open_row(w, next_due_ns(w));
            if (row)
                enqueue(w, row);
            else
                count_without_row(w);
        }
    w->stopped = true;
    timer_stop(&w->loop, &w->due);
    while (queue_n(w) > 0)
        worker_close_row(w, dequeue(w), FATE_UNSENT, REASON_LATE_STOP, now_ns);
    finish_when_done(w);
}

static void on_stop(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, stop);
    stop_arrivals(w, w->stop_ns, loop->now_ns);
}

static void abort_all(struct worker *w)
{
    int64_t now_ns = clock_now_ns();
    w->stop_ns = w->stop_ns < now_ns ? w->stop_ns : now_ns;
    stop_arrivals(w, w->stop_ns, now_ns);
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
    ssize_t n = write(w->wake.fd, &one, sizeof one);
    (void)n; /* full means that it will wake up */
}

static size_t rows_wanted(const struct worker *w, unsigned workers)
{
    const struct plan_load *p = w->plan;
    double rows, most = w->closed_model ? CLOSED_ROWS_MAX : OPEN_ROWS_MAX;
    if (w->closed_model)
        rows = p->requests > 0 ? (double)p->requests : most;
    else
        rows = p->rate_per_s * ((double)p->timeout_ns / NS_PER_S + ROWS_SLACK_S);
    rows = (rows < most ? rows : most) / workers + 1;
    size_t least = (size_t)w->conns_n * 2;
    return (size_t)rows > least ? (size_t)rows : least;
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
    w->late_limit_ns = LATE_NS;
    if (!w->closed_model && NS_PER_S / p->rate_per_s / 10 > LATE_NS)
        w->late_limit_ns = (int64_t)(NS_PER_S / p->rate_per_s / 10);
    size_t rows = rows_wanted(w, n), cap = 64;
    while (cap < rows)
        cap *= 2;
    w->ledger = ledger_new(cap);
    w->queue = xcalloc(cap, sizeof *w->queue);
    w->queue_mask = cap - 1;
    w->scratch.bytes = xmalloc(requests_max_bytes(load->requests));
    w->in = xmalloc(WORKER_IN_BYTES);
    w->lateness = hist_new();
    init_connections(w);
    io_init(&w->wake, on_wake);
    timer_init(&w->due, on_due);
    timer_init(&w->expiry, on_expiry);
    timer_init(&w->rest, on_rest);
    timer_init(&w->stop, on_stop);
    deferred_init(&w->serve, serve);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = loop_init(&w->loop);
    if (r == 0)
        r = io_add(&w->loop, &w->wake, fd, EPOLLIN);
    if (r < 0)
        close(fd);
    return r;
}

void worker_done(struct worker *w)
{
    if (w->wake.fd >= 0)
        close(w->wake.fd);
    loop_done(&w->loop);
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

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct load *load = w->load;
    prctl(PR_SET_TIMERSLACK, 1ul);
    w->start_code = load->enter ? load->enter(load->enter_ctx) : 0;
    bool entered = w->start_code == 0;
    sem_post(&load->entered);
    if (entered) {
        timer_start(&w->loop, &w->due, w->start_ns);
        finish_when_done(w);
        while (!w->loop.stop && loop_turn(&w->loop, -1) == 0)
            ;
        close_connections(w);
    }
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
