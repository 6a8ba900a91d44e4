#include "lab/shaper.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rounded, so that many packets add up to the rate. */
static int64_t send_time(uint64_t bytes, uint64_t bytes_per_s)
{
    return (int64_t)(((unsigned __int128)bytes * NS_PER_S + bytes_per_s / 2) / bytes_per_s);
}

int64_t shaper_rate(struct shaper *s, const struct impair_spec *spec, int64_t now_ns,
                    int64_t ready_ns, size_t bytes)
{
    int64_t longest_ns = spec->latency_ns + spec->jitter_ns + SHAPER_QUEUE_NS;
    int64_t took_ns = send_time(bytes * 8, spec->rate_bits_per_s);
    /* a slow link still holds a few packets */
    longest_ns = later(longest_ns, 8 * send_time(SHAPER_PACKET_BYTES * 8, spec->rate_bits_per_s));
    if (s->rate_free_ns - now_ns > longest_ns)
        return -ENOBUFS;
    s->rate_free_ns = later(ready_ns, s->rate_free_ns) + took_ns;
    return s->rate_free_ns;
}

int64_t shaper_bucket(struct shaper *s, const struct impair_bandwidth *b, int64_t now_ns,
                      size_t bytes)
{
    uint64_t floor = later(SHAPER_PACKET_BYTES, (int64_t)bytes);
    int64_t full_ns =
        send_time(b->buffer_bytes > floor ? b->buffer_bytes : floor, b->rate_bytes_per_s);
    bool peak = b->peakrate_bytes_per_s && b->minburst_bytes;
    int64_t peak_full_ns = peak ? send_time(b->minburst_bytes > floor ? b->minburst_bytes : floor,
                                            b->peakrate_bytes_per_s)
                                : 0;
    if (s->backlog_bytes && s->backlog_bytes + bytes > b->limit_bytes)
        return -ENOBUFS;
    if (!s->started)
        *s = (struct shaper){.started = true,
                             .rate_free_ns = s->rate_free_ns,
                             .bucket_ns = now_ns,
                             .tokens_ns = full_ns,
                             .peak_tokens_ns = peak_full_ns};
    int64_t needs_ns = send_time(bytes, b->rate_bytes_per_s);
    int64_t peak_needs_ns = peak ? send_time(bytes, b->peakrate_bytes_per_s) : 0;
    int64_t at_ns = later(now_ns, s->bucket_ns);
    at_ns = later(at_ns, s->bucket_ns + needs_ns - s->tokens_ns);
    if (peak)
        at_ns = later(at_ns, s->bucket_ns + peak_needs_ns - s->peak_tokens_ns);
    int64_t passed_ns = at_ns - s->bucket_ns;
    s->tokens_ns = sooner(s->tokens_ns + passed_ns, full_ns) - needs_ns;
    if (peak)
        s->peak_tokens_ns = sooner(s->peak_tokens_ns + passed_ns, peak_full_ns) - peak_needs_ns;
    s->bucket_ns = at_ns;
    s->backlog_bytes += bytes;
    return at_ns;
}

void shaper_left(struct shaper *s, size_t bytes)
{
    assert(s->backlog_bytes >= bytes);
    s->backlog_bytes -= bytes;
}
