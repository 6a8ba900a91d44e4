#include "loop/signals.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests.h"

static int seen[8], seen_n;
static bool close_on_signal;
static struct loop loop;

static void on_signal(struct signals *s, int signo)
{
    seen[seen_n++] = signo;
    if (close_on_signal)
        signals_close(&loop, s);
}

static bool blocked(int signo)
{
    sigset_t mask;
    ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
    return sigismember(&mask, signo);
}

static const int signos[] = {SIGTERM, SIGUSR1};

TEST(signals_arrive_in_the_loop)
{
    struct signals s;
    seen_n = 0;
    ASSERT_OK(loop_init(&loop));
    ASSERT_OK(signals_open(&loop, &s, signos, 2, on_signal));
    ASSERT(blocked(SIGTERM) && blocked(SIGUSR1) && !blocked(SIGUSR2));
    ASSERT_OK(raise(SIGTERM));
    ASSERT_OK(raise(SIGUSR1));
    ASSERT_OK(raise(SIGPIPE)); /* ignored, or this would be the end */
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(seen_n, 2);
    ASSERT_EQ(seen[0] + seen[1], SIGTERM + SIGUSR1);
    signals_close(&loop, &s);
    ASSERT(!blocked(SIGTERM) && !blocked(SIGUSR1));
    loop_done(&loop);
}

TEST(closing_from_the_callback)
{
    struct signals s;
    seen_n = 0;
    close_on_signal = true;
    ASSERT_OK(loop_init(&loop));
    ASSERT_OK(signals_open(&loop, &s, signos, 2, on_signal));
    ASSERT_OK(raise(SIGUSR1));
    ASSERT_OK(loop_turn(&loop, 0));
    ASSERT_EQ(seen_n, 1);
    ASSERT(!blocked(SIGUSR1));
    loop_done(&loop);
    close_on_signal = false;
}

TEST(a_failed_open_leaves_the_mask_as_it_was)
{
    struct signals s;
    struct loop broken = {.epoll_fd = -1};
    ASSERT_LT(signals_open(&broken, &s, signos, 2, on_signal), 0);
    ASSERT(!blocked(SIGTERM));
}

TEST(reset_gives_a_child_default_handlers_and_an_empty_mask)
{
    struct signals s;
    ASSERT_OK(loop_init(&loop));
    ASSERT_OK(signals_open(&loop, &s, signos, 2, on_signal));
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        signals_reset();
        raise(SIGUSR1); /* kills */
        _exit(0);
    }
    int status;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    signals_close(&loop, &s);
    loop_done(&loop);
}
