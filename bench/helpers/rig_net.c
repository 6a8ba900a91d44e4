#include "rig_net.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lab/netns.h"

#define PROC_BYTES (1 << 20)

static int make_ports(struct rig_net *net, const struct port_ops *ops)
{
    char tun_path[PATH_MAX];
    CLEANUP(close_p) int home = netns_here();
    struct port_place place = {.home_netns_fd = home, .tun_path = tun_path};
    if (home < 0)
        return home;
    port_tun_path(tun_path, sizeof tun_path, "."); /* the bench gives a folder that it deletes */
    for (unsigned i = 0; i < RIG_PORTS; i++) {
        net->ports[i] = (struct port){.ops = ops, .fd = -1, .fd6 = -1, .index = i};
        int fd = netns_make(&net->ports[i], &place, switch_addr(i), SWITCH_PREFIX);
        if (fd < 0)
            return fd;
        net->netns_fds[i] = fd;
    }
    return 0;
}

/* In the namespace of the device. */
static int bring_up(unsigned port)
{
    struct nl_msg m;
    int eth0 = (int)if_nametoindex("eth0");
    CLEANUP(close_p) int nl = nl_open();
    if (nl < 0)
        return nl;
    nl_link_up(&m, (int)if_nametoindex("lo"), 0, 0, false);
    int r = nl_talk(nl, &m);
    if (r < 0)
        return r;
    nl_link_up(&m, eth0, PORT_MTU, PORT_QUEUE, true);
    if ((r = nl_talk(nl, &m)) < 0)
        return r;
    nl_addr_add(&m, eth0, switch_addr(port), SWITCH_PREFIX);
    return nl_talk(nl, &m);
}

/* Both ends have the same MAC: without ARP the kernel addresses frames to eth0's own, and the other
 * end takes them for its own. */
static int add_veth(int peer_netns_fd)
{
    const unsigned char mac[NL_MAC_BYTES] = {0x02, 0x5a, 0, 3, 0, 1};
    struct nl_msg m;
    CLEANUP(close_p) int nl = nl_open();
    if (nl < 0)
        return nl;
    nl_veth_add(&m, &(struct nl_veth){.name = "eth0",
                                      .mac = mac,
                                      .peer_name = "eth0",
                                      .peer_mac = mac,
                                      .peer_netns_fd = peer_netns_fd,
                                      .mtu = PORT_MTU});
    return nl_talk(nl, &m);
}

static int new_netns(void)
{
    return unshare(CLONE_NEWNET) < 0 ? -errno : netns_here();
}

static int make_veth(struct rig_net *net)
{
    CLEANUP(close_p) int home = netns_here();
    int r = home;
    net->netns_fds[RIG_CLIENT] = -1;
    for (unsigned i = RIG_BACK; r >= 0 && i <= RIG_FRONT; i++)
        r = net->netns_fds[i] = new_netns();
    if (r < 0 || (r = add_veth(net->netns_fds[RIG_BACK])) < 0 || (r = bring_up(RIG_FRONT)) < 0 ||
        (r = netns_enter(net->netns_fds[RIG_BACK])) < 0 || (r = bring_up(RIG_BACK)) < 0)
        return r;
    return netns_enter(home);
}

int rig_net_make(struct rig_net *net, enum rig_kind kind)
{
    switch (kind) {
    case RIG_TUN: return make_ports(net, &port_tun);
    case RIG_PACKET: return make_ports(net, &port_packet);
    case RIG_VETH: return make_veth(net);
    case RIG_KIND_COUNT: break;
    }
    abort();
}

/* Asked of the kernel's table: a connection to try it would be the only one that some servers take.
 */
bool rig_net_listens(const struct rig_net *net, unsigned port, unsigned tcp_port)
{
    struct buf b = {0};
    bool found = false;
    CLEANUP(close_p) int home = netns_here();
    if (home < 0 || netns_enter(net->netns_fds[port]) < 0)
        return false;
    int r = buf_read_file(&b, "/proc/thread-self/net/tcp", PROC_BYTES);
    if (netns_enter(home) < 0)
        abort();
    char *save = NULL;
    for (char *line = r < 0 ? NULL : strtok_r((char *)b.p, "\n", &save); line && !found;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned local_port, state;
        found = sscanf(line, "%*s %*[0-9A-F]:%x %*s %x", &local_port, &state) == 2 &&
                local_port == tcp_port && state == TCP_LISTEN;
    }
    buf_done(&b);
    return found;
}
