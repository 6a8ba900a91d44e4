/*
 * netlink.h - the few rtnetlink requests a lab needs: link up, address, veth pair, redirects.
 *
 * Encoders are pure: they fill a struct nl_msg (caller's memory, NL_MSG_BYTES; everything put in is
 * bounded, overflow is asserted). nl_open gives a socket of the network namespace the thread is in
 * now; nl_talk sends one message and waits for its acknowledgement. Errors: 0 or -errno as the
 * kernel answered. IPv4 addresses in host order. rtnetlink(7), netlink(7).
 */
#pragma once
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NL_MSG_BYTES 1024
#define NL_MAC_BYTES 6

struct nl_msg {
    union {
        struct nlmsghdr hdr;
        unsigned char bytes[NL_MSG_BYTES];
    };
};

struct nl_veth {
    const char *name; /* made in the socket's namespace */
    const unsigned char *mac;
    const char *peer_name; /* made in the namespace of peer_netns_fd */
    const unsigned char *peer_mac;
    int peer_netns_fd;
    uint32_t mtu;
};

void nl_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *body, size_t n);
void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n);
size_t nl_nest(struct nl_msg *m, uint16_t type); /* returns what nl_nest_end needs */
void nl_nest_end(struct nl_msg *m, size_t nest);

/* mtu, queue (packets waiting to be sent): 0 = as it is */
void nl_link_up(struct nl_msg *m, int index, uint32_t mtu, uint32_t queue, bool noarp);
void nl_addr_add(struct nl_msg *m, int index, uint32_t addr, unsigned prefix);
void nl_addr6_add(struct nl_msg *m, int index, const unsigned char addr[16], unsigned prefix);
void nl_veth_add(struct nl_msg *m, const struct nl_veth *v);

/* Frames with this destination that come in at a device go out at another without anybody looking
 * at them: one u32 filter with a mirred redirect, tc-u32(8), tc-mirred(8). */
struct nl_redirect {
    int index;       /* the device they come in at; it has a clsact qdisc */
    uint16_t number; /* 1 to 2047, unique for the device and family */
    bool ipv6;
    unsigned char dst[16]; /* as in the packet; IPv4: the first four */
    int to_index;
};
void nl_clsact_add(struct nl_msg *m, int index);
void nl_clsact_remove(struct nl_msg *m, int index);
void nl_redirect_add(struct nl_msg *m, const struct nl_redirect *r);
void nl_redirect_remove(struct nl_msg *m, const struct nl_redirect *r);

int nl_open(void); /* CLOEXEC descriptor or -errno */
int nl_talk(int fd, struct nl_msg *m);
