/* manifest_request.c - a manifest against a plan, as the request that the agent gets. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "fault/manifest.h"

/* All of them into ret_ports; as many as fit among the targets. */
static int pick(const struct manifest_choice *c, const struct plan *plan, uint64_t seed,
                const char *stream, struct fault_request *ret, struct port_set *ret_ports)
{
    int32_t targets[IMPAIR_PORTS];
    struct rng rng;
    rng_init(&rng, seed, stream);
    int n = manifest_pick(c, plan, &rng, targets, IMPAIR_PORTS - 1);
    *ret_ports = (struct port_set){0};
    for (int i = 0; i < n; i++) {
        port_set_add(ret_ports, (unsigned)targets[i] + 1);
        if (i >= FAULT_TARGETS)
            continue;
        ret->targets[i] = targets[i];
        snprintf(ret->target_names[i], sizeof ret->target_names[i], "%s",
                 plan->services[targets[i]].name);
    }
    ret->targets_n = (uint32_t)(n < FAULT_TARGETS ? n : FAULT_TARGETS);
    return n;
}

void manifest_names(const struct manifest_dns *d, struct fault_names *ret)
{
    static const char *const words[] = {
        [LAB_NAMES_ERROR] = "answered with an error (SERVFAIL)",
        [LAB_NAMES_RANDOM] = "answered with an address that nobody has",
        [LAB_NAMES_DELAY] = "answered late by ",
    };
    _Static_assert(ARRAY_SIZE(words) == LAB_NAMES_ACTION_COUNT, "words for each action");
    struct buf text = {0};
    char late[32] = "";
    *ret = (struct fault_names){.rule = {.action = d->action,
                                         .patterns_n = (uint32_t)d->patterns.n,
                                         .delay_ns = d->delay_ns}};
    for (size_t i = 0; i < d->patterns.n; i++) {
        snprintf(ret->rule.patterns[i], sizeof ret->rule.patterns[i], "%s", d->patterns.v[i]);
        buf_printf(&text, "%s%s", i ? ", " : "", d->patterns.v[i]);
    }
    if (d->action == LAB_NAMES_DELAY)
        units_format_duration(d->delay_ns, late, sizeof late);
    snprintf(ret->text, sizeof ret->text, "%.400s: %s%s", text.n ? buf_str(&text) : "every name",
             words[d->action], late);
    buf_done(&text);
}

static uint64_t draw(uint64_t seed, const char *stream, const char *what)
{
    struct rng rng;
    char name[160];
    snprintf(name, sizeof name, "%.140s/%s", stream, what);
    rng_init(&rng, seed, name);
    return rng_u64(&rng);
}

int manifest_request(const struct manifest *m, const struct plan *plan, uint64_t seed,
                     const char *stream, struct fault_request *ret, struct buf *why)
{
    struct port_set sources;
    *ret = (struct fault_request){.grace_ns = m->grace_ns};
    snprintf(ret->kind, sizeof ret->kind, "%s", m->fault);
    snprintf(ret->name, sizeof ret->name, "%s", m->name);
    buf_clear(why);
    int n = pick(&m->source, plan, seed, stream, ret, &sources);
    if (n == 0)
        buf_add_str(why, plan->services_n ? "no service matches its selector, or its mode drew none"
                                          : "the plan has no lab");
    else if (n > FAULT_TARGETS && !m->network && !m->dns)
        buf_printf(why, "it selects %d services, and takes at most %d at once", n, FAULT_TARGETS);
    if (why->n) {
        ret->targets_n = 0;
        return 0;
    }
    if (m->network && manifest_links(m, plan, seed, stream, &sources, &ret->network, why) == 0) {
        ret->targets_n = 0;
        return 0;
    }
    if (m->dns) {
        manifest_names(m->dns, &ret->names);
        ret->names.rule.who = sources;
        ret->names.rule.seed = draw(seed, stream, "names");
    }
    return (int)ret->targets_n;
}
