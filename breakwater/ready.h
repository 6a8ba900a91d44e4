/*
 * ready - is the gateway ready NOW: Redis, Kubernetes and the journal, looked at per request.
 *
 * ready_serve() answers 200 or 503 with {status, checks{redis, k8s, journal}}. The looks happen on
 * a thread of their own, so that a hanging dependency blocks neither alerts nor the network; all
 * requests that came before a look begins share its result. ready_stopping() makes every further
 * answer 503 at once.
 * Lifecycle: ready_new() .. ready_free() (answers who still waits). Threads: any.
 */
#ifndef BREAKWATER_READY_H
#define BREAKWATER_READY_H

#include "gw.h"
#include "httpd.h"
#include "pipeline.h"
#include "redis_pool.h"

struct ready;

struct ready *ready_new(const struct gw_settings *set, struct redis_pool *redis,
                        struct pipeline *pipeline);
void ready_serve(struct ready *y, struct http_req *r);
void ready_stopping(struct ready *y);
void ready_free(struct ready *y);

#endif
