/*
 * http1_write.h - writes one HTTP/1.1 request (RFC 9112) into the caller's buffer.
 *
 * Lifecycle: http1_write_start -> http1_write_header... -> http1_write_body -> http1_write_end;
 * plain data, nothing to free, never allocates. The target is percent-encoded where a byte may not
 * stand in a request line (controls, spaces, non-ASCII); nothing else is changed, so an already
 * encoded path stays as it is. Content-Length is made here: always with a body, and as 0 for POST,
 * PUT and PATCH without one (RFC 9110 8.6). Errors are kept and come out once, at the end: -ENOSPC
 * (w->n is then the room that was needed), -EINVAL (a method or header name that is no token, a
 * header value with CR, LF or NUL).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct http1_write {
    char *p;
    size_t cap, n; /* n may exceed cap: what was written is then cut */
    int error;
    bool length_wanted; /* the method has a body by its meaning */
};

void http1_write_start(struct http1_write *w, char *out, size_t cap, struct str method,
                       struct str target, struct str host); /* host: the Host field, with port */
void http1_write_header(struct http1_write *w, struct str name, struct str value);
void http1_write_body(struct http1_write *w,
                      struct str body); /* ends the head; body may be empty */
int http1_write_end(const struct http1_write *w, size_t *ret_n);

/* The pieces, for a caller that lays out its own request. */
bool http1_is_token(struct str s);
bool http1_is_value(struct str s); /* no CR, LF or NUL */
bool http1_method_has_body(struct str method);
/* Returns the full length, also when it exceeds cap and out is cut. */
size_t http1_encode_target(struct str target, char *out, size_t cap);
/* "host", "host:8080", "[::1]:8080": the Host field; port 80 is left out. Returns the full length.
 */
size_t http1_host_text(struct str host, unsigned port, char *out, size_t cap);
/* Decimal digits of v, no terminator; out has room for 20. */
size_t http1_decimal(char *out, unsigned long v);
