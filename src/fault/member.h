/*
 * member.h - what agent and undertaker have in common: being started, starting up, watching main.
 *
 * member_spawn executes this binary again with one of the names of family.h; the child gets exactly
 * the descriptors of struct member_fds, in its own session, all signals blocked until it ignores
 * them. It uses posix_spawn, so a process with threads may call it. member_init is the child's
 * side. member_main_gone says when main has ended (pidfd: all its threads) or has not beaten for
 * MEMBER_BEAT_LIMIT_NS although this process itself was running all the while: after a pause of the
 * whole machine everybody gets a new chance. Errors: -errno. One thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault/journal.h"

#define MEMBER_BEAT_LIMIT_NS 2000000000LL
#define MEMBER_TICK_NS       200000000LL
#define MEMBER_HUNG_NS       5000000000LL /* an agent or undertaker that does not beat is killed */
#define MEMBER_STALL_NS      1000000000LL /* a watcher that was away for so long starts anew */

/* Descriptors that are handed on; -1 = none. In the child they have these numbers, in this order,
 * from 3. */
struct member_fds {
    int journal;
    int control; /* main <-> agent, the agent's end (the undertaker keeps it for the next agent) */
    int lab;
    int watch; /* undertaker <-> main, the undertaker's end */
};

int member_spawn(const char *name, const struct member_fds *fds, pid_t *ret_pid);

/* A watch on the heartbeat of a role; starts zeroed. */
struct member_beat {
    int64_t seen_ns, changed_ns, looked_ns;
};
/* True when the role has not beaten for limit_ns. To be asked at least every 500 ms. */
bool member_beat_missed(struct member_beat *b, const struct journal *j, enum journal_role role,
                        int64_t limit_ns, int64_t now_ns);

struct member {
    enum journal_role role;
    struct journal journal;
    struct member_fds fds;
    int main_pidfd; /* -1 = main was gone before we started */
    struct member_beat main_beat;
};

/* -EAGAIN: another process has this role. */
int member_init(struct member *m, enum journal_role role, int argc, char **argv);
void member_done(struct member *m);
bool member_main_gone(struct member *m);
/* A pidfd of whoever holds the role, or -ESRCH. */
int member_open(const struct journal *j, enum journal_role role);
