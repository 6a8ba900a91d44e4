#include "signals.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "defect.h"
#include "log.h"

#define RETRY_AFTER_S 5 /* of an alert that could not be made safe */

struct problem {
    int status;
    const char *type, *title;
};

static const struct problem problems[] = {
    {400, "validation-error", "Bad Request"},
    {404, "not-found", "Not Found"},
    {405, "method-not-allowed", "Method Not Allowed"},
    {413, "payload-too-large", "Payload Too Large"},
    {415, "unsupported-media-type", "Unsupported Media Type"},
    {500, "internal-error", "Internal Server Error"},
    {502, "bad-gateway", "Bad Gateway"},
    {503, "service-unavailable", "Service Unavailable"},
    {504, "gateway-timeout", "Gateway Timeout"},
};

static const struct problem *problem_of(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(problems); i++)
        if (problems[i].status == status)
            return &problems[i];
    return &problems[5];
}

void problem_answer(struct http_req *r, int status, const char *detail, int64_t retry_after_s)
{
    const struct problem *p = problem_of(status);
    struct buf b = {0};
    char seconds[24];
    struct http_answer_header h[2];
    size_t n = 0;
    buf_printf(&b,
               "{\"type\":\"https://kubernaut.io/errors/%s\",\"title\":\"%s\",\"detail\":", p->type,
               p->title);
    buf_json(&b, detail);
    buf_printf(&b, ",\"status\":%d,\"instance\":", status);
    buf_json(&b, r->path);
    buf_puts(&b, ",\"request_id\":");
    buf_json(&b, r->request_id);
    if (retry_after_s) {
        snprintf(seconds, sizeof(seconds), "%lld", (long long)retry_after_s);
        h[n++] = (struct http_answer_header){"Retry-After", seconds};
        buf_printf(&b, ",\"retry_after\":%s", seconds);
    }
    if (status == 405)
        h[n++] = (struct http_answer_header){"Allow", "POST"};
    buf_puts(&b, "}");
    http_answer(r, status, "application/problem+json", b.p, b.len, h, n);
    buf_done(&b);
}

struct result {
    char fingerprint[SHA256_HEX_BYTES], namespace[64];
    char reason[ALERT_REASON_BYTES];
    struct outcome_info info;
};

struct request {
    struct http_req *http;
    atomic_size_t open; /* outcomes still missing, and one for the submitter */
    size_t n;
    struct result v[];
};

struct summary {
    size_t by[OUTCOMES], good, created, invalid, failed;
};

static const struct {
    const char *status, *message;
} outcomes[] = {
    [OUT_CREATED] = {"created", "RemediationRequest created"},
    [OUT_DUPLICATE] = {"duplicate", "duplicate signal, occurrence counted"},
    [OUT_ACCEPTED] = {"accepted", "accepted, will be written when Kubernetes can take it"},
    [OUT_RESOLVED] = {"accepted", "resolved signal recorded"},
    [OUT_INVALID] = {"rejected", "signal is not valid"},
    [OUT_NOT_SAFE] = {"failed", "the signal could not be made safe, send it again"},
    [OUT_UNKNOWN] = {"failed", "no answer from Kubernetes, the signal may be counted or not"},
    [OUT_REFUSED] = {"failed", "Kubernetes does not take the object"},
};
_Static_assert(ARRAY_LEN(outcomes) == OUTCOMES, "one text per outcome");

static void summarise(const struct request *q, struct summary *s)
{
    *s = (struct summary){0};
    for (size_t i = 0; i < q->n; i++)
        s->by[q->v[i].info.what]++;
    s->created = s->by[OUT_CREATED];
    s->good = s->created + s->by[OUT_DUPLICATE] + s->by[OUT_ACCEPTED] + s->by[OUT_RESOLVED];
    s->invalid = s->by[OUT_INVALID];
    s->failed = q->n - s->good - s->invalid;
}

static int status_of(const struct request *q, const struct summary *s)
{
    if (s->created == q->n)
        return 201;
    if (s->good == q->n && s->created == 0)
        return 202;
    if (s->good > 0)
        return 207;
    if (s->invalid == q->n)
        return 400;
    if (s->by[OUT_UNKNOWN])
        return 504;
    return s->by[OUT_REFUSED] ? 502 : 503;
}

static void add_result(struct buf *b, const struct result *v)
{
    buf_printf(b, "{\"status\":\"%s\",\"fingerprint\":\"%s\",\"message\":\"%s\"",
               outcomes[v->info.what].status, v->fingerprint, outcomes[v->info.what].message);
    if (v->info.object[0]) {
        buf_printf(b, ",\"duplicate\":%s,\"remediationRequestName\":\"%s\"",
                   v->info.what == OUT_DUPLICATE ? "true" : "false", v->info.object);
        buf_puts(b, ",\"remediationRequestNamespace\":");
        buf_json(b, v->namespace);
        buf_printf(b, ",\"metadata\":{\"Fingerprint\":\"%s\",\"Count\":%lld}", v->fingerprint,
                   (long long)v->info.count);
    }
    if (v->reason[0]) {
        buf_puts(b, ",\"error\":");
        buf_json(b, v->reason);
    }
}

static void answer_good(struct request *q, int status, const struct summary *s)
{
    struct buf b = {0};
    if (q->n == 1)
        add_result(&b, &q->v[0]);
    else
        buf_printf(&b, "{\"status\":\"%s\"",
                   status == 201   ? "created"
                   : status == 202 ? "accepted"
                                   : "mixed");
    buf_puts(&b, ",\"results\":[");
    for (size_t i = 0; i < q->n; i++) {
        if (i)
            buf_puts(&b, ",");
        add_result(&b, &q->v[i]);
        buf_puts(&b, "}");
    }
    buf_printf(&b,
               "],\"summary\":{\"total\":%zu,\"created\":%zu,\"deduplicated\":%zu,"
               "\"accepted\":%zu,\"rejected\":%zu,\"failed\":%zu},\"request_id\":",
               q->n, s->created, s->by[OUT_DUPLICATE], s->by[OUT_ACCEPTED] + s->by[OUT_RESOLVED],
               s->invalid, s->failed);
    buf_json(&b, q->http->request_id);
    buf_puts(&b, "}");
    http_answer(q->http, status, "application/json", b.p, b.len, NULL, 0);
    buf_done(&b);
}

static void count_outcomes(const struct summary *s)
{
    metric_add(gwm.processed, (int64_t)s->good);
    metric_add(gwm.resolved, (int64_t)s->by[OUT_RESOLVED]);
    metric_add(gwm.rejected[REJECT_INVALID], (int64_t)s->invalid);
    metric_add(gwm.rejected[REJECT_UNSAFE], (int64_t)(s->by[OUT_NOT_SAFE] + s->by[OUT_UNKNOWN]));
    metric_add(gwm.rejected[REJECT_REFUSED], (int64_t)s->by[OUT_REFUSED]);
}

static void answer(struct request *q)
{
    struct summary s;
    summarise(q, &s);
    count_outcomes(&s);
    int status = status_of(q, &s);
    if (s.good > 0) {
        answer_good(q, status, &s);
    } else {
        const struct result *v = &q->v[0];
        problem_answer(q->http, status, v->reason[0] ? v->reason : outcomes[v->info.what].message,
                       status == 503 ? RETRY_AFTER_S : 0);
    }
    free(q);
}

static void close_one(struct request *q)
{
    if (atomic_fetch_sub(&q->open, 1) == 1)
        answer(q);
}

void signals_tell(void *request, size_t index, const struct outcome_info *info)
{
    struct request *q = request;
    q->v[index].info = *info;
    LOG_LINE(LOG_DEBUG, "signals", outcomes[info->what].message,
             LF_S("request_id", q->http->request_id), LF_S("fingerprint", q->v[index].fingerprint),
             LF_S("crd_name", info->object));
    close_one(q);
}

static struct request *request_new(struct http_req *r, const struct alerts *a)
{
    struct request *q = xcalloc(1, sizeof(*q) + a->n * sizeof(q->v[0]));
    q->http = r;
    q->n = a->n;
    atomic_init(&q->open, a->n + 1);
    for (size_t i = 0; i < a->n; i++) {
        memcpy(q->v[i].fingerprint, a->v[i].fingerprint, sizeof(q->v[i].fingerprint));
        memcpy(q->v[i].namespace, a->v[i].namespace, sizeof(q->v[i].namespace));
        memcpy(q->v[i].reason, a->v[i].reason, sizeof(q->v[i].reason));
    }
    return q;
}

/* Alerts that need no object have their outcome at once. */
static bool settled(const struct alert *a, size_t index, struct outcome_info *ret_info)
{
    *ret_info = (struct outcome_info){0};
    if (a->reason[0])
        ret_info->what = OUT_INVALID;
    else if (defect_on(D_B08) && index > 0) /* only alerts[0] is handled */
        ret_info->what = OUT_ACCEPTED;
    else if (a->resolved)
        ret_info->what = OUT_RESOLVED;
    else
        return false;
    return true;
}

static void log_resolved(const struct http_req *r, const struct alert *a)
{
    LOG_LINE(LOG_INFO, "signals", "resolved signal", LF_S("request_id", r->request_id),
             LF_S("fingerprint", a->fingerprint), LF_S("alert_name", a->name),
             LF_S("namespace", a->namespace));
}

static void submit_all(struct pipeline *p, struct http_req *r, struct alerts *a)
{
    struct request *q = request_new(r, a);
    http_defer(r);
    for (size_t i = 0; i < a->n; i++) {
        struct outcome_info info;
        if (!settled(&a->v[i], i, &info)) {
            pipeline_submit(p, &a->v[i], q, i);
            continue;
        }
        if (info.what == OUT_RESOLVED)
            log_resolved(r, &a->v[i]);
        signals_tell(q, i, &info);
    }
    close_one(q);
}

static bool media_type_ok(const struct http_req *r)
{
    static const char json[] = "application/json";
    const char *ct = http_header(r, "Content-Type");
    return !ct || (strncasecmp(ct, json, sizeof(json) - 1) == 0 &&
                   strchr("; \t", ct[sizeof(json) - 1]) != NULL);
}

static void reject(struct http_req *r, enum reject_reason why, size_t alerts, int status,
                   const char *detail, int64_t retry_after_s)
{
    metric_add(gwm.received, (int64_t)alerts);
    metric_add(gwm.rejected[why], (int64_t)alerts);
    problem_answer(r, status, detail, retry_after_s);
}

void signals_serve(struct pipeline *p, const struct gw_settings *set, signal_parser *parse,
                   struct http_req *r)
{
    struct alerts a = {0};
    struct buf err = {0};
    size_t need = 0;
    if (r->too_big) {
        buf_printf(&err, "body is longer than %lld bytes", (long long)set->body_bytes_max);
        reject(r, REJECT_TOO_LARGE, 1, 413, err.p, 0);
    } else if (!media_type_ok(r)) {
        reject(r, REJECT_MEDIA_TYPE, 1, 415, "Content-Type must be application/json", 0);
    } else if (parse(r->body, r->body_len, &a, &err) < 0) {
        reject(r, REJECT_INVALID, 1, 400, err.p, 0);
    } else {
        struct outcome_info ignored;
        for (size_t i = 0; i < a.n; i++)
            need += !settled(&a.v[i], i, &ignored);
        if (!pipeline_admit(p, need)) {
            reject(r, REJECT_QUEUE_FULL, a.n, 503, "the queue is full",
                   set->queue_retry_after_ms / 1000);
        } else {
            metric_add(gwm.received, (int64_t)a.n);
            submit_all(p, r, &a);
        }
    }
    alerts_done(&a);
    buf_done(&err);
}
