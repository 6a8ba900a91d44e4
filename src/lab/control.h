/*
 * control.h - the wire between the lab's init and those who command it (main, agent): fixed-size
 * records over a SOCK_SEQPACKET pair. One command, one answer with the same `serial`. Hostile input
 * is not expected here, but sizes and ranges are checked all the same.
 */
#pragma once
#include <stdint.h>

#include "lab/impair.h"

#define LAB_TEXT_BYTES   4096
#define LAB_ANSWER_BYTES 400

enum lab_command_kind {
    LAB_CMD_START, /* start all services in order */
    LAB_CMD_STOP,  /* stop all: grace, then kill */
    LAB_CMD_KILL,  /* signal `signo` to service; its restart policy goes on; answered when the
                      process is gone */
    LAB_CMD_HOLD, /* kill service and keep it down (ports refuse); answered when the process is gone
                   */
    LAB_CMD_RELEASE,  /* end a hold: start it again; answered when it is ready (result 0) or known
                         not to become so */
    LAB_CMD_QUERY,    /* state of a service, at once */
    LAB_CMD_LINK_ADD, /* `link` impairs from now on; -EEXIST, -ENOSPC (LAB_LINKS_MAX), -EINVAL */
    LAB_CMD_LINK_REMOVE, /* link.id takes no new packets, those it holds leave in their time;
                            answers with the final report (or -ENOENT), at once */
    LAB_CMD_LINK_REPORT, /* the same without removing */
    LAB_CMD_RESET, /* TCP connections of services in link.from with those in link.to (or any, when
                      empty), to link.dst_port (or any), are destroyed; answered at once: value =
                      how many */
    LAB_CMD_NAMES_ADD,    /* `names`: how names asked for in the lab are answered from now on */
    LAB_CMD_NAMES_REMOVE, /* names.id; answers with value = how many questions it met, or -ENOENT */
    LAB_CMD_NAMES_REPORT, /* the same without removing */
    LAB_CMD_LOG_FLUSH,    /* the packet log is on disk then; value = packets it could not take */
    LAB_CMD_WORLD,        /* the answer carries the service's namespaces: world.h */
    LAB_CMD_COUNT
};

#define LAB_LINKS_MAX     32 /* impairments at once */
#define LAB_NAMES_MAX     16 /* name rules at once */
#define LAB_NAME_BYTES    64
#define LAB_NAME_PATTERNS 16

/* Which packets, and what becomes of them. */
struct lab_link {
    uint64_t id;               /* the asker's choice, unique while it lives */
    uint64_t seed;             /* of all draws; each link draws from a stream of its own */
    char name[LAB_NAME_BYTES]; /* of the fault, for the packet log */
    struct port_set from, to;  /* a packet from one of `from` to one of `to`; never from a port to
                                  itself, which does not pass the switch */
    uint16_t dst_port;         /* of TCP and UDP; 0 = all, other protocols and fragments too */
    struct impair_spec spec;
};

enum lab_names_action {
    LAB_NAMES_ERROR,  /* SERVFAIL */
    LAB_NAMES_RANDOM, /* an address that nobody has */
    LAB_NAMES_DELAY,  /* the right answer, after delay_ns */
    LAB_NAMES_ACTION_COUNT
};
struct lab_names {
    uint64_t id, seed;
    struct port_set who; /* asking services */
    uint32_t action;     /* enum lab_names_action */
    uint32_t patterns_n; /* 0 = every name; '?' is one character, a '*' at the end any rest */
    char patterns[LAB_NAME_PATTERNS][LAB_NAME_BYTES];
    int64_t delay_ns;
};

struct lab_command {
    uint32_t kind, serial;
    int32_t service; /* index in the plan */
    int32_t signo;
    int64_t grace_ns; /* KILL: SIGTERM first and signo only after so long, when > 0 */
    union {
        struct lab_link link;   /* LINK_*, RESET */
        struct lab_names names; /* NAMES_* */
    };
};

enum lab_service_state {
    LAB_STATE_WAITING,
    LAB_STATE_STARTING,
    LAB_STATE_READY,
    LAB_STATE_BACKOFF,
    LAB_STATE_HELD,
    LAB_STATE_STOPPING,
    LAB_STATE_DOWN,
    LAB_STATE_COUNT
};

struct lab_answer {
    uint32_t serial;
    int32_t result;  /* 0 or -errno */
    uint32_t state;  /* enum lab_service_state */
    int32_t pid;     /* in the lab's namespace, 0 = none */
    int32_t refused; /* HOLD, KILL: 1 = the init connected to the service's ready port afterwards
                        and was refused, 0 = it still answered, -1 = no port known */
    int64_t t_ns;    /* when it took effect */
    int64_t value;   /* RESET, NAMES_* */
    struct impair_report report; /* LINK_REMOVE, LINK_REPORT */
    char text[LAB_ANSWER_BYTES]; /* of -ENODEV: why this lab cannot do it, and the remedy */
};
