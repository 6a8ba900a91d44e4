/*
 * lab.h - the services under test in namespaces of their own, as main sees them.
 *
 * One PID, mount, network, IPC and UTS namespace per run (inside the user namespace that
 * lab_become_root made when not root), with our own init as PID 1 that supervises the services; one
 * network namespace per service; all joined by the switch process. When the init ends the kernel
 * ends everything in it. Nothing is left on disk: the working folder is a tmpfs mounted over
 * run_dir inside the lab.
 *
 * Where the machine refuses namespaces the lab runs in the loopback tier (loopback.h): the same
 * services, supervision and events, on loopback addresses, without a network of their own. Then
 * packet and name faults answer -ENODEV, run_dir holds the working folders on disk, and whoever
 * opens the lab must see to it that nothing is left behind: see on_loopback.
 *
 * Lifecycle, all from the one thread of main, before any other thread exists up to lab_open:
 *   lab_become_root -> lab_open (returns when namespaces, links and names stand) -> lab_start
 * (asynchronous; events tell) -> ... -> lab_stop (asynchronous: grace, then kill; LAB_STOPPED
 * event) -> lab_close (kills what is left, waits for the init to be gone). Events come from
 * lab_dispatch, to be called when lab_fd() is readable. Errors: struct err with the remedy;
 * -EPERM/-ENODEV where the machine refuses (exit status 4).
 */
#pragma once
#include <netinet/in.h>
#include <sys/types.h>

#include "net/addr.h"
#include "plan/plan.h"

struct lab;

enum lab_event_kind {
    LAB_SERVICE_STARTING,  /* pid given (in the lab's PID namespace) */
    LAB_SERVICE_READY,     /* text: what made it ready; value = ns from start to ready */
    LAB_SERVICE_NOT_READY, /* limit passed; text says what was last seen: the lab cannot be used */
    LAB_SERVICE_EXITED,    /* text: "exited with 1", "killed by SIGKILL", "exec failed: ..." */
    LAB_SERVICE_BACKOFF,   /* value = ns until the next start */
    LAB_SERVICE_GAVE_UP,   /* restart policy is exhausted or never; text: how it ended, and that */
    LAB_SERVICE_WARNING,   /* text: what is not as it should be, although it works */
    LAB_SERVICE_HELD,      /* stopped by a fault and kept down */
    LAB_SERVICE_STOPPED,   /* by lab_stop */
    LAB_LOG,               /* one output line: text, stream 1 or 2 */
    LAB_LOG_DROPPED,       /* value = lines dropped because the service flooded */
    LAB_READY,             /* all services are ready */
    LAB_STOPPED,           /* all services are gone */
    LAB_LOST,              /* the init or the switch died: nothing works any more; text = why */
    LAB_EVENT_COUNT
};

struct lab_event {
    enum lab_event_kind kind;
    int service;  /* index in plan->services, -1 = none */
    int64_t t_ns; /* monotonic, taken inside the lab */
    int64_t value;
    pid_t pid;
    int stream;
    const char *text; /* valid during the call; NUL-terminated; may hold any bytes */
};
typedef void lab_event_fn(void *ctx, const struct lab_event *event);

struct lab_config {
    const struct plan *plan;
    const char *run_dir; /* an existing empty folder on the host */
    lab_event_fn *on_event;
    void *ctx;
    int agent_wire;             /* the lab's end of a pair from lab_wire; 0 = lab_open makes one */
    int log_fd;                 /* a file for the packet log; 0 = none; stays the caller's */
    uint64_t *log_lost;         /* packets that it could not take, known after lab_close */
    void (*on_wait)(void *ctx); /* called at least every 100 ms while lab_open waits; may be NULL */
    const char *refused;        /* why lab_become_root failed; NULL = it did not */
    /* The loopback tier is about to be used: `mark` (mark.h) is to be written down before anything
     * wears it. 0, or -errno to give up. NULL = a machine without namespaces is an error. */
    int (*on_loopback)(void *ctx, uint64_t mark);
};

/* For tests, and for those who would rather have no lab than a lesser one: "loopback",
 * "namespaces". */
#define LAB_TIER_VARIABLE "SQUALL_LAB_TIER"
enum lab_tier_wish { LAB_TIER_BEST, LAB_TIER_NAMESPACES, LAB_TIER_LOOPBACK };
enum lab_tier_wish lab_tier_asked(void);

/* A pair for the agent, made before the lab so that the agent may be there first: [0] for the
 * agent, [1] for lab_open, which takes it over. 0 or -errno. */
int lab_wire(int ret_fds[2]);

/* Not root: moves this (single-threaded) process into a user namespace where it holds all
 * capabilities but stays itself (identity mapping). Root: does nothing. Refused: the process is as
 * it was; err goes into lab_config.refused. */
int lab_become_root(struct err *err);
int lab_open(const struct lab_config *config, struct lab **ret, struct err *err);
pid_t lab_init_pid(const struct lab *lab);
/* "namespaces, TUN", "namespaces, AF_PACKET" or "loopback": the tier in use, for screen and report.
 */
const char *lab_tier(const struct lab *lab);
/* What a lesser tier lacks, why, and the remedy: lines for people; "" = nothing. */
const char *lab_tier_warning(const struct lab *lab);
/* What was changed in the plan for it, one line each; "" = nothing. */
const char *lab_tier_changes(const struct lab *lab);
int lab_fd(const struct lab *lab);
int lab_dispatch(struct lab *lab); /* 0, or -errno after LAB_LOST */
int lab_start(struct lab *lab);
int lab_stop(struct lab *lab);
void lab_close(struct lab *lab);

/* From outside: sockets in the lab's client namespace. */
int lab_enter_client(void *lab); /* moves the calling thread there for good */
int lab_client_socket(struct lab *lab, int domain,
                      int type); /* fd or -errno; the caller's namespace is unchanged */
int lab_resolve(const struct lab *lab, const char *service, uint16_t port,
                struct addr *ret); /* -ENOENT */

/* What somebody from outside needs to go where a service lives, whatever state the service is in.
 * The init's PID, mount, IPC and (rootless) user namespaces are had by setns(2) with its pidfd. */
struct spawn_user;
struct lab_world {
    int init_pidfd; /* the lab's own */
    int net_fd, uts_fd;
    char *dir;  /* the working folder, as the lab's mount namespace has it */
    char **env; /* NULL-terminated */
    const struct spawn_user *user;
};
/* Waits for the init, at most a second. 0, -ENOENT, -ETIMEDOUT, -EPIPE when the lab is gone,
 * -EOPNOTSUPP in the loopback tier. */
int lab_world(struct lab *lab, int service, struct lab_world *ret);
void lab_world_done(struct lab_world *w);

/* What the switch itself has moved from one service to another so far (plan index, -1 = outside);
 * what the kernel carries past it (bypass.h) is not in it. -EINVAL for an index out of range. */
struct lab_traffic {
    uint64_t packets, bytes;
    uint64_t drops; /* the receiver's queue was full, or a fault of the link */
};
int lab_traffic(const struct lab *lab, int from, int to, struct lab_traffic *ret);

/* A second control connection for the agent: only commands of control.h, no events but answers. The
 * descriptor is inherited by the agent; lab_open made it. */
int lab_agent_fd(const struct lab *lab);
