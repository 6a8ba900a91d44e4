/*
 * reset.h - LAB_CMD_RESET: connections between services are destroyed, in the init.
 *
 * Every TCP connection that a service of order->from has with a port of order->to (with anybody
 * when that is empty), through order->dst_port at either end (0 = any), is ended by the kernel
 * (sockdiag.h): its program gets ECONNABORTED, the other end a reset. Returns how many, or -errno
 * when nothing was destroyed because the kernel refused. Blocks for microseconds a connection.
 */
#pragma once
#include "lab/control.h"

/* netns_fds: one a port of the switch. */
int reset_connections(const int *netns_fds, unsigned ports_n, const struct lab_link *order);
