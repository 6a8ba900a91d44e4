#include <errno.h>

#include "base/rng.h"
#include "record/histblob.h"
#include "tests.h"

TEST(round_trip_of_any_histogram)
{
    struct rng rng;
    rng_init(&rng, 3, "histblob");
    struct hist *h = hist_new(), *back = hist_new();
    struct buf b = {0};
    for (int round = 0; round < 50; round++) {
        histblob_clear(h);
        hist_clear(back);
        uint64_t n = rng_below(&rng, 300);
        for (uint64_t i = 0; i < n; i++)
            hist_record_n(h, (int64_t)(rng_u64(&rng) >> (1 + rng_below(&rng, 63))),
                          1 + rng_below(&rng, 1000));
        buf_clear(&b);
        histblob_encode(h, &b);
        ASSERT_OK(histblob_decode(b.p, b.n, h->min, h->max, back));
        ASSERT_EQ(back->count, h->count);
        ASSERT_OK(memcmp(back->buckets, h->buckets, sizeof h->buckets));
    }
    buf_done(&b);
    hist_free(h);
    hist_free(back);
}

TEST(clear_leaves_nothing)
{
    struct hist *h = hist_new(), *empty = hist_new();
    hist_record(h, 0);
    hist_record(h, INT64_MAX);
    hist_record(h, 12345);
    histblob_clear(h);
    ASSERT_OK(memcmp(h, empty, sizeof *h));
    hist_free(h);
    hist_free(empty);
}

TEST(malformed_blobs_are_refused)
{
    static const struct {
        const char *what;
        struct str bytes;
    } bad[] = {
        {"cut after the index", STR("\x01")},
        {"cut in a number", STR("\x81")},
        {"a step of zero", STR("\x01\x01\x00\x01")},
        {"a count of zero", STR("\x01\x00")},
        {"past the last bucket", STR("\xff\xff\xff\x7f\x01")},
        {"above max", STR("\x7f\x01")},
        {"a number without end", STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01")},
        {"a huge count", STR("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f")},
    };
    struct hist *h = hist_new();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hist_clear(h);
        if (histblob_decode(bad[i].bytes.p, bad[i].bytes.n, 0, 100, h) != -EINVAL)
            TEST_FAIL("taken: %s", bad[i].what);
    }
    hist_clear(h);
    ASSERT_EQ(histblob_decode("\x01\x01", 2, 5, 100, h), -EINVAL); /* below min */
    hist_free(h);
}
