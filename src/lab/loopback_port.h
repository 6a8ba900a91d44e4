/*
 * loopback_port.h - whose listener answers at a service's address, where all share one network.
 *
 * A program of this machine that listens on all addresses answers at a service's too: without this
 * question a lab could be ready, and be loaded, with somebody else's server in it. The listeners of
 * a port are in /proc/net/tcp and tcp6 (proc(5)); whose they are, in the descriptors of the
 * processes that wear the service's mark. No state; a few milliseconds on a machine with many
 * processes.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum loopback_listener {
    LOOPBACK_OWN,        /* or nobody can tell */
    LOOPBACK_EVERYWHERE, /* the service's, on all addresses of this machine */
    LOOPBACK_FOREIGN     /* not the service's */
};
enum loopback_listener loopback_listener(const struct sockaddr_in *at, uint64_t mark);

/* One line of /proc/net/tcp or tcp6: a listener that answers at this address? Then its inode and
 * whether it listens on all addresses. Pure. */
bool loopback_listener_line(struct str line, const struct sockaddr_in *at, uint64_t *ret_inode,
                            bool *ret_everywhere);
