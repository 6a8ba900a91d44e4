/*
 * service.h - one supervised program: its state, and what moves it.
 *
 *   WAITING --start--> STARTING --ready--> READY        BACKOFF --timer--> STARTING
 *   STARTING, READY --process ended, or a kill / hold / stop--> STOPPING
 *   STOPPING --nothing of it lives any more--> BACKOFF (restart policy) | DOWN (given up, or lab
 *              stop) | HELD (a fault) | STARTING (hold ended meanwhile)
 *   WAITING, BACKOFF, DOWN --hold--> HELD --release--> STARTING; lab stop leads all to DOWN
 *
 * service_set_state (service.c) is the only writer of `state` and asserts these edges. A service
 * ends when its main process ends: what it left running (daemons too) is killed before anything
 * else is decided, so that a restart finds its ports free. The limit `within` runs from the first
 * start until READY, across restarts; when it runs out LAB_SERVICE_NOT_READY is said and the
 * questions go on. Who waits for an outcome (KILL, HOLD, RELEASE) gets exactly one answer.
 */
#pragma once
#include "lab/backoff.h"
#include "lab/control.h"
#include "lab/lab.h"
#include "lab/lines.h"
#include "lab/ready.h"

#define SERVICE_LOG_BURST  20000
#define SERVICE_LOG_RATE   2000
#define SERVICE_KILL_LIMIT (30 * NS_PER_S) /* a signal other than KILL that does not end it */

struct sup;
struct service;

struct stream {
    struct io io;
    struct service *service;
    int number; /* 1 = stdout, 2 = stderr */
    struct lines lines;
};

struct service {
    struct sup *sup;
    int index;
    const struct plan_service *plan;
    struct box box;
    struct spawn_user user;
    char *dir;
    char **envp;
    enum lab_service_state state;
    pid_t pid; /* 0 = no main process */
    int64_t started_ns, ready_ns, ended_ns;
    bool held;           /* a fault keeps it down */
    bool release_wanted; /* hold ended while the process was still going */
    bool by_fault;       /* the end that is under way was ordered by KILL or HOLD */
    bool failed;         /* how the last process ended, for restart: on-failure */
    bool stop_sent;
    int kill_signo; /* sent when kill_timer runs out; 0 = the limit for a signal already sent */
    struct backoff backoff;
    struct timer start_timer, within_timer, kill_timer, sweep_timer;
    int64_t sweep_wait_ns;
    struct io exec_io;
    char exec_error[LAB_TEXT_BYTES / 4];
    char last_exit[512];
    struct stream streams[2];
    struct bucket bucket;
    struct timer dropped_timer;
    int64_t dropped;
    struct ready ready;
    struct list waiters;
};

int service_init(struct service *s, struct sup *sup, int index, const struct box *box,
                 const struct spawn_user *user, struct err *err);
void service_done(struct service *s);
void service_start(struct service *s);
void service_stop(struct service *s); /* lab stop: signal, grace, kill */
bool service_reaped(struct service *s, pid_t pid, int status);
/* Commands of control.h; each is answered now or later through sup_answer. */
void service_command(struct service *s, int conn, const struct lab_command *c);

/* output.c */
void output_init(struct service *s);
int output_open(struct service *s, int ret_write_fds[2]); /* read ends are on the loop then */
void output_drain(struct service *s);                     /* what is there now, bounded */
void output_close(struct service *s);

/* waiters.c */
void waiters_add(struct service *s, int conn, const struct lab_command *c);
void waiters_answer(struct service *s, enum lab_command_kind kind, int result);
void waiters_answer_all(struct service *s, int result);
void service_answer(struct service *s, int conn, uint32_t serial, int result, int refused);
int service_refused(const struct service *s); /* as in struct lab_answer */
