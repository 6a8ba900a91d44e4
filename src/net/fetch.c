#include "net/fetch.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http1_write.h"

#define READ_BYTES     16384
#define READS_A_TURN   16  /* bounded work a turn; the rest is read in the next */
#define REQUEST_EXTRA  512 /* the fixed words of a request around method, host, path and body */
#define ENCODED_FACTOR 3   /* a path byte becomes at most "%XX" */

static void tidy(struct fetch *f)
{
    int fd = f->io.fd;
    timer_stop(f->loop, &f->deadline);
    io_remove(f->loop, &f->io);
    if (fd >= 0)
        close(fd);
}

/* The last thing a callback does: done may start over or free what hangs on f. */
static void finish(struct fetch *f, int result)
{
    tidy(f);
    f->result = result;
    f->status = f->http.status;
    f->ended_ns = f->loop->now_ns;
    f->done(f);
}

static void on_deadline(struct loop *loop, struct timer *t)
{
    struct fetch *f = container_of(t, struct fetch, deadline);
    /* a connect that failed at once waits here for its turn of the loop */
    finish(f, f->result ? f->result : -ETIMEDOUT);
}

static void on_body(void *ctx, const char *bytes, size_t n)
{
    struct fetch *f = ctx;
    if (f->result)
        return;
    if (n > f->max_body_bytes - f->body.n)
        f->result = -EFBIG;
    else
        buf_add(&f->body, bytes, n);
}

/* 0, or a result that ends the fetch; a peer that stopped reading may still have answered. */
static int send_rest(struct fetch *f)
{
    while (f->out_sent < f->out.n) {
        ssize_t n = send(f->io.fd, f->out.p + f->out_sent, f->out.n - f->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno != EPIPE && errno != ECONNRESET)
            return -errno;
        f->out_sent = n < 0 ? f->out.n : f->out_sent + (size_t)n;
    }
    return io_change(f->loop, &f->io, EPOLLIN);
}

static int eof_result(struct fetch *f)
{
    if (!f->answered)
        return -ECONNRESET;
    return http1_eof(&f->http) == HTTP1_DONE ? 0 : -EPROTO;
}

/* -EAGAIN: go on waiting; else the result. */
static int read_some(struct fetch *f)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t used;
        ssize_t n = recv(f->io.fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return eof_result(f);
        f->answered = true;
        enum http1_result r = http1_feed(&f->http, bytes, (size_t)n, &used);
        if (f->result || r == HTTP1_DONE)
            return f->result;
        if (r == HTTP1_BAD)
            return -EPROTO;
    }
    return -EAGAIN;
}

static int connect_result(struct fetch *f)
{
    int code = 0;
    socklen_t len = sizeof code;
    if (getsockopt(f->io.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        return -errno;
    f->connected = code == 0;
    return -code;
}

static void on_io(struct loop *loop, struct io *io, uint32_t events)
{
    struct fetch *f = container_of(io, struct fetch, io);
    int r = 0;
    if (!f->connected)
        r = connect_result(f);
    if (r == 0 && (events & EPOLLOUT))
        r = send_rest(f);
    if (r == 0 && (events & ~(uint32_t)EPOLLOUT)) {
        r = read_some(f);
        if (r != -EAGAIN) {
            finish(f, r);
            return;
        }
        r = 0;
    }
    if (r < 0)
        finish(f, r);
}

void fetch_init(struct fetch *f, struct loop *loop)
{
    *f = (struct fetch){.loop = loop};
    io_init(&f->io, on_io);
    timer_init(&f->deadline, on_deadline);
}

void fetch_done(struct fetch *f)
{
    if (f->loop)
        fetch_cancel(f);
    buf_done(&f->out);
    buf_done(&f->body);
}

void fetch_cancel(struct fetch *f)
{
    tidy(f);
}

static int write_request(struct fetch *f, struct str method, struct str host, struct str path,
                         struct str body)
{
    struct http1_write w;
    buf_clear(&f->out);
    buf_reserve(&f->out, REQUEST_EXTRA + method.n + host.n + path.n * ENCODED_FACTOR + body.n);
    http1_write_start(&w, f->out.p, f->out.cap, method, path, host);
    http1_write_header(&w, STR("Connection"), STR("close"));
    http1_write_header(&w, STR("Accept"), STR("*/*"));
    if (body.n > 0)
        http1_write_header(&w, STR("Content-Type"), STR("application/json"));
    http1_write_body(&w, body);
    return http1_write_end(&w, &f->out.n);
}

int fetch_start(struct fetch *f, int socket_fd, const struct addr *to, const char *method,
                struct str host, struct str path, struct str body, int64_t deadline_ns,
                size_t max_body_bytes, fetch_fn *done)
{
    assert(socket_fd >= 0 && f->io.fd < 0 && !timer_running(&f->deadline) && done);
    int r = write_request(f, str_of(method), host, path, body);
    if (r < 0) {
        close(socket_fd);
        return r;
    }
    buf_clear(&f->body);
    http1_init(&f->http, strcmp(method, "HEAD") == 0, on_body, NULL, f);
    f->out_sent = 0;
    f->max_body_bytes = max_body_bytes;
    f->done = done;
    f->answered = false;
    f->result = f->status = 0;
    f->started_ns = f->loop->now_ns;
    r = addr_connect(socket_fd, to);
    f->connected = r == 0;
    if (r < 0 && r != -EINPROGRESS) {
        f->result = r;
        timer_start(f->loop, &f->deadline, f->loop->now_ns);
        return 0;
    }
    r = io_add(f->loop, &f->io, socket_fd, EPOLLIN | EPOLLOUT);
    if (r < 0) {
        close(socket_fd);
        return r;
    }
    timer_start(f->loop, &f->deadline, deadline_ns);
    return 0;
}
