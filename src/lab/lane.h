/*
 * lane.h - the fate of each packet of one link under one fault: draws and what they mean. Pure.
 *
 * Each kind of fate draws from a stream of its own, named after the link, so that the same traffic
 * meets the same fate whatever other links carry, and one fate more shifts no other. A packet that
 * is lost still makes its other draws.
 *
 * Correlation: with that probability a packet repeats the draw of the one before it, otherwise it
 * draws anew. The share that was asked stays exact and the correlation with the packet before is
 * what was asked. (netem mixes the two numbers instead, whose sum is no longer uniform: 10 % loss
 * at 50 % correlation loses 0.1 % there. See tc-netem(8), sch_netem.c get_crandom.)
 *
 * Reordering as in netem: a packet that is drawn goes at once, ahead of those that wait; it means
 * nothing without a delay. Plain data, ready after lane_init, nothing to free; one thread.
 */
#pragma once
#include <stddef.h>

#include "base/rng.h"
#include "lab/impair.h"

struct draw {
    struct rng rng;
    double last;
    bool any;
};

struct lane {
    bool ready;
    uint32_t in_order; /* packets since one overtook */
    struct draw loss, duplicate, corrupt, delay, reorder;
};

struct fate {
    bool lost, duplicated;
    bool overtakes;
    int64_t delay_ns, copy_delay_ns; /* of the packet, of its copy */
    int64_t corrupt_bit;             /* counted from the packet's first bit; -1 = intact */
};

void lane_init(struct lane *lane, uint64_t seed, unsigned from, unsigned to);
void lane_fate(struct lane *lane, const struct impair_spec *spec, size_t bytes, struct fate *ret);
