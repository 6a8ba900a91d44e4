/*
 * chain.h - the faults in force on the switch's links, and the packets on their way through them.
 *
 * A packet that comes into a link meets the faults that cover the link one after the other, in the
 * order in which they were added; inside a fault it is lost, copied, corrupted, delayed and sent at
 * a rate in the order in which netem does it, then goes through the token bucket. Copies are made
 * before the delay and have delays of their own. What waits lies in the hold with the instant at
 * which it is due.
 *
 * A fault that ends takes no more packets; those it holds leave when they were due, so that ending
 * it neither loses nor hurries anything, and the other faults of the link go on as if it had not
 * been. A packet of the kernel's that is yet uncut (gso.h) is dealt with packet by packet and cut
 * only where fates differ.
 *
 * What leaves is given to `out`, what is lost to `lost` (for the packet log; may be NULL), both
 * with the time; parcels are valid during the call. Allocation: in chain_add only.
 *
 * Lifecycle: chain_init / chain_done. Thread rule: one thread. Errors: -errno.
 */
#pragma once
#include "lab/hold.h"
#include "lab/impairment.h"

struct link_counters;
struct link {
    uint16_t from, to;
    bool in_kernel;    /* see bypass.h */
    uint32_t impaired; /* bit i: the fault in slot i covers it; 0 = clean */
    struct link_counters *count;
};

struct chain_config {
    struct link *links; /* from * ports_n + to */
    unsigned ports_n;
    int64_t (*now)(void *ctx);
    void (*out)(void *ctx, struct parcel *p, int64_t now_ns);
    void (*lost)(void *ctx, const struct parcel *p, int64_t now_ns); /* the note says why */
    bool notes; /* write down what happens to each packet */
    void *ctx;
};

struct chain {
    struct chain_config config;
    struct hold hold;
    struct impairment *slots[LAB_LINKS_MAX];
    struct impairment *ordered[LAB_LINKS_MAX];
    unsigned ordered_n;
    uint64_t sequence;
};

int chain_init(struct chain *c, const struct chain_config *config);
void chain_done(struct chain *c);

/* -EEXIST: the id is in use; -ENOSPC; -EINVAL: nonsense, or a port that is not there. */
int chain_add(struct chain *c, const struct lab_link *order);
int chain_remove(struct chain *c, uint64_t id, struct impair_report *ret); /* -ENOENT */
int chain_report(const struct chain *c, uint64_t id, struct impair_report *ret);

void chain_enter(struct chain *c, struct parcel *p);
/* Lets out what is due; then when the next is, INT64_MAX = nothing waits. */
int64_t chain_run_due(struct chain *c);

/* Something that meets no fault: out at due_ns. Taken from the hold by the caller. */
void chain_keep(struct chain *c, struct held *held, int64_t due_ns);

void parcel_note(struct parcel *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
