/*
 * kube_store - the objects of the kube role in memory: versions, conflicts, label index.
 *
 * An object is kept as its JSON text; what lists and conflicts need (version, labels) is taken out
 * once per write. All labels are indexed, so a list with an equality costs only its matches.
 * Every change is shown to the `changed` hook under the store's lock, in version order, which is
 * what the disk needs. resourceVersion is one counter for the whole store.
 *
 * Kinds are "group/version/plural" ("/v1/pods" for the core group); ns "" is cluster scope.
 * Lifecycle: kube_store_new() .. kube_store_free(). Threads: any; one lock.
 * Errors: -ENOENT no such object, -EEXIST, -ESTALE version conflict.
 */
#ifndef BREAKWATER_KUBE_STORE_H
#define BREAKWATER_KUBE_STORE_H

#include <jansson.h>

#include "selector.h"
#include "util.h"

#define KUBE_LABELS_MAX 64

struct kube_key {
    const char *kind, *ns, *name;
};

struct kube_list {
    const char *kind, *ns; /* ns NULL: all namespaces */
    const struct selector *sel;
    size_t limit;      /* 0: all */
    const char *after; /* "ns/name" of the last one seen, or NULL */
};

struct kube_counts {
    int64_t objects, creates, updates, deletes, conflicts;
};

struct kube_store;

typedef void kube_changed_fn(void *ctx, const struct kube_key *key,
                             const char *text /* NULL: gone */, uint64_t version);

struct kube_store *kube_store_new(kube_changed_fn *changed, void *ctx);
void kube_store_free(struct kube_store *s);

/* At start, before requests: an object as it was, and the counter's last value. */
int kube_store_restore(struct kube_store *s, const struct kube_key *key, const char *text);
void kube_store_restore_version(struct kube_store *s, uint64_t version);

/* obj is changed: metadata gets name, namespace, uid, creationTimestamp, generation, version. */
int kube_store_create(struct kube_store *s, const struct kube_key *key, json_t *obj,
                      struct buf *ret_text);
int kube_store_update(struct kube_store *s, const struct kube_key *key, json_t *obj,
                      struct buf *ret_text);
int kube_store_delete(struct kube_store *s, const struct kube_key *key, struct buf *ret_text);
int kube_store_get(struct kube_store *s, const struct kube_key *key, struct buf *ret_text);
/* Adds the items, comma-separated, in (namespace, name) order. ret_next gets "ns/name" of the last
 * item when there are more, else stays empty; ret_left how many more. */
void kube_store_list(struct kube_store *s, const struct kube_list *q, struct buf *ret_items,
                     struct buf *ret_next, size_t *ret_left);
uint64_t kube_store_version(struct kube_store *s);
void kube_store_counts(struct kube_store *s, struct kube_counts *ret_counts);
/* Adds "kind":count members. */
void kube_store_kinds(struct kube_store *s, struct buf *out);

#endif
