#include "observe/series.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

/* Prometheus' own marker: one quiet-looking bit pattern that no arithmetic produces. */
#define STALE_BITS UINT64_C(0x7ff0000000000002)

struct series_store {
    struct arena arena; /* names, labels, keys */
    struct series **v;  /* behind pointers, so that series_get stays valid while the store grows */
    size_t n, cap;
    int32_t *slots; /* open addressing over keys: index + 1, 0 = free; a power of two, half full */
    size_t slots_n;
    struct buf key; /* scratch */
};

double series_stale(void)
{
    uint64_t bits = STALE_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool series_is_stale(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == STALE_BITS;
}

struct series_store *series_store_new(void)
{
    struct series_store *s = xmalloc(sizeof *s);
    arena_init(&s->arena);
    s->slots_n = 1024;
    s->slots = xcalloc(s->slots_n, sizeof *s->slots);
    return s;
}

void series_store_free(struct series_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]->samples);
    free(s->v);
    free(s->slots);
    buf_done(&s->key);
    arena_done(&s->arena);
    free(s);
}

/* FNV-1a, 64 bit (Fowler, Noll, Vo); probing makes a poor spread slow, never wrong. */
static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
    return h ^ (h >> 32);
}

static int label_cmp(const void *a, const void *b)
{
    const struct series_label *x = a, *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int order = n ? memcmp(x->name.p, y->name.p, n) : 0;
    return order ? order : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

static void add_escaped(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' || value.p[i] == '"')
            buf_add_char(out, '\\');
        if (value.p[i] == '\n')
            buf_add_str(out, "\\n");
        else
            buf_add_char(out, value.p[i]);
    }
}

/* The canonical key into s->key; sorted labels into `sorted`. */
static void make_key(struct series_store *s, struct str name, const struct series_label *labels,
                     size_t n, struct series_label *sorted)
{
    if (n)
        memcpy(sorted, labels, n * sizeof *labels);
    qsort(sorted, n, sizeof *sorted, label_cmp);
    buf_clear(&s->key);
    buf_add(&s->key, name.p, name.n);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        buf_add_char(&s->key, i ? ',' : '{');
        buf_add(&s->key, sorted[i].name.p, sorted[i].name.n);
        buf_add_str(&s->key, "=\"");
        add_escaped(&s->key, sorted[i].value);
        buf_add_char(&s->key, '"');
    }
    buf_add_char(&s->key, '}');
}

static size_t slot_of(const struct series_store *s, const char *key, size_t n)
{
    size_t at = hash_bytes(key, n) & (s->slots_n - 1);
    while (s->slots[at]) {
        const struct series *other = s->v[s->slots[at] - 1];
        if (strlen(other->key) == n && memcmp(other->key, key, n) == 0)
            break;
        at = (at + 1) & (s->slots_n - 1);
    }
    return at;
}

static void grow_slots(struct series_store *s)
{
    free(s->slots);
    s->slots_n *= 2;
    s->slots = xcalloc(s->slots_n, sizeof *s->slots);
    for (size_t i = 0; i < s->n; i++)
        s->slots[slot_of(s, s->v[i]->key, strlen(s->v[i]->key))] = (int32_t)i + 1;
}

static struct series *series_make(struct series_store *s, struct str name,
                                  const struct series_label *sorted, size_t n)
{
    struct series *new = arena_alloc(&s->arena, sizeof *new);
    new->key = arena_strndup(&s->arena, buf_str(&s->key), s->key.n);
    new->name = arena_strndup(&s->arena, name.p, name.n);
    new->labels = arena_array(&s->arena, n, sizeof *new->labels);
    new->labels_n = n;
    for (size_t i = 0; i < n; i++) {
        const struct series_label *l = &sorted[i];
        new->labels[i].name =
            (struct str){arena_strndup(&s->arena, l->name.p, l->name.n), l->name.n};
        new->labels[i].value =
            (struct str){arena_strndup(&s->arena, l->value.p, l->value.n), l->value.n};
    }
    return new;
}

int series_find(struct series_store *s, struct str name, const struct series_label *labels,
                size_t n)
{
    struct series_label sorted[SERIES_LABELS];
    if (n > SERIES_LABELS)
        return -E2BIG;
    make_key(s, name, labels, n, sorted);
    size_t at = slot_of(s, buf_str(&s->key), s->key.n);
    return s->slots[at] ? s->slots[at] - 1 : -ENOENT;
}

int series_intern(struct series_store *s, struct str name, const struct series_label *labels,
                  size_t n)
{
    struct series_label sorted[SERIES_LABELS];
    if (n > SERIES_LABELS)
        return -E2BIG;
    make_key(s, name, labels, n, sorted);
    size_t at = slot_of(s, buf_str(&s->key), s->key.n);
    if (s->slots[at])
        return s->slots[at] - 1;
    if (s->n == SERIES_MAX)
        return -ENOSPC;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->v = xrealloc(s->v, s->cap, sizeof *s->v);
    }
    s->v[s->n++] = series_make(s, name, sorted, n);
    s->slots[at] = (int32_t)s->n;
    if (s->n * 2 > s->slots_n)
        grow_slots(s);
    return (int)s->n - 1;
}

void series_append(struct series_store *s, int index, int64_t t_ns, double value)
{
    assert(index >= 0 && (size_t)index < s->n);
    struct series *to = s->v[index];
    assert(to->samples_n == 0 || to->samples[to->samples_n - 1].t_ns <= t_ns);
    if (to->samples_n == to->samples_cap) {
        to->samples_cap = to->samples_cap ? to->samples_cap * 2 : 64;
        to->samples = xrealloc(to->samples, to->samples_cap, sizeof *to->samples);
    }
    to->samples[to->samples_n++] = (struct series_sample){t_ns, value};
}

size_t series_count(const struct series_store *s)
{
    return s->n;
}

const struct series *series_get(const struct series_store *s, size_t index)
{
    assert(index < s->n);
    return s->v[index];
}
