/*
 * httpd - an HTTP server for one role on libmicrohttpd: whole requests in, whole answers out.
 *
 * The handler is called once per request, with the whole body, on a network thread. It either
 * calls http_answer()/http_drop() before it returns, or http_defer() first and lets any other
 * thread answer later; the connection is suspended meanwhile and costs no thread.
 * After the answer the request must not be touched again.
 *
 * Lifecycle: http_server_start() .. http_server_quiesce() (no new connections) ..
 * http_server_stop(); every deferred request must have been answered before stop.
 * Limits: body_bytes_max (longer bodies arrive with too_big set and no body), connections_max,
 * idle connections close after 60 s. Header block: 32 KiB, by the library.
 * Every answer carries X-Request-ID, taken over when it is 1..64 printable characters.
 */
#ifndef BREAKWATER_HTTPD_H
#define BREAKWATER_HTTPD_H

#include "util.h"

struct MHD_Connection;
struct MHD_Response;
struct http_server;

#define HTTP_REQUEST_ID_BYTES 65

enum http_phase { HTTP_READING, HTTP_HANDLING, HTTP_ANSWERED };

struct http_req {
    struct http_server *srv;
    struct MHD_Connection *conn;
    char *path; /* decoded, without the query */
    char method[16];
    char request_id[HTTP_REQUEST_ID_BYTES];
    char *body; /* NUL-terminated for parsers; may hold NULs inside */
    size_t body_len, body_cap;
    bool too_big;
    bool deferred;
    enum http_phase phase;
    int status; /* 0 after http_drop() */
    int64_t start_ns;
    struct MHD_Response *resp;
    void *user;            /* of the role */
    struct http_req *next; /* for a role's own queues while deferred */
};

struct http_config {
    const char *listen; /* "host:port" */
    size_t body_bytes_max;
    unsigned connections_max, threads;
    void (*handle)(void *ctx, struct http_req *r);
    void (*answered)(void *ctx, struct http_req *r); /* may be NULL; called just before sending */
    void *ctx;
};

/* 0, or -errno with a message in err. */
int http_server_start(const struct http_config *cfg, struct http_server **ret_srv, struct buf *err);
void http_server_quiesce(struct http_server *s);
void http_server_stop(struct http_server *s);
/* From now on answers close their connection. */
void http_server_closing(struct http_server *s);
int http_server_inflight(const struct http_server *s);
/* Requests begun since the start; to see whether a server has become quiet. */
int64_t http_server_total(const struct http_server *s);

/* Query argument or NULL. Header value or NULL. Valid until the answer. */
const char *http_query(const struct http_req *r, const char *key);
const char *http_header(const struct http_req *r, const char *key);

void http_defer(struct http_req *r);
/* Before http_answer(): adds a header to the coming answer. */
struct http_answer_header {
    const char *name, *value;
};
void http_answer(struct http_req *r, int status, const char *content_type, const void *body,
                 size_t len, const struct http_answer_header *headers, size_t n_headers);
/* Promises the whole body, sends the first `sent` bytes and cuts the connection. */
void http_answer_cut(struct http_req *r, int status, const char *content_type, const void *body,
                     size_t len, size_t sent);
/* Closes the connection without an answer. */
void http_drop(struct http_req *r);

#endif
