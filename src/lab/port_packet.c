/*
 * No ARP is spoken: both devices are NOARP, so the kernel addresses frames to eth0's own MAC. That
 * is not the far end's MAC, hence the home namespace's IP stack drops each frame early
 * (PACKET_OTHERHOST) while this socket still gets it. Every eth0 has the same MAC, so that a frame
 * that the kernel itself hands from port to port (bypass.h) is right for whoever gets it.
 *
 * The sockets are bound to a protocol, not to all: such sockets come after the redirects of tc, so
 * each frame is either redirected or read here, never both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/port.h"

#define QUEUE_BYTES      (8 << 20)
#define FRAME_HEAD_BYTES (sizeof(struct virtio_net_hdr) + ETH_HLEN)
_Static_assert(FRAME_HEAD_BYTES <= PKT_HEAD_BYTES, "the heads fit before a packet");

static void mac_of(unsigned char mac[NL_MAC_BYTES], unsigned side, unsigned index)
{
    const unsigned char m[NL_MAC_BYTES] = {
        0x02, 0x5a, 0, (unsigned char)side, (unsigned char)(index >> 8), (unsigned char)index};
    memcpy(mac, m, sizeof m);
}

/* Socket buffers hold 64 KiB segments: the default size would drop after the third. */
static void set_queue(int fd, int force, int plain)
{
    int bytes = QUEUE_BYTES;
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

static int open_socket(int index, unsigned protocol)
{
    int on = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = index};
    set_queue(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    set_queue(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int open_far_end(struct port *p, const char *name)
{
    CLEANUP(close_p) int nl = nl_open();
    if (nl < 0)
        return nl;
    struct nl_msg m;
    p->ifindex = (int)if_nametoindex(name);
    if (p->ifindex == 0)
        return -errno;
    nl_link_up(&m, p->ifindex, 0, 0, true);
    int r = nl_talk(nl, &m);
    if (r < 0)
        return r;
    if ((p->fd = open_socket(p->ifindex, ETH_P_IP)) < 0)
        return p->fd;
    if (p->ipv6 && (p->fd6 = open_socket(p->ifindex, ETH_P_IPV6)) < 0) {
        close(p->fd);
        p->fd = -1;
        return p->fd6;
    }
    return 0;
}

static int packet_make(struct port *p, const struct port_place *place)
{
    char far_name[IFNAMSIZ];
    unsigned char far_mac[NL_MAC_BYTES];
    snprintf(far_name, sizeof far_name, "port%u", p->index);
    mac_of(p->mac, 1, 0);
    mac_of(far_mac, 2, p->index);

    CLEANUP(close_p) int nl = nl_open();
    CLEANUP(close_p) int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (nl < 0 || here < 0)
        return nl < 0 ? nl : -errno;
    struct nl_msg m;
    nl_veth_add(&m, &(struct nl_veth){.name = "eth0",
                                      .mac = p->mac,
                                      .peer_name = far_name,
                                      .peer_mac = far_mac,
                                      .peer_netns_fd = place->home_netns_fd,
                                      .mtu = PORT_MTU});
    int r = nl_talk(nl, &m);
    if (r < 0)
        return r;
    if (setns(place->home_netns_fd, CLONE_NEWNET) < 0)
        return -errno;
    r = open_far_end(p, far_name);
    if (setns(here, CLONE_NEWNET) < 0)
        return -errno;
    return r;
}

static int packet_read(struct port *p, int fd, struct pkt *ret)
{
    unsigned char *at = ret->p - FRAME_HEAD_BYTES;
    ssize_t n = read(fd, at, FRAME_HEAD_BYTES + PKT_MAX_BYTES);
    if (n < 0)
        return -errno;
    if ((size_t)n < FRAME_HEAD_BYTES)
        return -EBADMSG;
    memcpy(&ret->vnet, at, sizeof ret->vnet);
    ret->n = (size_t)n - FRAME_HEAD_BYTES;
    if (ret->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (ret->vnet.csum_start < ETH_HLEN)
            return -EBADMSG;
        ret->vnet.csum_start = (uint16_t)(ret->vnet.csum_start - ETH_HLEN);
    }
    if (ret->vnet.hdr_len >= ETH_HLEN)
        ret->vnet.hdr_len = (uint16_t)(ret->vnet.hdr_len - ETH_HLEN);
    return 0;
}

static int packet_write(struct port *p, const struct pkt *k)
{
    struct virtio_net_hdr vnet = k->vnet;
    unsigned char *at = k->p - FRAME_HEAD_BYTES, *eth = at + sizeof vnet;
    memcpy(eth, p->mac, NL_MAC_BYTES);
    mac_of(eth + NL_MAC_BYTES, 2, p->index);
    bool six = k->n && k->p[0] >> 4 == 6;
    unsigned protocol = six ? ETH_P_IPV6 : ETH_P_IP;
    eth[12] = (unsigned char)(protocol >> 8);
    eth[13] = (unsigned char)protocol;
    if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        vnet.csum_start = (uint16_t)(vnet.csum_start + ETH_HLEN);
    if (vnet.hdr_len)
        vnet.hdr_len = (uint16_t)(vnet.hdr_len + ETH_HLEN);
    memcpy(at, &vnet, sizeof vnet);
    /* the kernel takes a segment only from a socket of its protocol */
    return write(six ? p->fd6 : p->fd, at, FRAME_HEAD_BYTES + k->n) < 0 ? -errno : 0;
}

const struct port_ops port_packet = {
    .name = "AF_PACKET", .make = packet_make, .read = packet_read, .write = packet_write};
