#include "crd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_str(json_t *o, const char *key, const char *v)
{
    json_object_set_new(o, key, json_string(v));
}

/* The object at key, made when there is none (or something else). */
static json_t *object_at(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    if (!json_is_object(v)) {
        v = json_object();
        json_object_set_new(o, key, v);
    }
    return v;
}

static const json_t *dedup_of(const json_t *obj)
{
    return json_object_get(json_object_get(obj, "spec"), "deduplication");
}

uint64_t applied_get(const char *text, const char *gateway)
{
    size_t n = strlen(gateway);
    while (text && *text) {
        text += strspn(text, " ");
        if (strncmp(text, gateway, n) == 0 && text[n] == '=')
            return strtoull(text + n + 1, NULL, 10);
        text = strchr(text, ' ');
    }
    return 0;
}

void applied_set(const char *old, const char *gateway, uint64_t seq, struct buf *out)
{
    size_t n = strlen(gateway), kept = 1;
    buf_printf(out, "%s=%llu", gateway, (unsigned long long)seq);
    while (old && *old && kept < CRD_MARKERS_MAX) {
        old += strspn(old, " ");
        size_t len = strcspn(old, " ");
        if (len && !(strncmp(old, gateway, n) == 0 && old[n] == '=')) {
            buf_printf(out, " %.*s", (int)len, old);
            kept++;
        }
        old += len;
    }
}

uint64_t crd_applied(const json_t *obj, const char *gateway)
{
    const json_t *notes = json_object_get(json_object_get(obj, "metadata"), "annotations");
    return applied_get(json_string_value(json_object_get(notes, CRD_APPLIED)), gateway);
}

static void set_marker(json_t *obj, const char *gateway, uint64_t seq)
{
    json_t *notes = object_at(object_at(obj, "metadata"), "annotations");
    struct buf b = {0};
    applied_set(json_string_value(json_object_get(notes, CRD_APPLIED)), gateway, seq, &b);
    set_str(notes, CRD_APPLIED, b.p);
    buf_done(&b);
}

/* spec holds the counters; status mirrors them for readers of the upstream layout. */
static void set_dedup(json_t *obj, int64_t count, const char *first, int64_t last_ms)
{
    char last[RFC3339_BYTES];
    rfc3339(last_ms, last);
    json_t *d = json_pack("{s:b, s:s, s:s, s:I}", "isDuplicate", count > 1, "firstSeen", first,
                          "lastSeen", last, "occurrenceCount", (json_int_t)count);
    json_object_set(object_at(obj, "spec"), "deduplication", d);
    json_object_set(object_at(obj, "status"), "deduplication", d);
    json_decref(d);
}

int64_t crd_occurrences(const json_t *obj)
{
    return json_integer_value(json_object_get(dedup_of(obj), "occurrenceCount"));
}

const char *crd_first_seen(const json_t *obj)
{
    const char *v = json_string_value(json_object_get(dedup_of(obj), "firstSeen"));
    return v ? v : "";
}

const char *crd_name(const json_t *obj)
{
    const char *v = json_string_value(json_object_get(json_object_get(obj, "metadata"), "name"));
    return v ? v : "";
}

bool crd_finished(const json_t *obj)
{
    static const char *const terminal[] = {"completed", "failed",   "Completed", "Failed",
                                           "TimedOut",  "timedout", "Skipped",   "Cancelled"};
    const json_t *phase = json_object_get(json_object_get(obj, "status"), "overallPhase");
    const char *v = json_string_value(phase);
    for (size_t i = 0; v && i < ARRAY_LEN(terminal); i++)
        if (strcmp(v, terminal[i]) == 0)
            return true;
    return false;
}

void crd_make_name(const char *fp, int64_t unix_ms, uint64_t n, char out[CRD_NAME_BYTES])
{
    snprintf(out, CRD_NAME_BYTES, "rr-%.12s-%lld-%llu", fp, (long long)unix_ms,
             (unsigned long long)n);
}

/* A label value: at most 63 bytes of letters, digits, '-', '_' and '.', alphanumeric at both ends.
 */
static void label_value(const char *text, char out[64])
{
    size_t n = 0;
    for (; *text && n < 63; text++) {
        bool alnum = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9');
        if (alnum || (n > 0 && strchr("-_.", *text)))
            out[n++] = *text;
    }
    while (n > 0 && strchr("-_.", out[n - 1]))
        n--;
    out[n] = '\0';
}

static json_t *labels_new(const struct alert *a)
{
    char fp[64], name[64], severity[64];
    snprintf(fp, sizeof(fp), "%.*s", CRD_LABEL_FP_BYTES, a->fingerprint);
    label_value(a->name, name);
    label_value(a->severity, severity);
    return json_pack("{s:s, s:s, s:s, s:s}", CRD_LABEL, fp, "alert-name", name, "severity",
                     severity, "kubernaut.io/severity", severity);
}

json_t *crd_new(const struct alert *a, const char *name, int64_t received_ms, int64_t last_ms,
                int64_t count, const char *gateway, uint64_t seq)
{
    char received[RFC3339_BYTES];
    rfc3339(received_ms, received);
    json_t *obj = json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:o}, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:O, "
        "s:O}}",
        "apiVersion", "remediation.kubernaut.io/v1alpha1", "kind", "RemediationRequest", "metadata",
        "name", name, "namespace", a->namespace, "labels", labels_new(a), "spec",
        "signalFingerprint", a->fingerprint, "signalName", a->name, "severity", a->severity,
        "targetType", "kubernetes", "receivedTime", received, "firingTime",
        a->starts_at ? a->starts_at : received, "targetResource", "kind", a->kind, "name",
        a->resource, "namespace", a->namespace, "signalLabels", a->labels, "signalAnnotations",
        a->annotations);
    if (!obj)
        return NULL;
    set_dedup(obj, count, received, last_ms);
    set_marker(obj, gateway, seq);
    return obj;
}

void crd_count(json_t *obj, int64_t count, int64_t last_ms, const char *gateway, uint64_t seq)
{
    char *first = xstrdup(crd_first_seen(obj));
    set_dedup(obj, crd_occurrences(obj) + count, first, last_ms);
    set_marker(obj, gateway, seq);
    free(first);
}
