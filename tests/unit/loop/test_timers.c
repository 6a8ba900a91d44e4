#include "loop/loop.h"

#include "base/clock.h"
#include "base/rng.h"
#include "tests.h"

/* Timers that write down when they ran; the clock is loop->now_ns, set by the test. */
struct tick {
    struct timer timer;
    int id;
    int64_t again_ns; /* armed again at this time when it runs; -1 = not */
    struct tick *stops, *starts;
};
static int ran[1000], ran_n;

static void on_tick(struct loop *loop, struct timer *timer)
{
    struct tick *t = container_of(timer, struct tick, timer);
    ASSERT(!timer_running(timer));
    ran[ran_n++] = t->id;
    if (t->again_ns >= 0)
        timer_start(loop, timer, t->again_ns);
    if (t->stops)
        timer_stop(loop, &t->stops->timer);
    if (t->starts)
        timer_start(loop, &t->starts->timer, loop->now_ns);
}

static struct tick tick(int id)
{
    struct tick t = {.id = id, .again_ns = -1};
    timer_init(&t.timer, on_tick);
    return t;
}

static void run_at(struct loop *loop, int64_t now_ns)
{
    ran_n = 0;
    loop->now_ns = now_ns;
    loop_run_timers(loop);
}

#define ASSERT_RAN(...)                                                                            \
    do {                                                                                           \
        int want_[] = {__VA_ARGS__};                                                               \
        ASSERT_EQ(ran_n, sizeof want_ / sizeof *want_);                                            \
        for (int i_ = 0; i_ < ran_n; i_++)                                                         \
            ASSERT_EQ(ran[i_], want_[i_]);                                                         \
    } while (0)

TEST(due_timers_run_in_order_of_time_then_of_arming)
{
    struct loop loop;
    struct tick t[] = {tick(0), tick(1), tick(2), tick(3), tick(4)};
    static const int64_t at[] = {30, 10, 20, 10, 40};
    ASSERT_OK(loop_init(&loop));
    for (int i = 0; i < 5; i++)
        timer_start(&loop, &t[i].timer, at[i]);
    run_at(&loop, 9);
    ASSERT_EQ(ran_n, 0);
    run_at(&loop, 30);
    ASSERT_RAN(1, 3, 2, 0);
    ASSERT(timer_running(&t[4].timer) && !timer_running(&t[0].timer));
    run_at(&loop, 40);
    ASSERT_RAN(4);
    loop_done(&loop);
}

TEST(restart_moves_a_timer_behind_its_equals)
{
    struct loop loop;
    struct tick a = tick(1), b = tick(2);
    ASSERT_OK(loop_init(&loop));
    timer_start(&loop, &a.timer, 10);
    timer_start(&loop, &b.timer, 10);
    timer_start(&loop, &a.timer, 10);
    run_at(&loop, 10);
    ASSERT_RAN(2, 1);
    loop_done(&loop);
}

TEST(rearmed_for_now_waits_a_turn_and_holds_up_nobody)
{
    struct loop loop;
    struct tick busy = tick(1), other = tick(2);
    ASSERT_OK(loop_init(&loop));
    busy.again_ns = 5; /* in the past, before the other's time: it must still wait */
    timer_start(&loop, &busy.timer, 5);
    timer_start(&loop, &other.timer, 20);
    run_at(&loop, 20);
    ASSERT_RAN(1, 2);
    ASSERT(timer_running(&busy.timer));
    run_at(&loop, 20);
    ASSERT_RAN(1);
    loop_done(&loop);
}

TEST(waiting_timers_keep_their_order_and_can_be_stopped_or_moved)
{
    struct loop loop;
    struct tick first = tick(1), second = tick(2), stopper = tick(3), later = tick(4);
    ASSERT_OK(loop_init(&loop));
    first.again_ns = 10;
    second.again_ns = 10;
    stopper.stops = &first;
    stopper.starts = &later;
    timer_start(&loop, &first.timer, 1);
    timer_start(&loop, &second.timer, 2);
    timer_start(&loop, &later.timer, 50);
    timer_start(&loop, &stopper.timer, 3);
    run_at(&loop, 10);
    ASSERT_RAN(1, 2, 3);
    ASSERT(!timer_running(&first.timer) && timer_running(&second.timer));
    second.again_ns = -1;
    run_at(&loop, 10);
    ASSERT_RAN(2, 4);
    ASSERT_EQ(loop.timers.n, 0);
    loop_done(&loop);
}

TEST(a_due_timer_stopped_by_an_earlier_one_does_not_run)
{
    struct loop loop;
    struct tick a = tick(1), b = tick(2);
    ASSERT_OK(loop_init(&loop));
    a.stops = &b;
    timer_start(&loop, &a.timer, 1);
    timer_start(&loop, &b.timer, 2);
    run_at(&loop, 5);
    ASSERT_RAN(1);
    timer_stop(&loop, &b.timer);
    ASSERT(!timer_running(&b.timer));
    loop_done(&loop);
}

TEST(random_timers_against_a_scan)
{
    enum { N = 100 };
    static struct tick t[N];
    static int64_t at[N];
    struct loop loop;
    struct rng rng;
    int64_t now = 0;
    rng_init(&rng, 15, "timers");
    ASSERT_OK(loop_init(&loop));
    for (int i = 0; i < N; i++) {
        t[i] = tick(i);
        at[i] = -1;
    }
    for (int step = 0; step < 20000; step++) {
        int pick = (int)rng_below(&rng, N);
        at[pick] = rng_below(&rng, 3) ? now + (int64_t)rng_below(&rng, 100) : -1;
        if (at[pick] >= 0)
            timer_start(&loop, &t[pick].timer, at[pick]);
        else
            timer_stop(&loop, &t[pick].timer);
        if (rng_below(&rng, 4))
            continue;
        now += (int64_t)rng_below(&rng, 30);
        run_at(&loop, now);
        for (int i = 0; i < ran_n; i++) {
            ASSERT(at[ran[i]] >= 0 && at[ran[i]] <= now);
            ASSERT(i == 0 || at[ran[i - 1]] <= at[ran[i]]);
        }
        for (int i = 0; i < ran_n; i++)
            at[ran[i]] = -1;
        for (int i = 0; i < N; i++)
            ASSERT(at[i] < 0 ? !timer_running(&t[i].timer) : at[i] > now);
    }
    loop_done(&loop);
}
