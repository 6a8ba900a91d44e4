/*
 * conn.h - one connection slot of a load worker.
 *
 * States, and the list of the worker a slot is in (conn.c moves it, nobody else):
 *   FREE (free)             no socket
 *   CONNECTING (connecting) connect under way; holds no request
 *   IDLE (idle)             open; a close by the peer is seen here, before anything is sent
 *   SENDING (inflight)      the kernel did not take the whole request at once
 *   WAITING (inflight)      request sent, answer not complete
 * FREE -> CONNECTING -> IDLE -> SENDING -> WAITING -> IDLE; every state -> FREE.
 * A partial write keeps no copy: the request is a function of its number and is rendered again.
 * The parser is held only between the first and the last byte of an answer. Thread rule: the
 * worker's.
 */
#pragma once
#include "load/ledger.h"
#include "loop/loop.h"
#include "net/http1.h"

struct worker;

enum conn_state { CONN_FREE, CONN_CONNECTING, CONN_IDLE, CONN_SENDING, CONN_WAITING, CONN_STATES };

struct conn {
    struct io io;
    struct list link;
    enum conn_state state;
    bool reused;            /* has carried a complete answer */
    bool broken;            /* must not carry another request */
    bool peer_closed;       /* an event told so; bytes may still be unread */
    int64_t since_ns;       /* connecting: start; in flight: before the first send() */
    struct ledger_row *row; /* in flight */
    struct http1 *http;     /* NULL = no byte of the answer came yet */
    size_t out_n, out_sent;
    uint64_t answer_bytes;
};

void conn_init(struct conn *c, struct worker *w);
/* Takes a free slot; -errno when the connect failed at once (the slot is free again). */
int conn_open(struct worker *w, struct conn *c, int64_t now_ns);
void conn_send(struct worker *w, struct conn *c, struct ledger_row *row, int64_t now_ns);
/* The request's time is up, or the load was aborted: closes row and connection. */
void conn_give_up(struct worker *w, struct conn *c, enum fate_reason reason, int64_t at_ns);
void conn_close(struct worker *w, struct conn *c); /* holds no row any more */
