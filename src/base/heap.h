/*
 * heap.h - binary min-heap of intrusive nodes by (key, sequence): equal keys leave in the order
 * they came.
 *
 * Lifecycle: heap_init with room for cap nodes (grows on the control path unless fixed), heap_done.
 * A node knows its place, so removal is O(log n). Node memory is the caller's and must outlive its
 * stay.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_OUT ((size_t)-1)

struct heap_node {
    int64_t key;
    uint64_t sequence;
    size_t index; /* HEAP_OUT when in no heap */
};

struct heap {
    struct heap_node **nodes;
    size_t n, cap;
    uint64_t next_sequence;
};

void heap_init(struct heap *h, size_t cap);
void heap_done(struct heap *h);
static inline void heap_node_init(struct heap_node *node)
{
    node->index = HEAP_OUT;
}
static inline bool heap_contains(const struct heap_node *node)
{
    return node->index != HEAP_OUT;
}
void heap_insert(struct heap *h, struct heap_node *node, int64_t key);
void heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_first(const struct heap *h); /* NULL when empty */
