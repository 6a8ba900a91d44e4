/*
 * stub - what every stand-in service has: programmable answers, a journal, a state page.
 *
 * PUT/GET/DELETE /_stub/rules, GET /_stub/requests[?since=N], GET /_stub/state. The role gives
 * its real handler; the stub puts itself in front of it: it records each request and lets the
 * rules answer, delay, cut, drop or hang it.
 * Lifecycle: stub_new() .. stub_serve() per request, stub_record() from the `answered` hook ..
 * stub_release() (lets every delayed or hung request go) .. stub_free().
 * Limits: the journal keeps the last STUB_JOURNAL_MAX requests, STUB_HELD_MAX requests can be
 * held (further ones are answered at once). Threads: any.
 */
#ifndef BREAKWATER_STUB_H
#define BREAKWATER_STUB_H

#include "httpd.h"
#include "stub_rules.h"

#define STUB_JOURNAL_MAX 8192
#define STUB_HELD_MAX    2048

struct stub;

typedef void stub_handler(void *ctx, struct http_req *r);
/* Adds `"key":value` members of the role's own state, each with a leading comma. */
typedef void stub_state_fn(void *ctx, struct buf *out);

struct stub *stub_new(stub_handler *real, stub_state_fn *state, void *ctx);
int stub_load_file(struct stub *s, const char *file, struct buf *err);
void stub_serve(struct stub *s, struct http_req *r);
void stub_record(struct stub *s, const struct http_req *r);
void stub_release(struct stub *s);
void stub_free(struct stub *s);

#endif
