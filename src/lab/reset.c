#include "lab/reset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/sockdiag.h"
#include "lab/switch.h"

struct peers {
    const struct port_set *set;
    unsigned ports_n;
    bool anybody;
};

static bool is_peer(void *ctx, const struct sockdiag_addr *a)
{
    const struct peers *p = ctx;
    int port =
        a->is_ipv6 ? switch_port_of6(p->ports_n, a->ipv6) : switch_port_of(p->ports_n, a->ipv4);
    /* a connection to itself does not pass any link */
    return port >= 0 && (p->anybody || port_set_has(p->set, (unsigned)port));
}

static bool is_empty(const struct port_set *s)
{
    static const struct port_set none;
    return memcmp(s, &none, sizeof none) == 0;
}

int reset_connections(const int *netns_fds, unsigned ports_n, const struct lab_link *order)
{
    struct peers peers = {.set = &order->to, .ports_n = ports_n, .anybody = is_empty(&order->to)};
    const struct sockdiag_filter filter = {.peer = is_peer, .ctx = &peers, .port = order->dst_port};
    int n = 0, error = 0;
    for (unsigned i = 0; i < ports_n; i++) {
        if (!port_set_has(&order->from, i))
            continue;
        int fd CLEANUP(close_p) = sockdiag_open_in(netns_fds[i]);
        int r = fd < 0 ? fd : sockdiag_destroy(fd, &filter);
        if (r < 0)
            error = r;
        else
            n += r;
    }
    return n == 0 ? error : n;
}
