/*
 * sockdiag.h - TCP connections of a network namespace, found by their peer and destroyed.
 *
 * sock_diag(7), linux/inet_diag.h: a dump lists the sockets, SOCK_DESTROY ends one. Its owner gets
 * ECONNABORTED from the call it waits in or makes next; the peer gets a reset through the network,
 * as far as that carries it. Listening sockets and what is only waiting out its time are left
 * alone. A socket of IPv6 whose peer is an IPv4 address in IPv6's clothes (::ffff:a.b.c.d) counts
 * as IPv4.
 *
 * Lifecycle: sockdiag_open_in gives a descriptor that stays in the namespace whatever its process
 * does later; close it. Needs CAP_NET_ADMIN in the user namespace that owns the network namespace.
 * All calls block for as long as the kernel takes: some 2 us for each connection of the namespace
 * to list them, some 20 us for each that is destroyed, and 48 bytes of memory for that time.
 *
 * Errors: -errno. -EOPNOTSUPP: this kernel cannot (sockdiag_remedy says what to do); -EPERM: not
 * allowed. One thread a descriptor.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define SOCKDIAG_CONNECTIONS_MAX (1 << 20) /* in one pass */

struct sockdiag_addr {
    bool is_ipv6;
    uint32_t ipv4;          /* host order */
    unsigned char ipv6[16]; /* as on the wire */
};

struct sockdiag_filter {
    bool (*peer)(void *ctx, const struct sockdiag_addr *peer); /* NULL = everybody */
    void *ctx;
    uint16_t port; /* of either end; 0 = all */
};

/* A NETLINK_SOCK_DIAG socket of the namespace; the thread is back where it was afterwards. */
int sockdiag_open_in(int netns_fd);
int sockdiag_open(void); /* of the namespace that the thread is in */
/* How many were destroyed. Looks again until none is left, a few times at most: who connects anew
 * at once gets away. */
int sockdiag_destroy(int fd, const struct sockdiag_filter *filter);
/* What to do about an error of these calls, for a user; never NULL. */
const char *sockdiag_remedy(int error);
