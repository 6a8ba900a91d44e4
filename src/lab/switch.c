#include "lab/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/mem.h"

#define CLIENT_HOST  2
#define SERVICE_HOST 10

static void add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

size_t switch_counters_bytes(unsigned ports_n)
{
    size_t n = ports_n;
    return n * sizeof(struct port_counters) + n * n * sizeof(struct link_counters);
}

struct switch_counters switch_counters_at(void *memory, unsigned ports_n)
{
    struct port_counters *ports = memory;
    return (struct switch_counters){.ports = ports, .links = (void *)(ports + ports_n)};
}

uint32_t switch_addr(unsigned port)
{
    return SWITCH_NET + (port == 0 ? CLIENT_HOST : SERVICE_HOST - 1 + port);
}

int switch_lookup(const struct vswitch *sw, uint32_t addr)
{
    if (addr == SWITCH_NET + CLIENT_HOST)
        return 0;
    if (addr < SWITCH_NET + SERVICE_HOST || addr - SWITCH_NET - SERVICE_HOST >= sw->ports_n - 1)
        return -ENOENT;
    return (int)(addr - SWITCH_NET - SERVICE_HOST + 1);
}

struct link *switch_link(struct vswitch *sw, unsigned from, unsigned to)
{
    assert(from < sw->ports_n && to < sw->ports_n);
    return &sw->links[from * sw->ports_n + to];
}

void switch_deliver(struct vswitch *sw, struct link *l, const struct pkt *k)
{
    struct port *to = sw->ports[l->to].port;
    if (to->ops->write(to, k) < 0) {
        add(&l->count->drops_full, 1);
        return;
    }
    add(&l->count->packets, 1);
    add(&l->count->bytes, k->n);
}

void switch_packet(struct vswitch *sw, unsigned from, const struct pkt *k)
{
    uint32_t dst;
    if (!pkt_ipv4_dst(k, &dst)) {
        add(&sw->counters.ports[from].malformed, 1);
        return;
    }
    int to = switch_lookup(sw, dst);
    if (to < 0) {
        add(&sw->counters.ports[from].unknown, 1);
        return;
    }
    struct link *l = switch_link(sw, from, (unsigned)to);
    switch (l->filter ? l->filter->packet(l->filter, sw, l, k) : LINK_FORWARD) {
    case LINK_FORWARD: switch_deliver(sw, l, k); break;
    case LINK_DROP: add(&l->count->drops_filter, 1); break;
    case LINK_KEEP: break;
    }
}

static void on_readable(struct loop *loop, struct io *io, uint32_t events)
{
    struct switch_port *p = container_of(io, struct switch_port, io);
    struct vswitch *sw = p->sw;
    for (int i = 0; i < SWITCH_BATCH; i++) {
        int r = p->port->ops->read(p->port, &sw->scratch);
        if (r == -EBADMSG)
            add(&sw->counters.ports[p->port->index].malformed, 1);
        else if (r == -EBADFD) /* somebody in the namespace deleted the device */
            return io_remove(loop, io);
        else if (r < 0)
            return; /* -EAGAIN, or a device that is down for the moment (-ENETDOWN) */
        else
            switch_packet(sw, p->port->index, &sw->scratch);
    }
}

int switch_init(struct vswitch *sw, struct port *ports, unsigned ports_n,
                struct switch_counters counters)
{
    assert(ports_n >= 1 && ports_n <= SWITCH_PORTS_MAX);
    *sw = (struct vswitch){.ports_n = ports_n, .counters = counters};
    int r = loop_init(&sw->loop);
    if (r < 0)
        return r;
    sw->ports = xcalloc(ports_n, sizeof *sw->ports);
    sw->links = xcalloc((size_t)ports_n * ports_n, sizeof *sw->links);
    sw->scratch.p = xmalloc(PKT_MAX_BYTES);
    for (unsigned from = 0; from < ports_n; from++)
        for (unsigned to = 0; to < ports_n; to++)
            *switch_link(sw, from, to) =
                (struct link){.from = (uint16_t)from,
                              .to = (uint16_t)to,
                              .count = &counters.links[from * ports_n + to]};
    for (unsigned i = 0; i < ports_n; i++) {
        struct switch_port *p = &sw->ports[i];
        *p = (struct switch_port){.sw = sw, .port = &ports[i]};
        io_init(&p->io, on_readable);
        if (ports[i].fd >= 0 && (r = io_add(&sw->loop, &p->io, ports[i].fd, EPOLLIN)) < 0)
            return r;
    }
    return 0;
}

int switch_run(struct vswitch *sw)
{
    int r;
    prctl(PR_SET_TIMERSLACK, 1UL);
    while ((r = loop_turn(&sw->loop, -1)) == 0)
        ;
    return r;
}

void switch_done(struct vswitch *sw)
{
    loop_done(&sw->loop);
    free(sw->ports);
    free(sw->links);
    free(sw->scratch.p);
    *sw = (struct vswitch){0};
}
