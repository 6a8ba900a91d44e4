/* fault_check.c - is a request within its bounds? It comes over a socket, so nothing is believed.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "fault/fault.h"

#define LATENCY_MAX_NS (3600 * NS_PER_S)

static bool ended(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static bool is_share(double v)
{
    return isfinite(v) && v >= 0 && v <= 1;
}

static bool good_share(const struct impair_share *s)
{
    return is_share(s->share) && is_share(s->correlation);
}

static bool good_spec(const struct impair_spec *s)
{
    const struct impair_bandwidth *b = &s->bandwidth;
    return s->latency_ns >= 0 && s->latency_ns <= LATENCY_MAX_NS && s->jitter_ns >= 0 &&
           s->jitter_ns <= LATENCY_MAX_NS && is_share(s->latency_correlation) &&
           good_share(&s->loss) && good_share(&s->duplicate) && good_share(&s->corrupt) &&
           good_share(&s->reorder) && (b->peakrate_bytes_per_s > 0) == (b->minburst_bytes > 0) &&
           (b->rate_bytes_per_s == 0 || (b->limit_bytes > 0 && b->buffer_bytes > 0));
}

static bool good_network(const struct fault_network *n)
{
    if (n->links_n > FAULT_LINKS || !ended(n->text, sizeof n->text) ||
        !ended(n->where, sizeof n->where))
        return false;
    for (uint32_t i = 0; i < n->links_n; i++)
        if (n->links[i].dst_port > UINT16_MAX)
            return false;
    return good_spec(&n->spec);
}

static bool good_names(const struct fault_names *n)
{
    const struct lab_names *rule = &n->rule;
    if (rule->action >= LAB_NAMES_ACTION_COUNT || rule->patterns_n > LAB_NAME_PATTERNS ||
        rule->delay_ns < 0 || rule->delay_ns > LATENCY_MAX_NS || !ended(n->text, sizeof n->text))
        return false;
    for (uint32_t i = 0; i < rule->patterns_n; i++)
        if (!ended(rule->patterns[i], sizeof rule->patterns[i]))
            return false;
    return true;
}

int fault_check_request(const struct fault_request *q)
{
    if (q->targets_n > FAULT_TARGETS || !ended(q->kind, sizeof q->kind) ||
        !ended(q->name, sizeof q->name) || q->grace_ns < 0 || q->ttl_ns < 0 ||
        !good_network(&q->network) || !good_names(&q->names))
        return -EINVAL;
    for (uint32_t i = 0; i < q->targets_n; i++)
        if (!ended(q->target_names[i], sizeof q->target_names[i]))
            return -EINVAL;
    return 0;
}
