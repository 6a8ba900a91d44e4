/*
 * switch.h - the userspace switch that joins the network namespaces: reads each port, finds the
 * destination port by IP address, writes.
 *
 * Where it can be, clean links are carried by the kernel itself (bypass.h) and never seen here.
 *
 * Every (from, to) pair of ports is a struct link (chain.h) with counters. A packet on a clean link
 * goes straight on; on a link with faults it goes through the chain. Orders and questions about
 * faults come as records over switch_config.control (control.h), one answer each.
 *
 * Full queues: a TUN write goes through the receiver's stack at once and never blocks; an AF_PACKET
 * send blocks only when its socket buffer (8 MiB) is full. Such a packet is dropped and counted, as
 * a real switch does: holding it would stop the port's traffic to everybody else, and TCP finds its
 * rate by it.
 *
 * Addresses: port 0 (the client namespace, "outside") is 10.213.0.2, the service with plan index i
 * is port i+1 at 10.213.0.10+i; in IPv6 the same last two bytes below fd73:7175:616c::/64.
 * 10.213.0.1 is the lab's resolver, which is the switch itself. Anything that is not a well-formed
 * IP packet, or goes to no port, is dropped and counted on its port (struct port_counters).
 *
 * Lifecycle: switch_init over the caller's ports, then switch_run, which returns only on error;
 * switch_done. Counters live in memory that the caller shares with readers in other processes;
 * there is one writer, values are single 64-bit stores. No allocation after switch_init but for
 * orders. Thread rule: one process, one thread.
 */
#pragma once
#include "lab/bypass.h"
#include "lab/chain.h"
#include "lab/names.h"
#include "lab/pcapng.h"
#include "lab/port.h"
#include "loop/loop.h"

#define SWITCH_NET           0x0ad50000u /* 10.213.0.0/16 */
#define SWITCH_PREFIX        16
#define SWITCH_RESOLVER      (SWITCH_NET + 1)
#define SWITCH_RESOLVER_TEXT "10.213.0.1"
#define SWITCH_PORTS_MAX     IMPAIR_PORTS
#define SWITCH_TO_RESOLVER   SWITCH_PORTS_MAX
#define SWITCH_BATCH         16 /* packets a port and turn: small, so that both ends work meanwhile */

struct link_counters {
    uint64_t packets, bytes; /* forwarded */
    uint64_t drops_full;     /* the destination's queue was full, or its device down */
    uint64_t drops_fault;    /* lost as a fault asked */
};
struct port_counters {
    uint64_t malformed, unknown; /* not IP; to no port */
    uint64_t questions;          /* to the resolver */
};
struct switch_counters { /* links: from * ports + to */
    struct port_counters *ports;
    struct link_counters *links;
};

struct switch_port {
    struct io io;
    struct vswitch *sw;
    struct port *port;
    struct io io6;
};

/* To and from the switch over its control socket; conn is the asker's and comes back. */
struct switch_order {
    int32_t conn;
    struct lab_command command;
};
struct switch_reply {
    int32_t conn;
    struct lab_answer answer;
};

struct switch_config {
    struct port *ports;
    unsigned ports_n;
    struct switch_counters counters;
    int control;                     /* SOCK_SEQPACKET; -1 = none */
    int log_fd;                      /* packet log; -1 = none */
    const struct names_entry *hosts; /* what the resolver knows */
    size_t hosts_n;
    const char *const *names;  /* of the ports; may be NULL without a log */
    int64_t epoch_ns;          /* added to times in the log: from the clock of `now` to 1970 */
    int64_t (*now)(void *ctx); /* NULL = the monotonic clock */
    void *ctx;                 /* of now */
};

struct vswitch {
    struct loop loop;
    struct switch_config config;
    struct switch_port *ports;
    unsigned ports_n;
    struct link *links;
    struct switch_counters counters;
    unsigned char *room;
    struct parcel scratch; /* the packet that is being dealt with, in room */
    struct chain chain;
    struct bypass bypass;
    struct timer due;
    int64_t next_ns; /* that it is for */
    int64_t wake_ns; /* how long the processor takes to come back from a sleep, lately */
    int64_t turn_ns; /* when the turn began to wait */
    bool early;      /* `due` was asked for before its time */
    bool first;      /* no packet was read in this turn yet */
    struct io control;
    struct names names;
    struct timer log_flush;
    struct pcapng log;
    bool logging;
};

size_t switch_counters_bytes(unsigned ports_n);
struct switch_counters switch_counters_at(void *memory, unsigned ports_n);

int switch_init(struct vswitch *sw, const struct switch_config *config);
void switch_done(struct vswitch *sw);
int switch_run(struct vswitch *sw);

uint32_t switch_addr(unsigned port); /* host order */
void switch_addr6(unsigned port, unsigned char ret[16]);
/* Port of an address among ports_n, or -ENOENT. */
int switch_port_of(unsigned ports_n, uint32_t addr);
int switch_port_of6(unsigned ports_n, const unsigned char addr[16]);
struct link *switch_link(struct vswitch *sw, unsigned from, unsigned to);
/* One packet as read from a port, in sw->scratch.pkt: looked up, forwarded, impaired or dropped. */
void switch_packet(struct vswitch *sw, unsigned from);
/* Carries out what is due; arms the timer for the rest. */
void switch_run_due(struct vswitch *sw);
/* Clean links into the kernel, others out of it, after their faults have changed. -errno when one
 * with a fault could not be taken out. */
int switch_sync_bypass(struct vswitch *sw);

/* switch_control.c */
void switch_command(struct vswitch *sw, const struct lab_command *c, struct lab_answer *ret);
int switch_control_open(struct vswitch *sw, int fd);
/* switch_names.c: a packet to the resolver, in sw->scratch.pkt. */
void switch_question(struct vswitch *sw, unsigned from);
