/* The end of a lab without a PID namespace: what wears its mark dies, and nothing else. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "fault/ctx.h"
#include "fault/guard.h"
#include "lab/mark.h"
#include "unit/tests.h"

static char dir[] = "/tmp/test-undo-mark-XXXXXX";

/* A process that wears a mark and tells when it does. */
static pid_t start(uint64_t mark, bool daemon)
{
    int fds[2];
    char c;
    ASSERT_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mark && mark_wear(mark) < 0)
            _exit(1);
        if (daemon) { /* the grandchild is what is meant to be found */
            setsid();
            if (fork() > 0)
                _exit(0);
        }
        (void)!write(fds[1], "x", 1);
        alarm(60);
        for (;;)
            pause();
    }
    ASSERT_EQ(read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static int undo(uint64_t value, char *text)
{
    struct journal j;
    struct err err = {0};
    ASSERT_OK(journal_create(&j, dir, &err));
    struct fault_ctx c = {.journal = &j, .role = JOURNAL_MAIN, .lab_fd = -1, .fault = -1};
    const struct journal_entry e = {.kind = ACTION_LAB_MARK, .value = (int64_t)value};
    int r = action_of(ACTION_LAB_MARK)->undo(&c, &e, text, ACTION_TEXT_BYTES);
    journal_unlink(&j);
    journal_done(&j);
    return r;
}

TEST(what_wears_the_mark_is_killed_and_nothing_else)
{
    uint64_t mine = mark_draw(), other = mark_draw();
    char text[ACTION_TEXT_BYTES];
    ASSERT(mkdtemp(dir));
    ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 1)); /* of the daemon */
    pid_t init = start(mine, false), service = start(mark_service(mine, 3), false);
    pid_t stranger = start(other, false), plain = start(0, false);
    pid_t parent = start(mark_service(mine, 0), true);
    ASSERT_EQ(mark_kill(mine, 0), 3);
    ASSERT_OK(undo(mine, text));
    ASSERT_STREQ(text, "no process of the lab is left");
    ASSERT_EQ(mark_kill(mine, 0), 0);
    int status;
    ASSERT_EQ(waitpid(init, &status, 0), init);
    ASSERT(WIFSIGNALED(status));
    ASSERT_EQ(waitpid(service, &status, 0), service);
    ASSERT(WIFSIGNALED(status));
    ASSERT_EQ(waitpid(parent, &status, 0), parent);
    ASSERT_EQ(waitpid(stranger, &status, WNOHANG), 0);
    ASSERT_EQ(waitpid(plain, &status, WNOHANG), 0);
    ASSERT_OK(undo(mine, text)); /* again */
    kill(stranger, SIGKILL);
    kill(plain, SIGKILL);
    waitpid(stranger, &status, 0);
    waitpid(plain, &status, 0);
    ASSERT(waitpid(-1, &status, 0) > 0);
    ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    rmdir(dir);
}

TEST(a_value_that_is_no_mark_kills_nobody)
{
    const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, mark_service(mark_draw(), 1)};
    char text[ACTION_TEXT_BYTES];
    snprintf(dir, sizeof dir, "/tmp/test-undo-mark-XXXXXX");
    ASSERT(mkdtemp(dir));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ASSERT_EQ(undo(values[i], text), -EINVAL);
        ASSERT_CONTAINS(text, "could not be ended");
    }
    rmdir(dir);
}

TEST(a_dead_family_leaves_its_mark_to_undo)
{
    uint64_t mark = mark_draw();
    struct err err = {0};
    struct buf text = {0};
    int status;
    snprintf(dir, sizeof dir, "/tmp/test-undo-mark-XXXXXX");
    ASSERT(mkdtemp(dir));
    pid_t main_pid = fork();
    if (main_pid == 0) { /* notes, and dies without an end */
        struct guard_config config = {.state_dir = dir};
        struct guard *g;
        _exit(guard_new(&config, &g, &err) < 0 || guard_note_mark(g, mark) < 0);
    }
    ASSERT_EQ(waitpid(main_pid, &status, 0), main_pid);
    ASSERT_EQ(status, 0);
    pid_t left = start(mark_service(mark, 1), false);
    ASSERT_EQ(guard_recover(dir, &text, &err), 1);
    ASSERT_CONTAINS(buf_str(&text), "lab-mark: no process of the lab is left\n");
    ASSERT_EQ(waitpid(left, &status, 0), left);
    ASSERT(WIFSIGNALED(status));
    buf_done(&text);
    rmdir(dir);
}
