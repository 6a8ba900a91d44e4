#include "kube_store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "hmap.h"

struct object;

/* One label of one object, linked into the bucket of all objects with the same label. */
struct label {
    char *key, *value;
    struct bucket *bucket;
    struct object *owner;
    struct label *prev, *next;
};

struct bucket {
    struct hnode node;
    struct kind *kind;
    char *key, *value;
    struct label *head;
    size_t n;
};

struct object {
    struct hnode node;
    struct kind *kind;
    char *ns, *name, *uid, *created, *text;
    uint64_t version, generation;
    struct label *labels;
    size_t n_labels;
    size_t at; /* in kind->objects */
};

struct kind {
    char *name;
    struct object **objects;
    size_t n, cap;
    bool sorted;
    struct kind *next;
};

struct kube_store {
    pthread_mutex_t lock;
    kube_changed_fn *changed;
    void *ctx;
    struct hmap objects, buckets;
    struct kind *kinds;
    uint64_t version;
    struct kube_counts counts;
};

struct kube_store *kube_store_new(kube_changed_fn *changed, void *ctx)
{
    struct kube_store *s = xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->changed = changed;
    s->ctx = ctx;
    return s;
}

static struct kind *kind_find(struct kube_store *s, const char *name)
{
    for (struct kind *k = s->kinds; k; k = k->next)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

static struct kind *kind_make(struct kube_store *s, const char *name)
{
    struct kind *k = kind_find(s, name);
    if (k)
        return k;
    k = xcalloc(1, sizeof(*k));
    k->name = xstrdup(name);
    k->sorted = true;
    k->next = s->kinds;
    s->kinds = k;
    return k;
}

static uint64_t hash3(const char *a, const char *b, const char *c)
{
    uint64_t h = hash64(a, strlen(a) + 1, 0);
    h = hash64(b, strlen(b) + 1, h);
    return hash64(c, strlen(c) + 1, h);
}

static struct object *object_find(struct kube_store *s, const struct kube_key *key)
{
    uint64_t h = hash3(key->kind, key->ns, key->name);
    for (struct hnode *n = hmap_first(&s->objects, h); n; n = hmap_next(n)) {
        struct object *o = HMAP_OWNER(n, struct object, node);
        if (strcmp(o->name, key->name) == 0 && strcmp(o->ns, key->ns) == 0 &&
            strcmp(o->kind->name, key->kind) == 0)
            return o;
    }
    return NULL;
}

static struct bucket *bucket_find(struct kube_store *s, const struct kind *kind, const char *key,
                                  const char *value)
{
    uint64_t h = hash3(kind->name, key, value);
    for (struct hnode *n = hmap_first(&s->buckets, h); n; n = hmap_next(n)) {
        struct bucket *b = HMAP_OWNER(n, struct bucket, node);
        if (b->kind == kind && strcmp(b->key, key) == 0 && strcmp(b->value, value) == 0)
            return b;
    }
    return NULL;
}

static void label_link(struct kube_store *s, struct label *l)
{
    struct bucket *b = bucket_find(s, l->owner->kind, l->key, l->value);
    if (!b) {
        b = xcalloc(1, sizeof(*b));
        b->kind = l->owner->kind;
        b->key = xstrdup(l->key);
        b->value = xstrdup(l->value);
        hmap_add(&s->buckets, &b->node, hash3(b->kind->name, b->key, b->value));
    }
    l->bucket = b;
    l->prev = NULL;
    l->next = b->head;
    if (b->head)
        b->head->prev = l;
    b->head = l;
    b->n++;
}

static void label_unlink(struct kube_store *s, struct label *l)
{
    struct bucket *b = l->bucket;
    if (l->prev)
        l->prev->next = l->next;
    else
        b->head = l->next;
    if (l->next)
        l->next->prev = l->prev;
    if (--b->n == 0) {
        hmap_remove(&s->buckets, &b->node);
        free(b->key);
        free(b->value);
        free(b);
    }
}

static void labels_drop(struct kube_store *s, struct object *o)
{
    for (size_t i = 0; i < o->n_labels; i++) {
        label_unlink(s, &o->labels[i]);
        free(o->labels[i].key);
        free(o->labels[i].value);
    }
    free(o->labels);
    o->labels = NULL;
    o->n_labels = 0;
}

static const json_t *labels_of(const json_t *obj)
{
    return json_object_get(json_object_get(obj, "metadata"), "labels");
}

static bool labels_same(const struct object *o, const json_t *labels)
{
    if (json_object_size(labels) != o->n_labels)
        return false;
    for (size_t i = 0; i < o->n_labels; i++) {
        const char *v = json_string_value(json_object_get(labels, o->labels[i].key));
        if (!v || strcmp(v, o->labels[i].value) != 0)
            return false;
    }
    return true;
}

static void labels_take(struct kube_store *s, struct object *o, const json_t *obj)
{
    const json_t *labels = labels_of(obj);
    if (labels_same(o, labels))
        return;
    labels_drop(s, o);
    o->labels = xcalloc(json_object_size(labels), sizeof(*o->labels));
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)labels, key, v)
    {
        if (!json_is_string(v))
            continue;
        struct label *l = &o->labels[o->n_labels++];
        l->key = xstrdup(key);
        l->value = xstrdup(json_string_value(v));
        l->owner = o;
        label_link(s, l);
    }
}

static struct object *object_add(struct kube_store *s, const struct kube_key *key)
{
    struct object *o = xcalloc(1, sizeof(*o));
    struct kind *k = kind_make(s, key->kind);
    o->kind = k;
    o->ns = xstrdup(key->ns);
    o->name = xstrdup(key->name);
    hmap_add(&s->objects, &o->node, hash3(key->kind, key->ns, key->name));
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 64;
        k->objects = xrealloc(k->objects, k->cap * sizeof(struct object *));
    }
    o->at = k->n;
    k->objects[k->n++] = o;
    k->sorted = false;
    s->counts.objects++;
    return o;
}

static void object_remove(struct kube_store *s, struct object *o)
{
    struct kind *k = o->kind;
    labels_drop(s, o);
    hmap_remove(&s->objects, &o->node);
    k->objects[o->at] = k->objects[--k->n];
    k->objects[o->at]->at = o->at;
    k->sorted = false;
    s->counts.objects--;
    free(o->ns);
    free(o->name);
    free(o->uid);
    free(o->created);
    free(o->text);
    free(o);
}

void kube_store_free(struct kube_store *s)
{
    if (!s)
        return;
    for (struct kind *k = s->kinds, *next; k; k = next) {
        next = k->next;
        while (k->n)
            object_remove(s, k->objects[k->n - 1]);
        free(k->objects);
        free(k->name);
        free(k);
    }
    hmap_done(&s->objects);
    hmap_done(&s->buckets);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void set_str(json_t *o, const char *key, const char *value)
{
    json_object_set_new(o, key, json_string(value));
}

/* Stamps the server's fields and takes the object's text and labels over. */
static void object_write(struct kube_store *s, struct object *o, json_t *obj, struct buf *ret_text)
{
    char version[24];
    json_t *meta = json_object_get(obj, "metadata");
    assert(json_is_object(meta));
    o->version = ++s->version;
    o->generation++;
    snprintf(version, sizeof(version), "%llu", (unsigned long long)o->version);
    set_str(meta, "name", o->name);
    if (o->ns[0])
        set_str(meta, "namespace", o->ns);
    set_str(meta, "uid", o->uid);
    set_str(meta, "creationTimestamp", o->created);
    set_str(meta, "resourceVersion", version);
    json_object_set_new(meta, "generation", json_integer((json_int_t)o->generation));
    free(o->text);
    o->text = json_dumps(obj, JSON_COMPACT);
    if (!o->text)
        o->text = xstrdup("{}");
    labels_take(s, o, obj);
    if (s->changed) {
        const struct kube_key key = {o->kind->name, o->ns, o->name};
        s->changed(s->ctx, &key, o->text, o->version);
    }
    buf_puts(ret_text, o->text);
}

static void new_uid(char out[37])
{
    uint64_t a = rand64(), b = rand64();
    snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
             ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned long long)(b & 0xffffffffffffu));
}

int kube_store_create(struct kube_store *s, const struct kube_key *key, json_t *obj,
                      struct buf *ret_text)
{
    pthread_mutex_lock(&s->lock);
    int rc = object_find(s, key) ? -EEXIST : 0;
    if (rc == 0) {
        char uid[37], now[RFC3339_BYTES];
        struct object *o = object_add(s, key);
        new_uid(uid);
        rfc3339(wall_ms(), now);
        o->uid = xstrdup(uid);
        o->created = xstrdup(now);
        object_write(s, o, obj, ret_text);
        s->counts.creates++;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* No version in the body means "whatever is there", as in Kubernetes. */
static bool version_stale(const struct object *o, const json_t *obj)
{
    const json_t *v = json_object_get(json_object_get(obj, "metadata"), "resourceVersion");
    const char *text = json_string_value(v);
    if (!text || !text[0])
        return false;
    char current[24];
    snprintf(current, sizeof(current), "%llu", (unsigned long long)o->version);
    return strcmp(current, text) != 0;
}

int kube_store_update(struct kube_store *s, const struct kube_key *key, json_t *obj,
                      struct buf *ret_text)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    struct object *o = object_find(s, key);
    if (!o) {
        rc = -ENOENT;
    } else if (version_stale(o, obj)) {
        rc = -ESTALE;
        s->counts.conflicts++;
    } else {
        object_write(s, o, obj, ret_text);
        s->counts.updates++;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int kube_store_delete(struct kube_store *s, const struct kube_key *key, struct buf *ret_text)
{
    pthread_mutex_lock(&s->lock);
    struct object *o = object_find(s, key);
    if (o) {
        buf_puts(ret_text, o->text);
        s->version++;
        if (s->changed)
            s->changed(s->ctx, key, NULL, s->version);
        object_remove(s, o);
        s->counts.deletes++;
    }
    pthread_mutex_unlock(&s->lock);
    return o ? 0 : -ENOENT;
}

int kube_store_get(struct kube_store *s, const struct kube_key *key, struct buf *ret_text)
{
    pthread_mutex_lock(&s->lock);
    struct object *o = object_find(s, key);
    if (o)
        buf_puts(ret_text, o->text);
    pthread_mutex_unlock(&s->lock);
    return o ? 0 : -ENOENT;
}

int kube_store_restore(struct kube_store *s, const struct kube_key *key, const char *text)
{
    json_t *obj = json_loads(text, 0, NULL);
    const json_t *meta = json_object_get(obj, "metadata");
    const char *uid = json_string_value(json_object_get(meta, "uid"));
    const char *created = json_string_value(json_object_get(meta, "creationTimestamp"));
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
    if (!uid || !created || !version) {
        json_decref(obj);
        return -EINVAL;
    }
    pthread_mutex_lock(&s->lock);
    struct object *o = object_add(s, key);
    o->uid = xstrdup(uid);
    o->created = xstrdup(created);
    o->version = strtoull(version, NULL, 10);
    o->generation = (uint64_t)json_integer_value(json_object_get(meta, "generation"));
    o->text = xstrdup(text);
    labels_take(s, o, obj);
    if (o->version > s->version)
        s->version = o->version;
    pthread_mutex_unlock(&s->lock);
    json_decref(obj);
    return 0;
}

void kube_store_restore_version(struct kube_store *s, uint64_t version)
{
    if (version > s->version)
        s->version = version;
}

static int by_name(const void *a, const void *b)
{
    const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
    int c = strcmp(x->ns, y->ns);
    return c ? c : strcmp(x->name, y->name);
}

static const char *object_label(void *ctx, const char *key)
{
    const struct object *o = ctx;
    for (size_t i = 0; i < o->n_labels; i++)
        if (strcmp(o->labels[i].key, key) == 0)
            return o->labels[i].value;
    return NULL;
}

/* -1, 0, 1 as the object lies before, at, or after "ns/name". */
static int object_against(const struct object *o, const char *ns_name)
{
    const char *slash = strchr(ns_name, '/');
    size_t n = slash ? (size_t)(slash - ns_name) : strlen(ns_name);
    int c = strncmp(o->ns, ns_name, n);
    if (c == 0 && o->ns[n] != '\0')
        c = 1;
    return c ? c : strcmp(o->name, slash ? slash + 1 : "");
}

/* The smallest bucket that every match must be in; *ret_none when some equality has no bucket. */
static struct bucket *best_bucket(struct kube_store *s, const struct kind *k,
                                  const struct selector *sel, bool *ret_none)
{
    struct bucket *best = NULL;
    for (size_t i = 0; sel && i < sel->n; i++) {
        if (sel->req[i].op != SEL_IN || sel->req[i].n_values != 1)
            continue;
        struct bucket *b = bucket_find(s, k, sel->req[i].key, sel->req[i].values[0]);
        if (!b) {
            *ret_none = true;
            return NULL;
        }
        if (!best || b->n < best->n)
            best = b;
    }
    return best;
}

/* Candidates in order: the whole kind, or a sorted copy of one bucket. */
static struct object **candidates(struct kube_store *s, struct kind *k, const struct kube_list *q,
                                  size_t *ret_n, struct object ***ret_to_free)
{
    bool none = false;
    struct bucket *b = best_bucket(s, k, q->sel, &none);
    *ret_to_free = NULL;
    *ret_n = 0;
    if (none)
        return NULL;
    if (!b) {
        if (!k->sorted) {
            qsort(k->objects, k->n, sizeof(struct object *), by_name);
            for (size_t i = 0; i < k->n; i++)
                k->objects[i]->at = i;
            k->sorted = true;
        }
        *ret_n = k->n;
        return k->objects;
    }
    struct object **v = xmalloc(b->n * sizeof(struct object *));
    for (struct label *l = b->head; l; l = l->next)
        v[(*ret_n)++] = l->owner;
    qsort(v, *ret_n, sizeof(struct object *), by_name);
    *ret_to_free = v;
    return v;
}

static size_t first_after(struct object **v, size_t n, const char *after)
{
    size_t lo = 0, hi = n;
    while (after && lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (object_against(v[mid], after) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void kube_store_list(struct kube_store *s, const struct kube_list *q, struct buf *ret_items,
                     struct buf *ret_next, size_t *ret_left)
{
    *ret_left = 0;
    pthread_mutex_lock(&s->lock);
    struct kind *k = kind_find(s, q->kind);
    struct object **to_free = NULL, *last = NULL;
    size_t n = 0, taken = 0;
    struct object **v = k ? candidates(s, k, q, &n, &to_free) : NULL;
    for (size_t i = first_after(v, n, q->after); i < n; i++) {
        struct object *o = v[i];
        if (q->ns && strcmp(o->ns, q->ns) != 0)
            continue;
        if (q->sel && !selector_match(q->sel, object_label, o))
            continue;
        if (q->limit && taken == q->limit) {
            (*ret_left)++;
            continue;
        }
        if (taken++)
            buf_add(ret_items, ",", 1);
        buf_puts(ret_items, o->text);
        last = o;
    }
    if (*ret_left && last)
        buf_printf(ret_next, "%s/%s", last->ns, last->name);
    pthread_mutex_unlock(&s->lock);
    free(to_free);
}

uint64_t kube_store_version(struct kube_store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t v = s->version;
    pthread_mutex_unlock(&s->lock);
    return v;
}

void kube_store_counts(struct kube_store *s, struct kube_counts *ret_counts)
{
    pthread_mutex_lock(&s->lock);
    *ret_counts = s->counts;
    pthread_mutex_unlock(&s->lock);
}

void kube_store_kinds(struct kube_store *s, struct buf *out)
{
    bool first = true;
    pthread_mutex_lock(&s->lock);
    for (struct kind *k = s->kinds; k; k = k->next) {
        if (!first)
            buf_add(out, ",", 1);
        first = false;
        buf_json(out, k->name);
        buf_printf(out, ":%zu", k->n);
    }
    pthread_mutex_unlock(&s->lock);
}
