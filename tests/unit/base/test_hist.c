#include "base/hist.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static const double quantiles[] = {0,   0.0001, 0.01, 0.07,  0.25,   0.5,
                                   0.9, 0.95,   0.99, 0.999, 0.9999, 1};

/* What the header promises, against the sorted values. */
static void check_quantiles(const struct hist *h, const int64_t *sorted, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
        double rank = ceil(quantiles[i] * (double)n - 1e-9);
        int64_t want = sorted[rank < 1 ? 0 : (size_t)rank - 1],
                got = hist_quantile(h, quantiles[i]);
        if (got < want || (double)(got - want) > (double)want / 1024)
            TEST_FAIL("q %g of %zu: %" PRId64 ", want %" PRId64, quantiles[i], n, got, want);
    }
}

TEST(quantiles_of_random_values_against_a_sorted_array)
{
    enum { N = 5000 };
    static int64_t values[N];
    struct hist *h = hist_new();
    struct rng rng;
    rng_init(&rng, 11, "hist");
    for (int round = 0; round < 40; round++) {
        size_t n = 1 + rng_below(&rng, N);
        int bits = 1 + (int)rng_below(&rng, HIST_RANGE);
        __int128 sum = 0;
        hist_clear(h);
        for (size_t i = 0; i < n; i++) {
            values[i] = (int64_t)(rng_below(&rng, 1ull << bits) >> rng_below(&rng, (uint64_t)bits));
            hist_record(h, values[i]);
            sum += values[i];
        }
        qsort(values, n, sizeof *values, compare);
        ASSERT_EQ(h->count, n);
        ASSERT_EQ(h->min, values[0]);
        ASSERT_EQ(h->max, values[n - 1]);
        ASSERT(h->sum == sum);
        check_quantiles(h, values, n);
        ASSERT_EQ(hist_quantile(h, 1), values[n - 1]);
    }
    hist_free(h);
}

TEST(merge_is_exactly_the_recording_of_both)
{
    struct hist *a = hist_new(), *b = hist_new(), *both = hist_new();
    struct rng rng;
    rng_init(&rng, 12, "merge");
    hist_merge(both, a);
    ASSERT_EQ(both->count, 0);
    for (int i = 0; i < 20000; i++) {
        int64_t v = 7 + (int64_t)(rng_u64(&rng) >> (20 + rng_below(&rng, 40)));
        hist_record(i % 3 ? a : b, v);
        hist_record(both, v);
    }
    hist_merge(a, b);
    ASSERT_OK(memcmp(a, both, sizeof *a));
    hist_clear(b);
    hist_merge(a, b); /* an empty one changes nothing, its minimum of 0 least of all */
    ASSERT_OK(memcmp(a, both, sizeof *a));
    hist_merge(b, a);
    ASSERT_OK(memcmp(b, both, sizeof *b));
    hist_free(a);
    hist_free(b);
    hist_free(both);
}

TEST(buckets_and_their_lower_ends)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        int64_t low = hist_bucket_low(i), next = hist_bucket_low(i + 1);
        ASSERT_LT(low, next);
        ASSERT_EQ(hist_bucket(low), i);
        ASSERT_EQ(hist_bucket(next - 1), i);
        ASSERT_LE((next - 1 - low) * 1024, low > 1024 ? low : 1024);
    }
    ASSERT_EQ(hist_bucket_low(HIST_BUCKETS), 1ll << HIST_RANGE);
}

TEST(extremes)
{
    struct hist *h = hist_new();
    ASSERT_EQ(hist_quantile(h, 0.5), 0);
    ASSERT_EQ(hist_mean(h), 0);
    hist_record(h, -5);
    ASSERT_EQ(h->min, 0);
    ASSERT_EQ(hist_quantile(h, 1), 0);
    hist_record(h, INT64_MAX);
    hist_record(h, INT64_MAX);
    ASSERT_EQ(h->max, INT64_MAX);
    ASSERT_EQ(hist_quantile(h, 1), INT64_MAX);
    ASSERT(h->sum == (__int128)INT64_MAX * 2);
    hist_clear(h);
    hist_record(h, (1ll << HIST_RANGE) + 5); /* above the range: never reported too small */
    hist_record(h, 3);
    ASSERT_EQ(hist_quantile(h, 1), (1ll << HIST_RANGE) + 5);
    ASSERT_EQ(hist_quantile(h, 0.5), 3);
    hist_free(h);
}

TEST(a_percentile_counts_values_not_binary_fractions)
{
    struct hist *h = hist_new();
    for (int i = 1; i <= 100; i++)
        hist_record(h, i);
    for (int pct = 1; pct <= 100; pct++)
        ASSERT_EQ(hist_quantile(h, pct / 100.0), pct);
    ASSERT_EQ(hist_quantile(h, 0.991), 100);
    ASSERT_NEAR(hist_mean(h), 50.5, 1e-12);
    hist_free(h);
}

TEST(record_n_counts_n_times)
{
    struct hist *h = hist_new();
    hist_record_n(h, 500, 99);
    hist_record_n(h, 900, 0);
    hist_record_n(h, 700, 1);
    ASSERT_EQ(h->count, 100);
    ASSERT_EQ(h->max, 700);
    ASSERT_EQ(hist_quantile(h, 0.99), 500);
    ASSERT_EQ(hist_quantile(h, 0.995), 700);
    hist_free(h);
}
