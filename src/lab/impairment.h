/*
 * impairment.h - one network fault in force in the switch: its order, the state of its links, and
 * what it was seen to do.
 *
 * Lifecycle: impairment_new (control path: allocates) -> order.spec is carried out by chain.h ->
 * `ended` (takes no new packets) -> when it holds none any more, impairment_free. State of a link
 * is made when its first packet comes. One thread.
 */
#pragma once
#include "base/hist.h"
#include "lab/control.h"
#include "lab/lane.h"
#include "lab/shaper.h"

struct impairment {
    struct lab_link order;
    uint64_t sequence; /* order of adding = order of meeting */
    unsigned slot;
    bool ended, per_packet;
    unsigned from_n, to_n;
    uint16_t from_row[IMPAIR_PORTS], to_column[IMPAIR_PORTS];
    struct lane *lanes;           /* from_n * to_n */
    struct shaper *shapers;       /* from_n */
    struct impair_report figures; /* counters; delays are in the histograms */
    struct hist *asked, *added, *late;
};

struct impairment *impairment_new(const struct lab_link *order, uint64_t sequence);
void impairment_free(struct impairment *im);
bool impairment_covers(const struct impairment *im, unsigned from, unsigned to);
struct lane *impairment_lane(struct impairment *im, unsigned from, unsigned to);
struct shaper *impairment_shaper(struct impairment *im, unsigned from);
/* n packets left it after a delay that was asked (delayed) or at once. */
void impairment_left(struct impairment *im, int64_t now_ns, unsigned n, size_t bytes);
void impairment_delayed(struct impairment *im, unsigned n, int64_t asked_ns, int64_t added_ns);
void impairment_report(const struct impairment *im, struct impair_report *ret);
