#include "base/hist.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct hist *hist_new(void)
{
    return xmalloc(sizeof(struct hist));
}

void hist_free(struct hist *h)
{
    free(h);
}

void hist_clear(struct hist *h)
{
    memset(h, 0, sizeof *h);
}

unsigned hist_bucket(int64_t value)
{
    if (value < 0)
        value = 0;
    uint64_t v = (uint64_t)value;
    if (v >> HIST_RANGE)
        return HIST_BUCKETS - 1;
    if (v >> HIST_BITS == 0)
        return (unsigned)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) -
                     HIST_BITS; /* so that v >> shift has HIST_BITS+1 bits */
    return ((shift + 1) << HIST_BITS) + (unsigned)((v >> shift) - (1u << HIST_BITS));
}

int64_t hist_bucket_low(unsigned bucket)
{
    assert(bucket <= HIST_BUCKETS);
    unsigned group = bucket >> HIST_BITS, rest = bucket & ((1u << HIST_BITS) - 1);
    if (group == 0)
        return rest;
    return (int64_t)((uint64_t)(rest + (1u << HIST_BITS)) << (group - 1));
}

void hist_record_n(struct hist *h, int64_t value, uint64_t n)
{
    if (n == 0)
        return;
    if (value < 0)
        value = 0;
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count += n;
    h->sum += (__int128)value * n;
    h->buckets[hist_bucket(value)] += n;
}

void hist_record(struct hist *h, int64_t value)
{
    hist_record_n(h, value, 1);
}

void hist_merge(struct hist *to, const struct hist *from)
{
    if (from->count == 0)
        return;
    if (to->count == 0 || from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
    to->count += from->count;
    to->sum += from->sum;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

int64_t hist_quantile(const struct hist *h, double q)
{
    assert(q >= 0 && q <= 1);
    if (h->count == 0)
        return 0;
    /* 0.07 of 100 values is 7 of them, though 0.07 * 100 is a little more than 7 in binary */
    uint64_t rank = (uint64_t)ceil(q * (double)h->count * (1 - 0x1p-50));
    rank = rank < 1 ? 1 : rank > h->count ? h->count : rank;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen < rank)
            continue;
        /* the top bucket has no upper end but the largest value */
        int64_t high = i + 1 < HIST_BUCKETS ? hist_bucket_low(i + 1) - 1 : h->max;
        return high > h->max ? h->max : high < h->min ? h->min : high;
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
