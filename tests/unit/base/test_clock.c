#include "base/clock.h"

#include "tests.h"

TEST(monotonic_time_does_not_go_back)
{
    int64_t last = clock_now_ns();
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_now_ns();
        ASSERT_LE(last, now);
        last = now;
    }
}

TEST(wall_time_is_after_2020_and_cpu_time_moves)
{
    ASSERT_LT(1577836800LL * NS_PER_S, clock_wall_ns());
    int64_t start = clock_cpu_ns();
    while (clock_cpu_ns() == start)
        ;
    ASSERT_LT(start, clock_cpu_ns());
}
