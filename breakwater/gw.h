/*
 * gw - what the parts of the gateway role share: its settings and its metrics.
 *
 * Lifecycle: filled in by gateway_role.c before any thread, read-only after (metrics count).
 */
#ifndef BREAKWATER_GW_H
#define BREAKWATER_GW_H

#include "metrics.h"
#include "settings.h"
#include "util.h"

struct gw_settings {
    char *listen, *metrics_listen, *redis, *kube, *journal, *defects, *log_level;
    int64_t redis_call_limit_ms, redis_pool_size, redis_probe_ms;
    int64_t breaker_redis_window_ms, breaker_redis_calls_min, breaker_redis_failed_pct,
        breaker_redis_open_ms;
    int64_t dedup_ttl_ms;
    int64_t kube_call_limit_ms, kube_connect_limit_ms, breaker_kube_failures;
    int64_t backoff_base_ms, backoff_cap_ms, backoff_jitter_pct;
    int64_t conflict_base_ms, conflict_retries;
    int64_t queue_max, queue_retry_after_ms, answer_limit_ms;
    int64_t journal_compact_bytes;
    int64_t body_bytes_max, connections_max, threads, workers, cells_max;
    int64_t ready_limit_ms, shutdown_limit_ms;
};

extern const struct settings_table gw_settings_table;

enum redis_op { REDIS_LOOKUP, REDIS_STORE, REDIS_PING, REDIS_OPS };

/* Why Redis could not be used; the order is that of redis_error_names. */
enum redis_error {
    REDIS_FINE,
    REDIS_TIMEOUT,
    REDIS_OOM,
    REDIS_REFUSED,
    REDIS_OTHER,
    REDIS_NOT_TRIED, /* breaker open, or no free connection in time */
    REDIS_ERRORS
};

enum query_reason {
    QUERY_MISS,
    QUERY_TIMEOUT,
    QUERY_OOM,
    QUERY_UNAVAILABLE,
    QUERY_REFERENCE, /* Redis named the object */
    QUERY_STALE,     /* and it was not (or no longer) that */
    QUERY_CONFLICT,
    QUERY_RECOVERY,
    QUERY_REASONS
};
extern const char *const query_reason_names[QUERY_REASONS];

enum reject_reason {
    REJECT_INVALID,
    REJECT_TOO_LARGE,
    REJECT_MEDIA_TYPE,
    REJECT_QUEUE_FULL,
    REJECT_UNSAFE,
    REJECT_REFUSED,
    REJECT_REASONS
};

struct gw_metrics {
    struct metric *received, *processed, *deduplicated, *aggregated, *resolved, *pending;
    struct metric *rejected[REJECT_REASONS];
    struct metric *crd_created, *crds_created_direct, *crd_failures;
    struct metric *redis_ops[REDIS_OPS][2]; /* [op][ok] */
    struct metric *redis_errors[REDIS_ERRORS];
    struct metric *redis_reconnects, *redis_active;
    struct metric *processing, *in_flight;
    struct metric *breaker_state[2], *breaker_moves[2][3]; /* [redis, kube][to] */
    struct metric *fallback[QUERY_REASONS], *queries[QUERY_REASONS];
    struct metric *kube_backoff, *queue_depth;
    struct metric *conflicts, *retry_success;
    struct metric *journal_records, *journal_replayed, *journal_errors;
};

enum gw_breaker { GW_REDIS, GW_KUBE };

extern struct gw_metrics gwm;

void gw_metrics_init(const struct gw_settings *set);

#endif
