/*
 * switch.h - the userspace switch that joins the network namespaces: reads each port, finds the
 * destination port by IPv4 address, writes.
 *
 * Every (from, to) pair of ports is a struct link with counters and, later, a filter: the hook for
 * impairments. A link without a filter forwards. A filter may drop a packet, or keep it (it copies
 * what it needs) and hand it to switch_deliver from a timer of the same loop when it is due.
 *
 * Full queues: a TUN write goes through the receiver's stack at once and never blocks; an AF_PACKET
 * send blocks only when its socket buffer (8 MiB) is full. Such a packet is dropped and counted, as
 * a real switch does: holding it would stop the port's traffic to everybody else, and TCP finds its
 * rate by it.
 *
 * Addresses: port 0 (the client namespace, "outside") is 10.213.0.2, the service with plan index i
 * is port i+1 at 10.213.0.10+i. Anything that is not a well-formed IPv4 packet, or goes to no port,
 * is dropped and counted on its port (struct port_counters).
 *
 * Lifecycle: switch_init over the caller's ports, then switch_run, which returns only on error;
 * switch_done. Counters live in memory that the caller shares with readers in other processes;
 * there is one writer, values are single 64-bit stores. No allocation after switch_init. Thread
 * rule: one process, one thread.
 */
#pragma once
#include "lab/port.h"
#include "loop/loop.h"

#define SWITCH_NET       0x0ad50000u /* 10.213.0.0/16 */
#define SWITCH_PREFIX    16
#define SWITCH_PORTS_MAX 512
#define SWITCH_BATCH     64 /* packets a port and turn */

struct link_counters {
    uint64_t packets, bytes; /* forwarded */
    uint64_t drops_full;     /* the destination's queue was full, or its device down */
    uint64_t drops_filter;
};
struct port_counters {
    uint64_t malformed, unknown; /* not IPv4; to no port */
};
struct switch_counters { /* links: from * ports + to */
    struct port_counters *ports;
    struct link_counters *links;
};

enum link_verdict { LINK_FORWARD, LINK_DROP, LINK_KEEP };

struct vswitch;
struct link;
struct link_filter {
    enum link_verdict (*packet)(struct link_filter *f, struct vswitch *sw, struct link *l,
                                const struct pkt *k);
};
struct link {
    uint16_t from, to;
    struct link_filter *filter; /* NULL = pass through */
    struct link_counters *count;
};

struct switch_port {
    struct io io;
    struct vswitch *sw;
    struct port *port;
};

struct vswitch {
    struct loop loop;
    struct switch_port *ports;
    unsigned ports_n;
    struct link *links;
    struct switch_counters counters;
    struct pkt scratch;
};

size_t switch_counters_bytes(unsigned ports_n);
struct switch_counters switch_counters_at(void *memory, unsigned ports_n);

int switch_init(struct vswitch *sw, struct port *ports, unsigned ports_n,
                struct switch_counters counters);
void switch_done(struct vswitch *sw);
int switch_run(struct vswitch *sw);

uint32_t switch_addr(unsigned port);                        /* host order */
int switch_lookup(const struct vswitch *sw, uint32_t addr); /* port or -ENOENT */
struct link *switch_link(struct vswitch *sw, unsigned from, unsigned to);
/* One packet as read from a port: looked up, filtered, forwarded or dropped. */
void switch_packet(struct vswitch *sw, unsigned from, const struct pkt *k);
void switch_deliver(struct vswitch *sw, struct link *l, const struct pkt *k);
