/*
 * bypass.h - clean links carried by the kernel itself, past the switch.
 *
 * A frame that comes from a service over its veth (port_packet.c) and goes to another whose link
 * has no fault is redirected by the kernel to that one's veth, as fast as a veth pair; what no
 * redirect takes is read by the switch. Each frame meets exactly one of the two, also while a link
 * changes over. So a lab costs nothing where nothing is broken, and a fault costs its link only.
 *
 * One u32 filter a link and family at the ingress of the port's far end, in the switch's own
 * network namespace: kernel objects that end with it. Needs cls_u32 and act_mirred; TUN ports have
 * no far end. Without them, and while packets are logged, the switch carries everything:
 * bypass_open says why, and that is no error.
 *
 * Lifecycle: bypass_open / bypass_done, in the process and namespace of the switch. bypass_set
 * talks to the kernel and does both families or neither. Errors: -errno. One thread.
 */
#pragma once
#include <stdbool.h>

#include "lab/port.h"

struct bypass {
    const struct port *ports;
    unsigned ports_n;
    int nl; /* -1 = off */
};

/* No link is in the kernel yet. */
int bypass_open(struct bypass *b, const struct port *ports, unsigned ports_n);
void bypass_done(struct bypass *b);
static inline bool bypass_on(const struct bypass *b)
{
    return b->nl >= 0;
}
int bypass_set(struct bypass *b, unsigned from, unsigned to, bool in_kernel);
