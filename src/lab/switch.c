#include "lab/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/mem.h"

#define CLIENT_HOST     2
#define SERVICE_HOST    10
#define DUE_EVERY       16 /* packets read between two looks at what is due */
#define LOG_SNAPLEN     PCAPNG_SNAPLEN_MAX
#define SLEPT_NS        (20 * NS_PER_US)
#define EARLY_NS        (30 * NS_PER_US)
#define AWAKE_WITHIN_NS (250 * NS_PER_US)
#define LOG_FLUSH_NS    (50 * NS_PER_MS)

static const unsigned char net6[12] = {0xfd, 0x73, 0x71, 0x75, 0x61, 0x6c};

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

void switch_addr6(unsigned port, unsigned char ret[16])
{
    uint32_t host = switch_addr(port) - SWITCH_NET;
    memcpy(ret, net6, sizeof net6);
    const unsigned char tail[] = {0, 0, (unsigned char)(host >> 8), (unsigned char)host};
    memcpy(ret + sizeof net6, tail, sizeof tail);
}

int switch_port_of(unsigned ports_n, uint32_t addr)
{
    if (addr == SWITCH_NET + CLIENT_HOST)
        return 0;
    if (addr < SWITCH_NET + SERVICE_HOST || addr - SWITCH_NET - SERVICE_HOST >= ports_n - 1)
        return -ENOENT;
    return (int)(addr - SWITCH_NET - SERVICE_HOST + 1);
}

int switch_port_of6(unsigned ports_n, const unsigned char addr[16])
{
    if (memcmp(addr, net6, sizeof net6) != 0 || addr[12] || addr[13])
        return -ENOENT;
    return switch_port_of(ports_n, SWITCH_NET + pkt_load16(addr + 14));
}

struct link *switch_link(struct vswitch *sw, unsigned from, unsigned to)
{
    assert(from < sw->ports_n && to < sw->ports_n);
    return &sw->links[from * sw->ports_n + to];
}

/* ---- packets ---- */

static void log_packet(struct vswitch *sw, const struct parcel *p, int64_t now_ns, const char *end)
{
    char text[PARCEL_NOTE_BYTES + 128];
    const char *const *names = sw->config.names;
    bool to_resolver = p->link->from == p->link->to;
    snprintf(text, sizeof text, "to %s%s%s%s",
             to_resolver ? "the resolver, or from it" : names[p->link->to], p->note[0] ? ": " : "",
             p->note, end);
    pcapng_packet(&sw->log, p->link->from, now_ns + sw->config.epoch_ns, p->pkt.p, p->pkt.n,
                  p->pkt.n, text);
    if (!timer_running(&sw->log_flush))
        timer_start(&sw->loop, &sw->log_flush, now_ns + LOG_FLUSH_NS);
}

static void on_log_flush(struct loop *loop, struct timer *timer)
{
    pcapng_flush(&container_of(timer, struct vswitch, log_flush)->log);
}

static void deliver(void *ctx, struct parcel *p, int64_t now_ns)
{
    struct vswitch *sw = ctx;
    struct port *to = sw->ports[p->link->to].port;
    struct link_counters *count = p->link->count;
    bool full = to->ops->write(to, &p->pkt) < 0;
    if (full) {
        add(&count->drops_full, 1);
    } else {
        add(&count->packets, 1);
        add(&count->bytes, p->pkt.n);
    }
    if (sw->logging)
        log_packet(sw, p, now_ns, full ? "; lost, the receiver's queue is full" : "");
}

static void on_lost(void *ctx, const struct parcel *p, int64_t now_ns)
{
    struct vswitch *sw = ctx;
    add(&p->link->count->drops_fault, 1);
    if (sw->logging)
        log_packet(sw, p, now_ns, "");
}

/* Port of the destination; -ENOENT = nobody, -EBADMSG = no IP packet. */
static int destination(const struct vswitch *sw, const struct pkt *k)
{
    uint32_t dst;
    unsigned char dst6[16];
    if (pkt_ipv4_dst(k, &dst))
        return dst == SWITCH_RESOLVER ? SWITCH_TO_RESOLVER : switch_port_of(sw->ports_n, dst);
    if (pkt_ipv6_dst(k, dst6))
        return switch_port_of6(sw->ports_n, dst6);
    return -EBADMSG;
}

static void learn_wake(struct vswitch *sw, int64_t took_ns)
{
    took_ns = took_ns < 0 ? 0 : took_ns > EARLY_NS ? EARLY_NS : took_ns;
    sw->wake_ns += (took_ns - sw->wake_ns) / 8;
}

/* When a packet that was just read had come. One that woke the switch has waited for that already,
 * about as long as its own timers do. */
static int64_t arrival(struct vswitch *sw)
{
    int64_t now_ns = sw->config.now(sw->config.ctx);
    bool woke = sw->first && sw->loop.now_ns - sw->turn_ns > SLEPT_NS;
    sw->first = false;
    return woke ? now_ns - sw->wake_ns : now_ns;
}

void switch_packet(struct vswitch *sw, unsigned from)
{
    struct parcel *p = &sw->scratch;
    int to = destination(sw, &p->pkt);
    if (to == SWITCH_TO_RESOLVER) {
        add(&sw->counters.ports[from].questions, 1);
        switch_question(sw, from);
        switch_run_due(sw);
        return;
    }
    if (to < 0) {
        add(to == -EBADMSG ? &sw->counters.ports[from].malformed
                           : &sw->counters.ports[from].unknown,
            1);
        return;
    }
    p->link = switch_link(sw, from, (unsigned)to);
    if (!p->link->impaired && !sw->logging) {
        deliver(sw, p, 0);
        return;
    }
    p->note[0] = '\0';
    p->came_ns = arrival(sw);
    chain_enter(&sw->chain, p);
}

void switch_run_due(struct vswitch *sw)
{
    int64_t next_ns = chain_run_due(&sw->chain);
    if (timer_running(&sw->due) && next_ns == sw->next_ns)
        return;
    sw->next_ns = next_ns;
    if (next_ns == INT64_MAX) {
        timer_stop(&sw->loop, &sw->due);
        return;
    }
    sw->early = next_ns - sw->config.now(sw->config.ctx) > AWAKE_WITHIN_NS;
    timer_start(&sw->loop, &sw->due, next_ns - (sw->early ? EARLY_NS : 0));
}

/* After a sleep the processor takes its time to come back, and no two times the same: so it is
 * asked for a little early, and the rest is waited out awake. Between short sleeps it does not pay.
 */
static void on_due(struct loop *loop, struct timer *timer)
{
    struct vswitch *sw = container_of(timer, struct vswitch, due);
    int64_t begin_ns = sw->config.now(sw->config.ctx), now_ns = begin_ns;
    if (sw->early)
        learn_wake(sw, begin_ns - (sw->next_ns - EARLY_NS));
    while (now_ns < sw->next_ns && now_ns - begin_ns < EARLY_NS)
        now_ns = sw->config.now(sw->config.ctx);
    switch_run_due(sw);
}

/* 0 = one packet was dealt with; -EAGAIN = no more for now; -EBADFD = never again. */
static int read_one(struct vswitch *sw, struct port *port, int fd)
{
    int r = port->ops->read(port, fd, &sw->scratch.pkt);
    if (r == -EBADMSG)
        add(&sw->counters.ports[port->index].malformed, 1);
    else if (r < 0) /* -EBADFD: somebody in the namespace deleted the device */
        return r == -EBADFD ? r : -EAGAIN; /* -ENETDOWN: down for the moment */
    else
        switch_packet(sw, port->index);
    return 0;
}

static void read_some(struct switch_port *p, struct loop *loop, struct io *io)
{
    int r = 0;
    for (int i = 0; i < SWITCH_BATCH && r == 0; i++) {
        r = read_one(p->sw, p->port, io->fd);
        if (i % DUE_EVERY == DUE_EVERY - 1 && hold_next_ns(&p->sw->chain.hold) != INT64_MAX)
            switch_run_due(p->sw);
    }
    if (r == -EBADFD)
        io_remove(loop, io);
    if (hold_next_ns(&p->sw->chain.hold) != INT64_MAX)
        switch_run_due(p->sw);
}

static void on_readable(struct loop *loop, struct io *io, uint32_t events)
{
    read_some(container_of(io, struct switch_port, io), loop, io);
}

static void on_readable6(struct loop *loop, struct io *io, uint32_t events)
{
    read_some(container_of(io, struct switch_port, io6), loop, io);
}

/* ---- life ---- */

static int64_t clock_of_switch(void *ctx)
{
    return clock_now_ns();
}

static void make_links(struct vswitch *sw)
{
    unsigned n = sw->ports_n;
    sw->links = xcalloc((size_t)n * n, sizeof *sw->links);
    for (unsigned from = 0; from < n; from++)
        for (unsigned to = 0; to < n; to++)
            *switch_link(sw, from, to) = (struct link){.from = (uint16_t)from,
                                                       .to = (uint16_t)to,
                                                       .count = &sw->counters.links[from * n + to]};
}

static int open_log(struct vswitch *sw)
{
    timer_init(&sw->log_flush, on_log_flush);
    if (sw->config.log_fd < 0)
        return 0;
    int r = pcapng_init(&sw->log, sw->config.log_fd, sw->config.names, sw->ports_n, LOG_SNAPLEN);
    sw->logging = r == 0;
    return r;
}

static int open_ports(struct vswitch *sw)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < sw->ports_n; i++) {
        struct switch_port *p = &sw->ports[i];
        *p = (struct switch_port){.sw = sw, .port = &sw->config.ports[i]};
        io_init(&p->io, on_readable);
        io_init(&p->io6, on_readable6);
        if (p->port->fd >= 0)
            r = io_add(&sw->loop, &p->io, p->port->fd, EPOLLIN);
        if (r == 0 && p->port->fd6 >= 0)
            r = io_add(&sw->loop, &p->io6, p->port->fd6, EPOLLIN);
    }
    return r;
}

int switch_sync_bypass(struct vswitch *sw)
{
    unsigned n = sw->ports_n;
    int error = 0;
    for (unsigned i = 0; bypass_on(&sw->bypass) && i < n * n; i++) {
        struct link *l = &sw->links[i];
        bool want = l->from != l->to && !l->impaired;
        if (want == l->in_kernel)
            continue;
        int r = bypass_set(&sw->bypass, l->from, l->to, want);
        if (r == 0)
            l->in_kernel = want;
        else if (!want) /* a clean link that stays with the switch does no harm */
            error = r;
    }
    return error;
}

int switch_init(struct vswitch *sw, const struct switch_config *config)
{
    assert(config->ports_n >= 1 && config->ports_n <= SWITCH_PORTS_MAX);
    *sw = (struct vswitch){
        .config = *config, .ports_n = config->ports_n, .counters = config->counters};
    if (!sw->config.now)
        sw->config.now = clock_of_switch;
    int r = loop_init(&sw->loop);
    if (r < 0)
        return r;
    sw->bypass.nl = -1;
    timer_init(&sw->due, on_due);
    names_init(&sw->names, config->hosts, config->hosts_n);
    sw->ports = xcalloc(sw->ports_n, sizeof *sw->ports);
    sw->room = xmalloc(PKT_HEAD_BYTES + PKT_MAX_BYTES);
    sw->scratch.pkt.p = sw->room + PKT_HEAD_BYTES;
    make_links(sw);
    r = open_log(sw);
    const struct chain_config chain = {.links = sw->links,
                                       .ports_n = sw->ports_n,
                                       .now = sw->config.now,
                                       .out = deliver,
                                       .lost = on_lost,
                                       .notes = sw->logging,
                                       .ctx = sw};
    if (r == 0)
        r = chain_init(&sw->chain, &chain);
    if (r == 0)
        r = open_ports(sw);
    /* the log is to see every packet */
    if (r == 0 && !sw->logging && bypass_open(&sw->bypass, sw->config.ports, sw->ports_n) == 0)
        switch_sync_bypass(sw);
    return r < 0 || config->control < 0 ? r : switch_control_open(sw, config->control);
}

int switch_run(struct vswitch *sw)
{
    int r;
    prctl(PR_SET_TIMERSLACK, 1UL);
    do {
        sw->first = true;
        sw->turn_ns = clock_now_ns();
        r = loop_turn(&sw->loop, -1);
    } while (r == 0);
    return r;
}

void switch_done(struct vswitch *sw)
{
    if (sw->logging)
        pcapng_done(&sw->log);
    bypass_done(&sw->bypass);
    chain_done(&sw->chain);
    loop_done(&sw->loop);
    free(sw->ports);
    free(sw->links);
    free(sw->room);
    *sw = (struct vswitch){0};
}
