/*
 * http1.h - HTTP/1.1 answers as an incremental, pure parser that survives broken servers (RFC
 * 9112).
 *
 * Feed it bytes as they come, in pieces of any size; it keeps no copy of head or body: body bytes
 * go to the callback (NULL = counted only). Lifecycle: http1_init before each answer; plain data.
 * One answer per init; 1xx answers are skipped inside. Limits: status line and each header line
 * HTTP1_LINE_BYTES, HTTP1_HEADERS header lines; beyond that the answer is bad. Bad answers carry
 * one of http1_error; notably two different Content-Length values, Content-Length together with
 * Transfer-Encoding, a wrong chunk size or a missing chunk end are errors, never guesses (request
 * smuggling, RFC 9112 6.3 and 11.2). Never reads or writes a descriptor. The result does not depend
 * on how the bytes were cut into pieces.
 *
 * Where RFC 9112 leaves a choice: a bare LF ends a line of the head (2.2) but never one of a
 * chunked body; a bare CR or NUL in a line is an error; a folded header line (obs-fold, 5.2) is an
 * error; the same Content-Length twice is one; the reason phrase may be missing with its space; 101
 * ends the answer and the connection; a framing header in a 1xx, 204, 304 or HEAD answer is checked
 * but not used; trailers are checked, not reported. Nor are the headers of a 1xx answer. One struct
 * is 8 KiB, of which only the first bytes are touched when lines come whole.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define HTTP1_LINE_BYTES 8192
#define HTTP1_HEADERS    128

enum http1_result {
    HTTP1_MORE, /* all bytes used, the answer is not complete */
    HTTP1_DONE, /* complete; *ret_used bytes belong to it */
    HTTP1_BAD,  /* not HTTP; see error */
};

enum http1_error {
    HTTP1_OK,
    HTTP1_ERR_STATUS_LINE,
    HTTP1_ERR_HEADER,
    HTTP1_ERR_TOO_LONG,
    HTTP1_ERR_LENGTH, /* not a number, two values, or with Transfer-Encoding */
    HTTP1_ERR_CHUNK,
    HTTP1_ERR_TRUNCATED, /* end of stream inside the answer */
    HTTP1_ERR_COUNT
};

typedef void http1_body_fn(void *ctx, const char *bytes, size_t n);
typedef void http1_header_fn(void *ctx, struct str name, struct str value);

struct http1 {
    int state;
    bool head_only; /* the request was HEAD */
    int status;     /* 0 until known */
    int minor;      /* HTTP/1.minor */
    bool keep_alive;
    bool chunked;
    bool coded;           /* a Transfer-Encoding was seen, chunked or not */
    bool closes;          /* Connection: close was seen */
    int64_t length_bytes; /* Content-Length, -1 = none */
    int64_t body_bytes;   /* body seen so far */
    int64_t left_bytes;   /* of the body or of this chunk */
    int headers_n;
    enum http1_error error;
    http1_body_fn *on_body;
    http1_header_fn *on_header;
    void *ctx;
    size_t line_n;
    char line[HTTP1_LINE_BYTES]; /* a line that came in pieces */
};

void http1_init(struct http1 *h, bool head_request, http1_body_fn *on_body,
                http1_header_fn *on_header, void *ctx);
enum http1_result http1_feed(struct http1 *h, const char *bytes, size_t n, size_t *ret_used);
/* The peer closed: HTTP1_DONE when the answer is one that ends so, else HTTP1_BAD (truncated). */
enum http1_result http1_eof(struct http1 *h);
const char *http1_error_text(enum http1_error e);
