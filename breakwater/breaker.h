/*
 * breaker - a circuit breaker for one dependency, with the clock as a parameter.
 *
 * CLOSED: calls go through; their results are judged. OPEN: calls are refused until open_until.
 * HALF_OPEN: one call (the probe) goes through; its result closes or opens again; further calls
 * are refused meanwhile. A probe that never reports is given up after open_ns.
 *     CLOSED -> OPEN        rule broken
 *     OPEN -> HALF_OPEN     first breaker_allow() after open_until
 *     HALF_OPEN -> CLOSED   probe good;   HALF_OPEN -> OPEN  probe bad
 * Two rules, either opens: failed_pct of the calls of the last window_ns with at least calls_min;
 * consecutive failures. 0 switches a rule off. Every breaker_allow() that says yes must be
 * followed by exactly one breaker_record().
 * Lifecycle: breaker_init(); plain data, nothing to free. Threads: own lock.
 */
#ifndef BREAKWATER_BREAKER_H
#define BREAKWATER_BREAKER_H

#include <pthread.h>

#include "util.h"

#define BREAKER_SLOTS 20 /* the window moves in steps of window / 20 */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };

struct breaker_limits {
    int64_t window_ns, calls_min, failed_pct; /* failed_pct 0: off */
    int64_t consecutive;                      /* 0: off */
    int64_t open_ns;                          /* when the opener gives no time of its own */
};

/* Called under the lock at every change. */
typedef void breaker_moved_fn(void *ctx, enum breaker_state from, enum breaker_state to);

struct breaker {
    struct breaker_limits lim;
    breaker_moved_fn *moved;
    void *ctx;
    pthread_mutex_t lock;
    enum breaker_state state;
    int64_t open_until, probe_since;
    int64_t in_a_row;        /* failures */
    int64_t opened_in_a_row; /* times opened since the last success */
    struct breaker_slot {
        int64_t step, calls, failed;
    } slot[BREAKER_SLOTS];
};

void breaker_init(struct breaker *b, const struct breaker_limits *lim, breaker_moved_fn *moved,
                  void *ctx);
bool breaker_allow(struct breaker *b, int64_t now);
/* open_ns > 0: how long to stay open should this failure open it (Retry-After, back-off). */
void breaker_record(struct breaker *b, int64_t now, bool ok, int64_t open_ns);
/* As breaker_record for a call that told nothing about the dependency. */
void breaker_cancel(struct breaker *b);
enum breaker_state breaker_now(struct breaker *b);
/* How long until a call may be tried, 0 when now. */
int64_t breaker_wait_ns(struct breaker *b, int64_t now);
/* Times opened since the last success: the attempt number for a back-off. */
int64_t breaker_attempt(struct breaker *b);
const char *breaker_state_name(enum breaker_state s);

/* 1, 2, 4 .. cap times base, +-jitter_pct; attempt counts from 0. */
int64_t backoff_ns(int64_t base_ns, int64_t cap_ns, int64_t jitter_pct, int64_t attempt,
                   uint64_t random);

#endif
