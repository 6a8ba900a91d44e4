/*
 * hist.h - log-linear histogram of non-negative int64 values (ns): 10 bits of mantissa, so a
 * percentile is at most 1/1024 (0.1 %) above the true value; minimum, maximum, sum and count are
 * exact; merging is exact.
 *
 * The idea is HdrHistogram's (Tene): values below 2^10 have a bucket each, every further power of
 * two has 1024 buckets. Range 0 .. 2^42-1 ns (73 min); larger values count in the top bucket and
 * still move max and sum; negative values count as 0. Memory: HIST_BUCKETS * 8 = 270 KiB, all at
 * hist_new; recording never allocates. Thread rule: one writer; merge after it stopped, or from a
 * copy.
 */
#pragma once
#include <stdint.h>

#define HIST_BITS    10
#define HIST_RANGE   42
#define HIST_BUCKETS ((HIST_RANGE - HIST_BITS + 1) << HIST_BITS)

struct hist {
    uint64_t count;
    int64_t min, max; /* 0 when count is 0 */
    __int128 sum;
    uint64_t buckets[HIST_BUCKETS];
};

struct hist *hist_new(void);
void hist_free(struct hist *h);
void hist_clear(struct hist *h);
void hist_record(struct hist *h, int64_t value);
void hist_record_n(struct hist *h, int64_t value, uint64_t n);
void hist_merge(struct hist *to, const struct hist *from);
/* The smallest recorded value v with at least q*count values <= v, rounded up within its bucket and
 * clamped to [min, max]; q in [0,1]. 0 when empty: ask count first, no data is not a value. */
int64_t hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);
/* For storing: bucket index <-> lowest value of the bucket. */
unsigned hist_bucket(int64_t value);
int64_t hist_bucket_low(unsigned bucket);
