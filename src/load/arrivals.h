/*
 * arrivals.h - when each request of a load is due, as a function of (plan, seed) alone.
 *
 * Constant rate: request n is due at n / rate; each instant is computed from n, so nothing drifts.
 * Poisson: gaps are exponential draws from the stream "load/NAME/arrivals". Closed model: only the
 * numbers. Worker w of W takes the requests with n % W == w; it draws the gaps of the others too,
 * so the list is the same whatever W is. Times are ns after the load's start. Plain data, no
 * lifecycle beyond init; one thread. Limits: exact to the ns for 2^63 ns.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "plan/plan.h"

struct arrivals {
    bool timed, poisson; /* timed: open model */
    long double period_ns, at_ns;
    struct rng rng;
    uint64_t id, stride,
        end;        /* the next request, the distance to the one after, the first too many */
    int64_t due_ns; /* of id, when timed */
};

void arrivals_init(struct arrivals *a, const struct plan_load *plan, uint64_t seed, unsigned worker,
                   unsigned workers);
void arrivals_next(struct arrivals *a);
static inline bool arrivals_left(const struct arrivals *a)
{
    return a->id < a->end;
}
