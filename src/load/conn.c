#include "load/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "load/load_impl.h"
#include "load/serve.h"
#include "load/worker.h"

/* Edge-triggered, so that a connection that was read is not polled once more for nothing; each
 * event reads until a short read. Where that would be unbounded or the kernel's buffer is full, the
 * connection goes level-triggered for a while. */
#define EVENTS_OPEN   (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define EVENTS_LARGE  (EPOLLIN | EPOLLRDHUP)
#define EVENTS_SEND   (EPOLLIN | EPOLLRDHUP | EPOLLOUT)
#define EVENTS_CLOSED (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

static struct list *list_of(struct worker *w, enum conn_state state)
{
    switch (state) {
    case CONN_FREE: return &w->free;
    case CONN_CONNECTING: return &w->connecting;
    case CONN_IDLE: return &w->idle;
    case CONN_SENDING:
    case CONN_WAITING: return &w->inflight;
    case CONN_STATES: break;
    }
    assert(false);
    return NULL;
}

static void set_state(struct worker *w, struct conn *c, enum conn_state to)
{
#define MAY(S) (1u << CONN_##S)
    static const unsigned may[CONN_STATES] = {
        [CONN_FREE] = MAY(CONNECTING),
        [CONN_CONNECTING] = MAY(FREE) | MAY(IDLE),
        [CONN_IDLE] = MAY(FREE) | MAY(SENDING) | MAY(WAITING),
        [CONN_SENDING] = MAY(FREE) | MAY(WAITING),
        [CONN_WAITING] = MAY(FREE) | MAY(IDLE),
    };
#undef MAY
    assert(may[c->state] & 1u << to);
    w->connecting_n += (to == CONN_CONNECTING) - (c->state == CONN_CONNECTING);
    /* SENDING -> WAITING keeps its place: the list is ordered by since_ns */
    if (c->state != CONN_SENDING || to != CONN_WAITING) {
        list_remove(&c->link);
        list_append(list_of(w, to), &c->link);
    }
    c->state = to;
}

static void release_parser(struct worker *w, struct conn *c)
{
    if (c->http)
        w->spare[w->spare_n++] = c->http;
    c->http = NULL;
}

void conn_close(struct worker *w, struct conn *c)
{
    assert(!c->row);
    int fd = c->io.fd;
    release_parser(w, c);
    io_remove(&w->loop, &c->io);
    if (fd >= 0)
        close(fd);
    set_state(w, c, CONN_FREE);
}

static uint32_t clamp_u32(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* Closes the row of a request in flight, then the connection. */
static void fail(struct worker *w, struct conn *c, enum fate fate, enum fate_reason reason,
                 int64_t at_ns)
{
    struct ledger_row *row = c->row;
    c->row = NULL;
    row->answer_bytes = clamp_u32(c->answer_bytes);
    row->status = c->http ? (uint16_t)c->http->status : 0;
    serve_close_row(w, row, fate, reason, at_ns);
    conn_close(w, c);
    serve_soon(w);
}

/* The connection ended under a request. Before its first byte it was never sent: a connection that
 * had been idle was stale and the request takes another; a new one was refused in a late way. */
static void lost(struct worker *w, struct conn *c, enum fate_reason reason)
{
    if (c->out_sent > 0) {
        fail(w, c, FATE_UNKNOWN, reason, clock_now_ns());
    } else if (!c->reused) {
        fail(w, c, FATE_FAILED, REASON_CONNECT_ERROR, clock_now_ns());
    } else {
        struct ledger_row *row = c->row;
        c->row = NULL;
        conn_close(w, c);
        serve_requeue(w, row);
        serve_soon(w);
    }
}

void conn_give_up(struct worker *w, struct conn *c, enum fate_reason reason, int64_t at_ns)
{
    assert(c->row);
    if (c->out_sent > 0)
        fail(w, c, FATE_UNKNOWN, reason, at_ns);
    else
        fail(w, c, FATE_UNSENT, reason == REASON_TIMEOUT ? REASON_SHED : REASON_LATE_STOP, at_ns);
}

/* Two ends that connect to each other's port at once become one connection (RFC 9293 3.5), so a
 * connect to a closed port of the ephemeral range now and then reaches itself. */
static bool connected_to_itself(const struct worker *w, const struct conn *c)
{
    const struct addr *target = &w->load->target;
    struct addr own = {.len = sizeof own.sa};
    if (getsockname(c->io.fd, (struct sockaddr *)&own.sa, &own.len) < 0)
        return false;
    if (own.sa.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&own.sa;
        const struct sockaddr_in *b = (const struct sockaddr_in *)&target->sa;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&own.sa;
    const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)&target->sa;
    return a->sin6_port == b->sin6_port &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

static enum fate_reason connect_reason(int code)
{
    return code == -ECONNREFUSED ? REASON_CONNECT_REFUSED
           : code == -ETIMEDOUT  ? REASON_CONNECT_TIMEOUT
                                 : REASON_CONNECT_ERROR;
}

static void connected(struct worker *w, struct conn *c)
{
    int code = 0;
    socklen_t len = sizeof code;
    int64_t now_ns = clock_now_ns();
    if (getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code == 0 && connected_to_itself(w, c))
        code = ECONNREFUSED;
    if (code == 0)
        code = -io_change(&w->loop, &c->io, EVENTS_OPEN);
    if (code != 0) {
        conn_close(w, c);
        serve_connect_failed(w, connect_reason(-code), now_ns);
    } else {
        count_add(&w->counts.connects, 1);
        w->rest_ns = 0;
        set_state(w, c, CONN_IDLE);
    }
    serve_now(w, now_ns);
}

int conn_open(struct worker *w, struct conn *c, int64_t now_ns)
{
    const struct addr *target = &w->load->target;
    int on = 1;
    int fd = socket(target->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int r = addr_connect(fd, target);
    if (r < 0 && r != -EINPROGRESS)
        return r;
    r = io_add(&w->loop, &c->io, fd, EVENTS_SEND);
    if (r < 0) {
        close(fd);
        return r;
    }
    c->reused = c->broken = c->peer_closed = false;
    c->since_ns = now_ns;
    set_state(w, c, CONN_CONNECTING);
    serve_expires(w, now_ns + w->plan->connect_timeout_ns);
    return 0;
}

static void first_byte_sent(struct worker *w, struct conn *c)
{
    int64_t at = c->since_ns - w->run_start_ns;
    c->row->sent_ns = at > 0 ? at : 1; /* 0 means never */
    count_add(&w->counts.sent, 1);
}

/* One send(); what the kernel does not take waits for EPOLLOUT. */
static void push(struct worker *w, struct conn *c, struct str request)
{
    ssize_t n = send(c->io.fd, request.p + c->out_sent, request.n - c->out_sent, MSG_NOSIGNAL);
    if (n > 0) {
        if (c->out_sent == 0)
            first_byte_sent(w, c);
        c->out_sent += (size_t)n;
        count_add(&w->counts.bytes_out, (uint64_t)n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        if (c->out_sent == 0) {
            lost(w, c, REASON_RESET);
            return;
        }
        /* the peer stopped reading; it may have answered before, so read on */
        c->out_sent = c->out_n;
        c->broken = true;
    }
    bool all = c->out_sent == c->out_n;
    if (c->state != CONN_WAITING && (all || c->state != CONN_SENDING))
        set_state(w, c, all ? CONN_WAITING : CONN_SENDING);
    if (io_change(&w->loop, &c->io, all ? EVENTS_OPEN : EVENTS_SEND) < 0)
        lost(w, c, REASON_RESET);
}

void conn_send(struct worker *w, struct conn *c, struct ledger_row *row, int64_t now_ns)
{
    assert(c->state == CONN_IDLE && !c->row && !c->http);
    struct str request = requests_render(w->load->requests, row->id, &w->scratch);
    c->row = row;
    c->since_ns = now_ns;
    c->out_n = request.n;
    c->out_sent = 0;
    c->answer_bytes = 0;
    serve_expires(w, now_ns + w->plan->timeout_ns);
    push(w, c, request);
}

/* A complete answer was seen: the row closes, and the connection serves the next or goes. */
static void answered(struct worker *w, struct conn *c, int status, bool keep_alive)
{
    struct ledger_row *row = c->row;
    int64_t now_ns = clock_now_ns();
    bool keep = keep_alive && w->plan->keep_alive && c->state == CONN_WAITING && !c->broken &&
                !c->peer_closed;
    enum fate fate = load_fate(w->load, status);

    c->row = NULL;
    row->status = (uint16_t)status;
    row->answer_bytes = clamp_u32(c->answer_bytes);
    serve_close_row(w, row, fate, fate == FATE_FAILED ? REASON_STATUS : REASON_NONE, now_ns);
    if (keep) {
        release_parser(w, c);
        c->reused = true;
        set_state(w, c, CONN_IDLE);
    } else {
        conn_close(w, c);
    }
    serve_now(w, now_ns);
}

static void closed_by_peer(struct worker *w, struct conn *c)
{
    if (c->http && http1_eof(c->http) == HTTP1_DONE)
        answered(w, c, c->http->status, false);
    else
        lost(w, c, REASON_CLOSED);
}

/* A whole answer in one piece that is byte for byte the last such one means the same: parsing is a
 * pure function. Under load most answers of a second are alike, so this saves most of the parsing.
 */
static bool same_as_last(const struct worker *w, const struct conn *c, size_t n)
{
    return !c->http && n == w->last.n && memcmp(w->in, w->last.bytes, n) == 0;
}

static void remember(struct worker *w, const struct http1 *http, size_t n)
{
    if (n > sizeof w->last.bytes)
        return;
    memcpy(w->last.bytes, w->in, n);
    w->last.n = n;
    w->last.status = http->status;
    w->last.keep_alive = http->keep_alive;
}

/* True when there may be more to read for this request. */
static bool parse(struct worker *w, struct conn *c, size_t n)
{
    size_t used;
    bool whole = !c->http;
    if (whole) {
        assert(w->spare_n > 0);
        c->http = w->spare[--w->spare_n];
        http1_init(c->http, w->load->head_request, NULL, NULL, NULL);
    }
    switch (http1_feed(c->http, w->in, n, &used)) {
    case HTTP1_MORE: return n == WORKER_IN_BYTES || c->peer_closed;
    case HTTP1_DONE:
        c->broken = c->broken || used < n; /* nobody asked for what is behind */
        if (whole && used == n)
            remember(w, c->http, n);
        answered(w, c, c->http->status, c->http->keep_alive);
        return false;
    case HTTP1_BAD:
        fail(w, c, c->out_sent > 0 ? FATE_UNKNOWN : FATE_FAILED, REASON_BAD_ANSWER, clock_now_ns());
        return false;
    }
    return false;
}

/* One recv(). True when there may be more to read for this request. */
static bool receive_once(struct worker *w, struct conn *c)
{
    ssize_t n = recv(c->io.fd, w->in, WORKER_IN_BYTES, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lost(w, c, REASON_RESET);
        return false;
    }
    if (n == 0) {
        closed_by_peer(w, c);
        return false;
    }
    count_add(&w->counts.bytes_in, (uint64_t)n);
    c->answer_bytes += (uint64_t)n;
    if (!same_as_last(w, c, (size_t)n))
        return parse(w, c, (size_t)n);
    answered(w, c, w->last.status, w->last.keep_alive);
    return false;
}

/* The end of the stream is an edge of its own that comes with the last bytes or behind them; once
 * it was seen, all that is buffered is read, which is bounded. A large answer comes
 * level-triggered. */
static void receive(struct worker *w, struct conn *c, uint32_t events)
{
    c->peer_closed = c->peer_closed || (events & EVENTS_CLOSED);
    if (!receive_once(w, c))
        return;
    if (!c->peer_closed && c->state == CONN_WAITING) {
        if (io_change(&w->loop, &c->io, EVENTS_LARGE) < 0)
            lost(w, c, REASON_RESET);
        return;
    }
    while (c->peer_closed && receive_once(w, c))
        ;
}

static void step(struct loop *loop, struct io *io, uint32_t events)
{
    struct worker *w = container_of(loop, struct worker, loop);
    struct conn *c = container_of(io, struct conn, io);

    switch (c->state) {
    case CONN_CONNECTING: connected(w, c); break;
    case CONN_IDLE: /* a close, or bytes that nobody asked for */
        conn_close(w, c);
        serve_soon(w);
        break;
    case CONN_SENDING:
        if (events & ~(uint32_t)EPOLLOUT)
            receive(w, c, events);
        else
            push(w, c, requests_render(w->load->requests, c->row->id, &w->scratch));
        break;
    case CONN_WAITING: receive(w, c, events); break;
    case CONN_FREE:
    case CONN_STATES: assert(false);
    }
}

void conn_init(struct conn *c, struct worker *w)
{
    io_init(&c->io, step);
    list_init(&c->link);
    c->state = CONN_FREE;
    list_append(&w->free, &c->link);
}
