#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests.h"

static struct child_exit seen;
static int seen_n;

static void on_exit_seen(struct loop *loop, struct child *c, struct child_exit how)
{
    ASSERT_EQ(c->pid, 0);
    seen = how;
    seen_n++;
}

/* A child that waits to be killed, or leaves with a code. */
static pid_t spawn(int code)
{
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        if (code >= 0)
            _exit(code);
        for (;;)
            pause();
    }
    return pid;
}

static void turns_until_seen(struct loop *loop, int n)
{
    int64_t limit = clock_now_ns() + 10 * NS_PER_S;
    while (seen_n < n && clock_now_ns() < limit)
        ASSERT_OK(loop_turn(loop, NS_PER_S));
    ASSERT_EQ(seen_n, n);
}

TEST(exit_code)
{
    struct loop loop;
    struct child c;
    seen_n = 0;
    ASSERT_OK(loop_init(&loop));
    pid_t pid = spawn(7);
    ASSERT_OK(child_watch(&loop, &c, pid, on_exit_seen));
    turns_until_seen(&loop, 1);
    ASSERT(!seen.signalled);
    ASSERT_EQ(seen.status, 7);
    ASSERT_EQ(waitpid(pid, NULL, WNOHANG), -1); /* it was reaped */
    ASSERT_EQ(child_signal(&c, SIGTERM), -ESRCH);
    child_unwatch(&loop, &c);
    loop_done(&loop);
}

TEST(ended_by_a_signal)
{
    struct loop loop;
    struct child c;
    seen_n = 0;
    ASSERT_OK(loop_init(&loop));
    ASSERT_OK(child_watch(&loop, &c, spawn(-1), on_exit_seen));
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(seen_n, 0);
    ASSERT_OK(child_signal(&c, SIGKILL));
    turns_until_seen(&loop, 1);
    ASSERT(seen.signalled);
    ASSERT_EQ(seen.status, SIGKILL);
    loop_done(&loop);
}

TEST(unwatch_forgets_without_ending)
{
    struct loop loop;
    struct child c;
    seen_n = 0;
    ASSERT_OK(loop_init(&loop));
    pid_t pid = spawn(-1);
    ASSERT_OK(child_watch(&loop, &c, pid, on_exit_seen));
    child_unwatch(&loop, &c);
    ASSERT_OK(kill(pid, 0));
    ASSERT_OK(kill(pid, SIGKILL));
    ASSERT_EQ(waitpid(pid, NULL, 0), pid);
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(seen_n, 0);
    loop_done(&loop);
}

TEST(a_status_taken_by_somebody_else_is_said_once_and_does_not_spin)
{
    struct loop loop;
    struct child c;
    seen_n = 0;
    ASSERT_OK(loop_init(&loop));
    pid_t pid = spawn(3);
    ASSERT_OK(child_watch(&loop, &c, pid, on_exit_seen));
    ASSERT_EQ(waitpid(pid, NULL, 0), pid);
    turns_until_seen(&loop, 1);
    ASSERT_EQ(seen.status, CHILD_STATUS_LOST);
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(seen_n, 1);
    loop_done(&loop);
}

TEST(pidfd_of_a_process_that_is_gone)
{
    pid_t pid = spawn(-1);
    int fd = pidfd_open_pid(pid);
    ASSERT(fd >= 0);
    ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ASSERT_OK(pidfd_signal(fd, 0));
    ASSERT_OK(pidfd_signal(fd, SIGKILL));
    ASSERT_EQ(waitpid(pid, NULL, 0), pid);
    ASSERT_EQ(pidfd_signal(fd, SIGKILL), -ESRCH);
    close(fd);
    ASSERT_EQ(pidfd_open_pid(pid), -ESRCH);
}
