#include "lab/bypass.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lab/switch.h"

static struct nl_redirect redirect_of(const struct bypass *b, unsigned from, unsigned to, bool ipv6)
{
    struct nl_redirect r = {.index = b->ports[from].ifindex,
                            .number = (uint16_t)(to + 1),
                            .ipv6 = ipv6,
                            .to_index = b->ports[to].ifindex};
    uint32_t addr = htonl(switch_addr(to));
    if (ipv6)
        switch_addr6(to, r.dst);
    else
        memcpy(r.dst, &addr, sizeof addr);
    return r;
}

static int set_family(struct bypass *b, unsigned from, unsigned to, bool ipv6, bool in_kernel)
{
    struct nl_redirect r = redirect_of(b, from, to, ipv6);
    struct nl_msg m;
    if (in_kernel)
        nl_redirect_add(&m, &r);
    else
        nl_redirect_remove(&m, &r);
    return nl_talk(b->nl, &m);
}

int bypass_set(struct bypass *b, unsigned from, unsigned to, bool in_kernel)
{
    int r = set_family(b, from, to, false, in_kernel);
    if (r < 0 || !b->ports[from].ipv6)
        return r;
    if ((r = set_family(b, from, to, true, in_kernel)) < 0)
        set_family(b, from, to, false, !in_kernel);
    return r;
}

int bypass_open(struct bypass *b, const struct port *ports, unsigned ports_n)
{
    struct nl_msg m;
    *b = (struct bypass){.ports = ports, .ports_n = ports_n, .nl = -1};
    for (unsigned i = 0; i < ports_n; i++)
        if (ports[i].ifindex == 0)
            return -ENODEV;
    b->nl = nl_open();
    if (b->nl < 0)
        return b->nl;
    int r = 0;
    for (unsigned i = 0; i < ports_n && r == 0; i++) {
        nl_clsact_add(&m, ports[i].ifindex);
        r = nl_talk(b->nl, &m);
    }
    /* a trial tells whether the kernel has what else is needed */
    if (r == 0 && ports_n > 1 && (r = bypass_set(b, 0, 1, true)) == 0)
        r = bypass_set(b, 0, 1, false);
    if (r < 0)
        bypass_done(b);
    return r;
}

void bypass_done(struct bypass *b)
{
    struct nl_msg m;
    if (b->nl < 0)
        return;
    for (unsigned i = 0; i < b->ports_n; i++) {
        nl_clsact_remove(&m, b->ports[i].ifindex);
        nl_talk(b->nl, &m);
    }
    close(b->nl);
    b->nl = -1;
}
