/*
 * child.h - a process held by pidfd: signalled and awaited without the races of a bare pid.
 *
 * Lifecycle: child_watch(loop, pid) opens the pidfd and calls fn once in the loop when the process
 * has ended and is reaped (waitid P_PIDFD); after that c->pid is 0. child_unwatch forgets it
 * without ending it. Only own children. Whose status somebody else took (waitpid elsewhere, SIGCHLD
 * ignored) ends with CHILD_STATUS_LOST.
 */
#pragma once
#include <sys/types.h>

#include "loop/loop.h"

#define CHILD_STATUS_LOST (-1)

struct child;
struct child_exit {
    bool signalled; /* ended by signal `status`, else exited with `status` */
    int status;
};
typedef void child_fn(struct loop *loop, struct child *c, struct child_exit how);

struct child {
    struct io io;
    pid_t pid;
    int pidfd;
    child_fn *fn;
};

int child_watch(struct loop *loop, struct child *c, pid_t pid, child_fn *fn);
void child_unwatch(struct loop *loop, struct child *c);
int child_signal(const struct child *c, int signo); /* 0, -ESRCH when gone */

int pidfd_open_pid(pid_t pid);          /* CLOEXEC descriptor or -errno */
int pidfd_signal(int pidfd, int signo); /* 0 or -errno */
