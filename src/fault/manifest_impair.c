/*
 * manifest_impair.c - the blocks of a NetworkChaos that say what becomes of packets: delay, loss,
 * duplicate, corrupt, rate, bandwidth.
 */
#include <string.h>

#include "fault/manifest_read.h"

#define PACKET_BYTES 1500

static struct impair_spec *spec_of(struct reader *r)
{
    return &r->network->spec;
}

static void read_correlation(struct reader *r, const struct ynode *block, const char *what,
                             double *ret)
{
    const struct ynode *node = read_given(block, "correlation");
    if (node && (node->kind != YAML_SCALAR || *node->text))
        (void)read_percent(r, node, arena_printf(r->a, "%s.correlation", what), ret);
}

/* {NAME: percent, correlation: percent}; `more` is a further field that the caller reads. */
static void read_share(struct reader *r, struct ynode *block, const char *what, const char *name,
                       const char *more, struct impair_share *ret)
{
    const struct field fields[] = {{name}, {"correlation"}, {more ? more : name}};
    read_fields(r, block, what, fields, ARRAY_SIZE(fields));
    if (block->kind != YAML_MAP)
        return;
    const struct ynode *share = read_given(block, name);
    const char *key = arena_printf(r->a, "%s.%s", what, name);
    if (!share)
        problems_add(&r->errors, block, "%s is missing", key);
    else if (read_percent(r, share, key, &ret->share) && ret->share == 0)
        problems_add(&r->warnings, share, "%s is 0: it does nothing", key);
    read_correlation(r, block, what, &ret->correlation);
}

static void read_reorder(struct reader *r, struct ynode *node)
{
    struct impair_spec *s = spec_of(r);
    int64_t gap = 0;
    read_share(r, node, "spec.delay.reorder", "reorder", "gap", &s->reorder);
    const struct ynode *at = read_given(node, "gap");
    if (!at) {
        problems_add(&r->warnings, node,
                     "spec.delay.reorder.gap is missing, which a cluster insists on; taken as 0: "
                     "each packet may overtake");
        return;
    }
    if (!read_int(r, at, "spec.delay.reorder.gap", &gap))
        return;
    if (gap < 0 || gap > INT32_MAX)
        problems_add(&r->errors, at, "spec.delay.reorder.gap must be 0 or more");
    else
        s->reorder_gap = (uint32_t)gap;
}

static void read_latency(struct reader *r, struct ynode *node)
{
    (void)read_delay(r, node, "spec.delay.latency", &spec_of(r)->latency_ns);
}

static void read_jitter(struct reader *r, struct ynode *node)
{
    if (node->kind != YAML_SCALAR || *node->text)
        (void)read_delay(r, node, "spec.delay.jitter", &spec_of(r)->jitter_ns);
}

void read_block_delay(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"latency", read_latency},
                                          {"jitter", read_jitter},
                                          {"correlation"},
                                          {"reorder", read_reorder}};
    struct impair_spec *s = spec_of(r);
    read_fields(r, node, "spec.delay", fields, ARRAY_SIZE(fields));
    if (node->kind != YAML_MAP)
        return;
    read_correlation(r, node, "spec.delay", &s->latency_correlation);
    const struct ynode *latency = read_given(node, "latency"),
                       *reorder = read_given(node, "reorder");
    if (!latency)
        problems_add(&r->errors, node, "spec.delay.latency is missing");
    else if (s->latency_ns == 0 && s->jitter_ns == 0)
        problems_add(&r->warnings, latency, "spec.delay.latency is 0: it does nothing");
    else if (s->jitter_ns > s->latency_ns)
        problems_add(&r->warnings, read_given(node, "jitter"),
                     "spec.delay.jitter is more than the latency: what would be a delay below 0 "
                     "is 0");
    if (latency && reorder && s->latency_ns == 0)
        problems_add(&r->warnings, reorder,
                     "spec.delay.reorder does nothing without a latency: there is no queue to "
                     "overtake");
}

void read_block_loss(struct reader *r, struct ynode *node)
{
    read_share(r, node, "spec.loss", "loss", NULL, &spec_of(r)->loss);
}

void read_block_duplicate(struct reader *r, struct ynode *node)
{
    read_share(r, node, "spec.duplicate", "duplicate", NULL, &spec_of(r)->duplicate);
}

void read_block_corrupt(struct reader *r, struct ynode *node)
{
    read_share(r, node, "spec.corrupt", "corrupt", NULL, &spec_of(r)->corrupt);
}

static void read_rate_rate(struct reader *r, struct ynode *node)
{
    (void)read_rate(r, node, "spec.rate.rate", &spec_of(r)->rate_bits_per_s);
}

void read_block_rate(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"rate", read_rate_rate}};
    read_fields(r, node, "spec.rate", fields, ARRAY_SIZE(fields));
    if (node->kind == YAML_MAP && !read_given(node, "rate"))
        problems_add(&r->errors, node, "spec.rate.rate is missing");
}

/* --- bandwidth -------------------------------------------------------------------------------- */

static void read_bandwidth_rate(struct reader *r, struct ynode *node)
{
    uint64_t bits;
    if (!read_rate(r, node, "spec.bandwidth.rate", &bits))
        return;
    if (bits < 8)
        problems_add(&r->errors, node, "spec.bandwidth.rate must be at least one byte a second");
    spec_of(r)->bandwidth.rate_bytes_per_s = bits / 8;
}

static bool read_bytes(struct reader *r, const struct ynode *node, const char *what, int64_t max,
                       uint64_t *ret)
{
    int64_t bytes;
    if (!read_int(r, node, what, &bytes))
        return false;
    if (bytes < 1 || bytes > max) {
        problems_add(&r->errors, node, "%s must be 1 to %lld bytes", what, (long long)max);
        return false;
    }
    *ret = (uint64_t)bytes;
    return true;
}

static void read_limit(struct reader *r, struct ynode *node)
{
    (void)read_bytes(r, node, "spec.bandwidth.limit", UINT32_MAX,
                     &spec_of(r)->bandwidth.limit_bytes);
}

static void read_buffer(struct reader *r, struct ynode *node)
{
    uint64_t *bytes = &spec_of(r)->bandwidth.buffer_bytes;
    if (read_bytes(r, node, "spec.bandwidth.buffer", UINT32_MAX, bytes) && *bytes < PACKET_BYTES)
        problems_add(&r->warnings, node,
                     "spec.bandwidth.buffer is smaller than a packet; taken as %d bytes, where a "
                     "cluster would let nothing pass",
                     PACKET_BYTES);
}

/* peakrate and minburst: both or neither. */
static void read_peak(struct reader *r, const struct ynode *block)
{
    struct impair_bandwidth *b = &spec_of(r)->bandwidth;
    const struct ynode *peak = read_given(block, "peakrate"),
                       *burst = read_given(block, "minburst");
    uint64_t rate = 0, bytes = 0;
    bool ok = (!peak || read_bytes(r, peak, "spec.bandwidth.peakrate", INT64_MAX, &rate)) &&
              (!burst || read_bytes(r, burst, "spec.bandwidth.minburst", UINT32_MAX, &bytes));
    if (!ok || (!peak && !burst))
        return;
    if (!peak || !burst)
        problems_add(&r->warnings, peak ? peak : burst,
                     "spec.bandwidth.%s is not used without %s, as in a cluster",
                     peak ? "peakrate" : "minburst", peak ? "minburst" : "peakrate");
    else if (rate <= b->rate_bytes_per_s)
        problems_add(&r->errors, peak,
                     "spec.bandwidth.peakrate (bytes a second) must be more than "
                     "the rate");
    else {
        b->peakrate_bytes_per_s = rate;
        b->minburst_bytes = bytes;
    }
}

/* A cluster insists on limit and buffer. */
static void fill_bandwidth(struct reader *r, const struct ynode *block)
{
    struct impair_bandwidth *b = &spec_of(r)->bandwidth;
    uint64_t ten_ms = b->rate_bytes_per_s / 100;
    if (!read_given(block, "buffer")) {
        b->buffer_bytes = ten_ms > 10000 ? ten_ms : 10000;
        problems_add(&r->warnings, block,
                     "spec.bandwidth.buffer is missing, which a cluster insists on; taken as %llu "
                     "bytes",
                     (unsigned long long)b->buffer_bytes);
    }
    if (!read_given(block, "limit")) {
        b->limit_bytes = b->buffer_bytes + 10 * ten_ms;
        problems_add(&r->warnings, block,
                     "spec.bandwidth.limit is missing, which a cluster insists on; taken as %llu "
                     "bytes",
                     (unsigned long long)b->limit_bytes);
    }
}

void read_block_bandwidth(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"rate", read_bandwidth_rate},
                                          {"limit", read_limit},
                                          {"buffer", read_buffer},
                                          {"peakrate"},
                                          {"minburst"}};
    read_fields(r, node, "spec.bandwidth", fields, ARRAY_SIZE(fields));
    if (node->kind != YAML_MAP)
        return;
    if (!read_given(node, "rate"))
        problems_add(&r->errors, node, "spec.bandwidth.rate is missing");
    fill_bandwidth(r, node);
    read_peak(r, node);
}
