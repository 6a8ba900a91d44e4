/*
 * crd - the RemediationRequest object as JSON: making one, counting on one, reading one. Pure.
 *
 * Counting exactly once. Every alert gets a sequence number, unique and rising within one gateway
 * (identified by its journal); alerts of one fingerprint are applied in that order by one writer.
 * An update that counts alerts up to number S also writes the marker "<gateway>=S" into the
 * object's annotation breakwater.squall/applied. Count and marker change in the same write, which
 * Kubernetes accepts or refuses as a whole (resourceVersion). So whoever reads the object later
 * (after a lost answer, a crash, a replay of the journal) sees exactly which alerts are in it:
 * those with a number <= the marker. At most CRD_MARKERS_MAX gateways are remembered, the latest
 * writer first.
 */
#ifndef BREAKWATER_CRD_H
#define BREAKWATER_CRD_H

#include <jansson.h>

#include "alert.h"

#define CRD_MARKERS_MAX    8
#define CRD_LIST_PATH      "/apis/remediation.kubernaut.io/v1alpha1/namespaces/%s/remediationrequests"
#define CRD_LABEL          "kubernaut.io/signal-fingerprint"
#define CRD_LABEL_FP_BYTES 63 /* a label value is at most 63 bytes long */
#define CRD_APPLIED        "breakwater.squall/applied"
#define CRD_NAME_BYTES     64

/* A new object for `count` alerts like a, the last of which has number seq. */
json_t *crd_new(const struct alert *a, const char *name, int64_t received_ms, int64_t last_ms,
                int64_t count, const char *gateway, uint64_t seq);
/* Counts more alerts on obj and moves the marker. */
void crd_count(json_t *obj, int64_t count, int64_t last_ms, const char *gateway, uint64_t seq);
int64_t crd_occurrences(const json_t *obj);
/* The last number of this gateway that is in the object, 0 for none. */
uint64_t crd_applied(const json_t *obj, const char *gateway);
/* Finished objects take no more duplicates. */
bool crd_finished(const json_t *obj);
const char *crd_name(const json_t *obj);
const char *crd_first_seen(const json_t *obj);
/* rr-<12 of fp>-<unix ms>-<n> */
void crd_make_name(const char *fp, int64_t unix_ms, uint64_t n, char out[CRD_NAME_BYTES]);

/* The marker text with this gateway's number set; the old text may be NULL. */
void applied_set(const char *old, const char *gateway, uint64_t seq, struct buf *out);
uint64_t applied_get(const char *text, const char *gateway);

#endif
