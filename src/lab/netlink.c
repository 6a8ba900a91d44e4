#include "lab/netlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char *grow(struct nl_msg *m, size_t n)
{
    size_t at = NLMSG_ALIGN(m->hdr.nlmsg_len), aligned = NLMSG_ALIGN(n);
    assert(at + aligned <= sizeof m->bytes);
    memset(m->bytes + at, 0, aligned);
    m->hdr.nlmsg_len = (uint32_t)(at + n);
    return m->bytes + at;
}

void nl_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *body, size_t n)
{
    m->hdr = (struct nlmsghdr){
        .nlmsg_len = NLMSG_HDRLEN,
        .nlmsg_type = type,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
    };
    memcpy(grow(m, n), body, n);
}

void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n)
{
    struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type};
    unsigned char *at = grow(m, RTA_LENGTH(n));
    memcpy(at, &a, sizeof a);
    if (n)
        memcpy(at + RTA_LENGTH(0), p, n);
}

size_t nl_nest(struct nl_msg *m, uint16_t type)
{
    size_t at = NLMSG_ALIGN(m->hdr.nlmsg_len);
    nl_put(m, type, NULL, 0);
    return at;
}

void nl_nest_end(struct nl_msg *m, size_t nest)
{
    assert(nest < m->hdr.nlmsg_len);
    unsigned short len = (unsigned short)(m->hdr.nlmsg_len - nest);
    memcpy(m->bytes + nest + offsetof(struct rtattr, rta_len), &len, sizeof len);
}

void nl_link_up(struct nl_msg *m, int index, uint32_t mtu, uint32_t queue, bool noarp)
{
    unsigned on = IFF_UP | (noarp ? IFF_NOARP : 0u);
    struct ifinfomsg body = {.ifi_index = index, .ifi_flags = on, .ifi_change = on};
    nl_begin(m, RTM_NEWLINK, 0, &body, sizeof body);
    if (mtu)
        nl_put(m, IFLA_MTU, &mtu, sizeof mtu);
    if (queue)
        nl_put(m, IFLA_TXQLEN, &queue, sizeof queue);
}

void nl_addr_add(struct nl_msg *m, int index, uint32_t addr, unsigned prefix)
{
    uint32_t wire = htonl(addr);
    struct ifaddrmsg body = {.ifa_family = AF_INET,
                             .ifa_prefixlen = (unsigned char)prefix,
                             .ifa_index = (unsigned)index};
    nl_begin(m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
    nl_put(m, IFA_LOCAL, &wire, sizeof wire);
    nl_put(m, IFA_ADDRESS, &wire, sizeof wire);
}

/* No duplicate address detection: nobody would answer it, and it takes a second. */
void nl_addr6_add(struct nl_msg *m, int index, const unsigned char addr[16], unsigned prefix)
{
    struct ifaddrmsg body = {.ifa_family = AF_INET6,
                             .ifa_prefixlen = (unsigned char)prefix,
                             .ifa_flags = IFA_F_NODAD,
                             .ifa_index = (unsigned)index};
    nl_begin(m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
    nl_put(m, IFA_LOCAL, addr, 16);
    nl_put(m, IFA_ADDRESS, addr, 16);
}

static void put_end(struct nl_msg *m, const char *name, const unsigned char *mac, uint32_t mtu)
{
    nl_put(m, IFLA_IFNAME, name, strlen(name) + 1);
    nl_put(m, IFLA_ADDRESS, mac, NL_MAC_BYTES);
    nl_put(m, IFLA_MTU, &mtu, sizeof mtu);
}

void nl_veth_add(struct nl_msg *m, const struct nl_veth *v)
{
    struct ifinfomsg body = {0};
    nl_begin(m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
    put_end(m, v->name, v->mac, v->mtu);
    size_t info = nl_nest(m, IFLA_LINKINFO);
    nl_put(m, IFLA_INFO_KIND, "veth", 5);
    size_t data = nl_nest(m, IFLA_INFO_DATA);
    /* the peer is described as a link message of its own inside the attribute */
    size_t peer = nl_nest(m, VETH_INFO_PEER);
    memcpy(grow(m, sizeof body), &body, sizeof body);
    put_end(m, v->peer_name, v->peer_mac, v->mtu);
    nl_put(m, IFLA_NET_NS_FD, &v->peer_netns_fd, sizeof v->peer_netns_fd);
    nl_nest_end(m, peer);
    nl_nest_end(m, data);
    nl_nest_end(m, info);
}

int nl_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

static int read_ack(int fd, uint32_t seq)
{
    struct nl_msg in;
    for (;;) {
        ssize_t n = recv(fd, &in, sizeof in, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
            return -EPROTO;
        if (in.hdr.nlmsg_seq != seq)
            continue;
        if (in.hdr.nlmsg_type != NLMSG_ERROR)
            return -EPROTO;
        struct nlmsgerr e;
        memcpy(&e, in.bytes + NLMSG_HDRLEN, sizeof e);
        return e.error;
    }
}

int nl_talk(int fd, struct nl_msg *m)
{
    static uint32_t seq;
    m->hdr.nlmsg_seq = ++seq;
    if (send(fd, m, m->hdr.nlmsg_len, 0) < 0)
        return -errno;
    return read_ack(fd, seq);
}
