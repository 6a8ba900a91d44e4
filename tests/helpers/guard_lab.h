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

/* What the lab makes of a network fault goes by the port that it asks for. */
enum guard_lab_link {
    GUARD_LINK_GOOD,  /* 500 ms +-100 ms and 30 % were met exactly, and a partition */
    GUARD_LINK_QUIET, /* no packet came */
    GUARD_LINK_LATE,  /* the same as good, but the switch was late */
    GUARD_LINK_REFUSED,
    GUARD_LINK_SILENT, /* is in force, but is never answered */
    GUARD_LINK_STUCK,  /* cannot be removed */
};

struct guard_lab {
    bool held[GUARD_LAB_SERVICES];
    int held_max;                         /* most held at once, to prove that a hold took place */
    struct lab_link links[LAB_LINKS_MAX]; /* in force where `used` */
    bool used[LAB_LINKS_MAX];
    struct lab_names names;
    bool names_used;
    int links_n, added_n, resets_n;
};

static inline struct impair_report guard_lab_report(const struct lab_link *l)
{
    struct impair_report r = {.packets = 1204,
                              .bytes = 120400,
                              .lost = 366,
                              .passed = 838,
                              .passed_bytes = 83800,
                              .first_ns = 1,
                              .last_ns = 10 * NS_PER_S,
                              .asked = {838, 400000000, 500000000, 500000000, 599000000, 600000000},
                              .added = {838, 400000000, 500000000, 498900000, 599100000, 600000000},
                              .late = {838, 0, 20000, 21000, 200000, 300000}};
    if (l->dst_port == GUARD_LINK_LATE)
        r.late.p99 = 250000000;
    if (l->spec.partition)
        r = (struct impair_report){.packets = 1204, .bytes = 120400, .partitioned = 1204};
    if (l->dst_port == GUARD_LINK_QUIET)
        r = (struct impair_report){0};
    return r;
}

static inline int guard_lab_find(const struct guard_lab *lab, uint64_t id)
{
    for (int i = 0; i < LAB_LINKS_MAX; i++)
        if (lab->used[i] && lab->links[i].id == id)
            return i;
    return -1;
}

static inline void guard_lab_add(struct guard_lab *lab, const struct lab_link *l,
                                 struct lab_answer *a)
{
    int place = 0;
    while (place < LAB_LINKS_MAX && lab->used[place])
        place++;
    if (l->dst_port == GUARD_LINK_REFUSED || place == LAB_LINKS_MAX) {
        a->result = -ENOSPC;
        return;
    }
    lab->links[place] = *l;
    lab->used[place] = true;
    lab->links_n++;
    lab->added_n++;
}

static inline void guard_lab_remove(struct guard_lab *lab, uint64_t id, struct lab_answer *a)
{
    int place = guard_lab_find(lab, id);
    a->result = place < 0 ? -ENOENT : lab->links[place].dst_port == GUARD_LINK_STUCK ? -EBUSY : 0;
    if (a->result < 0)
        return;
    a->report = guard_lab_report(&lab->links[place]);
    lab->used[place] = false;
    lab->links_n--;
}

/* Network and name faults; false: it is another command. */
static inline bool guard_lab_net(struct guard_lab *lab, const struct lab_command *c,
                                 struct lab_answer *a)
{
    if (c->kind == LAB_CMD_LINK_ADD) {
        guard_lab_add(lab, &c->link, a);
    } else if (c->kind == LAB_CMD_LINK_REMOVE) {
        guard_lab_remove(lab, c->link.id, a);
    } else if (c->kind == LAB_CMD_RESET) {
        lab->resets_n++;
        a->value = c->link.dst_port == GUARD_LINK_QUIET ? 0 : 3;
    } else if (c->kind == LAB_CMD_NAMES_ADD) {
        lab->names = c->names;
        lab->names_used = true;
    } else if (c->kind == LAB_CMD_NAMES_REMOVE) {
        a->result = lab->names_used && lab->names.id == c->names.id ? 0 : -ENOENT;
        a->value = port_set_has(&lab->names.who, GUARD_LAB_NOT_RUNNING + 1) ? 0 : 37;
        lab->names_used = false;
    } else {
        return false;
    }
    return true;
}

static inline struct lab_answer guard_lab_answer(struct guard_lab *lab, const struct lab_command *c)
{
    struct lab_answer a = {.serial = c->serial, .state = LAB_STATE_READY, .refused = -1};
    int s = c->service;
    if (guard_lab_net(lab, c, &a))
        return a;
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
    if (c.kind == LAB_CMD_LINK_ADD && c.link.dst_port == GUARD_LINK_SILENT)
        return true;
    if (c.service == GUARD_LAB_SILENT && c.kind != LAB_CMD_RELEASE)
        return true;
    a.t_ns = clock_now_ns();
    return send(fd, &a, sizeof a, MSG_NOSIGNAL) == (ssize_t)sizeof a;
}
