/*
 * gso.h - the kernel's uncut segments (GSO, up to 64 KiB) seen as the packets they become on a
 * wire. Pure.
 *
 * A service's kernel hands over what TCP (or UDP with UDP_SEGMENT) wants to send in one piece, to
 * be cut into packets of gso_size later; that is where the speed comes from. A fault that deals
 * with single packets looks at it as a train of packets, and gso_cut takes any run of them out,
 * headers mended, as the kernel's own cutting would have made it (net/ipv4/tcp_offload.c,
 * udp_offload.c). A run that nothing happened to goes on in one piece. So offload needs not be
 * switched off, and other links of the same service notice nothing.
 *
 * A packet that is no such segment, or whose headers do not add up, is a train of one, passed as it
 * is. gso_finish_checksum makes a checksum that the kernel left to the device (NEEDS_CSUM) true in
 * the packet: before a bit of it is changed, or the receiver could not notice.
 */
#pragma once
#include "lab/pkt.h"

struct gso_train {
    unsigned n;           /* packets; >= 1 */
    size_t header_bytes;  /* of each: IP and transport; 0 when n is 1 */
    size_t payload_bytes; /* all of them */
    size_t size;          /* payload of all but the last */
    size_t l4;            /* offset of the transport header */
    bool udp;
};

void gso_look(const struct pkt *k, struct gso_train *ret);
size_t gso_bytes(const struct pkt *k, const struct gso_train *t, unsigned i);
size_t gso_run_bytes(const struct pkt *k, const struct gso_train *t, unsigned first, unsigned n);
/* Packets first to first + n - 1 into out, whose room is gso_run_bytes. */
void gso_cut(const struct pkt *k, const struct gso_train *t, unsigned first, unsigned n,
             struct pkt *out);
void gso_finish_checksum(struct pkt *k);
