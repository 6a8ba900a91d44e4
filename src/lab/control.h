/*
 * control.h - the wire between the lab's init and those who command it (main, agent): fixed-size
 * records over a SOCK_SEQPACKET pair. One command, one answer with the same `serial`. Hostile input
 * is not expected here, but sizes and ranges are checked all the same.
 */
#pragma once
#include <stdint.h>

#define LAB_TEXT_BYTES 4096

enum lab_command_kind {
    LAB_CMD_START, /* start all services in order */
    LAB_CMD_STOP,  /* stop all: grace, then kill */
    LAB_CMD_KILL,  /* signal `signo` to service; its restart policy goes on; answered when the
                      process is gone */
    LAB_CMD_HOLD, /* kill service and keep it down (ports refuse); answered when the process is gone
                   */
    LAB_CMD_RELEASE, /* end a hold: start it again; answered when it is ready (result 0) or known
                        not to become so */
    LAB_CMD_QUERY,   /* state of a service, at once */
    LAB_CMD_COUNT
};

struct lab_command {
    uint32_t kind, serial;
    int32_t service; /* index in the plan */
    int32_t signo;
    int64_t grace_ns; /* KILL: SIGTERM first and signo only after so long, when > 0 */
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
};
