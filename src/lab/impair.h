/*
 * impair.h - what a network fault asks of the packets between services, and what it was seen to do.
 *
 * Plain data that goes over the lab's wires (control.h): main and agent write a spec, the switch
 * carries it out (lane.h) and answers with a report. Units are in the names; shares and
 * correlations are 0 to 1. Meaning of the fields as in netem and tbf, tc-netem(8), tc-tbf(8), with
 * these differences: a correlation does not change the rate that was asked (see lane.h), and no
 * queue is limited to 1,000 packets.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define IMPAIR_PORTS 512 /* = SWITCH_PORTS_MAX */

/* Ports of the switch: 0 = the client namespace ("outside"), i + 1 = service i of the plan. */
struct port_set {
    uint64_t bits[IMPAIR_PORTS / 64];
};
static inline void port_set_add(struct port_set *s, unsigned port)
{
    s->bits[port / 64] |= 1ULL << port % 64;
}
static inline bool port_set_has(const struct port_set *s, unsigned port)
{
    return s->bits[port / 64] >> port % 64 & 1;
}

/* One share of the packets, and how far each packet's fate takes after the one before it. */
struct impair_share {
    double share, correlation;
};

struct impair_bandwidth { /* a token bucket; rate 0 = none */
    uint64_t rate_bytes_per_s, limit_bytes, buffer_bytes;
    uint64_t peakrate_bytes_per_s, minburst_bytes; /* both or neither */
};

struct impair_spec {
    bool partition;                /* nothing passes */
    int64_t latency_ns, jitter_ns; /* uniform in latency +- jitter, never below 0 */
    double latency_correlation;
    struct impair_share loss, duplicate, corrupt, reorder;
    uint32_t reorder_gap;     /* 0 = 1: each packet may overtake; n: after n - 1 that did not */
    uint64_t rate_bits_per_s; /* a link of this speed; 0 = none */
    struct impair_bandwidth bandwidth;
};

/* True when every packet of the kernel's 64 KiB segments has a fate of its own. */
static inline bool impair_per_packet(const struct impair_spec *s)
{
    return s->jitter_ns || s->loss.share > 0 || s->duplicate.share > 0 || s->corrupt.share > 0 ||
           s->reorder.share > 0 || s->rate_bits_per_s || s->bandwidth.rate_bytes_per_s;
}

struct impair_delay { /* ns; all 0 when count is 0 */
    uint64_t count;
    int64_t min, mean, p50, p99, max;
};

/* Everything counts packets as they are on a wire of PORT_MTU, not the kernel's segments. */
struct impair_report {
    uint64_t packets, bytes; /* that met the fault */
    uint64_t partitioned, lost, duplicated, corrupted, reordered;
    uint64_t over_limit; /* dropped because the asked queue (limit_bytes) was full */
    uint64_t overflow;   /* dropped because the switch had no room: not asked, so not exact */
    uint64_t passed, passed_bytes; /* left the fault again, copies included */
    uint64_t held;                 /* in it now */
    int64_t first_ns, last_ns;     /* when the first and the last of them left, monotonic */
    struct impair_delay asked;     /* of packets that were to wait: as drawn */
    struct impair_delay added;     /* the same packets: from reading them to writing them */
    struct impair_delay late;      /* added - asked */
};
