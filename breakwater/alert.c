#include "alert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* label -> kind, in order of precedence */
static const struct {
    const char *label, *kind;
} kinds[] = {
    {"pod", "Pod"},
    {"deployment", "Deployment"},
    {"statefulset", "StatefulSet"},
    {"daemonset", "DaemonSet"},
    {"node", "Node"},
    {"service", "Service"},
};

void fingerprint(const char *name, const char *ns, const char *kind, const char *resource,
                 char out[SHA256_HEX_BYTES])
{
    struct buf b = {0};
    buf_printf(&b, "%s:%s:%s:%s", name, ns, kind, resource);
    sha256_hex(b.p, b.len, out);
    buf_done(&b);
}

static void refuse(struct alert *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct alert *a, const char *fmt, ...)
{
    va_list ap;
    if (a->reason[0])
        return; /* the first reason counts */
    va_start(ap, fmt);
    vsnprintf(a->reason, sizeof(a->reason), fmt, ap);
    va_end(ap);
}

static const char *label(const struct alert *a, const char *key)
{
    const char *v = json_string_value(json_object_get(a->labels, key));
    return v && v[0] ? v : NULL;
}

static void take(struct alert *a, char *out, size_t max, const char *v, const char *what)
{
    if (strlen(v) >= max)
        refuse(a, "%s is longer than %zu bytes", what, max - 1);
    snprintf(out, max, "%s", v);
}

/* RFC 1123 label, because it becomes part of a path. */
static bool namespace_ok(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
        if (!alnum && !(s[i] == '-' && i > 0 && i + 1 < n))
            return false;
    }
    return n > 0 && n <= 63;
}

static json_t *take_strings(struct alert *a, const json_t *o, const char *what)
{
    json_t *out = json_object();
    const char *key;
    json_t *v;
    if (!o || json_is_null(o))
        return out;
    if (!json_is_object(o) || json_object_size(o) > ALERT_LABELS_MAX) {
        refuse(a, "%s must be an object of at most %d strings", what, ALERT_LABELS_MAX);
        return out;
    }
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (!json_is_string(v) || json_string_length(v) > ALERT_VALUE_BYTES)
            refuse(a, "%s.%.40s must be a string of at most %d bytes", what, key,
                   ALERT_VALUE_BYTES);
        else
            json_object_set(out, key, v);
    }
    return out;
}

static void take_resource(struct alert *a)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *v = label(a, kinds[i].label);
        if (v) {
            snprintf(a->kind, sizeof(a->kind), "%s", kinds[i].kind);
            take(a, a->resource, sizeof(a->resource), v, kinds[i].label);
            return;
        }
    }
    snprintf(a->kind, sizeof(a->kind), "Unknown");
}

static void take_severity(struct alert *a)
{
    const char *v = label(a, "severity");
    take(a, a->severity, sizeof(a->severity), v ? v : "warning", "severity");
}

static void take_identity(struct alert *a, const char *name)
{
    const char *ns = label(a, "namespace");
    if (!ns)
        ns = label(a, "exported_namespace");
    if (!name)
        refuse(a, "labels.alertname is missing");
    take(a, a->name, sizeof(a->name), name ? name : "", "alertname");
    take(a, a->namespace, sizeof(a->namespace), ns ? ns : "default", "namespace");
    if (!namespace_ok(a->namespace))
        refuse(a, "namespace '%.64s' is not a valid name", a->namespace);
    take_severity(a);
    fingerprint(a->name, a->namespace, a->kind, a->resource, a->fingerprint);
}

static void parse_one(const json_t *o, struct alert *a)
{
    const char *status = json_string_value(json_object_get(o, "status"));
    const char *starts = json_string_value(json_object_get(o, "startsAt"));
    if (!json_is_object(o))
        refuse(a, "an alert must be an object");
    a->labels = take_strings(a, json_object_get(o, "labels"), "labels");
    a->annotations = take_strings(a, json_object_get(o, "annotations"), "annotations");
    if (status && strcmp(status, "firing") != 0 && strcmp(status, "resolved") != 0)
        refuse(a, "status must be firing or resolved");
    a->resolved = status && strcmp(status, "resolved") == 0;
    a->starts_at = starts && strlen(starts) < 64 ? xstrdup(starts) : NULL;
    take_resource(a);
    take_identity(a, label(a, "alertname"));
}

static json_t *load_object(const char *text, size_t len, struct buf *err)
{
    json_error_t je;
    json_t *root = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &je);
    if (!root)
        buf_printf(err, "body is not valid JSON: line %d column %d: %s", je.line, je.column,
                   je.text);
    else if (!json_is_object(root))
        buf_puts(err, "body must be a JSON object");
    else
        return root;
    json_decref(root);
    return NULL;
}

int alerts_parse_prometheus(const char *text, size_t len, struct alerts *ret_alerts,
                            struct buf *err)
{
    *ret_alerts = (struct alerts){0};
    json_t *root = load_object(text, len, err);
    if (!root)
        return -EINVAL;
    const json_t *list = json_object_get(root, "alerts");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n == 0 || n > ALERTS_MAX) {
        buf_printf(err, "alerts must be an array of 1..%d alerts", ALERTS_MAX);
        json_decref(root);
        return -EINVAL;
    }
    ret_alerts->v = xcalloc(n, sizeof(*ret_alerts->v));
    ret_alerts->n = n;
    for (size_t i = 0; i < n; i++)
        parse_one(json_array_get(list, i), &ret_alerts->v[i]);
    json_decref(root);
    return 0;
}

static const char *member(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v ? v : "";
}

static void set_label(struct alert *a, const char *key, const char *v)
{
    if (strlen(v) > ALERT_VALUE_BYTES)
        refuse(a, "%s is longer than %d bytes", key, ALERT_VALUE_BYTES);
    else if (v[0])
        json_object_set_new(a->labels, key, json_string(v));
}

int alerts_parse_event(const char *text, size_t len, struct alerts *ret_alerts, struct buf *err)
{
    *ret_alerts = (struct alerts){0};
    json_t *root = load_object(text, len, err);
    if (!root)
        return -EINVAL;
    const char *type = member(root, "type"), *reason = member(root, "reason");
    const json_t *about = json_object_get(root, "involvedObject");
    if (strcmp(type, "Warning") != 0 && strcmp(type, "Error") != 0)
        buf_puts(err, "type must be Warning or Error");
    else if (!reason[0] || !member(about, "kind")[0] || !member(about, "name")[0])
        buf_puts(err, "reason, involvedObject.kind and involvedObject.name are needed");
    if (err->len) {
        json_decref(root);
        return -EINVAL;
    }
    struct alert *a = xcalloc(1, sizeof(*a));
    *ret_alerts = (struct alerts){a, 1};
    a->labels = json_object();
    a->annotations = json_object();
    set_label(a, "alertname", reason);
    set_label(a, "namespace", member(about, "namespace"));
    set_label(a, "kind", member(about, "kind"));
    set_label(a, "name", member(about, "name"));
    set_label(a, "severity", strcmp(type, "Error") == 0 ? "critical" : "warning");
    const char *message = member(root, "message");
    if (message[0] && strlen(message) <= ALERT_VALUE_BYTES)
        json_object_set_new(a->annotations, "message", json_string(message));
    take(a, a->kind, sizeof(a->kind), member(about, "kind"), "involvedObject.kind");
    take(a, a->resource, sizeof(a->resource), member(about, "name"), "involvedObject.name");
    take_identity(a, reason);
    json_decref(root);
    return 0;
}

void alert_move(struct alert *to, struct alert *from)
{
    *to = *from;
    from->labels = from->annotations = NULL;
    from->starts_at = NULL;
}

void alert_done(struct alert *a)
{
    json_decref(a->labels);
    json_decref(a->annotations);
    free(a->starts_at);
    a->labels = a->annotations = NULL;
    a->starts_at = NULL;
}

void alerts_done(struct alerts *a)
{
    for (size_t i = 0; i < a->n; i++)
        alert_done(&a->v[i]);
    free(a->v);
    *a = (struct alerts){0};
}

json_t *alert_to_json(const struct alert *a)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:O}", "name", a->name, "namespace",
                          a->namespace, "kind", a->kind, "resource", a->resource, "severity",
                          a->severity, "labels", a->labels, "annotations", a->annotations);
    if (o && a->starts_at)
        json_object_set_new(o, "startsAt", json_string(a->starts_at));
    return o;
}

int alert_from_json(const json_t *o, struct alert *ret_alert)
{
    struct alert *a = ret_alert;
    *a = (struct alert){0};
    const json_t *labels = json_object_get(o, "labels");
    const json_t *annotations = json_object_get(o, "annotations");
    if (!json_is_object(labels) || !json_is_object(annotations))
        return -EINVAL;
    a->labels = take_strings(a, labels, "labels");
    a->annotations = take_strings(a, annotations, "annotations");
    take(a, a->name, sizeof(a->name), member(o, "name"), "name");
    take(a, a->namespace, sizeof(a->namespace), member(o, "namespace"), "namespace");
    take(a, a->kind, sizeof(a->kind), member(o, "kind"), "kind");
    take(a, a->resource, sizeof(a->resource), member(o, "resource"), "resource");
    take(a, a->severity, sizeof(a->severity), member(o, "severity"), "severity");
    const char *starts = member(o, "startsAt");
    a->starts_at = starts[0] ? xstrdup(starts) : NULL;
    if (!a->name[0] || !namespace_ok(a->namespace))
        refuse(a, "not an alert");
    if (a->reason[0]) {
        alert_done(a);
        return -EINVAL;
    }
    fingerprint(a->name, a->namespace, a->kind, a->resource, a->fingerprint);
    return 0;
}
