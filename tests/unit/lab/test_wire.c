/* Packet accessors, the switch with ports of memory, netlink encoding, event records. */
#include "tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/veth.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lab/netlink.h"
#include "lab/switch.h"
#include "lab/wire.h"

static unsigned char bytes[PKT_MAX_BYTES];

static struct pkt ipv4(uint32_t dst, size_t n)
{
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 0x45;
    bytes[2] = (unsigned char)(n >> 8);
    bytes[3] = (unsigned char)n;
    for (int i = 0; i < 4; i++)
        bytes[16 + i] = (unsigned char)(dst >> (24 - 8 * i));
    return (struct pkt){.p = bytes, .n = n};
}

TEST(pkt_get_never_leaves_the_packet)
{
    struct pkt k = {.p = bytes, .n = 40};
    ASSERT(pkt_get(&k, 0, 40) == bytes && pkt_get(&k, 40, 0) == bytes + 40);
    ASSERT(!pkt_get(&k, 0, 41) && !pkt_get(&k, 1, 40) && !pkt_get(&k, 41, 0));
    ASSERT(!pkt_get(&k, SIZE_MAX, 2) && !pkt_get(&k, 2, SIZE_MAX));
    k.n = 0;
    ASSERT(!pkt_get(&k, 0, 1));
}

TEST(pkt_ipv4_refuses_what_is_not_whole)
{
    uint32_t dst = 0;
    struct pkt k = ipv4(0x0ad5000a, 60);
    ASSERT(pkt_ipv4_dst(&k, &dst));
    ASSERT_EQ(dst, 0x0ad5000a);
    k.n = 59; /* shorter than its header says */
    ASSERT(!pkt_ipv4_dst(&k, &dst));
    k.n = 19;
    ASSERT(!pkt_ipv4_dst(&k, &dst));
    k = ipv4(1, 60);
    bytes[0] = 0x65; /* IPv6 */
    ASSERT(!pkt_ipv4_dst(&k, &dst));
    bytes[0] = 0x44; /* header of 16 bytes */
    ASSERT(!pkt_ipv4_dst(&k, &dst));
    bytes[0] = 0x4f; /* header longer than the total */
    bytes[2] = 0, bytes[3] = 50;
    ASSERT(!pkt_ipv4_dst(&k, &dst));
    bytes[0] = 0x4f, bytes[3] = 60;
    ASSERT(pkt_ipv4_dst(&k, &dst));
}

static unsigned written[4];
static int write_result;

static int mem_write(struct port *p, const struct pkt *k)
{
    written[p->index]++;
    return write_result;
}

static int mem_read(struct port *p, int fd, struct pkt *ret)
{
    return -EAGAIN;
}

static const struct port_ops port_mem = {.name = "memory", .read = mem_read, .write = mem_write};

struct fixture {
    struct vswitch sw;
    struct port ports[4];
    struct switch_counters counters;
};

static void open_switch(struct fixture *f)
{
    memset(written, 0, sizeof written);
    write_result = 0;
    f->counters = switch_counters_at(xmalloc(switch_counters_bytes(4)), 4);
    for (unsigned i = 0; i < 4; i++)
        f->ports[i] = (struct port){.ops = &port_mem, .fd = -1, .fd6 = -1, .index = i};
    ASSERT_OK(switch_init(&f->sw, &(struct switch_config){.ports = f->ports,
                                                          .ports_n = 4,
                                                          .counters = f->counters,
                                                          .control = -1,
                                                          .log_fd = -1}));
}

static void close_switch(struct fixture *f)
{
    switch_done(&f->sw);
    free(f->counters.ports);
}

/* As if read from a port. */
static void offer(struct fixture *f, unsigned from, const struct pkt *k)
{
    unsigned char *own = f->sw.scratch.pkt.p;
    f->sw.scratch.pkt = *k;
    switch_packet(&f->sw, from);
    f->sw.scratch.pkt.p = own;
}

TEST(switch_finds_the_port_of_an_address)
{
    struct fixture f;
    open_switch(&f);
    for (unsigned i = 0; i < 4; i++)
        ASSERT_EQ(switch_port_of(4, switch_addr(i)), i);
    ASSERT_EQ(switch_addr(0), 0x0ad50002);
    ASSERT_EQ(switch_addr(1), 0x0ad5000a);
    ASSERT_EQ(switch_port_of(4, switch_addr(4)), -ENOENT);
    ASSERT_EQ(switch_port_of(4, switch_addr(1) - 1), -ENOENT);
    const uint32_t none[] = {0, UINT32_MAX, SWITCH_NET, SWITCH_NET - 1, 0x0ad60002, 0xe0000001};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        ASSERT_EQ(switch_port_of(4, none[i]), -ENOENT);
    close_switch(&f);
}

TEST(switch_counts_what_it_forwards_and_drops)
{
    struct fixture f;
    open_switch(&f);
    struct pkt k = ipv4(switch_addr(2), 100);
    offer(&f, 1, &k);
    struct link *l = switch_link(&f.sw, 1, 2);
    ASSERT_EQ(written[2], 1);
    ASSERT(l->from == 1 && l->to == 2);
    ASSERT_EQ(l->count->packets, 1);
    ASSERT_EQ(l->count->bytes, 100);
    write_result = -EAGAIN;
    offer(&f, 1, &k);
    ASSERT_EQ(l->count->packets, 1);
    ASSERT_EQ(l->count->drops_full, 1);
    k = ipv4(0x08080808, 100);
    offer(&f, 3, &k);
    ASSERT_EQ(f.counters.ports[3].unknown, 1);
    k.n = 7;
    offer(&f, 3, &k);
    ASSERT_EQ(f.counters.ports[3].malformed, 1);
    ASSERT_EQ(written[0] + written[1] + written[3], 0);
    close_switch(&f);
}

TEST(switch_survives_random_bytes)
{
    struct fixture f;
    struct rng r;
    open_switch(&f);
    rng_init(&r, 3, "packets");
    for (int i = 0; i < 20000; i++) {
        size_t n = rng_below(&r, 64);
        unsigned char *p = xmalloc(n + 1); /* exact, so that a sanitizer sees one byte too far */
        for (size_t j = 0; j < n; j++)
            p[j] = (unsigned char)rng_u64(&r);
        if (n && rng_below(&r, 2))
            p[0] = 0x45;
        unsigned char *exact = memcpy(xmalloc(n ? n : 1), p, n);
        offer(&f, (unsigned)rng_below(&r, 4), &(struct pkt){.p = exact, .n = n});
        free(exact);
        free(p);
    }
    close_switch(&f);
}

/* The attribute of `type` in a run of attributes. */
static const struct rtattr *find(const void *p, size_t n, int type)
{
    const struct rtattr *a = p;
    for (int len = (int)n; RTA_OK(a, len); a = RTA_NEXT(a, len))
        if (a->rta_type == type)
            return a;
    TEST_FAIL("attribute %d is missing", type);
}

#define INSIDE(A) RTA_DATA(A), RTA_PAYLOAD(A)

TEST(netlink_address_message)
{
    struct nl_msg m;
    nl_addr_add(&m, 7, 0x0ad5000a, 16);
    ASSERT_EQ(m.hdr.nlmsg_type, RTM_NEWADDR);
    ASSERT_EQ(m.hdr.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *body = NLMSG_DATA(&m.hdr);
    ASSERT(body->ifa_family == AF_INET && body->ifa_prefixlen == 16 && body->ifa_index == 7);
    const struct rtattr *a = find(IFA_RTA(body), IFA_PAYLOAD(&m.hdr), IFA_LOCAL);
    ASSERT_OK(memcmp(RTA_DATA(a), "\x0a\xd5\x00\x0a", 4));
    ASSERT_EQ(m.hdr.nlmsg_len, NLMSG_LENGTH(sizeof *body) + 2 * RTA_SPACE(4));
}

TEST(netlink_redirect_matches_family_and_address)
{
    struct nl_msg m;
    struct nl_redirect r = {.index = 5, .number = 3, .dst = {10, 213, 0, 11}, .to_index = 9};
    nl_redirect_add(&m, &r);
    struct tcmsg *body = NLMSG_DATA(&m.hdr);
    ASSERT_EQ(m.hdr.nlmsg_type, RTM_NEWTFILTER);
    ASSERT(body->tcm_ifindex == 5 && body->tcm_handle == 3);
    const void *p = TCA_RTA(body);
    size_t n = TCA_PAYLOAD(&m.hdr);
    ASSERT_STREQ(RTA_DATA(find(p, n, TCA_KIND)), "u32");
    const struct rtattr *options = find(p, n, TCA_OPTIONS);
    const struct tc_u32_sel *sel = RTA_DATA(find(INSIDE(options), TCA_U32_SEL));
    ASSERT(sel->nkeys == 2 && sel->keys[0].off == -4 && sel->keys[1].off == 16);
    ASSERT_OK(memcmp(&sel->keys[0].val, "\0\0\x08\0", 4));
    ASSERT_OK(memcmp(&sel->keys[1].val, "\x0a\xd5\0\x0b", 4));
    const struct rtattr *act = find(INSIDE(find(INSIDE(options), TCA_U32_ACT)), 1);
    ASSERT_STREQ(RTA_DATA(find(INSIDE(act), TCA_ACT_KIND)), "mirred");
    const struct tc_mirred *to =
        RTA_DATA(find(INSIDE(find(INSIDE(act), TCA_ACT_OPTIONS)), TCA_MIRRED_PARMS));
    ASSERT(to->ifindex == 9 && to->eaction == TCA_EGRESS_REDIR);
    r.ipv6 = true;
    nl_redirect_add(&m, &r);
    ASSERT_EQ(body->tcm_handle, 0x803);
    sel =
        RTA_DATA(find(INSIDE(find(TCA_RTA(body), TCA_PAYLOAD(&m.hdr), TCA_OPTIONS)), TCA_U32_SEL));
    ASSERT(sel->nkeys == 5 && sel->keys[4].off == 36);
    nl_redirect_remove(&m, &r);
    ASSERT(m.hdr.nlmsg_type == RTM_DELTFILTER && body->tcm_handle == 0x80000803);
}

TEST(netlink_veth_message_nests_the_peer)
{
    struct nl_msg m;
    const unsigned char mac[] = {2, 1, 1, 1, 1, 1}, peer_mac[] = {2, 2, 2, 2, 2, 2};
    nl_veth_add(&m, &(struct nl_veth){"eth0", mac, "port3", peer_mac, 33, 1500});
    struct ifinfomsg *body = NLMSG_DATA(&m.hdr);
    const void *p = IFLA_RTA(body);
    size_t n = IFLA_PAYLOAD(&m.hdr);
    ASSERT_STREQ(RTA_DATA(find(p, n, IFLA_IFNAME)), "eth0");
    ASSERT_OK(memcmp(RTA_DATA(find(p, n, IFLA_ADDRESS)), mac, 6));
    const struct rtattr *info = find(p, n, IFLA_LINKINFO);
    ASSERT_STREQ(RTA_DATA(find(INSIDE(info), IFLA_INFO_KIND)), "veth");
    const struct rtattr *data = find(INSIDE(info), IFLA_INFO_DATA);
    const struct rtattr *peer = find(INSIDE(data), VETH_INFO_PEER);
    const char *in_peer = (const char *)RTA_DATA(peer) + sizeof *body;
    size_t peer_n = RTA_PAYLOAD(peer) - sizeof *body;
    ASSERT_STREQ(RTA_DATA(find(in_peer, peer_n, IFLA_IFNAME)), "port3");
    ASSERT_EQ(*(int *)RTA_DATA(find(in_peer, peer_n, IFLA_NET_NS_FD)), 33);
    ASSERT_EQ((const char *)peer + RTA_ALIGN(peer->rta_len) - (const char *)&m, m.hdr.nlmsg_len);
}

TEST(wire_event_comes_back_as_it_went)
{
    unsigned char b[WIRE_BYTES + 1];
    struct lab_event e = {.kind = LAB_LOG,
                          .service = 3,
                          .t_ns = 123456789012,
                          .value = -5,
                          .pid = 17,
                          .stream = 2,
                          .text = "hello"},
                     back;
    uint32_t kind;
    size_t n = wire_encode(b, &e, e.kind);
    ASSERT_OK(wire_decode(b, n, &back, &kind));
    ASSERT(kind == LAB_LOG && back.kind == LAB_LOG && back.service == 3 && back.stream == 2);
    ASSERT(back.t_ns == e.t_ns && back.value == -5 && back.pid == 17);
    ASSERT_STREQ(back.text, "hello");
    ASSERT_EQ(wire_decode(b, n - 1, &back, &kind), -EBADMSG);
    ASSERT_EQ(wire_decode(b, sizeof(struct wire_event) - 1, &back, &kind), -EBADMSG);
    b[0] = 200; /* kind */
    ASSERT_EQ(wire_decode(b, n, &back, &kind), -EBADMSG);
}

TEST(wire_text_is_cut_to_fit)
{
    static unsigned char b[WIRE_BYTES + 1];
    static char text[3 * LAB_TEXT_BYTES];
    struct lab_event e = {.text = text}, back;
    uint32_t kind;
    memset(text, 'x', sizeof text - 1);
    size_t n = wire_encode(b, &e, LAB_LOG);
    ASSERT_EQ(n, WIRE_BYTES);
    ASSERT_OK(wire_decode(b, n, &back, &kind));
    ASSERT_EQ(strlen(back.text), LAB_TEXT_BYTES);
}

struct box_fixture {
    struct loop loop;
    struct io io;
    struct outbox out;
    int far;
};

static void on_io(struct loop *loop, struct io *io, uint32_t events)
{
    if (events & EPOLLOUT)
        outbox_flush(&container_of(io, struct box_fixture, io)->out);
}

static void open_outbox(struct box_fixture *f)
{
    int fds[2], small = 4096;
    ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ASSERT_OK(loop_init(&f->loop));
    io_init(&f->io, on_io);
    ASSERT_OK(io_add(&f->loop, &f->io, fds[0], EPOLLIN));
    outbox_init(&f->out, &f->loop, &f->io);
    f->far = fds[1];
}

static void close_outbox(struct box_fixture *f)
{
    int fd = f->io.fd;
    outbox_done(&f->out);
    io_remove(&f->loop, &f->io);
    close(fd);
    close(f->far);
    loop_done(&f->loop);
}

TEST(outbox_drops_log_lines_but_never_states)
{
    struct box_fixture f;
    static char line[4096];
    int accepted = 0, states = 0, logs = 0, rounds = 5000;
    open_outbox(&f);
    for (int i = 0; i < rounds; i++) {
        accepted += outbox_log(&f.out, line, sizeof line);
        outbox_send(&f.out, &i, sizeof i);
    }
    ASSERT_LT(accepted, rounds);
    ASSERT_LT(1000, accepted);
    for (int quiet = 0; quiet < 3;) {
        ssize_t n = recv(f.far, line, sizeof line, MSG_DONTWAIT);
        if (n == sizeof(int)) {
            int i;
            memcpy(&i, line, sizeof i);
            ASSERT_EQ(i, states); /* all, and in order */
            states++;
        }
        logs += n == sizeof line;
        quiet = n > 0 ? 0 : quiet + 1;
        ASSERT_OK(loop_turn(&f.loop, 0));
    }
    ASSERT_EQ(states, rounds);
    ASSERT_EQ(logs, accepted);
    ASSERT_EQ(f.out.log_bytes, 0);
    ASSERT(list_empty(&f.out.records));
    close_outbox(&f);
}

TEST(outbox_forgets_all_when_the_peer_is_gone)
{
    struct box_fixture f;
    static char line[4096];
    open_outbox(&f);
    for (int i = 0; i < 100; i++)
        outbox_send(&f.out, line, sizeof line);
    shutdown(f.far, SHUT_RDWR);
    close(f.far);
    f.far = -1;
    outbox_flush(&f.out);
    ASSERT(list_empty(&f.out.records));
    outbox_send(&f.out, line, sizeof line);
    ASSERT(list_empty(&f.out.records));
    close_outbox(&f);
}
