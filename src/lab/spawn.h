/*
 * spawn.h - starts one program inside a service's namespaces, and tells why when it cannot.
 *
 * spawn_start forks; the child enters the box, sets limits, user, folder and descriptors, and
 * execs. *ret_exec_fd becomes readable at once: end of file = the exec happened, else one line of
 * text "what: reason". The caller reaps the pid. A box outlives the processes in it: its network
 * and host name stay across restarts, and by them sweep_kill finds all that a service left behind,
 * daemons included. In the loopback tier a box is a mark (mark.h), and the program is killed when
 * the caller ends. Needs a single-threaded caller.
 */
#pragma once
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan/plan.h"

struct box {
    int netns_fd, uts_fd; /* -1: none, the loopback tier */
    ino_t net_ino, uts_ino;
    uint64_t mark; /* worn instead, and by it found again; 0 = none */
};

struct spawn_user {
    bool change;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int groups_n;
};

struct spawn {
    const char *const *argv; /* argv[0] without '/' is looked for in `path` */
    char *const *envp;
    const char *path;
    const char *dir;
    const struct box *box;
    const struct spawn_user *user;
    const struct plan_limits *limits;
    int out_fd, err_fd; /* -1 = /dev/null */
};

pid_t spawn_start(const struct spawn *s, int *ret_exec_fd);

/* Names in the host's user table; -ENOENT unknown, -EPERM when a change is needed but not root. */
int spawn_user_find(struct spawn_user *ret, const char *name);
void spawn_user_done(struct spawn_user *u);

/* Clean environment: PATH, HOME and TMPDIR = dir, LANG, then the plan's own. */
char **spawn_env_make(const struct plan_service *s, const char *path, const char *dir);
void spawn_env_free(char **envp);

int box_name(struct box *b, const char *hostname); /* makes the UTS namespace */
/* Signals every process of the lab that is in one of the box's namespaces, but not those that came
 * in from outside by setns(2), or that wears its mark; returns how many. */
int sweep_kill(const struct box *b, int signo);
