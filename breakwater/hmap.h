/*
 * hmap - a chained hash table of nodes embedded in their owners; it grows, and never allocates
 * per entry.
 *
 * Lifecycle: zero-init .. hmap_done() (the nodes stay their owners'). The caller compares keys:
 *     for (struct hnode *n = hmap_first(&m, hash); n; n = hmap_next(n)) ...
 * walks the nodes of one exact hash. Threads: the caller's lock.
 */
#ifndef BREAKWATER_HMAP_H
#define BREAKWATER_HMAP_H

#include <stdlib.h>

#include "util.h"

struct hnode {
    struct hnode *next;
    uint64_t hash;
};

struct hmap {
    struct hnode **slots;
    size_t n, cap; /* cap is a power of two */
};

#define HMAP_OWNER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline struct hnode *hmap_same(struct hnode *n, uint64_t hash)
{
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

static inline struct hnode *hmap_first(const struct hmap *m, uint64_t hash)
{
    return m->cap ? hmap_same(m->slots[hash & (m->cap - 1)], hash) : NULL;
}

static inline struct hnode *hmap_next(const struct hnode *n)
{
    return hmap_same(n->next, n->hash);
}

static inline void hmap_grow(struct hmap *m)
{
    size_t cap = m->cap ? m->cap * 2 : 64;
    struct hnode **slots = xcalloc(cap, sizeof(struct hnode *));
    for (size_t i = 0; i < m->cap; i++) {
        for (struct hnode *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            n->next = slots[n->hash & (cap - 1)];
            slots[n->hash & (cap - 1)] = n;
        }
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
}

static inline void hmap_add(struct hmap *m, struct hnode *n, uint64_t hash)
{
    if (m->n >= m->cap)
        hmap_grow(m);
    n->hash = hash;
    n->next = m->slots[hash & (m->cap - 1)];
    m->slots[hash & (m->cap - 1)] = n;
    m->n++;
}

static inline void hmap_remove(struct hmap *m, struct hnode *n)
{
    struct hnode **at = &m->slots[n->hash & (m->cap - 1)];
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    m->n--;
}

static inline void hmap_done(struct hmap *m)
{
    free(m->slots);
    *m = (struct hmap){0};
}

#endif
