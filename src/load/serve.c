#include "load/serve.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "load/load_impl.h"
#include "load/worker.h"

#define TAKE_UP_MAX    4096
#define LATE_NS        NS_PER_MS
#define REST_MIN_NS    (10 * NS_PER_MS)
#define REST_MAX_NS    (100 * NS_PER_MS)
#define LEDGER_REST_NS NS_PER_MS

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

void serve_requeue(struct worker *w, struct ledger_row *row)
{
    assert(queue_n(w) <= w->queue_mask);
    if (w->stopped && w->closed_model) {
        serve_close_row(w, row, FATE_UNSENT, REASON_LATE_STOP, clock_now_ns());
        return;
    }
    w->queue[--w->queue_head & w->queue_mask] = row;
    serve_expires(w, w->run_start_ns + row->due_ns + w->plan->timeout_ns);
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

void serve_finish_when_done(struct worker *w)
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

void serve_close_row(struct worker *w, struct ledger_row *row, enum fate fate,
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
    serve_finish_when_done(w);
}

/* A failed connect fails the request that has waited longest, if one still waits. */
void serve_connect_failed(struct worker *w, enum fate_reason reason, int64_t now_ns)
{
    if (queue_n(w) > 0)
        serve_close_row(w, dequeue(w), FATE_FAILED, reason, now_ns);
}

void serve_soon(struct worker *w)
{
    loop_defer(&w->loop, &w->soon);
}

void serve_expires(struct worker *w, int64_t at_ns)
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
        serve_connect_failed(w, r == -ECONNREFUSED ? REASON_CONNECT_REFUSED : REASON_CONNECT_ERROR,
                             now_ns);
    return true;
}

void serve_now(struct worker *w, int64_t now_ns)
{
    if (w->closed_model && now_ns >= w->stop_ns)
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
        serve_expires(w, w->run_start_ns + w->queue[w->queue_head & w->queue_mask]->due_ns +
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
    serve_finish_when_done(w);
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
    serve_now(w, now_ns);
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
static void on_soon(struct loop *loop, struct deferred *d)
{
    struct worker *w = container_of(d, struct worker, soon);
    int64_t now_ns = clock_now_ns();
    if (!w->closed_model && now_ns >= w->start_ns)
        take_up(w, now_ns);
    serve_now(w, now_ns);
}

static void on_due(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, due);
    if (w->closed_model)
        w->users_ready = w->conns_n; /* the start */
    serve_soon(w);
}

static void on_rest(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, rest);
    w->users_ready += w->users_resting;
    w->users_resting = 0;
    serve_soon(w);
}

static void expire_inflight(struct worker *w, int64_t now_ns)
{
    while (!list_empty(&w->inflight)) {
        struct conn *c = container_of(w->inflight.next, struct conn, link);
        int64_t at_ns = c->since_ns + w->plan->timeout_ns;
        if (at_ns > now_ns) {
            serve_expires(w, at_ns);
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
            serve_expires(w, at_ns);
            return;
        }
        conn_close(w, c);
        serve_connect_failed(w, REASON_CONNECT_TIMEOUT, at_ns);
    }
}

static void expire_queue(struct worker *w, int64_t now_ns)
{
    while (queue_n(w) > 0) {
        int64_t due_ns = w->queue[w->queue_head & w->queue_mask]->due_ns;
        int64_t at_ns = w->run_start_ns + due_ns + w->plan->timeout_ns;
        if (at_ns > now_ns) {
            serve_expires(w, at_ns);
            return;
        }
        serve_close_row(w, dequeue(w), FATE_UNSENT, REASON_SHED, at_ns);
    }
}

static void on_expiry(struct loop *loop, struct timer *t)
{
    struct worker *w = container_of(t, struct worker, expiry);
    expire_inflight(w, loop->now_ns);
    expire_connecting(w, loop->now_ns);
    expire_queue(w, loop->now_ns);
    serve_soon(w);
}

/* What became due before the stop keeps its place in the queue and its time: the load ends when the
 * last of it has its fate. */
static void open_the_rest(struct worker *w, int64_t stop_ns, int64_t now_ns)
{
    while (arrivals_left(&w->arrivals) && next_due_ns(w) < stop_ns) {
        int64_t due_ns = next_due_ns(w);
        struct ledger_row *row = open_row(w, due_ns);
        note_lateness(w, now_ns - due_ns);
        if (row)
            enqueue(w, row);
        else
            count_without_row(w);
    }
}

void serve_drop_queue(struct worker *w, int64_t now_ns)
{
    while (queue_n(w) > 0)
        serve_close_row(w, dequeue(w), FATE_UNSENT, REASON_LATE_STOP, now_ns);
}

void serve_stop(struct worker *w, int64_t stop_ns, int64_t now_ns)
{
    if (!w->closed_model)
        open_the_rest(w, stop_ns, now_ns);
    w->stopped = true;
    timer_stop(&w->loop, &w->due);
    /* in the closed model nothing was due but by its user's wish, and users stop here */
    if (w->closed_model)
        serve_drop_queue(w, now_ns);
    serve_soon(w);
    serve_finish_when_done(w);
}

void serve_init(struct worker *w)
{
    timer_init(&w->due, on_due);
    timer_init(&w->expiry, on_expiry);
    timer_init(&w->rest, on_rest);
    deferred_init(&w->soon, on_soon);
    w->late_limit_ns = LATE_NS;
    if (!w->closed_model && NS_PER_S / w->plan->rate_per_s / 10 > LATE_NS)
        w->late_limit_ns = (int64_t)(NS_PER_S / w->plan->rate_per_s / 10);
}
