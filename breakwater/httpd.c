#include "httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_LIMIT_S   60
#define DRAIN_FACTOR   8 /* how much more than the limit is read to deliver a clean 413 */
#define LISTEN_BACKLOG 1024
#define RESERVED_FDS   64

struct http_server {
    struct http_config cfg;
    struct MHD_Daemon *daemon;
    int quiesced_fd;
    atomic_int inflight;
    atomic_int_fast64_t total;
    atomic_bool closing;
};

static bool request_id_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n >= HTTP_REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x21 || s[i] > 0x7e)
            return false;
    return true;
}

static void set_request_id(struct http_req *r)
{
    const char *given = http_header(r, "X-Request-ID");
    if (given && request_id_ok(given))
        snprintf(r->request_id, sizeof(r->request_id), "%s", given);
    else
        snprintf(r->request_id, sizeof(r->request_id), "%016llx%016llx",
                 (unsigned long long)rand64(), (unsigned long long)rand64());
}

static struct http_req *req_new(struct http_server *s, struct MHD_Connection *conn, const char *url,
                                const char *method)
{
    struct http_req *r = xcalloc(1, sizeof(*r));
    r->srv = s;
    r->conn = conn;
    r->path = xstrdup(url);
    snprintf(r->method, sizeof(r->method), "%s", strcmp(method, "HEAD") == 0 ? "GET" : method);
    r->start_ns = now_ns();
    set_request_id(r);
    atomic_fetch_add(&s->inflight, 1);
    atomic_fetch_add(&s->total, 1);
    return r;
}

static void req_done(void *cls, struct MHD_Connection *conn, void **con_cls,
                     enum MHD_RequestTerminationCode why)
{
    (void)conn;
    (void)why;
    struct http_server *s = cls;
    struct http_req *r = *con_cls;
    if (!r)
        return;
    if (r->resp)
        MHD_destroy_response(r->resp);
    free(r->path);
    free(r->body);
    free(r);
    *con_cls = NULL;
    atomic_fetch_sub(&s->inflight, 1);
}

static void body_add(struct http_req *r, const char *data, size_t n)
{
    size_t max = r->srv->cfg.body_bytes_max;
    if (r->too_big)
        return;
    if (n > max - r->body_len) {
        r->too_big = true;
        free(r->body);
        r->body = NULL;
        r->body_len = r->body_cap = 0;
        return;
    }
    if (r->body_len + n + 1 > r->body_cap) {
        r->body_cap = (r->body_len + n + 1) * 2;
        r->body = xrealloc(r->body, r->body_cap);
    }
    memcpy(r->body + r->body_len, data, n);
    r->body_len += n;
    r->body[r->body_len] = '\0';
}

/* A length that is far over the limit is answered at once instead of being read. */
static bool hopeless_length(struct http_req *r)
{
    const char *len = http_header(r, "Content-Length");
    if (!len)
        return false;
    unsigned long long n = strtoull(len, NULL, 10);
    if (n > r->srv->cfg.body_bytes_max)
        r->too_big = true;
    return n / DRAIN_FACTOR > r->srv->cfg.body_bytes_max;
}

static enum MHD_Result send_answer(struct http_req *r)
{
    if (!r->resp)
        return MHD_NO; /* http_drop(): the library closes the connection */
    return MHD_queue_response(r->conn, (unsigned)r->status, r->resp);
}

static enum MHD_Result handle(struct http_req *r)
{
    r->phase = HTTP_HANDLING;
    r->srv->cfg.handle(r->srv->cfg.ctx, r);
    /* Once deferred, another thread may already have answered and the library will call again;
     * only this thread sets `deferred`, so it may be read here. */
    if (r->deferred)
        return MHD_YES;
    return send_answer(r);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *conn, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_size, void **con_cls)
{
    (void)version;
    struct http_req *r = *con_cls;
    if (!r) {
        *con_cls = r = req_new(cls, conn, url, method);
        return hopeless_length(r) ? handle(r) : MHD_YES;
    }
    if (*data_size > 0) {
        if (r->phase == HTTP_READING)
            body_add(r, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    if (r->phase == HTTP_READING)
        return handle(r);
    if (r->phase == HTTP_ANSWERED)
        return send_answer(r);
    return MHD_YES;
}

const char *http_query(const struct http_req *r, const char *key)
{
    return MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, key);
}

const char *http_header(const struct http_req *r, const char *key)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, key);
}

void http_defer(struct http_req *r)
{
    if (r->deferred)
        return;
    r->deferred = true;
    MHD_suspend_connection(r->conn);
}

static void finish(struct http_req *r)
{
    bool resume = r->deferred;
    if (r->srv->cfg.answered)
        r->srv->cfg.answered(r->srv->cfg.ctx, r);
    struct MHD_Connection *conn = r->conn;
    r->phase = HTTP_ANSWERED;
    if (resume)
        MHD_resume_connection(conn);
}

static void common_headers(struct http_req *r, const char *content_type)
{
    MHD_add_response_header(r->resp, "X-Request-ID", r->request_id);
    if (content_type)
        MHD_add_response_header(r->resp, "Content-Type", content_type);
    if (atomic_load(&r->srv->closing))
        MHD_add_response_header(r->resp, "Connection", "close");
}

void http_answer(struct http_req *r, int status, const char *content_type, const void *body,
                 size_t len, const struct http_answer_header *headers, size_t n_headers)
{
    r->status = status;
    r->resp = MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (r->resp) {
        common_headers(r, content_type);
        for (size_t i = 0; i < n_headers; i++)
            MHD_add_response_header(r->resp, headers[i].name, headers[i].value);
    }
    finish(r);
}

struct cut_body {
    size_t len, sent;
    char bytes[];
};

static ssize_t cut_read(void *cls, uint64_t pos, char *out, size_t max)
{
    const struct cut_body *c = cls;
    if (pos >= c->sent)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = c->sent - (size_t)pos;
    if (n > max)
        n = max;
    memcpy(out, c->bytes + pos, n);
    return (ssize_t)n;
}

void http_answer_cut(struct http_req *r, int status, const char *content_type, const void *body,
                     size_t len, size_t sent)
{
    if (sent > len)
        sent = len;
    struct cut_body *c = xmalloc(sizeof(*c) + len);
    c->len = len;
    c->sent = sent;
    memcpy(c->bytes, body, len);
    r->status = status;
    /* One more byte than there is, so that even a cut at the end is a cut. */
    r->resp =
        MHD_create_response_from_callback(len > sent ? len : len + 1, 1024, cut_read, c, free);
    if (r->resp)
        common_headers(r, content_type);
    finish(r);
}

void http_drop(struct http_req *r)
{
    r->status = 0;
    finish(r);
}

/* "host:port", "[v6]:port" or ":port" to a bound, listening socket; -errno. */
static int listen_on(const char *spec, struct buf *err)
{
    const char *colon = strrchr(spec, ':');
    if (!colon || !colon[1]) {
        buf_printf(err, "listen address '%.80s': expected host:port", spec);
        return -EINVAL;
    }
    char host[256];
    bool v6 = spec[0] == '[' && colon > spec + 1 && colon[-1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(v6 ? colon - spec - 2 : colon - spec),
             v6 ? spec + 1 : spec);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *ai;
    int gai = getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, &ai);
    if (gai) {
        buf_printf(err, "listen address '%.80s': %s", spec, gai_strerror(gai));
        return -EINVAL;
    }
    int one = 1, rc = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        rc = -errno;
        buf_printf(err, "cannot listen on %.80s: %s", spec, strerror(-rc));
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(ai);
    return rc < 0 ? rc : fd;
}

/* More connections than descriptors would make accept() spin. */
static unsigned connection_limit(unsigned want)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY)
        return want;
    rlim_t room = rl.rlim_cur > 2 * RESERVED_FDS ? rl.rlim_cur - RESERVED_FDS : rl.rlim_cur / 2;
    return room < want ? (unsigned)room : want;
}

int http_server_start(const struct http_config *cfg, struct http_server **ret_srv, struct buf *err)
{
    int fd = listen_on(cfg->listen, err);
    if (fd < 0)
        return fd;
    struct http_server *s = xcalloc(1, sizeof(*s));
    s->cfg = *cfg;
    s->quiesced_fd = -1;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, cfg->threads,
        MHD_OPTION_CONNECTION_LIMIT, connection_limit(cfg->connections_max),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_LIMIT_S, MHD_OPTION_NOTIFY_COMPLETED,
        req_done, s, MHD_OPTION_THREAD_STACK_SIZE, (size_t)1 << 20, MHD_OPTION_END);
    if (!s->daemon) {
        buf_printf(err, "cannot start the HTTP server on %.80s", cfg->listen);
        close(fd);
        free(s);
        return -EIO;
    }
    *ret_srv = s;
    return 0;
}

void http_server_closing(struct http_server *s)
{
    atomic_store(&s->closing, true);
}

void http_server_quiesce(struct http_server *s)
{
    if (s->quiesced_fd < 0)
        s->quiesced_fd = MHD_quiesce_daemon(s->daemon);
    if (s->quiesced_fd >= 0)
        shutdown(s->quiesced_fd, SHUT_RDWR);
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    if (s->quiesced_fd >= 0)
        close(s->quiesced_fd);
    free(s);
}

int http_server_inflight(const struct http_server *s)
{
    return atomic_load(&((struct http_server *)(uintptr_t)s)->inflight);
}

int64_t http_server_total(const struct http_server *s)
{
    return atomic_load(&((struct http_server *)(uintptr_t)s)->total);
}
