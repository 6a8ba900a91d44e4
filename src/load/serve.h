/*
 * serve.h - how requests go through a worker: due, row, queue, connection, fate.
 *
 * Inside of src/load only. A due request gets a row and enters the queue; the queue is served by
 * idle connections, and new ones are opened while there are fewer under way than requests waiting.
 *
 *      arrival / ready user -> row opened -> queue -> connection -> row closed
 *                                              \-> shed, stopped, connect failed -> row closed
 *
 * Whatever closes a row goes through serve_close_row, which counts its fate: that is where "due =
 * sum of the fates" is kept. Lifecycle: serve_init once per worker; plain state inside struct
 * worker. Times are monotonic ns; `now_ns` is fresh. Thread rule: the worker's.
 */
#pragma once
#include "load/ledger.h"

struct worker;

void serve_init(struct worker *w);
/* Sends what waits, as far as connections go; opens more for the rest. */
void serve_now(struct worker *w, int64_t now_ns);
/* The same behind the descriptors of this turn. */
void serve_soon(struct worker *w);
/* There is something to look at by then: a timeout of a request, a connect or a wait. */
void serve_expires(struct worker *w, int64_t at_ns);
void serve_close_row(struct worker *w, struct ledger_row *row, enum fate fate,
                     enum fate_reason reason, int64_t at_ns);
/* Back to the front of the queue: no byte of it was sent. */
void serve_requeue(struct worker *w, struct ledger_row *row);
void serve_connect_failed(struct worker *w, enum fate_reason reason, int64_t now_ns);
/* Ends the arrivals. Open model: what was due before stop_ns is still sent, each within its time.
 * Closed model: users who wait for a connection go, their requests unsent. */
void serve_stop(struct worker *w, int64_t stop_ns, int64_t now_ns);
void serve_drop_queue(struct worker *w, int64_t now_ns); /* an abort: what waits is unsent */
void serve_finish_when_done(struct worker *w); /* stops the loop when nothing is open or to come */
