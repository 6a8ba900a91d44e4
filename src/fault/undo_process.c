/*
 * undo_process.c - undo of what was done to single processes: started, stopped, limited.
 *
 * Each acts only while pid and start time still name the recorded process; one that is gone needs
 * no undo.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "loop/child.h"

#define GONE_WITHIN_NS (10 * NS_PER_S)

static int nothing_to_do(const struct journal_entry *e, char *text, size_t cap)
{
    snprintf(text, cap, "process %d is already gone", e->pid);
    return 0;
}

int undo_process(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    int fd CLEANUP(close_p) = procid_open(e->pid, e->start);
    if (fd == -ESRCH)
        return nothing_to_do(e, text, cap);
    int r = fd < 0 ? fd : pidfd_signal(fd, SIGKILL);
    if (r == -ESRCH)
        return nothing_to_do(e, text, cap);
    int64_t end_ns = clock_now_ns() + GONE_WITHIN_NS;
    /* the init of a PID namespace has ended only when all in the namespace have (pid_namespaces(7))
     */
    while (r == 0 && (r = procid_wait_gone(fd, 100 * NS_PER_MS)) == -ETIMEDOUT &&
           clock_now_ns() < end_ns) {
        ctx_beat(c);
        r = 0;
    }
    snprintf(text, cap, r < 0 ? "process %d could not be killed: %s" : "process %d killed%s",
             e->pid, r < 0 ? strerror(-r) : "");
    return r;
}

int undo_stopped(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    int fd CLEANUP(close_p) = procid_open(e->pid, e->start);
    if (fd == -ESRCH)
        return nothing_to_do(e, text, cap);
    int r = fd < 0 ? fd : pidfd_signal(fd, SIGCONT);
    if (r == -ESRCH)
        return nothing_to_do(e, text, cap);
    for (int i = 0; r == 0 && procid_state(e->pid) == 'T'; i++) {
        ctx_beat(c);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (i == 1000)
            r = -EBUSY;
    }
    snprintf(text, cap, r < 0 ? "process %d is still stopped: %s" : "process %d continued%s",
             e->pid, r < 0 ? strerror(-r) : "");
    return r;
}

int undo_soft_limit(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    struct rlimit now;
    int resource = (int)e->value2;
    /* prlimit(2) takes a bare pid; the descriptor keeps it from being reused once it is checked,
     * at least until the process is reaped, and a limit of our own user's process is all that a
     * lost race could touch */
    int fd CLEANUP(close_p) = procid_open(e->pid, e->start);
    if (fd == -ESRCH)
        return nothing_to_do(e, text, cap);
    int r = fd < 0 ? fd : 0;
    if (r == 0 && prlimit(e->pid, resource, NULL, &now) < 0)
        r = -errno;
    if (r == 0) {
        rlim_t old = (rlim_t)e->value;
        now.rlim_cur = old < now.rlim_max ? old : now.rlim_max;
        if (prlimit(e->pid, resource, &now, NULL) < 0)
            r = -errno;
    }
    if (r < 0 && procid_wait_gone(fd, 0) == 0)
        return nothing_to_do(e, text, cap);
    if (r < 0)
        snprintf(text, cap, "limit %d of process %d could not be set back: %s", resource, e->pid,
                 strerror(-r));
    else
        snprintf(text, cap, "limit %d of process %d set back to %lld", resource, e->pid,
                 (long long)now.rlim_cur);
    return r;
}
