/* What is drawn, when packets leave at a rate, how an uncut segment becomes packets: the pure parts
 * of the switch's faults. Statistics are at fixed seeds, bounds are those of 99 % confidence. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lab/gso.h"
#include "lab/lane.h"
#include "lab/shaper.h"
#include "packets.h"
#include "tests.h"

#define PACKETS 200000
#define SIGMAS  2.576 /* 99 % */

static bool near(double got, double want, double n)
{
    return fabs(got - want) <= SIGMAS * sqrt(want * (1 - want) / n);
}

struct seen {
    double lost, duplicated, corrupted, overtook;
};

static struct seen draw_many(const struct impair_spec *spec, uint64_t seed)
{
    struct seen s = {0};
    struct lane lane;
    struct fate f;
    lane_init(&lane, seed, 1, 2);
    for (int i = 0; i < PACKETS; i++) {
        lane_fate(&lane, spec, 1500, &f);
        s.lost += f.lost;
        s.duplicated += f.duplicated;
        s.corrupted += f.corrupt_bit >= 0;
        s.overtook += f.overtakes;
        ASSERT(f.corrupt_bit < 1500 * 8);
    }
    return s;
}

TEST(shares_are_what_was_asked)
{
    const double shares[] = {0.001, 0.01, 0.1, 0.3, 0.5, 0.9};
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
        double p = shares[i];
        struct impair_spec spec = {.latency_ns = NS_PER_MS,
                                   .loss = {.share = p},
                                   .duplicate = {.share = p},
                                   .corrupt = {.share = p},
                                   .reorder = {.share = p}};
        struct seen s = draw_many(&spec, 11 + i);
        ASSERT(near(s.lost / PACKETS, p, PACKETS));
        ASSERT(near(s.duplicated / PACKETS, p, PACKETS));
        ASSERT(near(s.corrupted / PACKETS, p, PACKETS));
        ASSERT(near(s.overtook / PACKETS, p, PACKETS));
    }
}

TEST(none_and_all_are_exact)
{
    struct impair_spec none = {.latency_ns = 1}, all = {.loss = {1, 0}, .duplicate = {1, 0.5}};
    struct seen s = draw_many(&none, 1);
    ASSERT(s.lost + s.duplicated + s.corrupted + s.overtook == 0);
    s = draw_many(&all, 1);
    ASSERT(s.lost == PACKETS && s.duplicated == PACKETS);
}

/* The share stays, and the correlation with the packet before is the one asked. */
TEST(correlation_makes_runs_and_keeps_the_share)
{
    struct impair_spec spec = {.loss = {.share = 0.1, .correlation = 0.5}};
    struct lane lane;
    struct fate f;
    double lost = 0, after_lost = 0, both = 0, n = PACKETS;
    bool before = false;
    lane_init(&lane, 5, 1, 2);
    for (int i = 0; i < PACKETS; i++) {
        lane_fate(&lane, &spec, 100, &f);
        lost += f.lost;
        after_lost += before;
        both += before && f.lost;
        before = f.lost;
    }
    /* runs make the effective sample smaller: (1 - r) / (1 + r) */
    ASSERT(near(lost / n, 0.1, n / 3));
    ASSERT(near(both / after_lost, 0.5 + 0.5 * 0.1, after_lost));
}

TEST(jitter_is_uniform_around_the_latency)
{
    struct impair_spec spec = {.latency_ns = 50 * NS_PER_MS, .jitter_ns = 10 * NS_PER_MS};
    struct lane lane;
    struct fate f;
    double sum = 0, squares = 0;
    lane_init(&lane, 6, 1, 2);
    for (int i = 0; i < PACKETS; i++) {
        lane_fate(&lane, &spec, 100, &f);
        ASSERT(f.delay_ns >= 40 * NS_PER_MS && f.delay_ns <= 60 * NS_PER_MS);
        double ms = (double)f.delay_ns / 1e6 - 50;
        sum += ms;
        squares += ms * ms;
    }
    double sd = 10 / sqrt(3);
    ASSERT(fabs(sum / PACKETS) < SIGMAS * sd / sqrt(PACKETS));
    ASSERT(fabs(sqrt(squares / PACKETS) - sd) < 0.05);
    spec.jitter_ns = 200 * NS_PER_MS; /* more than the latency: never before now */
    for (int i = 0; i < 1000; i++) {
        lane_fate(&lane, &spec, 100, &f);
        ASSERT(f.delay_ns >= 0);
    }
}

/* After gap - 1 packets in order each may overtake: one in (gap - 1) + 1 / share. */
TEST(reordering_counts_the_gap)
{
    struct impair_spec spec = {
        .latency_ns = NS_PER_MS, .reorder = {.share = 0.5}, .reorder_gap = 5};
    double want = 1.0 / (4 + 2);
    ASSERT(near(draw_many(&spec, 7).overtook / PACKETS, want, PACKETS));
    spec.reorder.share = 1;
    ASSERT_EQ((int)draw_many(&spec, 7).overtook, PACKETS / 5);
    spec.latency_ns = 0; /* nothing waits that could be overtaken */
    ASSERT_EQ((int)draw_many(&spec, 7).overtook, 0);
}

/* One kind of fate more, another link, another seed: what shifts what. */
TEST(each_fate_and_link_has_a_stream_of_its_own)
{
    struct impair_spec loss = {.loss = {.share = 0.3}}, more = loss;
    struct lane a, b, other;
    struct fate fa, fb, fo;
    int differ = 0;
    more.duplicate.share = 0.4;
    more.jitter_ns = NS_PER_MS;
    lane_init(&a, 8, 1, 2);
    lane_init(&b, 8, 1, 2);
    lane_init(&other, 8, 2, 1);
    for (int i = 0; i < 1000; i++) {
        lane_fate(&a, &loss, 100, &fa);
        lane_fate(&b, &more, 1400, &fb);
        lane_fate(&other, &loss, 100, &fo);
        ASSERT_EQ(fa.lost, fb.lost);
        differ += fa.lost != fo.lost;
    }
    ASSERT(differ > 300);
}

/* ---- rates ---- */

static double rate_of(uint64_t bits_per_s, bool bucket, size_t bytes)
{
    struct shaper s = {0};
    struct impair_spec spec = {.rate_bits_per_s = bits_per_s};
    struct impair_bandwidth b = {
        .rate_bytes_per_s = bits_per_s / 8, .limit_bytes = 100000, .buffer_bytes = 10000};
    int64_t now_ns = 0, first_ns = 0, last_ns = 0,
            step_ns = (int64_t)(bytes * 4e9 / (double)bits_per_s);
    uint64_t sent = 0;
    /* twice as much as fits is offered; what is refused is gone */
    for (int i = 0; i < 20000; i++, now_ns += step_ns) {
        int64_t at_ns = bucket ? shaper_bucket(&s, &b, now_ns, bytes)
                               : shaper_rate(&s, &spec, now_ns, now_ns, bytes);
        if (bucket)
            s.backlog_bytes = (uint64_t)((double)(s.bucket_ns > now_ns ? s.bucket_ns - now_ns : 0) *
                                         (double)bits_per_s / 8e9);
        if (at_ns < 0)
            continue;
        ASSERT(at_ns >= last_ns && at_ns >= now_ns);
        first_ns = first_ns ? first_ns : at_ns;
        last_ns = at_ns;
        sent += bytes;
    }
    return (double)sent * 8e9 / (double)(last_ns - first_ns) / (double)bits_per_s;
}

TEST(rates_are_kept_within_two_percent)
{
    const uint64_t rates[] = {1000000, 10000000, 100000000, 1000000000};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        ASSERT(fabs(rate_of(rates[i], false, 1500) - 1) < 0.02);
        ASSERT(fabs(rate_of(rates[i], true, 1500) - 1) < 0.02);
        ASSERT(fabs(rate_of(rates[i], false, 60) - 1) < 0.02);
    }
}

TEST(bucket_lets_its_burst_through_at_once_and_then_the_rate)
{
    struct shaper s = {0};
    const struct impair_bandwidth b = {
        .rate_bytes_per_s = 1000000, .limit_bytes = 6000, .buffer_bytes = 4500};
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(shaper_bucket(&s, &b, 0, 1500), 0);
        shaper_left(&s, 1500);
    }
    for (int i = 1; i <= 4; i++) /* then 1.5 ms each, until 6,000 bytes wait */
        ASSERT_EQ(shaper_bucket(&s, &b, 0, 1500), i * 1500000);
    ASSERT_EQ(shaper_bucket(&s, &b, 0, 1500), -ENOBUFS);
    shaper_left(&s, 1500);
    ASSERT_EQ(shaper_bucket(&s, &b, 1500000, 1500), 5 * 1500000);
}

TEST(peak_rate_spreads_the_burst)
{
    struct shaper s = {0};
    const struct impair_bandwidth b = {.rate_bytes_per_s = 1000000,
                                       .limit_bytes = 60000,
                                       .buffer_bytes = 15000,
                                       .peakrate_bytes_per_s = 3000000,
                                       .minburst_bytes = 1500};
    ASSERT_EQ(shaper_bucket(&s, &b, 0, 1500), 0);
    for (int i = 1; i < 10; i++)
        ASSERT_EQ(shaper_bucket(&s, &b, 0, 1500), i * 500000);
    int64_t a_ns = 0, b_ns = 0;
    for (int i = 0; i < 20; i++) {
        a_ns = b_ns;
        b_ns = shaper_bucket(&s, &b, 0, 1500);
    }
    ASSERT_EQ(b_ns - a_ns, 1500000); /* the tokens are used up */
}

TEST(slow_link_holds_more_than_its_delay_alone)
{
    struct shaper s = {0};
    struct impair_spec spec = {.rate_bits_per_s = 1000000, .latency_ns = 500 * NS_PER_MS};
    int taken = 0;
    while (shaper_rate(&s, &spec, 0, spec.latency_ns, 1500) >= 0)
        taken++;
    /* 200 ms of queue at 12 ms a packet, and what is on its way */
    ASSERT(taken >= 16 && taken <= 60);
}

/* ---- uncut segments ---- */

static unsigned char room_a[PKT_MAX_BYTES], room_b[PKT_MAX_BYTES], room_c[PKT_MAX_BYTES];

static unsigned l4_sum(const struct pkt *k, size_t l4)
{
    uint32_t sum = l4 == 20 ? ipsum_pseudo4(k->p + 12, k->p + 16, k->p[9], (uint16_t)(k->n - l4))
                            : ipsum_pseudo6(k->p + 8, k->p + 24, k->p[6], (uint32_t)(k->n - l4));
    return ipsum_check(ipsum_add(sum, k->p + l4, k->n - l4));
}

static void check_packet(const struct pkt *k, size_t l4, uint32_t seq, size_t payload, bool first,
                         bool last)
{
    ASSERT_EQ(k->n, l4 + 32 + payload);
    ASSERT_EQ(pkt_load32(k->p + l4 + 4), seq);
    ASSERT_EQ(k->p[l4 + 13], (first ? 0x80 : 0) | 0x10 | (last ? 0x09 : 0));
    for (size_t i = 0; i < payload; i++)
        ASSERT_EQ(k->p[l4 + 32 + i], stream_byte(seq + (uint32_t)i));
    if (l4 == 20) {
        ASSERT_EQ(pkt_load16(k->p + 2), k->n);
        ASSERT_EQ(ipsum_check(ipsum_add(0, k->p, 20)), 0);
    } else {
        ASSERT_EQ(pkt_load16(k->p + 4) + 40u, k->n);
    }
}

static void check_cut(const struct pkt *k, size_t l4, size_t payload, size_t mss, uint32_t seq)
{
    struct gso_train t, inner;
    struct pkt run = {.p = room_b}, one = {.p = room_c};
    gso_look(k, &t);
    ASSERT_EQ(t.n, (payload + mss - 1) / mss);
    for (unsigned i = 0; i < t.n; i++) {
        gso_cut(k, &t, i, 1, &one);
        size_t n = i + 1 < t.n ? mss : payload - (t.n - 1) * mss;
        ASSERT_EQ(one.n, gso_bytes(k, &t, i));
        ASSERT_EQ(one.vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
        check_packet(&one, l4, seq + i * (uint32_t)mss, n, i == 0, i + 1 == t.n);
        ASSERT_EQ(one.vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        gso_finish_checksum(&one);
        ASSERT_EQ(one.vnet.flags, 0);
        ASSERT_EQ(l4_sum(&one, l4), 0);
    }
    /* a run is a train itself, whose packets are the same */
    gso_cut(k, &t, 1, 3, &run);
    check_packet(&run, l4, seq + (uint32_t)mss, 3 * mss, false, false);
    gso_look(&run, &inner);
    ASSERT_EQ(inner.n, 3);
    gso_cut(&run, &inner, 2, 1, &one);
    check_packet(&one, l4, seq + 3 * (uint32_t)mss, mss, false, false);
    if (l4 == 20)
        ASSERT_EQ(pkt_load16(one.p + 4), 703);
    gso_finish_checksum(&one);
    ASSERT_EQ(l4_sum(&one, l4), 0);
}

TEST(uncut_segments_become_the_packets_the_kernel_would_make)
{
    const unsigned char a[16] = {0xfd, 1}, b[16] = {0xfd, 2};
    struct pkt k = {.p = room_a};
    tcp4(&k, 60000, 1448, 4294960000u, 0x0ad5000a, 0x0ad5000b);
    check_cut(&k, 20, 60000, 1448, 4294960000u);
    tcp6(&k, 50001, 1428, 77, a, b);
    check_cut(&k, 40, 50001, 1428, 77);
}

TEST(odd_headers_are_never_cut)
{
    struct pkt k = {.p = room_a};
    struct gso_train t;
    tcp4(&k, 60000, 1448, 1, 1, 2);
    struct virtio_net_hdr good = k.vnet;
    for (int i = 0; i < 6; i++) {
        k.vnet = good;
        k.p[20 + 12] = 8 << 4;
        switch (i) {
        case 0: k.vnet.csum_start = 24; break;
        case 1: k.vnet.flags = 0; break;
        case 2: k.vnet.gso_size = 0; break;
        case 3: k.vnet.csum_offset = 6; break;
        case 4: k.p[20 + 12] = 4 << 4; break;
        case 5: k.vnet.csum_start = 65000; break;
        }
        gso_look(&k, &t);
        ASSERT_EQ(t.n, 1);
        ASSERT_EQ(gso_bytes(&k, &t, 0), k.n);
    }
    k.vnet = good;
    k.vnet.csum_start = 65535;
    gso_finish_checksum(&k); /* out of range: left alone */
    ASSERT_EQ(k.vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

TEST(finished_udp_checksum_is_never_zero)
{
    struct pkt k = {.p = room_a};
    udp4(&k, 60, 3, 1, 2, 53);
    unsigned true_sum = pkt_load16(k.p + 26);
    pkt_store16(k.p + 26, ipsum_fold(ipsum_pseudo4(k.p + 12, k.p + 16, IPPROTO_UDP, 40)));
    k.vnet = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 6};
    gso_finish_checksum(&k);
    ASSERT_EQ(pkt_load16(k.p + 26), true_sum);
}
