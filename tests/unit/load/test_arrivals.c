#include "load/arrivals.h"
#include "tests.h"

#include <math.h>

#include "base/clock.h"

static struct plan_load plan_of(double rate, bool poisson)
{
    return (struct plan_load){
        .name = "x", .model = PLAN_OPEN, .rate_per_s = rate, .poisson = poisson};
}

static uint64_t due_before(const struct plan_load *p, int64_t end_ns, uint64_t seed)
{
    struct arrivals a;
    uint64_t n = 0;
    for (arrivals_init(&a, p, seed, 0, 1); a.due_ns < end_ns; arrivals_next(&a))
        n++;
    return n;
}

TEST(constant_rate_counts_exactly)
{
    static const struct {
        double rate;
        int64_t seconds;
        uint64_t n; /* k with k / rate < seconds */
    } rows[] = {{1000, 10, 10000}, {20000, 10, 200000}, {3, 10, 30},      {1.0 / 7, 70, 10},
                {0.1, 5, 1},       {333.3, 10, 3333},   {1e6, 1, 1000000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan_load p = plan_of(rows[i].rate, false);
        ASSERT_EQ(due_before(&p, rows[i].seconds * NS_PER_S, 1), rows[i].n);
    }
}

TEST(constant_rate_does_not_drift)
{
    struct plan_load p = plan_of(3, false);
    struct arrivals a;
    arrivals_init(&a, &p, 1, 0, 1);
    ASSERT_EQ(a.due_ns, 0);
    a.id = 3ull * 86400 * 365; /* a year later, on the second and a third after it */
    arrivals_next(&a);
    ASSERT_EQ(a.due_ns, 86400ll * 365 * NS_PER_S + 333333333);
    arrivals_next(&a);
    arrivals_next(&a);
    ASSERT_NEAR((double)(a.due_ns - (86400ll * 365 + 1) * NS_PER_S), 0, 1);
}

/* All workers together have each request once, at the same instant as one worker alone. */
static void same_list(const struct plan_load *p, unsigned workers)
{
    enum { N = 5000 };
    static int64_t alone[N], together[N];
    struct arrivals a;
    arrivals_init(&a, p, 42, 0, 1);
    for (int i = 0; i < N; i++, arrivals_next(&a)) {
        ASSERT_EQ(a.id, i);
        alone[i] = a.due_ns;
        ASSERT_LE(i ? alone[i - 1] : 0, alone[i]);
    }
    memset(together, 0xff, sizeof together);
    for (unsigned w = 0; w < workers; w++)
        for (arrivals_init(&a, p, 42, w, workers); a.id < N; arrivals_next(&a)) {
            ASSERT_EQ(a.id % workers, w);
            together[a.id] = a.due_ns;
        }
    ASSERT(memcmp(alone, together, sizeof alone) == 0);
}

TEST(the_list_is_the_same_for_any_number_of_workers)
{
    for (unsigned workers = 1; workers <= 7; workers++) {
        struct plan_load constant = plan_of(123.4, false), poisson = plan_of(123.4, true);
        same_list(&constant, workers);
        same_list(&poisson, workers);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov against the exponential distribution; 1.63 / sqrt(n) is p = 0.01. */
TEST(poisson_gaps_are_exponential)
{
    enum { N = 20000 };
    static double gaps[N];
    struct plan_load p = plan_of(1000, true);
    struct arrivals a;
    int64_t last = 0;
    double worst = 0;
    arrivals_init(&a, &p, 7, 0, 1);
    for (int i = 0; i < N; i++, arrivals_next(&a)) {
        gaps[i] = (double)(a.due_ns - last) / NS_PER_S;
        last = a.due_ns;
    }
    qsort(gaps, N, sizeof gaps[0], by_value);
    for (int i = 0; i < N; i++) {
        double model = 1 - exp(-1000 * gaps[i]), low = fabs(model - (double)i / N),
               high = fabs((double)(i + 1) / N - model);
        worst = fmax(worst, fmax(low, high));
    }
    ASSERT(worst < 1.63 / sqrt(N));
    ASSERT_NEAR((double)last / NS_PER_S, N / 1000.0, 0.5);
}

TEST(seed_and_name_choose_the_gaps)
{
    struct plan_load p = plan_of(10, true), q = plan_of(10, true);
    struct arrivals a, b;
    q.name = "y";
    arrivals_init(&a, &p, 1, 0, 1);
    arrivals_init(&b, &p, 1, 0, 1);
    ASSERT_EQ(a.due_ns, b.due_ns);
    arrivals_init(&b, &p, 2, 0, 1);
    ASSERT_NE(a.due_ns, b.due_ns);
    arrivals_init(&b, &q, 1, 0, 1);
    ASSERT_NE(a.due_ns, b.due_ns);
}

TEST(the_number_of_requests_is_a_limit)
{
    struct plan_load p = plan_of(10, false);
    p.requests = 5;
    uint64_t n = 0;
    for (unsigned w = 0; w < 3; w++) {
        struct arrivals a;
        for (arrivals_init(&a, &p, 1, w, 3); arrivals_left(&a); arrivals_next(&a))
            n++;
    }
    ASSERT_EQ(n, 5);
    p.model = PLAN_CLOSED;
    struct arrivals a;
    arrivals_init(&a, &p, 1, 2, 3);
    ASSERT(arrivals_left(&a));
    arrivals_next(&a);
    ASSERT(!arrivals_left(&a));
}
