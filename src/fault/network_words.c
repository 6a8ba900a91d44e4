#include "fault/network_words.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/units.h"

void words_count(uint64_t n, struct buf *out)
{
    char plain[32];
    int len = snprintf(plain, sizeof plain, "%llu", (unsigned long long)n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, plain[i]);
    }
}

static void scaled(double value, const char *unit, struct buf *out)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    while (value >= 1000 && i + 1 < ARRAY_SIZE(prefixes)) {
        value /= 1000;
        i++;
    }
    buf_printf(out, "%.4g %s%s/s", value, prefixes[i], unit);
}

void words_bits(uint64_t bits_per_s, struct buf *out)
{
    scaled((double)bits_per_s, "bit", out);
}

void words_bytes(uint64_t bytes_per_s, struct buf *out)
{
    scaled((double)bytes_per_s, "B", out);
    buf_add_str(out, " (");
    words_bits(bytes_per_s * 8, out);
    buf_add_str(out, ")");
}

static void comma(struct buf *out, size_t start)
{
    if (out->n > start)
        buf_add_str(out, ", ");
}

static void add_correlation(double correlation, struct buf *out)
{
    if (correlation > 0)
        buf_printf(out, " (correlation %.4g %%)", correlation * 100);
}

static void add_delay(const struct impair_spec *s, struct buf *out)
{
    char text[32];
    if (s->latency_ns == 0 && s->jitter_ns == 0)
        return;
    buf_printf(out, "delay %s", units_format_duration(s->latency_ns, text, sizeof text));
    if (s->jitter_ns)
        buf_printf(out, " +-%s", units_format_duration(s->jitter_ns, text, sizeof text));
    add_correlation(s->latency_correlation, out);
    if (s->reorder.share <= 0)
        return;
    buf_printf(out, ", reorder %.4g %%", s->reorder.share * 100);
    if (s->reorder_gap > 1)
        buf_printf(out, " after %u in order", s->reorder_gap - 1);
    add_correlation(s->reorder.correlation, out);
}

static void add_bandwidth(const struct impair_bandwidth *b, struct buf *out)
{
    buf_add_str(out, "bandwidth ");
    words_bytes(b->rate_bytes_per_s, out);
    buf_add_str(out, ", buffer ");
    words_count(b->buffer_bytes, out);
    buf_add_str(out, " B, queue ");
    words_count(b->limit_bytes, out);
    buf_add_str(out, " B");
    if (b->peakrate_bytes_per_s == 0)
        return;
    buf_add_str(out, ", peak ");
    words_bytes(b->peakrate_bytes_per_s, out);
}

void network_words(const struct impair_spec *s, struct buf *out)
{
    const struct {
        const char *name;
        const struct impair_share *share;
    } shares[] = {{"loss", &s->loss}, {"duplicate", &s->duplicate}, {"corrupt", &s->corrupt}};
    size_t start = out->n;
    if (s->partition)
        buf_add_str(out, "nothing passes");
    add_delay(s, out);
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
        if (shares[i].share->share <= 0)
            continue;
        comma(out, start);
        buf_printf(out, "%s %.4g %%", shares[i].name, shares[i].share->share * 100);
        add_correlation(shares[i].share->correlation, out);
    }
    if (s->rate_bits_per_s) {
        comma(out, start);
        buf_add_str(out, "rate ");
        words_bits(s->rate_bits_per_s, out);
    }
    if (s->bandwidth.rate_bytes_per_s) {
        comma(out, start);
        add_bandwidth(&s->bandwidth, out);
    }
}
