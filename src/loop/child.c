#include "loop/child.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int pidfd_open_pid(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

static void on_end(struct loop *loop, struct io *io, uint32_t events)
{
    struct child *c = container_of(io, struct child, io);
    siginfo_t info = {0};
    struct child_exit how = {.status = CHILD_STATUS_LOST};
    int r = waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
    if (r == 0 && info.si_pid == 0)
        return;
    if (r == 0)
        how = (struct child_exit){info.si_code != CLD_EXITED, info.si_status};
    child_unwatch(loop, c);
    c->fn(loop, c, how);
}

int child_watch(struct loop *loop, struct child *c, pid_t pid, child_fn *fn)
{
    assert(pid > 0 && fn);
    int fd = pidfd_open_pid(pid);
    if (fd < 0)
        return fd;
    *c = (struct child){.pid = pid, .pidfd = fd, .fn = fn};
    io_init(&c->io, on_end);
    int r = io_add(loop, &c->io, fd, EPOLLIN);
    if (r < 0) {
        close(fd);
        *c = (struct child){.pidfd = -1, .io.fd = -1};
    }
    return r;
}

void child_unwatch(struct loop *loop, struct child *c)
{
    if (c->pid == 0)
        return;
    io_remove(loop, &c->io);
    close(c->pidfd);
    c->pidfd = -1;
    c->pid = 0;
}

int child_signal(const struct child *c, int signo)
{
    return c->pid == 0 ? -ESRCH : pidfd_signal(c->pidfd, signo);
}
