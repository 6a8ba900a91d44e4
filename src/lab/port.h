/*
 * port.h - one socket of the switch: the wire end of a network namespace's only device, eth0.
 *
 * Two kinds with one vtable: TUN (port_tun.c; the descriptor is the wire) and AF_PACKET on the far
 * end of a veth pair (port_packet.c), for machines where /dev/net/tun is out of reach. Both hand
 * over whole IP packets with their offload header, so the kinds are alike to the switch and the
 * kernel's segmentation offload stays on: that is where the speed comes from.
 *
 * Lifecycle: port_make moves nothing: the calling thread must be in the namespace the device is
 * made in; `home_netns_fd` is where the far end of a veth goes and where the process that reads and
 * writes lives. Descriptors are CLOEXEC and non-blocking. Thread rule: single-threaded set-up, then
 * the switch owns the descriptor. Errors: 0 or -errno; read returns -EAGAIN when there is nothing.
 */
#pragma once
#include "lab/netlink.h"
#include "lab/pkt.h"

#define PORT_MTU     1500
#define PORT_PREFIX6 64
#define PORT_QUEUE                                                                                 \
    4096 /* packets that wait while the switch is off the processor: 500, TUN's own                \
            choice, loses bursts on a busy machine */

struct port_ops;
struct port {
    const struct port_ops *ops;
    int fd;
    int fd6;        /* IPv6 comes in here; -1 = with the rest */
    int ifindex;    /* of the far end, in the home namespace; 0 = there is none (TUN) */
    unsigned index; /* 0 = the client namespace, then the services */
    unsigned char mac[NL_MAC_BYTES]; /* of eth0; AF_PACKET only */
    bool ipv6;
    unsigned char addr6[16]; /* of eth0, when ipv6 */
};

struct port_place {
    int home_netns_fd;
    const char *tun_path; /* device node */
};

struct port_ops {
    const char *name; /* as in lab_tier */
    int (*make)(struct port *p, const struct port_place *place);
    int (*read)(struct port *p, int fd,
                struct pkt *ret);                      /* 0 or -errno; p and room given in *ret */
    int (*write)(struct port *p, const struct pkt *k); /* uses the room before the packet */
};
extern const struct port_ops port_tun, port_packet;

/* The device node of TUN. Root on a machine whose /dev lacks it gets one made in `dir`, which is to
 * be a tmpfs that dies with the mount namespace. */
void port_tun_path(char *path, size_t cap, const char *dir);
