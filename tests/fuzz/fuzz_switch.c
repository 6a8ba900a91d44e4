/*
 * Anything as packets on the switch's ports while faults of all kinds are in force: no crash, no
 * byte read beyond a packet, and what leaves is never longer than a packet can be.
 *
 * Input: one byte of fault kinds, then records: port and time step in a byte, length (2), offload
 * header as the kernel gives it, bytes.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lab/switch.h"

#define PORTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t now_ns;
static uint64_t written;

static int mem_write(struct port *p, const struct pkt *k)
{
    assert(k->n <= PKT_MAX_BYTES);
    for (size_t i = 0; i < k->n; i += 64)
        written += k->p[i];
    return k->n % 7 ? 0 : -EAGAIN;
}

static int mem_read(struct port *p, int fd, struct pkt *ret)
{
    return -EAGAIN;
}

static const struct port_ops ops = {.name = "memory", .read = mem_read, .write = mem_write};

static int64_t fake_now(void *ctx)
{
    return now_ns;
}

static void add_fault(struct vswitch *sw, uint64_t id, const struct impair_spec *spec)
{
    struct lab_link o = {.id = id, .seed = id, .spec = *spec, .name = "f"};
    memset(&o.from, 0, sizeof o.from);
    for (unsigned i = 0; i < PORTS; i++) {
        port_set_add(&o.from, i);
        port_set_add(&o.to, i);
    }
    o.dst_port = id == 4 ? 53 : 0;
    assert(chain_add(&sw->chain, &o) == 0);
}

static void add_faults(struct vswitch *sw, unsigned kinds)
{
    const struct impair_spec specs[] = {
        {.corrupt = {0.5, 0.1}, .duplicate = {0.3, 0}},
        {.loss = {0.2, 0.5}, .latency_ns = NS_PER_MS, .jitter_ns = NS_PER_MS / 2},
        {.latency_ns = NS_PER_MS, .reorder = {0.3, 0}, .reorder_gap = 2},
        {.rate_bits_per_s = 10000000},
        {.bandwidth = {.rate_bytes_per_s = 1000000, .limit_bytes = 10000, .buffer_bytes = 2000}},
        {.partition = true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(specs); i++)
        if (kinds >> i & 1)
            add_fault(sw, i, &specs[i]);
    struct lab_names rule = {.id = 1, .action = LAB_NAMES_DELAY, .delay_ns = NS_PER_MS};
    port_set_add(&rule.who, 1);
    if (kinds & 0x40)
        assert(names_rule_add(&sw->names, &rule) == 0);
}

/* The packet lies in memory of exactly its size, so that a sanitizer sees one byte too far. */
static const uint8_t *one_packet(struct vswitch *sw, const uint8_t *at, const uint8_t *end)
{
    struct virtio_net_hdr vnet;
    unsigned from = at[0] % PORTS;
    size_t n = (size_t)(at[1] << 8 | at[2]);
    now_ns += (at[0] >> 2) * 50 * NS_PER_US;
    memcpy(&vnet, at + 3, sizeof vnet);
    at += 3 + sizeof vnet;
    if (n > (size_t)(end - at))
        n = (size_t)(end - at);
    unsigned char *own = sw->scratch.pkt.p, *exact = malloc(n ? n : 1);
    memcpy(exact, at, n);
    sw->scratch.pkt = (struct pkt){.vnet = vnet, .p = exact, .n = n};
    switch_packet(sw, from);
    sw->scratch.pkt.p = own;
    free(exact);
    chain_run_due(&sw->chain);
    return at + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char counters[4096];
    static const char *const names[PORTS] = {"outside", "a", "b"};
    static const struct names_entry hosts[] = {{.name = "a", .ipv4 = SWITCH_NET + 10}};
    struct port ports[PORTS];
    struct vswitch sw;
    struct impair_report report;
    if (size < 1 || size > 1 << 16)
        return 0;
    assert(switch_counters_bytes(PORTS) <= sizeof counters);
    for (unsigned i = 0; i < PORTS; i++)
        ports[i] = (struct port){.ops = &ops, .fd = -1, .fd6 = -1, .index = i};
    bool logging = data[0] & 0x80;
    int log_fd = logging ? memfd_create("log", MFD_CLOEXEC) : -1;
    const struct switch_config config = {.ports = ports,
                                         .ports_n = PORTS,
                                         .counters = switch_counters_at(counters, PORTS),
                                         .control = -1,
                                         .log_fd = log_fd,
                                         .names = names,
                                         .hosts = hosts,
                                         .hosts_n = 1,
                                         .now = fake_now};
    now_ns = NS_PER_S;
    assert(switch_init(&sw, &config) == 0);
    add_faults(&sw, data[0]);
    const uint8_t *at = data + 1, *end = data + size;
    while (end - at > (ptrdiff_t)(3 + sizeof(struct virtio_net_hdr)))
        at = one_packet(&sw, at, end);
    chain_remove(&sw.chain, 1, &report);
    now_ns += 100 * NS_PER_S;
    while (chain_run_due(&sw.chain) != INT64_MAX)
        now_ns += 100 * NS_PER_S;
    switch_done(&sw);
    if (log_fd >= 0)
        close(log_fd);
    return 0;
}
