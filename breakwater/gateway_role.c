/*
 * The gateway role: routes, start and stop. The work is in signals.h (HTTP), pipeline.h (from
 * alert to object), redis_pool.h, kube_client.h, journal.h and ready.h.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "defect.h"
#include "kube_client.h"
#include "log.h"
#include "ready.h"
#include "role.h"
#include "signals.h"

#define QUIET_NS (100 * NS_PER_MS) /* no request for so long ends the drain */

struct gateway {
    struct gw_settings set;
    struct redis_pool *redis;
    struct pipeline *pipeline;
    struct ready *ready;
    struct http_server *api, *metrics;
};

static void serve_prometheus(struct gateway *g, struct http_req *r)
{
    signals_serve(g->pipeline, &g->set, alerts_parse_prometheus, r);
}

static void serve_event(struct gateway *g, struct http_req *r)
{
    signals_serve(g->pipeline, &g->set, alerts_parse_event, r);
}

static void serve_health(struct gateway *g, struct http_req *r)
{
    (void)g;
    char ts[RFC3339_BYTES];
    struct buf b = {0};
    rfc3339(wall_ms(), ts);
    buf_printf(&b,
               "{\"status\":\"healthy\",\"timestamp\":\"%s\",\"version\":\"" BREAKWATER_VERSION
               "\",\"app_name\":\"breakwater\"}",
               ts);
    http_answer(r, 200, "application/json", b.p, b.len, NULL, 0);
    buf_done(&b);
}

static void serve_ready(struct gateway *g, struct http_req *r)
{
    ready_serve(g->ready, r);
}

static void serve_metrics(struct gateway *g, struct http_req *r)
{
    (void)g;
    struct buf b = {0};
    metrics_render(&b);
    http_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", b.p, b.len, NULL, 0);
    buf_done(&b);
}

struct route {
    const char *method, *path;
    void (*serve)(struct gateway *g, struct http_req *r);
    bool on_metrics; /* also on the metrics listener */
};

static const struct route routes[] = {
    {"POST", "/api/v1/signals/prometheus", serve_prometheus, false},
    {"POST", "/v1/webhooks/prometheus", serve_prometheus, false},
    {"POST", "/api/v1/signals/kubernetes-event", serve_event, false},
    {"GET", "/health", serve_health, true},
    {"GET", "/healthz", serve_health, true},
    {"GET", "/health/live", serve_health, true},
    {"GET", "/health/ready", serve_ready, true},
    {"GET", "/ready", serve_ready, true},
    {"GET", "/readyz", serve_ready, true},
    {"GET", "/metrics", serve_metrics, true},
};

static const struct route *route_of(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void serve(struct gateway *g, struct http_req *r, bool metrics_only)
{
    const struct route *t = route_of(r->path);
    if (!t || (metrics_only && !t->on_metrics))
        problem_answer(r, 404, "no such page", 0);
    else if (strcmp(t->method, r->method) != 0)
        problem_answer(r, 405, "this page does not know the method", 0);
    else
        t->serve(g, r);
}

static void serve_api(void *ctx, struct http_req *r)
{
    metric_add(gwm.in_flight, 1);
    serve(ctx, r, false);
}

static void serve_metrics_port(void *ctx, struct http_req *r)
{
    serve(ctx, r, true);
}

static void answered(void *ctx, struct http_req *r)
{
    (void)ctx;
    char labels[128];
    const struct route *t = route_of(r->path);
    const char *method = t && strcmp(t->method, r->method) == 0 ? t->method : "other";
    snprintf(labels, sizeof(labels), "endpoint=\"%s\",method=\"%s\",status=\"%d\"",
             t ? t->path : "other", method, r->status);
    struct metric *m = metric_get(METRIC_HISTOGRAM, "gateway_http_request_duration_seconds", labels,
                                  "From the first byte to the answer.");
    metric_observe_ns(m, now_ns() - r->start_ns);
    metric_add(gwm.in_flight, -1);
}

static int gateway_start(struct gateway *g, struct buf *err)
{
    const struct gw_settings *set = &g->set;
    struct http_config api = {.listen = set->listen,
                              .body_bytes_max = (size_t)set->body_bytes_max,
                              .connections_max = (unsigned)set->connections_max,
                              .threads = (unsigned)set->threads,
                              .handle = serve_api,
                              .answered = answered,
                              .ctx = g};
    struct http_config metrics = api;
    metrics.listen = set->metrics_listen;
    metrics.threads = 1;
    metrics.connections_max = 64;
    metrics.handle = serve_metrics_port;
    metrics.answered = NULL;

    kube_client_init();
    gw_metrics_init(set);
    g->redis = redis_pool_new(set, err);
    if (!g->redis)
        return -1;
    g->pipeline = pipeline_new(set, g->redis, signals_tell, err);
    if (!g->pipeline)
        return -1;
    g->ready = ready_new(set, g->redis, g->pipeline);
    if (http_server_start(&metrics, &g->metrics, err) < 0 ||
        http_server_start(&api, &g->api, err) < 0)
        return -1;
    LOG_LINE(LOG_INFO, "gateway", "serving", LF_S("listen", set->listen),
             LF_S("metrics", set->metrics_listen), LF_S("redis", set->redis),
             LF_S("kube", set->kube), LF_S("journal", set->journal ? set->journal : "none"),
             LF_S("defects", set->defects));
    return 0;
}

/* Until no request is in flight and none has come for a moment. */
static void drain(struct http_server *s, int64_t limit_ns)
{
    int64_t until = now_ns() + limit_ns, quiet_since = now_ns(), seen = http_server_total(s);
    while (now_ns() < until && now_ns() - quiet_since < QUIET_NS) {
        usleep(2000);
        if (http_server_inflight(s) > 0 || http_server_total(s) != seen) {
            seen = http_server_total(s);
            quiet_since = now_ns();
        }
    }
}

static void gateway_stop(struct gateway *g)
{
    LOG_LINE(LOG_INFO, "gateway", "stopping, not ready from now on");
    ready_stopping(g->ready);
    http_server_closing(g->api);
    http_server_quiesce(g->api);
    drain(g->api, g->set.shutdown_limit_ms * NS_PER_MS);
    pipeline_stop(g->pipeline);
    drain(g->api, NS_PER_S);
}

static void gateway_free(struct gateway *g)
{
    if (g->metrics) { /* a request that waits for a look must be answered before the stop */
        ready_stopping(g->ready);
        http_server_quiesce(g->metrics);
        drain(g->metrics, 2 * NS_PER_S);
    }
    http_server_stop(g->api);
    http_server_stop(g->metrics);
    ready_free(g->ready);
    pipeline_free(g->pipeline);
    redis_pool_free(g->redis);
}

static int gateway_run(struct gateway *g, struct buf *err)
{
    role_signals_block();
    int rc = gateway_start(g, err);
    if (rc == 0) {
        role_wait_stop();
        gateway_stop(g);
    }
    gateway_free(g);
    if (rc == 0)
        LOG_LINE(LOG_INFO, "gateway", "stopped");
    return rc;
}

/* False with a message when something in the settings is wrong. */
static bool gateway_configure(struct gateway *g, struct buf *err)
{
    char bad[64];
    enum log_level level;
    if (log_level_parse(g->set.log_level, &level) < 0) {
        buf_printf(err, "log_level: unknown level '%.20s'", g->set.log_level);
        return false;
    }
    log_init(level);
    if (defect_enable(g->set.defects, bad, sizeof(bad)) < 0) {
        buf_printf(err, "unknown defect '%s'; known: ", bad);
        defect_ids(err);
        return false;
    }
    if (strncmp(g->set.kube, "http://", 7) != 0 && strncmp(g->set.kube, "https://", 8) != 0) {
        buf_printf(err, "kube: '%.80s' is not a URL", g->set.kube);
        return false;
    }
    size_t n = strlen(g->set.kube);
    while (n > 8 && g->set.kube[n - 1] == '/')
        g->set.kube[--n] = '\0';
    return true;
}

int gateway_main(int argc, char **argv)
{
    struct gateway g = {0};
    struct buf err = {0};
    int status = EXIT_GRACEFUL;
    settings_defaults(&gw_settings_table, &g.set);
    enum settings_outcome o = settings_args(&gw_settings_table, &g.set, argc, argv, &err);
    if (o == SETTINGS_HELP)
        status = role_usage("gateway", &gw_settings_table);
    else if (o == SETTINGS_BAD || !gateway_configure(&g, &err))
        status = role_fail("gateway", EXIT_USAGE, &err);
    else if (gateway_run(&g, &err) < 0)
        status = role_fail("gateway", EXIT_RUNTIME, &err);
    settings_done(&gw_settings_table, &g.set);
    buf_done(&err);
    return status;
}
