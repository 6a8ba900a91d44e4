/*
 * fetch.h - one HTTP/1.1 request on a loop with limits, for scraping, settlement and readiness; not
 * for load.
 *
 * Lifecycle: fetch_init once, fetch_start hands over a fresh non-blocking TCP socket (the caller
 * makes it in the network namespace it wants) and a deadline; `done` is called exactly once, from
 * the loop; fetch_cancel ends it without a call. body stays valid until the next fetch_start or
 * fetch_done. Limits: body at most max_body_bytes, then -EFBIG. Connection: close. Result: 0 and
 * status, or -errno (-ETIMEDOUT, -ECONNREFUSED, -ECONNRESET closed without a byte of an answer,
 * -EPROTO for an answer that is not HTTP or is cut off, -EFBIG).
 *
 * fetch_start owns the socket from the call on, whatever it returns; it fails (without a call of
 * done) only for a request that cannot be written (-EINVAL) or epoll errors: a refused connection
 * comes through done like every other result. host goes into the Host field as it is. done may
 * start the next fetch on the same struct. Thread rule: the loop's thread.
 */
#pragma once
#include "base/buf.h"
#include "loop/loop.h"
#include "net/addr.h"
#include "net/http1.h"

struct fetch;
typedef void fetch_fn(struct fetch *f);

struct fetch {
    struct loop *loop;
    struct io io;
    struct timer deadline;
    fetch_fn *done;
    struct buf out, body;
    size_t out_sent, max_body_bytes;
    struct http1 http;
    bool connected, answered; /* answered: a byte came */
    int result;               /* 0 or -errno, valid in done */
    int status;
    int64_t started_ns, ended_ns;
};

void fetch_init(struct fetch *f, struct loop *loop);
void fetch_done(struct fetch *f); /* frees; cancels when running */
int fetch_start(struct fetch *f, int socket_fd, const struct addr *to, const char *method,
                struct str host, struct str path, struct str body, int64_t deadline_ns,
                size_t max_body_bytes, fetch_fn *done);
void fetch_cancel(struct fetch *f);
