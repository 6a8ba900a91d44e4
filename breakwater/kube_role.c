/*
 * The kube role: a stand-in for the Kubernetes API, plain HTTP.
 *
 * Objects of any group, version and plural; create, get, list, update, merge-patch, delete;
 * Kubernetes-shaped Status errors. Every request first passes the stub rules (stub.h). With
 * --data, answers leave only after the disk has what they promise (kube_disk.h).
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "httpd.h"
#include "kube_disk.h"
#include "kube_store.h"
#include "log.h"
#include "metrics.h"
#include "role.h"
#include "stub.h"

#define BODY_BYTES_MAX  (3u << 20) /* as the real API server */
#define CONNECTIONS_MAX 2048
#define NAME_BYTES_MAX  253
#define LIST_LIMIT_MAX  100000
#define PATH_SEGMENTS   10
#define STOP_LIMIT_NS   (10 * NS_PER_S)

struct kube_settings {
    char *listen, *data, *rules, *log_level;
    int64_t threads;
};

#define STR(n, d, h)                                                                               \
    {                                                                                              \
#n, SETTING_STR, "", 0, 0, d, offsetof(struct kube_settings, n), h                         \
    }
static const struct setting kube_rows[] = {
    STR(listen, "0.0.0.0:6443", "address to serve on"),
    STR(data, NULL, "folder that keeps the objects; without it they live in memory only"),
    STR(rules, NULL, "JSON file with stub rules to start with"),
    STR(log_level, "info", "debug, info, warn or error"),
    {"threads", SETTING_INT, "", 1, 64, "2", offsetof(struct kube_settings, threads),
     "network threads"},
};
static const struct settings_table kube_table = {kube_rows, ARRAY_LEN(kube_rows)};

struct kube {
    struct kube_store *store;
    struct kube_disk *disk; /* NULL: memory only */
    struct stub *stub;
};

/* What a path names. */
struct target {
    char copy[1024];
    char kind[512];
    const char *ns, *name, *plural; /* name NULL: the collection; ns NULL: all namespaces */
    const char *group, *version;
};

static bool segment_ok(const char *s)
{
    return s[0] && strlen(s) <= NAME_BYTES_MAX && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static size_t split(char *path, char **seg)
{
    size_t n = 0;
    for (char *save = NULL, *t = strtok_r(path, "/", &save); t && n < PATH_SEGMENTS;
         t = strtok_r(NULL, "/", &save))
        seg[n++] = t;
    return n;
}

static bool target_parse(const char *path, struct target *t)
{
    char *seg[PATH_SEGMENTS];
    if (strlen(path) >= sizeof(t->copy) || strstr(path, "//"))
        return false;
    strcpy(t->copy, path);
    size_t n = split(t->copy, seg), at;
    if (n >= 3 && strcmp(seg[0], "api") == 0) {
        t->group = "";
        t->version = seg[1];
        at = 2;
    } else if (n >= 4 && strcmp(seg[0], "apis") == 0) {
        t->group = seg[1];
        t->version = seg[2];
        at = 3;
    } else {
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!segment_ok(seg[i]))
            return false;
    size_t left = n - at;
    bool namespaced = left >= 3 && strcmp(seg[at], "namespaces") == 0;
    if (left > 4 || (left > 2 && !namespaced))
        return false;
    t->ns = namespaced ? seg[at + 1] : NULL;
    t->plural = seg[at + (namespaced ? 2 : 0)];
    t->name = left == (namespaced ? 4u : 2u) ? seg[n - 1] : NULL;
    snprintf(t->kind, sizeof(t->kind), "%s/%s/%s", t->group, t->version, t->plural);
    return true;
}

static void send_text(struct kube *k, struct http_req *r, int status, const struct buf *b)
{
    if (k->disk)
        kube_disk_answer(k->disk, r, status, b);
    else
        http_answer(r, status, "application/json", b->p ? b->p : "", b->len, NULL, 0);
}

static void send_status(struct kube *k, struct http_req *r, int code, const char *reason,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void send_status(struct kube *k, struct http_req *r, int code, const char *reason,
                        const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct buf b = {0};
    buf_printf(&b,
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"%s\","
               "\"message\":",
               code < 400 ? "Success" : "Failure");
    buf_json(&b, text);
    buf_printf(&b, ",\"reason\":\"%s\",\"code\":%d}", reason, code);
    send_text(k, r, code, &b);
    buf_done(&b);
}

static void send_not_found(struct kube *k, struct http_req *r, const struct target *t)
{
    send_status(k, r, 404, "NotFound", "%s \"%s\" not found", t->plural, t->name);
}

/* RFC 1123 subdomain, as Kubernetes asks of object names. */
static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
        bool inner = i > 0 && i + 1 < n && (s[i] == '-' || s[i] == '.');
        if (!alnum && !inner)
            return false;
    }
    return true;
}

static bool content_type_is(const struct http_req *r, const char *want)
{
    const char *ct = http_header(r, "Content-Type");
    size_t n = strlen(want);
    return !ct || (strncasecmp(ct, want, n) == 0 && strchr("; \t", ct[n]) != NULL);
}

/* The body as an object with a metadata object; NULL after an error was answered. */
static json_t *take_body(struct kube *k, struct http_req *r, const char *type)
{
    json_error_t je;
    if (!content_type_is(r, type)) {
        send_status(k, r, 415, "UnsupportedMediaType", "expected %s", type);
        return NULL;
    }
    json_t *obj = json_loadb(r->body ? r->body : "", r->body_len, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(obj)) {
        send_status(k, r, 400, "BadRequest", "body is not a JSON object: %s",
                    obj ? "wrong type" : je.text);
        json_decref(obj);
        return NULL;
    }
    return obj;
}

static bool labels_ok(const json_t *labels)
{
    const char *key;
    json_t *v;
    if (!labels)
        return true;
    if (!json_is_object(labels) || json_object_size(labels) > KUBE_LABELS_MAX)
        return false;
    json_object_foreach((json_t *)(uintptr_t)labels, key,
                        v) if (!json_is_string(v) ||
                               strlen(json_string_value(v)) > 63) return false;
    return true;
}

/* Checks what a write must have; answers the error itself. */
static bool check_object(struct kube *k, struct http_req *r, const struct target *t, json_t *obj)
{
    json_t *meta = json_object_get(obj, "metadata");
    if (!meta)
        json_object_set_new(obj, "metadata", meta = json_object());
    if (!json_is_object(meta)) {
        send_status(k, r, 400, "BadRequest", "metadata is not an object");
        return false;
    }
    const json_t *ns = json_object_get(meta, "namespace");
    if (ns && t->ns && (!json_is_string(ns) || strcmp(json_string_value(ns), t->ns) != 0)) {
        send_status(k, r, 400, "BadRequest",
                    "the namespace of the object does not match the namespace of the request");
        return false;
    }
    const json_t *rv = json_object_get(meta, "resourceVersion");
    if (rv && !json_is_string(rv)) {
        send_status(k, r, 400, "BadRequest", "metadata.resourceVersion is not a string");
        return false;
    }
    if (!labels_ok(json_object_get(meta, "labels"))) {
        send_status(k, r, 422, "Invalid", "metadata.labels: at most %d strings of 63 bytes",
                    KUBE_LABELS_MAX);
        return false;
    }
    return true;
}

static void do_create(struct kube *k, struct http_req *r, const struct target *t)
{
    json_t *obj = take_body(k, r, "application/json");
    if (!obj)
        return;
    if (!check_object(k, r, t, obj)) {
        json_decref(obj);
        return;
    }
    const json_t *meta = json_object_get(obj, "metadata");
    const char *given = json_string_value(json_object_get(meta, "name"));
    const char *prefix = json_string_value(json_object_get(meta, "generateName"));
    char name[NAME_BYTES_MAX + 16];
    if (given || !prefix)
        snprintf(name, sizeof(name), "%.260s", given ? given : "");
    else
        snprintf(name, sizeof(name), "%.240s%05llx", prefix,
                 (unsigned long long)(rand64() & 0xfffff));
    if (!name_ok(name)) {
        send_status(k, r, 422, "Invalid", "metadata.name '%.80s' is not a DNS subdomain", name);
    } else {
        struct buf b = {0};
        const struct kube_key key = {t->kind, t->ns ? t->ns : "", name};
        if (kube_store_create(k->store, &key, obj, &b) == 0)
            send_text(k, r, 201, &b);
        else
            send_status(k, r, 409, "AlreadyExists", "%s \"%s\" already exists", t->plural, name);
        buf_done(&b);
    }
    json_decref(obj);
}

static struct kube_key key_of(const struct target *t)
{
    return (struct kube_key){t->kind, t->ns ? t->ns : "", t->name};
}

static void send_update(struct kube *k, struct http_req *r, const struct target *t, json_t *obj)
{
    struct buf b = {0};
    const struct kube_key key = key_of(t);
    int rc = kube_store_update(k->store, &key, obj, &b);
    if (rc == -ENOENT)
        send_not_found(k, r, t);
    else if (rc == -ESTALE)
        send_status(k, r, 409, "Conflict",
                    "Operation cannot be fulfilled on %s \"%s\": the object has been modified; "
                    "please apply your changes to the latest version and try again",
                    t->plural, t->name);
    else
        send_text(k, r, 200, &b);
    buf_done(&b);
}

static void do_update(struct kube *k, struct http_req *r, const struct target *t)
{
    json_t *obj = take_body(k, r, "application/json");
    if (!obj)
        return;
    if (check_object(k, r, t, obj)) {
        const json_t *name = json_object_get(json_object_get(obj, "metadata"), "name");
        if (name && (!json_is_string(name) || strcmp(json_string_value(name), t->name) != 0))
            send_status(k, r, 400, "BadRequest",
                        "the name of the object does not match the name on the URL");
        else
            send_update(k, r, t, obj);
    }
    json_decref(obj);
}

/* RFC 7396. Recursion depth is bounded by jansson's limit on the patch text. */
static void merge_patch(json_t *to, const json_t *patch)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)patch, key, v)
    {
        if (json_is_null(v)) {
            json_object_del(to, key);
        } else if (json_is_object(v)) {
            json_t *at = json_object_get(to, key);
            if (!json_is_object(at)) {
                at = json_object();
                json_object_set_new(to, key, at);
            }
            merge_patch(at, v);
        } else {
            json_object_set(to, key, v);
        }
    }
}

static void do_patch(struct kube *k, struct http_req *r, const struct target *t)
{
    json_t *patch = take_body(k, r, "application/merge-patch+json");
    if (!patch)
        return;
    struct buf text = {0};
    const struct kube_key key = key_of(t);
    if (kube_store_get(k->store, &key, &text) < 0) {
        send_not_found(k, r, t);
    } else {
        /* The version read here makes a write in between a conflict, as in the real server. */
        json_t *obj = json_loadb(text.p, text.len, 0, NULL);
        merge_patch(obj, patch);
        if (check_object(k, r, t, obj))
            send_update(k, r, t, obj);
        json_decref(obj);
    }
    buf_done(&text);
    json_decref(patch);
}

static void do_get(struct kube *k, struct http_req *r, const struct target *t)
{
    struct buf b = {0};
    const struct kube_key key = key_of(t);
    if (kube_store_get(k->store, &key, &b) == 0)
        send_text(k, r, 200, &b);
    else
        send_not_found(k, r, t);
    buf_done(&b);
}

static void do_delete(struct kube *k, struct http_req *r, const struct target *t)
{
    struct buf b = {0};
    const struct kube_key key = key_of(t);
    if (kube_store_delete(k->store, &key, &b) == 0)
        send_text(k, r, 200, &b);
    else
        send_not_found(k, r, t);
    buf_done(&b);
}

/* The continue token is the hex of "ns/name", so that a client need not escape it. */
static bool token_decode(const char *hex, char *out, size_t max)
{
    size_t n = strlen(hex);
    if (n % 2 || n / 2 >= max)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        unsigned v;
        char two[3] = {hex[i], hex[i + 1], '\0'};
        if (strspn(two, "0123456789abcdef") != 2 || sscanf(two, "%2x", &v) != 1 || v == 0)
            return false;
        out[i / 2] = (char)v;
    }
    out[n / 2] = '\0';
    return strchr(out, '/') != NULL;
}

static bool take_limit(const char *text, size_t *ret_limit)
{
    char *end;
    if (!text || !text[0])
        return true;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || *end || n < 0 || n > LIST_LIMIT_MAX)
        return false;
    *ret_limit = (size_t)n;
    return true;
}

static void send_list(struct kube *k, struct http_req *r, const struct target *t,
                      const struct kube_list *q)
{
    struct buf b = {0}, next = {0}, items = {0};
    size_t left = 0;
    kube_store_list(k->store, q, &items, &next, &left);
    buf_puts(&b, "{\"kind\":\"List\",\"apiVersion\":");
    struct buf av = {0};
    buf_printf(&av, "%s%s%s", t->group, t->group[0] ? "/" : "", t->version);
    buf_json(&b, av.p);
    buf_done(&av);
    buf_printf(&b, ",\"metadata\":{\"resourceVersion\":\"%llu\"",
               (unsigned long long)kube_store_version(k->store));
    if (next.len) {
        buf_puts(&b, ",\"continue\":\"");
        for (size_t i = 0; i < next.len; i++)
            buf_printf(&b, "%02x", (unsigned char)next.p[i]);
        buf_printf(&b, "\",\"remainingItemCount\":%zu", left);
    }
    buf_puts(&b, "},\"items\":[");
    buf_add(&b, items.p, items.len);
    buf_puts(&b, "]}");
    send_text(k, r, 200, &b);
    buf_done(&b);
    buf_done(&items);
    buf_done(&next);
}

static void do_list(struct kube *k, struct http_req *r, const struct target *t)
{
    struct selector sel;
    struct buf err = {0};
    struct kube_list q = {.kind = t->kind, .ns = t->ns, .sel = &sel};
    char after[600];
    const char *sel_text = http_query(r, "labelSelector");
    const char *token = http_query(r, "continue");
    if (selector_parse(sel_text ? sel_text : "", &sel, &err) < 0) {
        send_status(k, r, 400, "BadRequest", "%s", err.p);
    } else if (!take_limit(http_query(r, "limit"), &q.limit)) {
        send_status(k, r, 400, "BadRequest", "limit is not a number in 0..%d", LIST_LIMIT_MAX);
    } else if (token && token[0] && !token_decode(token, after, sizeof(after))) {
        send_status(k, r, 400, "BadRequest", "continue token is not valid");
    } else {
        q.after = token && token[0] ? after : NULL;
        send_list(k, r, t, &q);
    }
    selector_done(&sel);
    buf_done(&err);
}

struct verb {
    const char *method;
    bool on_object;
    void (*run)(struct kube *k, struct http_req *r, const struct target *t);
};

static const struct verb verbs[] = {
    {"GET", false, do_list},  {"POST", false, do_create}, {"GET", true, do_get},
    {"PUT", true, do_update}, {"PATCH", true, do_patch},  {"DELETE", true, do_delete},
};

static void send_plain(struct http_req *r, const char *type, const struct buf *b)
{
    http_answer(r, 200, type, b->p, b->len, NULL, 0);
}

static bool serve_page(struct http_req *r)
{
    struct buf b = {0};
    bool probe = strcmp(r->path, "/readyz") == 0 || strcmp(r->path, "/healthz") == 0 ||
                 strcmp(r->path, "/livez") == 0;
    if (strcmp(r->method, "GET") != 0 || (!probe && strcmp(r->path, "/metrics") != 0))
        return false;
    if (probe)
        buf_puts(&b, "ok");
    else
        metrics_render(&b);
    send_plain(r, probe ? "text/plain" : "text/plain; version=0.0.4", &b);
    buf_done(&b);
    return true;
}

static void serve_api(void *ctx, struct http_req *r)
{
    struct kube *k = ctx;
    struct target t;
    if (serve_page(r))
        return;
    if (!target_parse(r->path, &t)) {
        send_status(k, r, 404, "NotFound", "the server could not find the requested resource");
        return;
    }
    if (r->too_big) {
        send_status(k, r, 413, "RequestEntityTooLarge", "limit is %u bytes", BODY_BYTES_MAX);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (verbs[i].on_object == (t.name != NULL) && strcmp(verbs[i].method, r->method) == 0) {
            verbs[i].run(k, r, &t);
            return;
        }
    }
    send_status(k, r, 405, "MethodNotAllowed", "%s is not possible here", r->method);
}

static void serve(void *ctx, struct http_req *r)
{
    struct kube *k = ctx;
    stub_serve(k->stub, r);
}

static void answered(void *ctx, struct http_req *r)
{
    struct kube *k = ctx;
    char labels[64];
    snprintf(labels, sizeof(labels), "method=\"%s\",status=\"%d\"", r->method, r->status);
    if (strncmp(r->path, "/api", 4) == 0)
        metric_add(metric_get(METRIC_COUNTER, "kube_requests_total", labels, "API requests."), 1);
    stub_record(k->stub, r);
}

static void state(void *ctx, struct buf *out)
{
    struct kube *k = ctx;
    struct kube_counts c;
    kube_store_counts(k->store, &c);
    buf_printf(out,
               ",\"objects\":%lld,\"creates\":%lld,\"updates\":%lld,\"deletes\":%lld,"
               "\"writes\":%lld,\"conflicts\":%lld,\"resource_version\":%llu,\"kinds\":{",
               (long long)c.objects, (long long)c.creates, (long long)c.updates,
               (long long)c.deletes, (long long)(c.creates + c.updates + c.deletes),
               (long long)c.conflicts, (unsigned long long)kube_store_version(k->store));
    kube_store_kinds(k->store, out);
    buf_puts(out, "}");
}

static double objects_gauge(void *ctx)
{
    struct kube_counts c;
    kube_store_counts(ctx, &c);
    return (double)c.objects;
}

static double conflicts_gauge(void *ctx)
{
    struct kube_counts c;
    kube_store_counts(ctx, &c);
    return (double)c.conflicts;
}

static int kube_prepare(struct kube *k, const struct kube_settings *set, struct buf *err)
{
    if (set->data && set->data[0] && kube_disk_open(set->data, &k->disk, err) < 0)
        return -1;
    k->store = kube_store_new(k->disk ? kube_disk_push : NULL, k->disk);
    k->stub = stub_new(serve_api, state, k);
    if (k->disk && kube_disk_load(k->disk, k->store, err) < 0)
        return -1;
    if (set->rules && set->rules[0] && stub_load_file(k->stub, set->rules, err) < 0)
        return -1;
    metrics_process_init();
    metric_gauge_fn("kube_objects", "Objects stored.", objects_gauge, k->store);
    metric_gauge_fn("kube_conflicts_total", "Updates refused for their version.", conflicts_gauge,
                    k->store);
    if (k->disk)
        kube_disk_start(k->disk);
    return 0;
}

static int kube_run(struct kube *k, const struct kube_settings *set, struct buf *err)
{
    struct http_server *srv;
    const struct http_config cfg = {.listen = set->listen,
                                    .body_bytes_max = BODY_BYTES_MAX,
                                    .connections_max = CONNECTIONS_MAX,
                                    .threads = (unsigned)set->threads,
                                    .handle = serve,
                                    .answered = answered,
                                    .ctx = k};
    if (http_server_start(&cfg, &srv, err) < 0)
        return -1;
    LOG_LINE(LOG_INFO, "kube", "serving", LF_S("listen", set->listen),
             LF_S("data", set->data ? set->data : "memory"));
    role_wait_stop();
    LOG_LINE(LOG_INFO, "kube", "stopping");
    http_server_closing(srv);
    http_server_quiesce(srv);
    stub_release(k->stub);
    /* The disk thread still answers what waits for a commit. */
    for (int64_t until = now_ns() + STOP_LIMIT_NS;
         http_server_inflight(srv) > 0 && now_ns() < until;)
        usleep(2000);
    http_server_stop(srv);
    return 0;
}

int kube_main(int argc, char **argv)
{
    struct kube_settings set = {0};
    struct kube k = {0};
    struct buf err = {0};
    enum log_level level = LOG_INFO;
    int status = EXIT_GRACEFUL;

    settings_defaults(&kube_table, &set);
    enum settings_outcome o = settings_args(&kube_table, &set, argc, argv, &err);
    if (o == SETTINGS_HELP) {
        status = role_usage("kube", &kube_table);
    } else if (o == SETTINGS_BAD || log_level_parse(set.log_level, &level) < 0) {
        if (!err.len)
            buf_printf(&err, "log_level: unknown level '%.20s'", set.log_level);
        status = role_fail("kube", EXIT_USAGE, &err);
    } else {
        log_init(level);
        role_signals_block();
        if (kube_prepare(&k, &set, &err) < 0 || kube_run(&k, &set, &err) < 0)
            status = role_fail("kube", EXIT_RUNTIME, &err);
        stub_free(k.stub);
        kube_disk_close(k.disk);
        kube_store_free(k.store);
    }
    settings_done(&kube_table, &set);
    buf_done(&err);
    return status;
}
