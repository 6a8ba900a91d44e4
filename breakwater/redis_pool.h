/*
 * redis_pool - the gateway's Redis: a bounded pool of connections behind a circuit breaker.
 *
 * Key gateway:dedup:fingerprint:<fp>, a hash of fingerprint, alertName, namespace, resource,
 * firstSeen, lastSeen, count, remediationRequestRef ("ns/name"), with a TTL. It is a cache: what
 * it says is a hint where the object is; the truth is in Kubernetes.
 * No call takes longer than connect limit + call limit (both redis_call_limit_ms) per round trip.
 * A thread of its own probes with PING, feeds the breaker and so closes it without traffic.
 * Lifecycle: redis_pool_new() .. redis_pool_free(). Threads: any.
 */
#ifndef BREAKWATER_REDIS_POOL_H
#define BREAKWATER_REDIS_POOL_H

#include "gw.h"

#define REDIS_REF_BYTES 320

struct redis_pool;

struct redis_entry {
    const char *fingerprint, *alert_name, *namespace, *resource;
    const char *first_seen, *last_seen, *ref;
    int64_t count; /* the object's, after this write */
};

/* NULL with a message when the address is not host:port. */
struct redis_pool *redis_pool_new(const struct gw_settings *set, struct buf *err);
void redis_pool_free(struct redis_pool *p);

/* ret_ref is empty when the fingerprint is not known. */
enum redis_error redis_lookup(struct redis_pool *p, const char *fp, char ret_ref[REDIS_REF_BYTES]);
/* Whole entry (after a miss), or `added` more occurrences of a known one. */
enum redis_error redis_store(struct redis_pool *p, const struct redis_entry *e);
enum redis_error redis_add(struct redis_pool *p, const struct redis_entry *e, int64_t added);
/* One PING on a fresh connection, past pool and breaker: is it there now? */
bool redis_alive(struct redis_pool *p, int64_t limit_ms);

#endif
