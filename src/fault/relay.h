/*
 * relay.h - what main and its family say to each other: fixed-size records over SOCK_SEQPACKET
 * pairs.
 *
 * main -> agent: relay_command. agent -> main and undertaker -> main: relay_event. A record of
 * another size or with fields out of range is dropped (-EBADMSG). Nothing blocks: -EAGAIN when
 * there is nothing, or no room; -EPIPE when no other end is left.
 */
#pragma once
#include <stdint.h>

#include "fault/fault.h"

enum relay_command_kind {
    RELAY_APPLY,
    RELAY_UNDO,
    RELAY_UNDO_ALL,
    RELAY_CLOSE,
    RELAY_COMMAND_COUNT
};

struct relay_command {
    uint32_t kind;       /* enum relay_command_kind */
    uint32_t generation; /* of the agent that is meant; another drops it */
    int32_t fault;
    uint32_t pad;
    struct fault_request request; /* APPLY */
};
_Static_assert(sizeof(struct relay_command) < 16384, "a record must fit any socket buffer");

enum relay_event_kind {
    RELAY_ACTIVE,
    RELAY_NO_EFFECT,
    RELAY_FAILED,
    RELAY_ENDED,
    RELAY_UNDO_FAILED,
    RELAY_RESTARTED, /* from the undertaker: `generation` is the new agent's */
    RELAY_EVENT_COUNT
};

struct relay_event {
    uint32_t kind; /* enum relay_event_kind */
    uint32_t generation;
    int32_t fault;
    uint32_t pad;
    int64_t t_ns;
    char asked[FAULT_TEXT_BYTES], measured[FAULT_TEXT_BYTES], text[FAULT_TEXT_BYTES];
};

int relay_pair(int ret[2]); /* non-blocking, CLOEXEC */
int relay_send_command(int fd, const struct relay_command *command);
int relay_peek_command(int fd, struct relay_command *ret); /* leaves it there */
int relay_receive_command(int fd, struct relay_command *ret);
int relay_send_event(int fd, const struct relay_event *event);
int relay_receive_event(int fd, struct relay_event *ret);
