/*
 * rig_net.h - the networks that bench/switch.py compares: namespaces joined by squall's switch, as
 * a lab has them, or two joined by a veth pair and nothing else.
 *
 * Ports are numbered and addressed as in a lab (switch.h): 0 is the client namespace, RIG_BACK and
 * RIG_FRONT are its two services; with a veth pair port 0 has no namespace (-1). MTU, queue length,
 * addresses and the absence of ARP are alike in all kinds.
 *
 * Lifecycle: rig_net_make once, in a network namespace of the caller's own; the namespaces end with
 * the process and those in them. Errors: 0 or -errno. Single-threaded.
 */
#pragma once
#include "lab/switch.h"

enum rig_kind { RIG_TUN, RIG_PACKET, RIG_VETH, RIG_KIND_COUNT };
enum { RIG_CLIENT, RIG_BACK, RIG_FRONT, RIG_PORTS };

struct rig_net {
    struct port ports[RIG_PORTS]; /* not with RIG_VETH */
    int netns_fds[RIG_PORTS];
};

int rig_net_make(struct rig_net *net, enum rig_kind kind);
/* True when somebody listens on this TCP port (IPv4) in the namespace of `port`. */
bool rig_net_listens(const struct rig_net *net, unsigned port, unsigned tcp_port);
