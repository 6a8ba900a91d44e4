/*
 * signals - the HTTP side of the gateway: webhooks in, outcomes out.
 *
 * Takes a whole request, parses its alerts, hands each to the pipeline and answers when all have
 * their outcome: 201 all created, 202 all duplicate or accepted, 207 mixed, with results[] and
 * summary. Errors are RFC 7807 problems.
 * Lifecycle: signals_serve() per request; the request belongs to this module until it is answered.
 * signals_tell() is the pipeline's outcome_fn. Threads: any.
 */
#ifndef BREAKWATER_SIGNALS_H
#define BREAKWATER_SIGNALS_H

#include "alert.h"
#include "gw.h"
#include "httpd.h"
#include "pipeline.h"

typedef int signal_parser(const char *text, size_t len, struct alerts *ret_alerts, struct buf *err);

void signals_serve(struct pipeline *p, const struct gw_settings *set, signal_parser *parse,
                   struct http_req *r);
void signals_tell(void *request, size_t index, const struct outcome_info *info);

/* A problem+json answer. retry_after_s 0: no such header. */
void problem_answer(struct http_req *r, int status, const char *detail, int64_t retry_after_s);

#endif
