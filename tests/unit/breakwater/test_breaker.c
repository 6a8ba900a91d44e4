/* The circuit breaker and the back-off, on a clock of our own. */
#include "breaker.h"
#include "tests.h"

static int moves[BREAKER_STATES];

static void moved(void *ctx, enum breaker_state from, enum breaker_state to)
{
    (void)ctx;
    ASSERT(from != to);
    moves[to]++;
}

static void share_breaker(struct breaker *b)
{
    const struct breaker_limits lim = {
        .window_ns = 10 * NS_PER_S, .calls_min = 10, .failed_pct = 5, .open_ns = 2 * NS_PER_S};
    memset(moves, 0, sizeof(moves));
    breaker_init(b, &lim, moved, NULL);
}

static int64_t at(double s)
{
    return 1000 * NS_PER_S + (int64_t)(s * 1e9);
}

static void calls(struct breaker *b, double s, int n, bool ok)
{
    for (int i = 0; i < n; i++)
        if (breaker_allow(b, at(s)))
            breaker_record(b, at(s), ok, 0);
}

TEST(few_calls_open_nothing)
{
    struct breaker b;
    share_breaker(&b);
    calls(&b, 0, 9, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED);
    calls(&b, 0.1, 1, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_OPEN);
    ASSERT_EQ(moves[BREAKER_OPEN], 1);
}

TEST(share_is_more_than_the_limit)
{
    struct breaker b;
    share_breaker(&b);
    calls(&b, 0, 95, true);
    calls(&b, 1, 5, false); /* 5 of 100 is not above 5 % */
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED);
    calls(&b, 1, 1, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_OPEN);
}

TEST(old_calls_leave_the_window)
{
    struct breaker b;
    share_breaker(&b);
    calls(&b, 0, 1000, true);
    calls(&b, 11, 9, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED); /* only 9 calls left in the window */
    calls(&b, 11, 1, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_OPEN);
}

/* A dead dependency at a steady rate: 5 % of 10 s are 0.5 s, whatever the rate. */
TEST(opens_within_a_second_at_any_rate)
{
    static const int rates[] = {25, 50, 1000};
    for (size_t r = 0; r < ARRAY_LEN(rates); r++) {
        struct breaker b;
        share_breaker(&b);
        double t = 0, step = 1.0 / rates[r];
        for (; t < 12; t += step)
            calls(&b, t, 1, true);
        double died = t;
        while (breaker_now(&b) == BREAKER_CLOSED && t < died + 5) {
            calls(&b, t, 1, false);
            t += step;
        }
        ASSERT(t - died < 1.0 && t - died > 0.2);
    }
}

TEST(half_open_lets_one_through)
{
    struct breaker b;
    share_breaker(&b);
    calls(&b, 0, 10, false);
    ASSERT(!breaker_allow(&b, at(1.99)));
    ASSERT_EQ(breaker_wait_ns(&b, at(1.5)), NS_PER_S / 2);
    ASSERT(breaker_allow(&b, at(2)));
    ASSERT_EQ(breaker_now(&b), BREAKER_HALF_OPEN);
    ASSERT(!breaker_allow(&b, at(2.1)));
    breaker_record(&b, at(2.2), false, 0);
    ASSERT_EQ(breaker_now(&b), BREAKER_OPEN);
    ASSERT(!breaker_allow(&b, at(4.1)));
    ASSERT(breaker_allow(&b, at(4.2)));
    breaker_record(&b, at(4.3), true, 0);
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED);
    calls(&b, 4.4, 9, false); /* the window was emptied */
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED);
}

TEST(lost_probe_gives_its_turn_up)
{
    struct breaker b;
    share_breaker(&b);
    calls(&b, 0, 10, false);
    ASSERT(breaker_allow(&b, at(2)));
    ASSERT(!breaker_allow(&b, at(3.9)));
    ASSERT(breaker_allow(&b, at(4)));
    breaker_cancel(&b);
    ASSERT(breaker_allow(&b, at(4.01)));
}

TEST(consecutive_failures)
{
    const struct breaker_limits lim = {
        .window_ns = NS_PER_S, .consecutive = 10, .open_ns = NS_PER_S};
    struct breaker b;
    breaker_init(&b, &lim, NULL, NULL);
    calls(&b, 0, 9, false);
    calls(&b, 0, 1, true);
    calls(&b, 0, 9, false);
    ASSERT_EQ(breaker_now(&b), BREAKER_CLOSED);
    ASSERT(breaker_allow(&b, at(0)));
    breaker_record(&b, at(0), false, 10 * NS_PER_S); /* Retry-After: 10 */
    ASSERT_EQ(breaker_now(&b), BREAKER_OPEN);
    ASSERT(!breaker_allow(&b, at(9.9)));
    ASSERT(breaker_allow(&b, at(10)));
    ASSERT_EQ(breaker_attempt(&b), 1);
    breaker_record(&b, at(10), false, 0);
    ASSERT_EQ(breaker_attempt(&b), 2);
}

TEST(backoff_grows_to_its_cap)
{
    static const int want_s[] = {1, 2, 4, 8, 16, 16, 16};
    for (size_t i = 0; i < ARRAY_LEN(want_s); i++)
        ASSERT_EQ(backoff_ns(NS_PER_S, 16 * NS_PER_S, 0, (int64_t)i, 7), want_s[i] * NS_PER_S);
    for (uint64_t r = 0; r < 1000; r++) {
        int64_t w = backoff_ns(NS_PER_S, 16 * NS_PER_S, 20, 2, r * 0x9e3779b97f4a7c15u);
        ASSERT_LE(3200 * NS_PER_MS, w);
        ASSERT_LE(w, 4800 * NS_PER_MS);
    }
    ASSERT_EQ(backoff_ns(NS_PER_S, 16 * NS_PER_S, 0, 1000000, 0), 16 * NS_PER_S);
}
