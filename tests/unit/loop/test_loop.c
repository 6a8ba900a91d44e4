#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests.h"

struct event {
    struct io io;
    int calls;
    struct event *removes, *readds;
};

static void on_event(struct loop *loop, struct io *io, uint32_t events)
{
    struct event *e = container_of(io, struct event, io);
    ASSERT(events & EPOLLIN);
    e->calls++;
    if (e->removes)
        io_remove(loop, &e->removes->io);
    if (e->readds) {
        int fd = e->readds->io.fd;
        io_remove(loop, &e->readds->io);
        ASSERT_OK(io_add(loop, &e->readds->io, fd, EPOLLIN));
    }
}

static void event_open(struct loop *loop, struct event *e)
{
    *e = (struct event){0};
    io_init(&e->io, on_event);
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(fd >= 0);
    ASSERT_OK(io_add(loop, &e->io, fd, EPOLLIN));
}

TEST(an_io_removed_in_the_batch_gets_no_callback)
{
    struct loop loop;
    struct event a, b;
    ASSERT_OK(loop_init(&loop));
    event_open(&loop, &a);
    event_open(&loop, &b);
    int fds[] = {a.io.fd, b.io.fd};
    a.removes = &b;
    b.removes = &a;
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(a.calls + b.calls, 1);
    ASSERT_EQ((a.io.fd < 0) + (b.io.fd < 0), 1);
    io_remove(&loop, &a.io);
    io_remove(&loop, &b.io);
    close(fds[0]);
    close(fds[1]);
    loop_done(&loop);
}

TEST(an_io_added_again_in_the_batch_waits_for_the_next_turn)
{
    struct loop loop;
    struct event a, b;
    ASSERT_OK(loop_init(&loop));
    event_open(&loop, &a);
    event_open(&loop, &b);
    a.readds = &b;
    b.readds = &a;
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(a.calls + b.calls, 1);
    a.readds = b.readds = NULL;
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(a.calls + b.calls, 3);
    close(a.io.fd);
    close(b.io.fd);
    loop_done(&loop);
}

static void on_writable(struct loop *loop, struct io *io, uint32_t events)
{
    ASSERT(events & EPOLLOUT);
    ASSERT_OK(io_change(loop, io, EPOLLIN));
    loop_stop(loop);
}

TEST(change_of_interest_and_run_until_stopped)
{
    struct loop loop;
    struct io io;
    ASSERT_OK(loop_init(&loop));
    int fd = eventfd(0, EFD_CLOEXEC);
    io_init(&io, on_writable);
    ASSERT_OK(io_add(&loop, &io, fd, EPOLLOUT));
    loop_run(&loop);
    ASSERT_EQ(io.events, EPOLLIN);
    ASSERT_OK(loop_turn(&loop, 0)); /* nothing to read: no callback */
    io_remove(&loop, &io);
    io_remove(&loop, &io);
    close(fd);
    loop_done(&loop);
}

TEST(a_file_cannot_be_polled_and_says_so)
{
    struct loop loop;
    struct io io;
    ASSERT_OK(loop_init(&loop));
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    io_init(&io, on_writable);
    ASSERT_EQ(io_add(&loop, &io, fd, EPOLLIN), -EPERM);
    ASSERT_EQ(io.fd, -1);
    close(fd);
    loop_done(&loop);
}

struct later {
    struct deferred d;
    int calls;
    bool again;
};

static void on_deferred(struct loop *loop, struct deferred *d)
{
    struct later *l = container_of(d, struct later, d);
    l->calls++;
    if (l->again)
        loop_defer(loop, d);
}

TEST(deferred_calls_run_once_a_turn)
{
    struct loop loop;
    struct later once = {0}, always = {.again = true};
    ASSERT_OK(loop_init(&loop));
    deferred_init(&once.d, on_deferred);
    deferred_init(&always.d, on_deferred);
    loop_defer(&loop, &once.d);
    loop_defer(&loop, &always.d);
    loop_defer(&loop, &once.d);
    ASSERT_OK(loop_turn(&loop, -1)); /* does not wait while something is deferred */
    ASSERT_EQ(once.calls, 1);
    ASSERT_EQ(always.calls, 1);
    ASSERT_OK(loop_turn(&loop, -1));
    ASSERT_EQ(once.calls, 1);
    ASSERT_EQ(always.calls, 2);
    loop_done(&loop);
}

static struct event *order_io;
static int order_seen;

static void on_order_timer(struct loop *loop, struct timer *t)
{
    order_seen = order_io->calls; /* timers come before descriptors */
}

TEST(timers_run_before_descriptors_and_bound_the_wait)
{
    struct loop loop;
    struct event e;
    struct timer t;
    ASSERT_OK(loop_init(&loop));
    event_open(&loop, &e);
    order_io = &e;
    order_seen = -1;
    timer_init(&t, on_order_timer);
    timer_start(&loop, &t, clock_now_ns());
    ASSERT_OK(loop_turn(&loop, -1));
    ASSERT_EQ(order_seen, 0);
    ASSERT_EQ(e.calls, 1);
    int fd = e.io.fd;
    io_remove(&loop, &e.io);
    close(fd);
    timer_start(&loop, &t, clock_now_ns() + 2 * NS_PER_MS);
    int64_t start = clock_now_ns();
    ASSERT_OK(loop_turn(&loop, -1));
    ASSERT_LE(2 * NS_PER_MS, clock_now_ns() - start + NS_PER_MS / 10);
    ASSERT(!timer_running(&t));
    loop_done(&loop);
}
