/*
 * guard_lab.h - a stand-in for the lab's init on the other end of the agent's wire (control.h).
 *
 * Serves until the wire closes. How a service answers goes by its index, so that a test chooses the
 * behaviour by choosing the target. Nothing behind it: only states.
 */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "lab/control.h"

enum guard_lab_service {
    GUARD_LAB_GOOD,
    GUARD_LAB_GOOD_TOO,
    GUARD_LAB_STILL_ANSWERS, /* after a KILL or HOLD its port still takes connections */
    GUARD_LAB_NOT_RUNNING,   /* KILL: -ESRCH */
    GUARD_LAB_NEVER_READY,   /* RELEASE: -ETIMEDOUT */
    GUARD_LAB_SLOW,          /* every answer takes 300 ms */
    GUARD_LAB_SILENT,        /* KILL and HOLD are never answered */
    GUARD_LAB_NO_PORT,
    GUARD_LAB_SERVICES
};

struct guard_lab {
    bool held[GUARD_LAB_SERVICES];
    int held_max; /* most held at once, to prove that a hold took place */
};

static inline struct lab_answer guard_lab_answer(struct guard_lab *lab, const struct lab_command *c)
{
    struct lab_answer a = {.serial = c->serial, .state = LAB_STATE_READY, .refused = -1};
    int s = c->service;
    if (s < 0 || s >= GUARD_LAB_SERVICES) {
        a.result = -ENOENT;
        return a;
    }
    if (c->kind == LAB_CMD_KILL || c->kind == LAB_CMD_HOLD)
        a.refused = s == GUARD_LAB_STILL_ANSWERS ? 0 : s == GUARD_LAB_NO_PORT ? -1 : 1;
    if (c->kind == LAB_CMD_KILL && s == GUARD_LAB_NOT_RUNNING)
        a.result = -ESRCH;
    if (c->kind == LAB_CMD_HOLD)
        lab->held[s] = true;
    if (c->kind == LAB_CMD_RELEASE) {
        a.result = s == GUARD_LAB_NEVER_READY ? -ETIMEDOUT : 0;
        lab->held[s] = false;
    }
    return a;
}

/* One command; false when the wire is closed. */
static inline bool guard_lab_step(struct guard_lab *lab, int fd)
{
    struct lab_command c;
    ssize_t n = recv(fd, &c, sizeof c, 0);
    if (n < 0 && errno == EINTR)
        return true;
    if (n != (ssize_t)sizeof c)
        return false;
    struct lab_answer a = guard_lab_answer(lab, &c);
    if (c.service == GUARD_LAB_SLOW)
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    if (c.service == GUARD_LAB_SILENT && c.kind != LAB_CMD_RELEASE)
        return true;
    a.t_ns = clock_now_ns();
    return send(fd, &a, sizeof a, MSG_NOSIGNAL) == (ssize_t)sizeof a;
}
