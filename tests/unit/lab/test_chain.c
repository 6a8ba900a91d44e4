/* Faults on the links of a whole switch with ports of memory and a clock of its own: composition,
 * time, ends, proof of effect, the packet log, and a naive model to compare with. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/gso.h"
#include "lab/switch.h"
#include "packets.h"
#include "tests.h"

#define PORTS    4
#define SEEN_MAX 300000

struct arrival {
    int64_t t_ns;
    uint32_t number; /* of a UDP packet made by udp4; TCP: position in the stream */
    uint32_t n;
    uint8_t to;
    bool good; /* the checksum is right */
};

struct world {
    struct vswitch sw;
    struct port ports[PORTS];
    struct switch_counters counters;
    int64_t now_ns;
    struct arrival *seen;
    size_t seen_n;
    bool full; /* writes are refused */
};
static struct world world;
static unsigned char room[PKT_MAX_BYTES];
static const char *const names[PORTS] = {"outside", "a", "b", "c"};

static bool checksum_ok(const struct pkt *k)
{
    if (k->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        return true;
    uint32_t sum = ipsum_pseudo4(k->p + 12, k->p + 16, k->p[9], (uint16_t)(k->n - 20));
    return ipsum_check(ipsum_add(sum, k->p + 20, k->n - 20)) == 0 &&
           ipsum_check(ipsum_add(0, k->p, 20)) == 0;
}

static int mem_write(struct port *p, const struct pkt *k)
{
    if (world.full)
        return -EAGAIN;
    ASSERT(world.seen_n < SEEN_MAX);
    world.seen[world.seen_n++] = (struct arrival){
        .t_ns = world.now_ns,
        .number = k->p[9] == IPPROTO_UDP ? pkt_load32(k->p + 28) : pkt_load32(k->p + 24),
        .n = (uint32_t)k->n,
        .to = (uint8_t)p->index,
        .good = checksum_ok(k)};
    return 0;
}

static int mem_read(struct port *p, int fd, struct pkt *ret)
{
    return -EAGAIN;
}

static const struct port_ops port_mem = {.name = "memory", .read = mem_read, .write = mem_write};

static int64_t fake_now(void *ctx)
{
    return world.now_ns;
}

static void open_world(int log_fd)
{
    struct arrival *seen = world.seen ? world.seen : xcalloc(SEEN_MAX, sizeof *seen);
    world = (struct world){.seen = seen, .now_ns = NS_PER_S};
    world.counters = switch_counters_at(xmalloc(switch_counters_bytes(PORTS)), PORTS);
    for (unsigned i = 0; i < PORTS; i++)
        world.ports[i] = (struct port){.ops = &port_mem, .fd = -1, .fd6 = -1, .index = i};
    ASSERT_OK(switch_init(&world.sw, &(struct switch_config){.ports = world.ports,
                                                             .ports_n = PORTS,
                                                             .counters = world.counters,
                                                             .control = -1,
                                                             .log_fd = log_fd,
                                                             .names = names,
                                                             .now = fake_now}));
}

static void close_world(void)
{
    switch_done(&world.sw);
    free(world.counters.ports);
}

static void offer(unsigned from, const struct pkt *k)
{
    unsigned char *own = world.sw.scratch.pkt.p;
    world.sw.scratch.pkt = (struct pkt){.vnet = k->vnet, .p = own, .n = k->n};
    memcpy(own, k->p, k->n);
    switch_packet(&world.sw, from);
}

static void send_udp(unsigned from, unsigned to, uint32_t number, size_t n)
{
    struct pkt k = {.p = room};
    udp4(&k, n, number, switch_addr(from), switch_addr(to), 6379);
    offer(from, &k);
}

/* Lets time pass; what is due leaves at its instant, late_ns after it. */
static void pass(int64_t ns, int64_t late_ns)
{
    int64_t end_ns = world.now_ns + ns, next_ns;
    while ((next_ns = hold_next_ns(&world.sw.chain.hold)) <= end_ns) {
        if (next_ns + late_ns > world.now_ns)
            world.now_ns = next_ns + late_ns;
        chain_run_due(&world.sw.chain);
    }
    if (world.now_ns < end_ns)
        world.now_ns = end_ns;
}

static struct lab_link order(uint64_t id, unsigned from, unsigned to)
{
    struct lab_link o = {.id = id, .seed = 42};
    snprintf(o.name, sizeof o.name, "f%u", (unsigned)id);
    port_set_add(&o.from, from);
    port_set_add(&o.to, to);
    return o;
}

static struct impair_report report_of(uint64_t id)
{
    struct impair_report r;
    ASSERT_OK(chain_report(&world.sw.chain, id, &r));
    return r;
}

static void end_fault(uint64_t id)
{
    struct impair_report r;
    ASSERT_OK(chain_remove(&world.sw.chain, id, &r));
}

TEST(delay_is_exact_and_keeps_the_order)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    o.spec.latency_ns = 5 * NS_PER_MS;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    for (uint32_t i = 0; i < 100; i++) {
        send_udp(1, 2, i, 100);
        pass(10 * NS_PER_US, 0);
    }
    ASSERT_EQ(report_of(1).held, 100);
    send_udp(2, 1, 7, 100); /* the way back is clean */
    ASSERT(world.seen_n == 1 && world.seen[0].t_ns == world.now_ns);
    pass(NS_PER_S, 0);
    ASSERT_EQ(world.seen_n, 101);
    for (uint32_t i = 0; i < 100; i++) {
        ASSERT_EQ(world.seen[i + 1].number, i);
        ASSERT_EQ(world.seen[i + 1].t_ns, NS_PER_S + i * 10 * NS_PER_US + 5 * NS_PER_MS);
    }
    struct impair_report r = report_of(1);
    ASSERT(r.packets == 100 && r.bytes == 10000 && r.passed == 100 && r.passed_bytes == 10000);
    ASSERT(r.held == 0 && r.added.count == 100 && r.added.min == 5 * NS_PER_MS);
    ASSERT_EQ(r.late.max, 0);
    close_world();
}

TEST(lateness_of_the_switch_is_measured)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    o.spec.latency_ns = 5 * NS_PER_MS;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    send_udp(1, 2, 1, 100);
    pass(20 * NS_PER_MS, 3 * NS_PER_MS);
    struct impair_report r = report_of(1);
    ASSERT_EQ(r.added.max, 8 * NS_PER_MS);
    ASSERT_EQ(r.asked.max, 5 * NS_PER_MS);
    ASSERT_EQ(r.late.max, 3 * NS_PER_MS);
    close_world();
}

TEST(partition_stops_one_way_only_and_ends)
{
    open_world(-1);
    struct lab_link o = order(9, 1, 2);
    o.spec.partition = true;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    send_udp(1, 2, 1, 60);
    ASSERT_EQ(world.seen_n, 0);
    send_udp(2, 1, 2, 60);
    send_udp(1, 3, 3, 60);
    ASSERT_EQ(world.seen_n, 2);
    ASSERT_EQ(report_of(9).partitioned, 1);
    ASSERT_EQ(switch_link(&world.sw, 1, 2)->count->drops_fault, 1);
    end_fault(9);
    ASSERT_EQ(switch_link(&world.sw, 1, 2)->impaired, 0);
    send_udp(1, 2, 1, 60);
    ASSERT_EQ(world.seen_n, 3);
    close_world();
}

/* Over real packets: shares, what a corrupted packet looks like, and that each is counted. */
TEST(shares_hold_for_packets)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    const double n = 100000, p = 0.1;
    o.spec.loss.share = o.spec.duplicate.share = o.spec.corrupt.share = p;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    for (uint32_t i = 0; i < n; i++)
        send_udp(1, 2, i, 64);
    struct impair_report r = report_of(1);
    ASSERT_EQ(r.packets, n);
    ASSERT_NEAR((double)r.lost / n, p, 2.576 * sqrt(p * (1 - p) / n));
    double left = n - (double)r.lost;
    ASSERT_NEAR((double)r.duplicated / left, p, 2.576 * sqrt(p * (1 - p) / left));
    ASSERT_NEAR((double)r.corrupted / left, p, 2.576 * sqrt(p * (1 - p) / left));
    ASSERT_EQ(r.passed, n - (double)r.lost + (double)r.duplicated);
    ASSERT_EQ(world.seen_n, r.passed);
    uint64_t bad = 0;
    for (size_t i = 0; i < world.seen_n; i++)
        bad += !world.seen[i].good;
    ASSERT_EQ(bad, r.corrupted); /* one bit is always noticed */
    close_world();
}

/* Every byte of the stream that was not lost arrives once, in packets that are right. */
TEST(uncut_segments_lose_single_packets)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    struct pkt k = {.p = room};
    uint64_t payload = 0, headers = 0;
    o.spec.loss.share = 0.02;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    for (uint32_t i = 0; i < 200; i++) {
        tcp4(&k, 43440, 1448, i * 43440, switch_addr(1), switch_addr(2));
        offer(1, &k);
    }
    struct impair_report r = report_of(1);
    ASSERT_EQ(r.packets, 200 * 30);
    ASSERT(r.lost > 60 && r.lost < 180);
    ASSERT(world.seen_n > 200 && world.seen_n < 200 + r.lost + 1);
    for (size_t i = 0; i < world.seen_n; i++) {
        ASSERT(i == 0 || world.seen[i].number > world.seen[i - 1].number);
        payload += world.seen[i].n - 52;
        headers++;
    }
    ASSERT_EQ(payload, (200 * 30 - r.lost) * 1448);
    ASSERT_EQ(r.passed, 200 * 30 - r.lost);
    ASSERT(headers < r.passed / 4); /* what nothing happened to stays in one piece */
    ASSERT_EQ(r.passed_bytes, r.passed * 1500);
    close_world();
}

/* What the kernel trusts unseen (NEEDS_CSUM) must not hide a flipped bit. */
TEST(corrupted_packets_of_a_segment_are_noticed)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    struct pkt k = {.p = room};
    uint64_t bad = 0;
    o.spec.corrupt.share = 0.05;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    for (uint32_t i = 0; i < 100; i++) {
        tcp4(&k, 43440, 1448, i * 43440, switch_addr(1), switch_addr(2));
        offer(1, &k);
    }
    for (size_t i = 0; i < world.seen_n; i++)
        bad += !world.seen[i].good;
    ASSERT(bad > 100);
    ASSERT_EQ(bad, report_of(1).corrupted);
    close_world();
}

TEST(uncut_segments_leave_at_the_rate)
{
    const bool buckets[] = {false, true};
    for (int b = 0; b < 2; b++) {
        open_world(-1);
        struct lab_link o = order(1, 1, 2);
        struct pkt k = {.p = room};
        if (buckets[b])
            o.spec.bandwidth = (struct impair_bandwidth){
                .rate_bytes_per_s = 12500000, .limit_bytes = 10000000, .buffer_bytes = 3000};
        else
            o.spec.rate_bits_per_s = 100000000;
        ASSERT_OK(chain_add(&world.sw.chain, &o));
        tcp4(&k, 43440, 1448, 0, switch_addr(1), switch_addr(2));
        for (int i = 0; i < 20; i++)
            offer(1, &k);
        pass(NS_PER_S, 0);
        struct impair_report r = report_of(1);
        ASSERT_EQ(r.passed, 600);
        ASSERT_EQ(world.seen_n, 600);
        double rate = (double)r.passed_bytes * 8e9 / (double)(r.last_ns - r.first_ns);
        ASSERT_NEAR(rate / 1e8, 1, 0.02);
        close_world();
    }
}

TEST(full_token_queue_drops_and_counts)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    o.spec.bandwidth = (struct impair_bandwidth){
        .rate_bytes_per_s = 1000, .limit_bytes = 5000, .buffer_bytes = 1500};
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    for (uint32_t i = 0; i < 10; i++)
        send_udp(1, 2, i, 1000);
    struct impair_report r = report_of(1);
    ASSERT_EQ(r.over_limit, 4); /* one went at once, five wait */
    ASSERT_EQ(r.held, 5);
    pass(100 * NS_PER_S, 0);
    r = report_of(1);
    ASSERT(r.passed == 6 && r.held == 0);
    send_udp(1, 2, 11, 1000); /* the queue is empty again */
    ASSERT_EQ(report_of(1).passed, 7);
    close_world();
}

TEST(faults_compose_in_the_order_of_adding_and_end_apart)
{
    open_world(-1);
    struct lab_link slow = order(1, 1, 2), slower = order(2, 1, 2), loss = order(3, 1, 2);
    slow.spec.latency_ns = 10 * NS_PER_MS;
    slower.spec.latency_ns = 100 * NS_PER_MS;
    loss.spec.loss.share = 1;
    ASSERT_OK(chain_add(&world.sw.chain, &slow));
    ASSERT_OK(chain_add(&world.sw.chain, &slower));
    ASSERT_EQ(chain_add(&world.sw.chain, &slow), -EEXIST);
    int64_t t0_ns = world.now_ns;
    send_udp(1, 2, 0, 100);
    pass(20 * NS_PER_MS, 0);
    send_udp(1, 2, 1, 100); /* in the first when the second ends */
    pass(5 * NS_PER_MS, 0);
    end_fault(2);
    send_udp(1, 2, 2, 100);
    ASSERT_OK(chain_add(&world.sw.chain, &loss)); /* comes last: met by 1 and 2, not by 0 */
    pass(NS_PER_S, 0);
    ASSERT_EQ(world.seen_n, 0 + 0);
    ASSERT_EQ(report_of(3).lost, 3);
    end_fault(3);
    send_udp(1, 2, 3, 100);
    end_fault(1); /* it holds number 3 */
    ASSERT_EQ(chain_remove(&world.sw.chain, 1, &(struct impair_report){0}), -ENOENT);
    ASSERT_EQ(world.sw.chain.ordered_n, 1);
    int64_t t_ns = world.now_ns;
    send_udp(1, 2, 4, 100);
    pass(NS_PER_S, 0);
    ASSERT_EQ(world.seen_n, 2);
    ASSERT(world.seen[0].number == 4 && world.seen[0].t_ns == t_ns);
    ASSERT(world.seen[1].number == 3 && world.seen[1].t_ns == t_ns + 10 * NS_PER_MS);
    ASSERT_EQ(world.sw.chain.ordered_n, 0);
    ASSERT(t0_ns < t_ns);
    close_world();
}

TEST(only_the_asked_port_is_met)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    struct pkt k = {.p = room};
    o.spec.partition = true;
    o.dst_port = 6379;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    send_udp(1, 2, 1, 60);
    ASSERT_EQ(world.seen_n, 0);
    udp4(&k, 60, 2, switch_addr(1), switch_addr(2), 53);
    offer(1, &k);
    ASSERT_EQ(world.seen_n, 1);
    udp4(&k, 60, 3, switch_addr(1), switch_addr(2), 6379);
    pkt_store16(k.p + 6, 100); /* a fragment has no ports */
    offer(1, &k);
    ASSERT_EQ(world.seen_n, 2);
    close_world();
}

TEST(nonsense_orders_are_refused)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    o.spec.loss.share = 1.5;
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -EINVAL);
    o.spec.loss.share = NAN;
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -EINVAL);
    o = order(1, 1, 2);
    o.spec.latency_ns = -1;
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -EINVAL);
    o = order(1, 1, PORTS); /* no such port */
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -EINVAL);
    o = order(1, 1, 2);
    memset(o.name, 'x', sizeof o.name);
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -EINVAL);
    for (uint64_t i = 0; i < LAB_LINKS_MAX; i++) {
        o = order(i, 1, 2);
        ASSERT_OK(chain_add(&world.sw.chain, &o));
    }
    o.id = 99;
    ASSERT_EQ(chain_add(&world.sw.chain, &o), -ENOSPC);
    end_fault(5);
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    close_world();
}

/* A link that stays in the kernel would pass the fault by. */
TEST(fault_of_a_link_that_cannot_be_taken_out_of_the_kernel_is_refused)
{
    struct impair_report r;
    struct lab_answer a;
    struct lab_command c = {.kind = LAB_CMD_LINK_ADD, .link = order(1, 1, 2)};
    open_world(-1);
    struct link *l = switch_link(&world.sw, 1, 2);
    world.sw.bypass = (struct bypass){
        .ports = world.ports, .ports_n = PORTS, .nl = open("/dev/null", O_RDWR | O_CLOEXEC)};
    for (unsigned i = 0; i < PORTS * PORTS; i++)
        world.sw.links[i].in_kernel = world.sw.links[i].from != world.sw.links[i].to;
    switch_command(&world.sw, &c, &a);
    ASSERT_EQ(a.result, -ENOTSOCK); /* as /dev/null answers netlink */
    ASSERT_EQ(chain_report(&world.sw.chain, 1, &r), -ENOENT);
    ASSERT(l->in_kernel && l->impaired == 0);
    close_world();
}

TEST(no_room_is_counted_and_not_called_loss)
{
    open_world(-1);
    struct lab_link o = order(1, 1, 2);
    struct pkt k = {.p = room};
    o.spec.latency_ns = NS_PER_S;
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    tcp4(&k, 2896, 1448, 0, switch_addr(1), switch_addr(2));
    for (int i = 0; i < HOLD_BIG + 3; i++)
        offer(1, &k);
    struct impair_report r = report_of(1);
    ASSERT_EQ(r.overflow, 3 * 2);
    ASSERT_EQ(r.lost, 0);
    pass(2 * NS_PER_S, 0);
    ASSERT_EQ(world.seen_n, HOLD_BIG);
    close_world();
}

/* ---- the packet log ---- */

static size_t storm_to_log(unsigned char *bytes, size_t cap, uint64_t seed)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    ASSERT(fd >= 0);
    open_world(fd);
    struct lab_link o = order(1, 1, 2), p = order(2, 2, 1);
    struct pkt k = {.p = room};
    o.seed = p.seed = seed;
    o.spec = (struct impair_spec){.latency_ns = 2 * NS_PER_MS,
                                  .jitter_ns = NS_PER_MS,
                                  .loss = {0.2, 0.3},
                                  .duplicate = {0.1, 0},
                                  .corrupt = {0.1, 0},
                                  .reorder = {0.1, 0}};
    p.spec.bandwidth = (struct impair_bandwidth){
        .rate_bytes_per_s = 100000, .limit_bytes = 4000, .buffer_bytes = 2000};
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    ASSERT_OK(chain_add(&world.sw.chain, &p));
    for (uint32_t i = 0; i < 500; i++) {
        send_udp(1, 2, i, 40 + i);
        send_udp(2, 1, i, 500);
        if (i % 50 == 0) {
            tcp4(&k, 20000, 1448, i * 20000, switch_addr(1), switch_addr(2));
            offer(1, &k);
        }
        pass(NS_PER_MS, 0);
    }
    pass(NS_PER_S, 0);
    close_world();
    ssize_t n = pread(fd, bytes, cap, 0);
    ASSERT(n > 100000 && (size_t)n < cap);
    close(fd);
    return (size_t)n;
}

TEST(same_seed_and_traffic_give_the_same_log)
{
    size_t cap = 8 << 20;
    unsigned char *a = xmalloc(cap), *b = xmalloc(cap);
    size_t an = storm_to_log(a, cap, 1), bn = storm_to_log(b, cap, 1);
    ASSERT_EQ(an, bn);
    ASSERT_OK(memcmp(a, b, an));
    ASSERT(memmem(a, an, "to b: f1: lost", 14));
    ASSERT(memmem(a, an, "f1: copy; f1: delayed", 21));
    ASSERT(memmem(a, an, "f1: corrupted", 13));
    ASSERT(memmem(a, an, "to a: f2: lost, the queue is full", 33));
    bn = storm_to_log(b, cap, 2);
    ASSERT(an != bn || memcmp(a, b, an) != 0);
    free(a);
    free(b);
}

/* ---- a naive model: every packet by itself, every queue a list that is searched ---- */

#define MODEL_FAULTS 8
#define MODEL_MAX    60000

struct model_fault {
    bool used, closed;
    uint64_t id;
    struct lab_link order;
    struct lane lanes[PORTS][PORTS];
    struct shaper shapers[PORTS];
};
struct model_packet {
    bool alive;
    int64_t at_ns; /* when it enters its next fault, or arrives */
    uint64_t turn; /* order among equal times */
    size_t stage;  /* faults before this one are behind it */
    unsigned from, to;
    uint32_t number;
    size_t n;
};
static struct model_fault model_faults[2000];
static size_t model_faults_n;
static struct model_packet model_packets[64];
static struct arrival model_seen[MODEL_MAX];
static size_t model_seen_n;
static uint64_t model_turn;

static void model_put(struct model_packet p)
{
    for (size_t i = 0; i < ARRAY_SIZE(model_packets); i++)
        if (!model_packets[i].alive) {
            model_packets[i] = p;
            model_packets[i].alive = true;
            model_packets[i].turn = model_turn++;
            return;
        }
    TEST_FAIL("the model has no room");
}

/* From stage on until something holds, loses or delivers it. */
static void model_walk(struct model_packet p)
{
    for (size_t i = p.stage; i < model_faults_n; i++) {
        struct model_fault *f = &model_faults[i];
        if (f->closed || !port_set_has(&f->order.from, p.from) || !port_set_has(&f->order.to, p.to))
            continue;
        struct fate fate;
        struct lane *lane = &f->lanes[p.from][p.to];
        if (f->order.spec.partition)
            return;
        if (!lane->ready)
            lane_init(lane, f->order.seed, p.from, p.to);
        lane_fate(lane, &f->order.spec, p.n, &fate);
        struct model_packet copy = p;
        copy.stage = i + 1;
        copy.at_ns = p.at_ns + fate.copy_delay_ns;
        p.stage = i + 1;
        bool rate = f->order.spec.rate_bits_per_s;
        if (!fate.lost) {
            p.at_ns = rate ? shaper_rate(&f->shapers[p.from], &f->order.spec, p.at_ns, p.at_ns, p.n)
                           : p.at_ns + fate.delay_ns;
            if (p.at_ns >= 0)
                p.at_ns > world.now_ns ? model_put(p) : model_walk(p);
            if (fate.duplicated)
                copy.at_ns > world.now_ns ? model_put(copy) : model_walk(copy);
        }
        return;
    }
    ASSERT(model_seen_n < MODEL_MAX);
    model_seen[model_seen_n++] = (struct arrival){
        .t_ns = world.now_ns, .number = p.number, .n = (uint32_t)p.n, .to = (uint8_t)p.to};
}

static struct model_packet *model_first(void)
{
    struct model_packet *best = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(model_packets); i++) {
        struct model_packet *p = &model_packets[i];
        if (p->alive &&
            (!best || p->at_ns < best->at_ns || (p->at_ns == best->at_ns && p->turn < best->turn)))
            best = p;
    }
    return best;
}

static void model_pass(int64_t end_ns)
{
    struct model_packet *p;
    int64_t now_ns = world.now_ns;
    while ((p = model_first()) && p->at_ns <= end_ns) {
        p->alive = false;
        world.now_ns = p->at_ns;
        model_walk(*p);
    }
    world.now_ns = now_ns;
}

static struct impair_spec random_spec(struct rng *r)
{
    struct impair_spec s = {0};
    switch (rng_below(r, 5)) {
    case 0: s.partition = true; break;
    case 1: s.latency_ns = (int64_t)rng_below(r, 3 * NS_PER_MS); break;
    case 2:
        s.latency_ns = 2 * NS_PER_MS;
        s.jitter_ns = NS_PER_MS;
        s.loss = (struct impair_share){0.3, 0.2};
        break;
    case 3:
        s.duplicate.share = 0.3;
        s.latency_ns = NS_PER_MS;
        break;
    case 4: s.rate_bits_per_s = 2000000; break;
    }
    return s;
}

static void model_add(struct rng *r, uint64_t id)
{
    struct lab_link o = {.id = id, .seed = rng_u64(r), .spec = random_spec(r)};
    for (unsigned i = 0; i < PORTS; i++) {
        if (rng_below(r, 2))
            port_set_add(&o.from, i);
        if (rng_below(r, 2))
            port_set_add(&o.to, i);
    }
    ASSERT_OK(chain_add(&world.sw.chain, &o));
    model_faults[model_faults_n++] = (struct model_fault){.used = true, .id = id, .order = o};
}

static void model_end_one(struct rng *r)
{
    size_t open[MODEL_FAULTS], n = 0;
    for (size_t i = 0; i < model_faults_n; i++)
        if (!model_faults[i].closed)
            open[n++] = i;
    if (n == 0)
        return;
    struct model_fault *f = &model_faults[open[rng_below(r, n)]];
    f->closed = true;
    end_fault(f->id);
}

static size_t model_open(void)
{
    size_t n = 0;
    for (size_t i = 0; i < model_faults_n; i++)
        n += !model_faults[i].closed;
    return n;
}

static void compare(void)
{
    ASSERT_EQ(world.seen_n, model_seen_n);
    for (size_t i = 0; i < model_seen_n; i++) {
        const struct arrival *a = &world.seen[i], *b = &model_seen[i];
        if (a->t_ns != b->t_ns || a->number != b->number || a->to != b->to)
            TEST_FAIL("arrival %zu: %u to %u at %lld, the model says %u to %u at %lld", i,
                      a->number, a->to, (long long)a->t_ns, b->number, b->to, (long long)b->t_ns);
    }
}

static void run_model(uint64_t seed)
{
    struct rng r;
    rng_init(&r, seed, "model");
    open_world(-1);
    model_faults_n = model_seen_n = 0;
    model_turn = 0;
    memset(model_packets, 0, sizeof model_packets);
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t what = rng_below(&r, 100);
        if (what < 2 && model_open() < MODEL_FAULTS)
            model_add(&r, i);
        else if (what < 4)
            model_end_one(&r);
        unsigned from = (unsigned)rng_below(&r, PORTS), to = (unsigned)rng_below(&r, PORTS);
        if (from == to)
            continue;
        struct model_packet p = {.from = from,
                                 .to = to,
                                 .number = i,
                                 .n = 32 + rng_below(&r, 1000),
                                 .at_ns = world.now_ns};
        send_udp(from, to, i, p.n);
        model_walk(p);
        int64_t step_ns = (int64_t)rng_below(&r, 2 * NS_PER_MS);
        model_pass(world.now_ns + step_ns);
        pass(step_ns, 0);
    }
    while (model_open())
        model_end_one(&r);
    model_pass(world.now_ns + 100 * NS_PER_S);
    pass(100 * NS_PER_S, 0);
    compare();
    /* and clean again */
    ASSERT_EQ(world.sw.chain.ordered_n, 0);
    for (unsigned from = 0; from < PORTS; from++)
        for (unsigned to = 0; to < PORTS; to++) {
            ASSERT_EQ(switch_link(&world.sw, from, to)->impaired, 0);
            size_t before = world.seen_n;
            if (from == to)
                continue;
            send_udp(from, to, 1, 100);
            ASSERT(world.seen_n == before + 1 && world.seen[before].t_ns == world.now_ns);
        }
    ASSERT_EQ(hold_next_ns(&world.sw.chain.hold), INT64_MAX);
    close_world();
}

TEST(random_faults_agree_with_a_naive_model)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_model(seed);
}
