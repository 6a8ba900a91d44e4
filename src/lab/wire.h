/*
 * wire.h - events from the lab's init to main: one record a SOCK_SEQPACKET message, and the queue
 * that keeps a slow main from blocking the init.
 *
 * An outbox sends in order and never blocks. Log lines may fill at most OUTBOX_LOG_BYTES; then
 * outbox_log refuses and the caller counts. Everything else is always taken: its number is bounded
 * by what happens in the lab, not by what a service prints. A peer that is gone empties the outbox.
 * Lifecycle: outbox_init/outbox_done; the loop's thread. Records are private to one run of squall:
 * host byte order.
 */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "lab/control.h"
#include "lab/lab.h"
#include "loop/loop.h"

#define OUTBOX_LOG_BYTES (8u << 20)

enum wire_kind {                            /* beyond enum lab_event_kind */
                 WIRE_UP = LAB_EVENT_COUNT, /* the lab stands; text = name of the port kind */
                 WIRE_FAILED                /* it does not: value = -errno, text = why */
};

struct wire_event {
    uint32_t kind;
    int32_t service;
    int64_t t_ns, value;
    int32_t pid, stream;
    uint32_t text_n;
    uint32_t zero;
};
#define WIRE_BYTES (sizeof(struct wire_event) + LAB_TEXT_BYTES)

struct outbox {
    struct loop *loop;
    struct io *io; /* of the socket; its events are changed to ask for EPOLLOUT */
    struct list records;
    size_t log_bytes;
};

void outbox_init(struct outbox *o, struct loop *loop, struct io *io);
void outbox_done(struct outbox *o);
void outbox_send(struct outbox *o, const void *p, size_t n);
bool outbox_log(struct outbox *o, const void *p, size_t n); /* false = dropped */
void outbox_flush(struct outbox *o);                        /* call on EPOLLOUT */

/* Encodes e into buf (WIRE_BYTES); text is cut to fit. Returns the record's length. */
size_t wire_encode(unsigned char *buf, const struct lab_event *e, uint32_t kind);
/* Checks sizes and ranges; text points into buf, which must have one byte of room behind n. */
int wire_decode(unsigned char *buf, size_t n, struct lab_event *ret, uint32_t *ret_kind);
