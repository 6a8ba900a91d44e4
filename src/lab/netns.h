/*
 * netns.h - network namespaces by descriptor: made, visited, and sockets born in them.
 *
 * A namespace lives as long as its descriptor (or a process, or a socket in it): no bind mounts, no
 * names in /run. All calls work on the calling thread and leave it where it was, except
 * netns_enter. They need CAP_SYS_ADMIN in the user namespace that owns the network namespace.
 * Errors: 0 or a descriptor, or -errno; when the way back fails the process aborts, because
 * everything it would do next would hit the wrong network.
 */
#pragma once
#include <stdint.h>

#include "lab/port.h"

int netns_here(void);                           /* descriptor of the thread's namespace */
int netns_enter(int fd);                        /* for good */
int netns_socket(int fd, int domain, int type); /* fd -1 = here */
/* The same where there is no way back: a rootless main may leave the host's namespace but not enter
 * it again, so a thread of its own goes there, makes the socket and ends. */
int netns_socket_by_thread(int fd, int domain, int type);

/* A new namespace with lo up, eth0 made by `p->ops` and carrying `addr`/prefix. */
int netns_make(struct port *p, const struct port_place *place, uint32_t addr, unsigned prefix);
