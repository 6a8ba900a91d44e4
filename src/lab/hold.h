/*
 * hold.h - the packets that wait in the switch, by the time they are due; equal times in the order
 * they came.
 *
 * Two sizes of room: for packets as they are on the wire, and for the kernel's 64 KiB segments. All
 * address space is taken at hold_init (about 360 MiB, of which the kernel gives memory only for
 * what was used at once at the most), nothing later; so 1 Gbit/s waits for more than a second. When
 * there is no room hold_take says so (NULL) and the caller counts a loss that nobody asked for.
 *
 * Lifecycle: hold_init / hold_done; hold_take -> hold_put -> hold_due -> hold_give (or hold_take ->
 * hold_give). One thread.
 */
#pragma once
#include "base/heap.h"
#include "lab/pkt.h"

#define HOLD_SMALL_BYTES 2048
#define HOLD_SMALL       131072
#define HOLD_BIG         1024

struct impairment;
struct link;

#define PARCEL_NOTE_BYTES 160

/* A packet on its way through a link, with what happened to it so far. */
struct parcel {
    struct pkt pkt;
    struct link *link;
    int64_t came_ns;              /* read from its port */
    char note[PARCEL_NOTE_BYTES]; /* for the packet log; empty when there is none */
};

struct held {
    struct heap_node node; /* key: due, ns */
    struct parcel parcel;
    struct impairment *in;
    int64_t came_ns; /* into the fault it waits in */
    int64_t asked_ns;
    unsigned packets; /* on the wire */
    bool in_bucket, big;
    struct held *next_free;
};

struct hold_rooms {
    struct held *held;
    unsigned char *memory;
    size_t room_bytes, n, used_n; /* used_n: those from there on were never taken */
    struct held *free;
};

struct hold {
    struct heap due;
    struct hold_rooms small, big;
};

int hold_init(struct hold *h);
void hold_done(struct hold *h);
struct held *hold_take(struct hold *h, size_t bytes); /* parcel.pkt.p has room for so many */
void hold_put(struct hold *h, struct held *held, int64_t due_ns);
struct held *hold_due(struct hold *h, int64_t now_ns); /* taken out; NULL = none is due */
void hold_give(struct hold *h, struct held *held);
int64_t hold_next_ns(const struct hold *h); /* INT64_MAX = nothing waits */
