/* manifest_request.c - a manifest against a plan, as the request that the agent gets. */
#include <stdio.h>
#include <string.h>

#include "fault/manifest.h"

static int pick(const struct manifest_choice *c, const struct plan *plan, uint64_t seed,
                const char *stream, struct fault_request *ret)
{
    struct rng rng;
    rng_init(&rng, seed, stream);
    int n = manifest_pick(c, plan, &rng, ret->targets, FAULT_TARGETS);
    ret->targets_n = (uint32_t)n;
    for (int i = 0; i < n; i++)
        snprintf(ret->target_names[i], sizeof ret->target_names[i], "%s",
                 plan->services[ret->targets[i]].name);
    return n;
}

int manifest_request(const struct manifest *m, const struct plan *plan, uint64_t seed,
                     const char *stream, struct fault_request *ret, struct buf *why)
{
    *ret = (struct fault_request){.grace_ns = m->grace_ns};
    snprintf(ret->kind, sizeof ret->kind, "%s", m->fault);
    buf_clear(why);
    int n = pick(&m->source, plan, seed, stream, ret);
    if (n == 0)
        buf_add_str(why, plan->services_n ? "no service matches its selector, or its mode drew none"
                                          : "the plan has no lab");
    return n;
}
