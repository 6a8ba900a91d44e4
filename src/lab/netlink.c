#include "lab/netlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
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

#define CLSACT_HANDLE  TC_H_MAKE(TC_H_CLSACT, 0)
#define CLSACT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define U32_ROOT_TABLE 0x80000000u /* of the first u32 chain of a device, and there is no other */
#define U32_IPV6       0x800       /* numbers of filters for IPv6 begin here */
#define U32_KEYS       5
#define ETHER_TYPE     (-4) /* offsets from the IP header: its second half */
#define IPV4_DST       16
#define IPV6_DST       24

static void clsact(struct nl_msg *m, int index, uint16_t type, uint16_t flags)
{
    const struct tcmsg body = {
        .tcm_ifindex = index, .tcm_handle = CLSACT_HANDLE, .tcm_parent = TC_H_CLSACT};
    nl_begin(m, type, flags, &body, sizeof body);
    nl_put(m, TCA_KIND, "clsact", sizeof "clsact");
}

void nl_clsact_add(struct nl_msg *m, int index)
{
    clsact(m, index, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
}

void nl_clsact_remove(struct nl_msg *m, int index)
{
    clsact(m, index, RTM_DELQDISC, 0);
}

static void redirect(struct nl_msg *m, const struct nl_redirect *r, uint16_t type, uint16_t flags,
                     uint32_t table)
{
    const struct tcmsg body = {.tcm_ifindex = r->index,
                               .tcm_handle = table | (r->ipv6 ? U32_IPV6 : 0u) | r->number,
                               .tcm_parent = CLSACT_INGRESS,
                               .tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL))};
    assert(r->number > 0 && r->number < U32_IPV6);
    nl_begin(m, type, flags, &body, sizeof body);
    nl_put(m, TCA_KIND, "u32", sizeof "u32");
}

static void put_match(struct nl_msg *m, const struct nl_redirect *r)
{
    _Alignas(struct tc_u32_sel) unsigned char
        bytes[sizeof(struct tc_u32_sel) + U32_KEYS * sizeof(struct tc_u32_key)] = {0};
    struct tc_u32_sel *sel = (void *)bytes;
    sel->flags = TC_U32_TERMINAL;
    sel->nkeys = r->ipv6 ? U32_KEYS : 2;
    sel->keys[0] = (struct tc_u32_key){
        .mask = htonl(0xffff), .val = htonl(r->ipv6 ? ETH_P_IPV6 : ETH_P_IP), .off = ETHER_TYPE};
    for (int i = 1; i < sel->nkeys; i++) {
        sel->keys[i] = (struct tc_u32_key){.mask = ~(uint32_t)0,
                                           .off = (r->ipv6 ? IPV6_DST : IPV4_DST) + 4 * (i - 1)};
        memcpy(&sel->keys[i].val, r->dst + 4 * (i - 1), 4);
    }
    nl_put(m, TCA_U32_SEL, bytes, sizeof *sel + sel->nkeys * sizeof sel->keys[0]);
}

void nl_redirect_add(struct nl_msg *m, const struct nl_redirect *r)
{
    const struct tc_mirred parms = {
        .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)r->to_index};
    redirect(m, r, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, 0);
    size_t options = nl_nest(m, TCA_OPTIONS);
    put_match(m, r);
    size_t actions = nl_nest(m, TCA_U32_ACT), first = nl_nest(m, 1);
    nl_put(m, TCA_ACT_KIND, "mirred", sizeof "mirred");
    size_t act_options = nl_nest(m, TCA_ACT_OPTIONS);
    nl_put(m, TCA_MIRRED_PARMS, &parms, sizeof parms);
    nl_nest_end(m, act_options);
    nl_nest_end(m, first);
    nl_nest_end(m, actions);
    nl_nest_end(m, options);
}

void nl_redirect_remove(struct nl_msg *m, const struct nl_redirect *r)
{
    redirect(m, r, RTM_DELTFILTER, 0, U32_ROOT_TABLE);
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
