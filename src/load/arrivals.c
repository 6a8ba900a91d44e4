#include "load/arrivals.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"

#define STREAM_BYTES 320

/* A Poisson stream has no closed form: the gaps of the other workers' requests are drawn as well.
 */
static void advance(struct arrivals *a, uint64_t steps)
{
    if (!a->timed)
        return;
    if (!a->poisson) {
        a->due_ns = (int64_t)((long double)a->id * a->period_ns + 0.5L);
        return;
    }
    for (uint64_t i = 0; i < steps; i++)
        a->at_ns += (long double)rng_exponential(&a->rng, 1) * a->period_ns;
    a->due_ns = (int64_t)a->at_ns;
}

void arrivals_init(struct arrivals *a, const struct plan_load *plan, uint64_t seed, unsigned worker,
                   unsigned workers)
{
    char stream[STREAM_BYTES];
    assert(worker < workers);
    *a = (struct arrivals){
        .timed = plan->model == PLAN_OPEN,
        .poisson = plan->poisson,
        .id = worker,
        .stride = workers,
        .end = plan->requests > 0 ? (uint64_t)plan->requests : UINT64_MAX,
    };
    if (!a->timed)
        return;
    assert(plan->rate_per_s > 0);
    a->period_ns = (long double)NS_PER_S / (long double)plan->rate_per_s;
    snprintf(stream, sizeof stream, "load/%s/arrivals", plan->name);
    rng_init(&a->rng, seed, stream);
    advance(a, worker + 1);
}

void arrivals_next(struct arrivals *a)
{
    a->id += a->stride;
    advance(a, a->stride);
}
