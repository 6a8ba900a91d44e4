/*
 * worker.h - one thread of a load: its arrivals, its connections, its ledger, on its own loop.
 *
 * Inside of src/load only. Here: what a worker holds, its start, its stop and its end; how requests
 * go through it is in serve.h, one connection in conn.h.
 *
 * A connection is in exactly one list, and that list is its state (conn.h). All waits of one kind
 * have the same length, so each list is a queue by time and one timer watches the heads of all.
 * Thread rule: everything belongs to the worker's thread, except stop_at_ns, abort and counts
 * (atomic) and the consumer's side of the ledger.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "load/arrivals.h"
#include "load/conn.h"
#include "load/load.h"
#include "load/request.h"

#define WORKER_NEVER      INT64_MAX
#define WORKER_LAST_BYTES 1024

/* Written by the worker, read by anyone. */
struct worker_counts {
    _Atomic uint64_t due, sent, late, connects, bytes_in, bytes_out;
    _Atomic uint64_t fates[FATE_COUNT], reasons[REASON_COUNT];
    _Atomic int64_t lateness_max_ns;
};

struct worker {
    struct loop loop;
    struct load *load;
    const struct plan_load *plan;
    int64_t run_start_ns, start_ns;
    int64_t stop_ns; /* the worker's copy of stop_at_ns */
    bool stopped;
    bool napped; /* before this turn; see moderate() */
    int nap_pause;
    bool closed_model;

    struct arrivals arrivals;
    struct ledger *ledger;
    uint64_t open; /* rows opened and not closed */
    struct ledger_row **queue;
    uint64_t queue_head, queue_tail, queue_mask;
    int64_t late_limit_ns;

    int users_ready;   /* closed model: want to send as soon as the turn comes to them */
    int users_resting; /* wait for the rest timer */
    int64_t rest_ns;

    struct conn *conns;
    int conns_n, connecting_n;
    struct list free, connecting, idle, inflight;
    struct http1 *parsers;
    struct http1 **spare; /* stack of those that no connection holds */
    int spare_n;
    struct request_scratch scratch;
    char *in;
    struct {
        char bytes[WORKER_LAST_BYTES];
        size_t n; /* 0 = none yet */
        int status;
        bool keep_alive;
    } last; /* answer that came whole in one piece */

    struct io wake;
    int wake_fd; /* eventfd: written by the owner, in the tables of both threads */
    struct timer due, expiry, rest, stop;
    struct deferred soon;

    struct worker_counts counts;
    struct hist *lateness;

    pthread_t thread;
    bool started;
    int start_code; /* of enter, set before the start barrier */
    _Atomic int64_t stop_at_ns;
    _Atomic bool abort;
    _Atomic bool running;
};

int worker_init(struct worker *w, struct load *load, unsigned index);
void worker_done(struct worker *w); /* the thread has ended */
int worker_start(struct worker *w, int64_t start_ns);
void worker_wake(struct worker *w); /* any thread */

static inline void count_add(_Atomic uint64_t *c, uint64_t n)
{
    /* one writer: no locked instruction needed; release, so that a reader who sees a fate also sees
     * the request it belongs to */
    uint64_t v = atomic_load_explicit(c, memory_order_relaxed) + n;
    atomic_store_explicit(c, v, memory_order_release);
}
