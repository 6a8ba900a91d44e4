#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void heap_init(struct heap *h, size_t cap)
{
    *h = (struct heap){.cap = cap ? cap : 16};
    h->nodes = xcalloc(h->cap, sizeof *h->nodes);
}

void heap_done(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->index = i;
}

static void sift_up(struct heap *h, size_t i, struct heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!before(node, h->nodes[parent]))
            break;
        put(h, i, h->nodes[parent]);
        i = parent;
    }
    put(h, i, node);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!before(h->nodes[child], node))
            break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(!heap_contains(node));
    if (h->n == h->cap) {
        h->cap *= 2;
        h->nodes = xrealloc(h->nodes, h->cap, sizeof *h->nodes);
    }
    node->key = key;
    node->sequence = h->next_sequence++;
    sift_up(h, h->n++, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    assert(heap_contains(node) && h->nodes[node->index] == node);
    size_t i = node->index;
    struct heap_node *last = h->nodes[--h->n];
    node->index = HEAP_OUT;
    if (last == node)
        return;
    if (i > 0 && before(last, h->nodes[(i - 1) / 2]))
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}
