/*
 * ledger.h - one row per request: when it was due, sent, answered; its fate. The first promise
 * lives here.
 *
 * A ledger is a single-producer single-consumer ring of rows: one worker thread opens and closes
 * rows, the main thread drains closed rows in order into the run file. Lifecycle of a row, moved
 * only by ledger_* calls: FREE -> OPEN (ledger_open: it was due) -> CLOSED (ledger_close: fate
 * decided) -> FREE (ledger_drain) Rows close in any order and drain in the order they were opened.
 * A full ring refuses ledger_open: the caller counts the request as unsent, never forgets it. Times
 * are ns since the start of the run; 0 sent_ns = never sent. due + everything else: due rows =
 * accepted + refused + failed + unknown + unsent, always.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fate {
    FATE_NONE,     /* not decided yet */
    FATE_ACCEPTED, /* the system took responsibility */
    FATE_REFUSED,  /* the system said a clear no */
    FATE_FAILED,   /* definite failure: an error status, or no connection so nothing was sent */
    FATE_UNKNOWN,  /* bytes were sent, no complete answer came: it may have happened */
    FATE_UNSENT,   /* was due, but the generator never tried */
    FATE_COUNT
};

enum fate_reason {
    REASON_NONE,
    REASON_STATUS,          /* failed by its status */
    REASON_CONNECT_REFUSED, /* nothing listens */
    REASON_CONNECT_TIMEOUT,
    REASON_CONNECT_ERROR, /* any other */
    REASON_TIMEOUT,       /* sent, no answer in time */
    REASON_RESET,         /* connection reset after sending */
    REASON_CLOSED,        /* connection closed before a complete answer */
    REASON_BAD_ANSWER,    /* not HTTP */
    REASON_STOPPED,       /* the load ended while it was in flight and its time had not run out */
    REASON_SHED,          /* unsent: no free connection within its timeout */
    REASON_LATE_STOP, /* unsent: still waiting for its turn at an abort, or when a closed load ended
                       */
    REASON_LEDGER_FULL, /* unsent: rows could not be drained fast enough */
    REASON_COUNT
};

struct ledger_row {
    uint64_t id; /* number in its load, from 0 */
    int64_t due_ns, sent_ns, answered_ns;
    uint32_t answer_bytes;
    uint16_t status;      /* 0 = none */
    uint8_t fate, reason; /* enum fate, enum fate_reason */
};

extern const char *const fate_names[FATE_COUNT];
extern const char *const fate_reason_names[REASON_COUNT];

struct ledger;
struct ledger *ledger_new(size_t rows); /* rounded up to a power of two */
void ledger_free(struct ledger *l);
/* Producer: NULL when full. The row stays the producer's until ledger_close. */
struct ledger_row *ledger_open(struct ledger *l);
void ledger_close(struct ledger *l, struct ledger_row *row);
/* Consumer: hands over closed rows in opening order, at most max; returns how many. */
typedef void ledger_fn(void *ctx, const struct ledger_row *row);
size_t ledger_drain(struct ledger *l, size_t max, ledger_fn *fn, void *ctx);
