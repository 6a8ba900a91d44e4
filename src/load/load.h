/*
 * load.h - drives one load of the plan: arrivals, connections, requests, ledger. One thread a
 * worker, one loop a thread.
 *
 * Open model: request n is due at its scheduled instant (constant: n / rate; Poisson: seeded
 * exponential gaps), whatever the server does; latency counts from then. Closed model: each of
 * `concurrency` virtual users sends its next request as soon as the last is answered; due = the
 * moment it is ready to send. A due request that finds no free connection waits for one (its clock
 * runs) up to its timeout, then it is shed. The timeout of a request that was sent counts from
 * sent_ns. A request is sent at most once: when its connection ends after a byte of it was handed
 * to the kernel, its fate is unknown. Closed model: a user whose connect failed rests 10 ms,
 * doubled up to 100 ms while connects keep failing; one that finds the ledger full rests 1 ms.
 *
 * Rows: sent_ns is set when at least one byte was handed to the kernel; answered_ns is the instant
 * the fate was decided (last byte of the answer parsed; sent_ns + timeout; due_ns + timeout when
 * shed; when the connection failed; the stop). answer_bytes counts head and body.
 *
 * Lifecycle: load_new (sizes everything) -> load_start (threads; arrivals start at start_ns) ->
 * load_stop (asks: no new request after at_ns; those in flight get until their timeout) ->
 * load_running() false -> load_drain until 0 -> load_free. load_abort ends at once: in-flight rows
 * close as unknown/stopped. Thread rule: all calls from the owner's thread; enter runs in each
 * worker thread before its first socket.
 */
#pragma once
#include "base/hist.h"
#include "base/rng.h"
#include "load/ledger.h"
#include "net/addr.h"
#include "plan/plan.h"

struct load;

/* The seed of a load's templates: what template_bind gets, in the workers and wherever a request is
 * rendered again. */
static inline uint64_t load_template_seed(uint64_t run_seed, const char *load_name)
{
    struct rng rng;
    rng_init(&rng, run_seed, load_name);
    return rng_u64(&rng);
}

struct load_config {
    const struct plan_load *plan;
    uint64_t seed;        /* the run's */
    int64_t run_start_ns; /* monotonic; row times count from here */
    struct addr target;
    int (*enter)(
        void *ctx); /* NULL, or e.g. joins the lab's client network namespace; 0 or -errno */
    void *enter_ctx;
    size_t ledger_rows; /* of all workers; 0 = from the plan: open rate x (timeout + 10 s), at most
                           4 Mi; closed `requests`, at most 1 Mi */
};

/* Counts since the start; monotonic; safe to read while running (each is written by one thread,
 * read relaxed). */
struct load_counts {
    uint64_t due, sent, open; /* open: due and not closed */
    uint64_t fates[FATE_COUNT];
    uint64_t reasons[REASON_COUNT];
    uint64_t late; /* sent more than 1 ms (or 10 % of the interval, if more) after due with a
                      connection free, or, with none free, taken up so late */
    uint64_t connects;
    int64_t lateness_max_ns;
    uint64_t bytes_in, bytes_out;
};

int load_new(const struct load_config *config, struct load **ret, struct err *err);
int load_start(struct load *l, int64_t start_ns, struct err *err);
void load_stop(struct load *l, int64_t at_ns);
void load_abort(struct load *l);
bool load_running(const struct load *l);
void load_counts(const struct load *l, struct load_counts *ret);
/* Send lateness (sent - due while a connection was free), merged over workers; call after
 * load_running() is false. */
void load_lateness(const struct load *l, struct hist *into);
size_t load_drain(struct load *l, size_t max, ledger_fn *fn, void *ctx); /* rows of all workers */
void load_free(struct load *l);                                          /* aborts when running */
