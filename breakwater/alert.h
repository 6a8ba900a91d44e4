/*
 * alert - one signal as the gateway handles it, and the parsers of the two bodies it comes in.
 *
 * Alertmanager webhook v4: every element of alerts[] becomes an alert or a reason why not; a bad
 * element does not spoil the others. Kubernetes Event: one alert, alertname = reason; only types
 * Warning and Error are taken. Pure: no I/O; input is hostile and bounded.
 *
 * Fingerprint: SHA-256 hex of "alertname:namespace:kind:name". kind is the first label present of
 * pod, deployment, statefulset, daemonset, node, service, else Unknown; namespace is the label
 * namespace, then exported_namespace, else "default"; severity defaults to warning.
 *
 * Lifecycle: alerts_parse_*() .. alerts_done(); a single alert may be moved out (alert_move) and
 * ends with alert_done(). Limits: ALERTS_MAX per body, names and values bounded as below.
 */
#ifndef BREAKWATER_ALERT_H
#define BREAKWATER_ALERT_H

#include <jansson.h>

#include "util.h"

#define ALERTS_MAX         1000
#define ALERT_NAME_BYTES   254 /* signalName: 253 and the NUL */
#define ALERT_VALUE_BYTES  4096
#define ALERT_LABELS_MAX   64
#define ALERT_REASON_BYTES 160

struct alert {
    char fingerprint[SHA256_HEX_BYTES];
    char name[ALERT_NAME_BYTES];
    char namespace[64];
    char kind[32];
    char resource[ALERT_NAME_BYTES];
    char severity[32];
    bool resolved;
    json_t *labels, *annotations;    /* objects of strings */
    char *starts_at;                 /* as sent, or NULL */
    char reason[ALERT_REASON_BYTES]; /* not empty: this element is refused, and why */
};

struct alerts {
    struct alert *v;
    size_t n;
};

/* 0, or -EINVAL with a message when the body as a whole is not valid. */
int alerts_parse_prometheus(const char *text, size_t len, struct alerts *ret_alerts,
                            struct buf *err);
int alerts_parse_event(const char *text, size_t len, struct alerts *ret_alerts, struct buf *err);
void alerts_done(struct alerts *a);

void alert_move(struct alert *to, struct alert *from);
void alert_done(struct alert *a);

/* The form the journal keeps; alert_from_json() gives -EINVAL for anything else. */
json_t *alert_to_json(const struct alert *a);
int alert_from_json(const json_t *o, struct alert *ret_alert);

void fingerprint(const char *name, const char *ns, const char *kind, const char *resource,
                 char out[SHA256_HEX_BYTES]);

#endif
