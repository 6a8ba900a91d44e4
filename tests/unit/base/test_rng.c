#include "base/rng.h"

#include <math.h>

#include "tests.h"

/* xoshiro256** written a second time, straight from its definition (Blackman and Vigna 2018,
 * figure 10). */
static uint64_t reference(uint64_t s[4])
{
    uint64_t by5 = s[1] * 5;
    uint64_t result = ((by5 << 7) | (by5 >> 57)) * 9;
    uint64_t n2 = s[2] ^ s[0], n3 = s[3] ^ s[1];
    uint64_t next[4] = {s[0] ^ n3, s[1] ^ n2, n2 ^ (s[1] << 17), (n3 << 45) | (n3 >> 19)};
    memcpy(s, next, sizeof next);
    return result;
}

TEST(xoshiro256_star_star)
{
    struct rng rng = {{1, 2, 3, 4}};
    uint64_t s[4] = {1, 2, 3, 4};
    /* by hand: rotl(2 * 5, 7) * 9 = 1280 * 9; the second from state {7, 0, 262146, 6 << 45} */
    ASSERT_EQ(rng_u64(&rng), 11520);
    ASSERT_EQ(rng_u64(&rng), 0);
    rng = (struct rng){{1, 2, 3, 4}};
    for (int i = 0; i < 10000; i++)
        ASSERT_EQ(rng_u64(&rng), reference(s));
}

TEST(seed_and_name_make_the_stream)
{
    struct rng a, b, other_name, other_seed;
    rng_init(&a, 42, "load/alerts");
    rng_init(&b, 42, "load/alerts");
    rng_init(&other_name, 42, "load/readiness");
    rng_init(&other_seed, 43, "load/alerts");
    int same_name = 0, same_seed = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_u64(&a);
        ASSERT_EQ(v, rng_u64(&b));
        same_name += v == rng_u64(&other_name);
        same_seed += v == rng_u64(&other_seed);
    }
    ASSERT_EQ(same_name, 0);
    ASSERT_EQ(same_seed, 0);
}

TEST(one_more_draw_in_a_stream_does_not_shift_another)
{
    struct rng a, b;
    uint64_t first[10];
    rng_init(&a, 7, "a");
    rng_init(&b, 7, "b");
    for (int i = 0; i < 10; i++)
        first[i] = rng_u64(&b);
    rng_init(&b, 7, "b");
    for (int i = 0; i < 10; i++) {
        rng_u64(&a);
        ASSERT_EQ(rng_u64(&b), first[i]);
    }
}

/* The streams of a seed are part of what a run file promises: these numbers must never change. */
TEST(streams_are_fixed_for_all_time)
{
    struct rng rng;
    rng_init(&rng, 1, "load/alerts");
    uint64_t got[3] = {rng_u64(&rng), rng_u64(&rng), rng_u64(&rng)};
    static const uint64_t want[3] = {0x3dee627b89064f39ull, 0x6c452a54aa9d9f9cull,
                                     0x65ce7a08629244a4ull};
    ASSERT_OK(memcmp(got, want, sizeof want));
}

TEST(below_is_uniform_and_inside)
{
    enum { CELLS = 10, DRAWS = 200000 };
    int cells[CELLS] = {0};
    struct rng rng;
    double chi = 0;
    rng_init(&rng, 8, "below");
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = rng_below(&rng, CELLS);
        ASSERT_LT(v, CELLS);
        cells[v]++;
    }
    for (int i = 0; i < CELLS; i++)
        chi += pow(cells[i] - DRAWS / CELLS, 2) / (DRAWS / CELLS);
    ASSERT(chi < 27.9); /* 9 degrees of freedom, p = 0.001; the seed is fixed */
    for (int i = 0; i < 100; i++)
        ASSERT_EQ(rng_below(&rng, 1), 0);
}

TEST(below_is_unbiased_for_a_limit_that_does_not_divide_2_to_the_64)
{
    /* with 3/4 of the range as limit, scaling alone maps four draws to three values: every third
     * value would come up half the time */
    const uint64_t limit = 3ull << 62;
    struct rng rng;
    int third = 0;
    rng_init(&rng, 9, "bias");
    for (int i = 0; i < 30000; i++)
        third += rng_below(&rng, limit) % 3 == 0;
    ASSERT_NEAR(third / 30000.0, 1.0 / 3, 0.012);
}

TEST(unit_and_exponential)
{
    struct rng rng;
    double sum = 0, squares = 0, least = 1, most = 0;
    enum { DRAWS = 200000 };
    rng_init(&rng, 10, "exp");
    for (int i = 0; i < DRAWS; i++) {
        double u = rng_unit(&rng), e = rng_exponential(&rng, 2.0);
        ASSERT(u >= 0 && u < 1 && e >= 0 && isfinite(e));
        least = fmin(least, u);
        most = fmax(most, u);
        sum += e;
        squares += e * e;
    }
    ASSERT(least < 0.001 && most > 0.999);
    ASSERT_NEAR(sum / DRAWS, 2.0, 0.02);
    ASSERT_NEAR(squares / DRAWS - pow(sum / DRAWS, 2), 4.0, 0.1);
}
