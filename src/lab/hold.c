#include "lab/hold.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "base/mem.h"

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int open_rooms(struct hold_rooms *r, size_t room_bytes, size_t n)
{
    *r = (struct hold_rooms){.room_bytes = PKT_HEAD_BYTES + room_bytes, .n = n};
    r->memory = reserve(r->room_bytes * n);
    r->held = reserve(sizeof *r->held * n);
    return r->memory && r->held ? 0 : -ENOMEM;
}

static void close_rooms(struct hold_rooms *r)
{
    if (r->memory)
        munmap(r->memory, r->room_bytes * r->n);
    if (r->held)
        munmap(r->held, sizeof *r->held * r->n);
    *r = (struct hold_rooms){0};
}

int hold_init(struct hold *h)
{
    *h = (struct hold){0};
    heap_init(&h->due, HOLD_SMALL + HOLD_BIG);
    int r = open_rooms(&h->small, HOLD_SMALL_BYTES, HOLD_SMALL);
    return r < 0 ? r : open_rooms(&h->big, PKT_MAX_BYTES, HOLD_BIG);
}

void hold_done(struct hold *h)
{
    close_rooms(&h->small);
    close_rooms(&h->big);
    heap_done(&h->due);
}

static struct held *take(struct hold_rooms *r)
{
    struct held *held = r->free;
    if (held) {
        r->free = held->next_free;
        return held;
    }
    if (r->used_n == r->n)
        return NULL;
    held = &r->held[r->used_n];
    held->parcel.pkt.p = r->memory + r->room_bytes * r->used_n++ + PKT_HEAD_BYTES;
    heap_node_init(&held->node);
    return held;
}

struct held *hold_take(struct hold *h, size_t bytes)
{
    bool big = bytes > HOLD_SMALL_BYTES;
    assert(bytes <= PKT_MAX_BYTES);
    struct held *held = take(big ? &h->big : &h->small);
    if (held)
        held->big = big;
    return held;
}

void hold_put(struct hold *h, struct held *held, int64_t due_ns)
{
    heap_insert(&h->due, &held->node, due_ns);
}

struct held *hold_due(struct hold *h, int64_t now_ns)
{
    struct heap_node *first = heap_first(&h->due);
    if (!first || first->key > now_ns)
        return NULL;
    heap_remove(&h->due, first);
    return container_of(first, struct held, node);
}

void hold_give(struct hold *h, struct held *held)
{
    struct hold_rooms *r = held->big ? &h->big : &h->small;
    assert(!heap_contains(&held->node));
    held->next_free = r->free;
    r->free = held;
}

int64_t hold_next_ns(const struct hold *h)
{
    const struct heap_node *first = heap_first(&h->due);
    return first ? first->key : INT64_MAX;
}
