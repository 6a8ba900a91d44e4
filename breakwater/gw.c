#include "gw.h"

#include <stdio.h>
#include <string.h>

#include "breaker.h"

#define FIELD(n) offsetof(struct gw_settings, n)
#define STR(n, d, h)                                                                               \
    {                                                                                              \
#n, SETTING_STR, "", 0, 0, d, FIELD(n), h                                                  \
    }
#define INT(n, u, lo, hi, d, h)                                                                    \
    {                                                                                              \
#n, SETTING_INT, u, lo, hi, d, FIELD(n), h                                                 \
    }

static const struct setting rows[] = {
    STR(listen, "0.0.0.0:8080", "address of the API"),
    STR(metrics_listen, "0.0.0.0:9090", "address of the metrics page"),
    STR(redis, "127.0.0.1:6379", "Redis, host:port"),
    STR(kube, "http://127.0.0.1:6443", "Kubernetes API, base URL"),
    STR(journal, NULL,
        "file that keeps accepted alerts until they are written; without it an "
        "alert is refused while the API is down"),
    STR(defects, "", "planted flaws to switch on, e.g. B01,B08 (see breakwater defects)"),
    STR(log_level, "info", "debug, info, warn or error"),
    INT(redis_call_limit_ms, "ms", 1, 60000, "10", "limit of one Redis call"),
    INT(redis_pool_size, "", 1, 1000, "10", "connections to Redis"),
    INT(redis_probe_ms, "ms", 10, 60000, "500", "own probe of Redis, feeds its breaker"),
    INT(breaker_redis_window_ms, "ms", 100, 600000, "10000", "span judged by the redis breaker"),
    INT(breaker_redis_calls_min, "", 1, 100000, "10", "fewer calls in the span open nothing"),
    INT(breaker_redis_failed_pct, "pct", 1, 99, "5", "opens above this share of failed calls"),
    INT(breaker_redis_open_ms, "ms", 10, 600000, "2000", "open this long, then one probe"),
    INT(dedup_ttl_ms, "ms", 1000, 86400000, "300000", "life of a fingerprint in Redis"),
    INT(kube_call_limit_ms, "ms", 10, 60000, "2000", "limit of one Kubernetes call"),
    INT(kube_connect_limit_ms, "ms", 10, 60000, "500", "limit of one connect to Kubernetes"),
    INT(breaker_kube_failures, "", 1, 1000, "10",
        "failures (429, 5xx, no answer) in a row that open the k8s_api breaker"),
    INT(backoff_base_ms, "ms", 10, 60000, "1000", "first wait after a failed Kubernetes call"),
    INT(backoff_cap_ms, "ms", 10, 600000, "16000", "longest such wait; it doubles up to here"),
    INT(backoff_jitter_pct, "pct", 0, 90, "20", "waits vary by this much either way"),
    INT(conflict_base_ms, "ms", 1, 10000, "100", "first wait after a version conflict, doubles"),
    INT(conflict_retries, "", 0, 20, "3", "retries of a conflicting update"),
    INT(queue_max, "", 1, 100000, "1000", "alerts admitted and not yet written; then 503"),
    INT(queue_retry_after_ms, "ms", 1000, 3600000, "10000", "Retry-After of that 503"),
    INT(answer_limit_ms, "ms", 1, 60000, "60",
        "an alert not written by then goes to the journal and is answered 202"),
    INT(journal_compact_bytes, "bytes", 4096, 1073741824, "8388608",
        "the journal is rewritten when it has grown past this"),
    INT(body_bytes_max, "bytes", 1024, 16777216, "102400", "longest request body, then 413"),
    INT(connections_max, "", 8, 100000, "2048", "client connections"),
    INT(threads, "", 1, 64, "2", "network threads"),
    INT(workers, "", 1, 256, "16", "threads that talk to Redis and Kubernetes"),
    INT(cells_max, "", 16, 1000000, "4096", "fingerprints whose object is remembered"),
    INT(ready_limit_ms, "ms", 10, 10000, "250", "limit of each check behind /ready"),
    INT(shutdown_limit_ms, "ms", 100, 600000, "30000", "longest graceful stop"),
};
const struct settings_table gw_settings_table = {rows, ARRAY_LEN(rows)};

const char *const query_reason_names[QUERY_REASONS] = {
    [QUERY_MISS] = "redis_miss",
    [QUERY_TIMEOUT] = "redis_timeout",
    [QUERY_OOM] = "redis_oom",
    [QUERY_UNAVAILABLE] = "redis_unavailable",
    [QUERY_REFERENCE] = "redis_reference",
    [QUERY_STALE] = "stale_reference",
    [QUERY_CONFLICT] = "conflict",
    [QUERY_RECOVERY] = "recovery",
};

static const char *const reject_names[REJECT_REASONS] = {
    [REJECT_INVALID] = "invalid",       [REJECT_TOO_LARGE] = "too_large",
    [REJECT_MEDIA_TYPE] = "media_type", [REJECT_QUEUE_FULL] = "queue_full",
    [REJECT_UNSAFE] = "not_safe",       [REJECT_REFUSED] = "refused_by_kubernetes",
};

struct gw_metrics gwm;

static struct metric *counter(const char *name, const char *label, const char *value,
                              const char *help)
{
    char labels[96] = "";
    if (label)
        snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    return metric_new(METRIC_COUNTER, name, labels, help);
}

static struct metric *gauge(const char *name, const char *help)
{
    return metric_new(METRIC_GAUGE, name, "", help);
}

static void alert_metrics(void)
{
    gwm.received = counter("gateway_alerts_received_total", NULL, NULL, "Alerts received.");
    gwm.processed = counter("gateway_alerts_processed_total", NULL, NULL, "Alerts accepted.");
    gwm.deduplicated =
        counter("gateway_alerts_deduplicated_total", NULL, NULL, "Alerts counted on an object.");
    gwm.aggregated = counter("gateway_alerts_aggregated_total", NULL, NULL, "Alerts in storms.");
    gwm.resolved = counter("gateway_alerts_resolved_total", NULL, NULL, "Resolved notices.");
    gwm.pending = gauge("gateway_alerts_pending", "Alerts admitted and not yet written.");
    for (size_t i = 0; i < REJECT_REASONS; i++)
        gwm.rejected[i] = counter("gateway_alerts_rejected_total", "reason", reject_names[i],
                                  "Alerts answered with an error.");
    gwm.processing = metric_new(METRIC_HISTOGRAM, "gateway_processing_duration_seconds", "",
                                "From admission to the answer, per alert.");
    gwm.in_flight = gauge("gateway_http_requests_in_flight", "Requests being handled.");
    gwm.crd_created = counter("gateway_crd_created_total", NULL, NULL, "Objects created.");
    gwm.crds_created_direct =
        counter("gateway_crds_created_total", "source", "direct", "Objects created, by source.");
    counter("gateway_crds_created_total", "source", "storm", "Objects created, by source.");
    counter("gateway_crds_created_total", "source", "buffer_expiration",
            "Objects created, by source.");
    counter("gateway_crds_created_total", "source", "bypass", "Objects created, by source.");
    gwm.crd_failures =
        counter("gateway_crd_creation_failures_total", NULL, NULL, "Failed creations.");
    gwm.conflicts =
        counter("gateway_crd_update_conflicts_total", NULL, NULL, "Updates refused for version.");
    gwm.retry_success = counter("gateway_crd_update_retry_success_total", NULL, NULL,
                                "Conflicts overcome by a retry.");
}

static void redis_metrics(const struct gw_settings *set)
{
    static const char *const ops[REDIS_OPS] = {"lookup", "store", "ping"};
    static const char *const errors[] = {[REDIS_TIMEOUT] = "timeout",
                                         [REDIS_OOM] = "oom",
                                         [REDIS_REFUSED] = "refused",
                                         [REDIS_OTHER] = "other"};
    for (size_t i = 0; i < REDIS_OPS; i++) {
        for (int ok = 0; ok < 2; ok++) {
            char labels[96];
            snprintf(labels, sizeof(labels), "operation=\"%s\",result=\"%s\"", ops[i],
                     ok ? "success" : "error");
            gwm.redis_ops[i][ok] = metric_new(METRIC_COUNTER, "gateway_redis_operations_total",
                                              labels, "Redis calls.");
        }
    }
    for (size_t i = REDIS_TIMEOUT; i <= REDIS_OTHER; i++)
        gwm.redis_errors[i] = counter("gateway_redis_operation_errors_total", "error", errors[i],
                                      "Failed Redis calls.");
    gwm.redis_reconnects = counter("gateway_redis_reconnect_success_total", NULL, NULL,
                                   "Connections to Redis regained after it was lost.");
    gwm.redis_active = gauge("gateway_redis_pool_active_connections", "Connections in use.");
    metric_set(gauge("gateway_redis_pool_max_size", "Connections at most."), set->redis_pool_size);
}

static void breaker_metrics(void)
{
    static const char *const names[] = {[GW_REDIS] = "redis", [GW_KUBE] = "k8s_api"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char labels[96];
        snprintf(labels, sizeof(labels), "component=\"%s\"", names[i]);
        gwm.breaker_state[i] = metric_new(METRIC_GAUGE, "gateway_circuit_breaker_state", labels,
                                          "0 closed, 1 open, 2 half-open.");
        for (int to = 0; to < BREAKER_STATES; to++) {
            snprintf(labels, sizeof(labels), "component=\"%s\",to=\"%s\"", names[i],
                     to == BREAKER_HALF_OPEN ? "half_open"
                                             : breaker_state_name((enum breaker_state)to));
            gwm.breaker_moves[i][to] =
                metric_new(METRIC_COUNTER, "gateway_circuit_breaker_state_changes_total", labels,
                           "Changes of a breaker's state.");
        }
    }
}

static void kube_metrics(void)
{
    for (size_t i = 0; i < QUERY_REASONS; i++)
        gwm.queries[i] = counter("gateway_k8s_api_queries_total", "reason", query_reason_names[i],
                                 "Reads of the Kubernetes API.");
    for (size_t i = QUERY_TIMEOUT; i <= QUERY_UNAVAILABLE; i++)
        gwm.fallback[i] = counter("gateway_dedup_fallback_total", "reason", query_reason_names[i],
                                  "Lookups decided by Kubernetes because Redis could not.");
    static const char *const statuses[] = {"none", "429", "500", "503"};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        counter("gateway_k8s_api_errors_total", "status", statuses[i], "Failed Kubernetes calls.");
    gwm.kube_backoff = metric_new(METRIC_HISTOGRAM, "gateway_k8s_api_retry_backoff_seconds", "",
                                  "Waits before a retry.");
    gwm.queue_depth =
        gauge("gateway_k8s_api_request_queue_depth", "Alerts waiting for the Kubernetes API.");
    gwm.journal_records =
        counter("gateway_journal_alerts_total", NULL, NULL, "Alerts written to the journal.");
    gwm.journal_replayed =
        counter("gateway_journal_replayed_total", NULL, NULL, "Alerts taken over at the start.");
    gwm.journal_errors =
        counter("gateway_journal_errors_total", NULL, NULL, "Failed journal writes.");
}

void gw_metrics_init(const struct gw_settings *set)
{
    metrics_process_init();
    alert_metrics();
    redis_metrics(set);
    breaker_metrics();
    kube_metrics();
}
