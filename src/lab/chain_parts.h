/*
 * chain_parts.h - inside of the chain: who does what in chain.c (which fault is next, time, orders)
 * and chain_fate.c (what one fault does to a packet).
 */
#pragma once
#include "lab/chain.h"
#include "lab/gso.h"

/* Packets first to first + n - 1 of a parcel that share their fate. */
struct run {
    unsigned first, n;
    int64_t came_ns; /* into the fault */
    int64_t asked_ns, due_ns;
    int64_t corrupt_bit; /* of a run of one; -1 = intact */
    bool in_bucket;
    const char *note;
};

/* On to the first fault that was added after number `after`, or out. */
void chain_go_on(struct chain *c, struct parcel *p, uint64_t after, int64_t now_ns);
void chain_meet(struct chain *c, struct impairment *im, struct parcel *p, int64_t now_ns);
/* The time of a run has come; it is all of p. */
void chain_arrive(struct chain *c, struct impairment *im, struct parcel *p, const struct run *run,
                  int64_t now_ns);
