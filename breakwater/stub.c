#include "stub.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_DIGITS   16
#define RULE_FILE_MAX (1 << 20)
#define HANG_NS       (3600 * NS_PER_S)

struct journal_row {
    int64_t wall_ms;
    char method[16];
    char *path;
    char body_hash[HASH_DIGITS + 1];
    int status;
    int64_t duration_ns;
    bool by_rule;
};

/* A request that waits for its time; then the reply is played. The reply is copied because the
 * rules may be replaced meanwhile. */
struct held {
    struct http_req *req;
    struct rule_reply reply;
    int64_t due_ns;
    struct held *next;
};

struct stub {
    stub_handler *real;
    stub_state_fn *state;
    void *ctx;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t timer;
    bool stopping;
    struct rules *rules;
    struct journal_row *rows;
    int64_t requests, hits; /* since the start */
    struct held *held;      /* by due time */
    size_t n_held;
};

static void reply_copy(struct rule_reply *to, const struct rule_reply *from)
{
    *to = *from;
    to->body = from->body ? xstrdup(from->body) : NULL;
    for (size_t i = 0; i < from->n_headers; i++) {
        to->headers[i].name = xstrdup(from->headers[i].name);
        to->headers[i].value = xstrdup(from->headers[i].value);
    }
}

static void reply_done(struct rule_reply *p)
{
    free(p->body);
    for (size_t i = 0; i < p->n_headers; i++) {
        free(p->headers[i].name);
        free(p->headers[i].value);
    }
}

static void default_body(struct buf *b, int status)
{
    buf_printf(b,
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"%s\","
               "\"message\":\"answered by a stub rule\",\"code\":%d}",
               status < 400 ? "Success" : "Failure", status);
}

/* Plays a reply on a request that was deferred (or is still in its handler). */
static void play(struct stub *s, struct http_req *r, const struct rule_reply *p)
{
    if (p->drop || p->hang) {
        http_drop(r);
        return;
    }
    if (p->status == 0 && p->truncate < 0) {
        s->real(s->ctx, r);
        return;
    }
    struct buf b = {0};
    int status = p->status ? p->status : 200;
    if (p->body)
        buf_puts(&b, p->body);
    else
        default_body(&b, status);
    const char *type = "application/json";
    struct http_answer_header h[RULE_HEADERS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < p->n_headers; i++) {
        if (strcasecmp(p->headers[i].name, "Content-Type") == 0)
            type = p->headers[i].value;
        else
            h[n++] = (struct http_answer_header){p->headers[i].name, p->headers[i].value};
    }
    if (p->truncate >= 0)
        http_answer_cut(r, status, type, b.p, b.len, (size_t)p->truncate);
    else
        http_answer(r, status, type, b.p, b.len, h, n);
    buf_done(&b);
}

static void hold_locked(struct stub *s, struct http_req *r, const struct rule_reply *reply)
{
    struct held *h = xcalloc(1, sizeof(*h));
    h->req = r;
    reply_copy(&h->reply, reply);
    h->due_ns = now_ns() + (reply->hang ? HANG_NS : reply->delay_ms * NS_PER_MS);
    struct held **at = &s->held;
    while (*at && (*at)->due_ns <= h->due_ns)
        at = &(*at)->next;
    h->next = *at;
    *at = h;
    s->n_held++;
    pthread_cond_signal(&s->wake);
}

static struct held *take_due_locked(struct stub *s)
{
    struct held *h = s->held;
    if (!h || (!s->stopping && h->due_ns > now_ns()))
        return NULL;
    s->held = h->next;
    s->n_held--;
    return h;
}

static void *timer_main(void *arg)
{
    struct stub *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct held *h = take_due_locked(s);
        if (h) {
            pthread_mutex_unlock(&s->lock);
            play(s, h->req, &h->reply);
            reply_done(&h->reply);
            free(h);
            pthread_mutex_lock(&s->lock);
            continue;
        }
        if (s->stopping)
            break;
        if (s->held) {
            struct timespec ts = {.tv_sec = s->held->due_ns / NS_PER_S,
                                  .tv_nsec = s->held->due_ns % NS_PER_S};
            pthread_cond_timedwait(&s->wake, &s->lock, &ts);
        } else {
            pthread_cond_wait(&s->wake, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct stub *stub_new(stub_handler *real, stub_state_fn *state, void *ctx)
{
    struct stub *s = xcalloc(1, sizeof(*s));
    s->real = real;
    s->state = state;
    s->ctx = ctx;
    s->rows = xcalloc(STUB_JOURNAL_MAX, sizeof(*s->rows));
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &ca);
    pthread_condattr_destroy(&ca);
    if (pthread_create(&s->timer, NULL, timer_main, s) != 0) {
        fputs("breakwater: cannot start a thread\n", stderr);
        abort();
    }
    return s;
}

void stub_release(struct stub *s)
{
    pthread_mutex_lock(&s->lock);
    bool first = !s->stopping;
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (first)
        pthread_join(s->timer, NULL);
}

void stub_free(struct stub *s)
{
    if (!s)
        return;
    stub_release(s);
    for (size_t i = 0; i < STUB_JOURNAL_MAX; i++)
        free(s->rows[i].path);
    free(s->rows);
    rules_free(s->rules);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
}

int stub_load_file(struct stub *s, const char *file, struct buf *err)
{
    FILE *f = fopen(file, "re");
    if (!f) {
        int rc = -errno;
        buf_printf(err, "rules file %s: %s", file, strerror(-rc));
        return rc;
    }
    char *text = xmalloc(RULE_FILE_MAX);
    size_t n = fread(text, 1, RULE_FILE_MAX, f);
    fclose(f);
    struct rules *rules = rules_parse(text, n, err);
    free(text);
    if (!rules)
        return -EINVAL;
    rules_free(s->rules);
    s->rules = rules;
    return 0;
}

void stub_record(struct stub *s, const struct http_req *r)
{
    if (strncmp(r->path, "/_stub/", 7) == 0)
        return;
    char hash[SHA256_HEX_BYTES] = "";
    if (r->body_len)
        sha256_hex(r->body, r->body_len, hash);
    char *path = xstrdup(r->path);
    pthread_mutex_lock(&s->lock);
    struct journal_row *row = &s->rows[s->requests++ % STUB_JOURNAL_MAX];
    free(row->path);
    *row = (struct journal_row){.wall_ms = wall_ms(),
                                .path = path,
                                .status = r->status,
                                .duration_ns = now_ns() - r->start_ns,
                                .by_rule = r->user == s};
    memcpy(row->method, r->method, sizeof(row->method));
    memcpy(row->body_hash, hash, HASH_DIGITS);
    pthread_mutex_unlock(&s->lock);
}

static void answer_json(struct http_req *r, int status, const struct buf *b)
{
    http_answer(r, status, "application/json", b->p, b->len, NULL, 0);
}

static void answer_error(struct http_req *r, int status, const char *text)
{
    struct buf b = {0};
    buf_puts(&b, "{\"error\":");
    buf_json(&b, text);
    buf_puts(&b, "}");
    answer_json(r, status, &b);
    buf_done(&b);
}

static void rules_put(struct stub *s, struct http_req *r)
{
    struct buf err = {0};
    struct rules *rules = rules_parse(r->body, r->body_len, &err);
    if (!rules) {
        answer_error(r, 400, err.p);
        buf_done(&err);
        return;
    }
    pthread_mutex_lock(&s->lock);
    struct rules *old = s->rules;
    s->rules = rules;
    size_t n = rules->n;
    pthread_mutex_unlock(&s->lock);
    rules_free(old);
    struct buf b = {0};
    buf_printf(&b, "{\"rules\":%zu}", n);
    answer_json(r, 200, &b);
    buf_done(&b);
}

static void rules_get(struct stub *s, struct http_req *r)
{
    struct buf b = {0};
    buf_puts(&b, "[");
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; s->rules && i < s->rules->n; i++) {
        const struct rule *u = &s->rules->v[i];
        buf_printf(&b, "%s{\"method\":", i ? "," : "");
        buf_json(&b, u->method ? u->method : "*");
        buf_puts(&b, ",\"path\":");
        buf_json(&b, u->path ? u->path : "*");
        buf_printf(&b, ",\"status\":%d,\"delay_ms\":%lld,\"seen\":%lld,\"fired\":%lld}",
                   u->reply.status, (long long)u->reply.delay_ms, (long long)u->seen,
                   (long long)u->fired);
    }
    pthread_mutex_unlock(&s->lock);
    buf_puts(&b, "]");
    answer_json(r, 200, &b);
    buf_done(&b);
}

static void requests_get(struct stub *s, struct http_req *r)
{
    const char *since_text = http_query(r, "since");
    int64_t since = since_text ? strtoll(since_text, NULL, 10) : 0;
    struct buf b = {0};
    pthread_mutex_lock(&s->lock);
    int64_t first = s->requests > STUB_JOURNAL_MAX ? s->requests - STUB_JOURNAL_MAX : 0;
    if (since > first)
        first = since;
    buf_printf(&b, "{\"total\":%lld,\"first\":%lld,\"requests\":[", (long long)s->requests,
               (long long)first);
    for (int64_t i = first; i < s->requests; i++) {
        const struct journal_row *w = &s->rows[i % STUB_JOURNAL_MAX];
        char ts[RFC3339_BYTES];
        rfc3339(w->wall_ms, ts);
        buf_printf(&b, "%s{\"n\":%lld,\"time\":\"%s\",\"method\":", i > first ? "," : "",
                   (long long)i, ts);
        buf_json(&b, w->method);
        buf_puts(&b, ",\"path\":");
        buf_json(&b, w->path);
        buf_printf(&b, ",\"body_hash\":\"%s\",\"status\":%d,\"duration_ms\":%.3f,\"by_rule\":%s}",
                   w->body_hash, w->status, (double)w->duration_ns / 1e6,
                   w->by_rule ? "true" : "false");
    }
    pthread_mutex_unlock(&s->lock);
    buf_puts(&b, "]}");
    answer_json(r, 200, &b);
    buf_done(&b);
}

static void state_get(struct stub *s, struct http_req *r)
{
    struct buf b = {0};
    pthread_mutex_lock(&s->lock);
    buf_printf(&b, "{\"requests\":%lld,\"rule_hits\":%lld,\"held\":%zu", (long long)s->requests,
               (long long)s->hits, s->n_held);
    pthread_mutex_unlock(&s->lock);
    if (s->state)
        s->state(s->ctx, &b);
    buf_puts(&b, "}");
    answer_json(r, 200, &b);
    buf_done(&b);
}

static void rules_delete(struct stub *s, struct http_req *r)
{
    pthread_mutex_lock(&s->lock);
    struct rules *old = s->rules;
    s->rules = NULL;
    pthread_mutex_unlock(&s->lock);
    rules_free(old);
    http_answer(r, 204, NULL, "", 0, NULL, 0);
}

struct stub_route {
    const char *method, *path;
    void (*handle)(struct stub *s, struct http_req *r);
};

static const struct stub_route routes[] = {
    {"PUT", "/_stub/rules", rules_put},       {"GET", "/_stub/rules", rules_get},
    {"DELETE", "/_stub/rules", rules_delete}, {"GET", "/_stub/requests", requests_get},
    {"GET", "/_stub/state", state_get},
};

static void serve_control(struct stub *s, struct http_req *r)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (strcmp(routes[i].path, r->path) != 0)
            continue;
        known = true;
        if (strcmp(routes[i].method, r->method) == 0) {
            if (r->too_big)
                answer_error(r, 413, "body is too long");
            else
                routes[i].handle(s, r);
            return;
        }
    }
    answer_error(r, known ? 405 : 404, known ? "method not allowed" : "no such stub page");
}

void stub_serve(struct stub *s, struct http_req *r)
{
    if (strncmp(r->path, "/_stub/", 7) == 0) {
        serve_control(s, r);
        return;
    }
    struct rule_reply now;
    bool fired = false, held = false;
    pthread_mutex_lock(&s->lock);
    struct rule *u = rules_match(s->rules, r->method, r->path, r->body, r->body_len);
    if (u) {
        fired = true;
        s->hits++;
        r->user = s;
        if ((u->reply.delay_ms || u->reply.hang) && s->n_held < STUB_HELD_MAX && !s->stopping) {
            http_defer(r);
            hold_locked(s, r, &u->reply);
            held = true;
        } else {
            reply_copy(&now, &u->reply);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (!fired) {
        s->real(s->ctx, r);
    } else if (!held) {
        play(s, r, &now);
        reply_done(&now);
    }
}
