/* What the switch's reports say: effect, none, too little to tell, not exact. */
#include "fault/network_measure.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fault/network_words.h"
#include "unit/tests.h"

static struct fault_network asked(const struct impair_spec *spec)
{
    struct fault_network n = {.links_n = 1, .pairs_n = 1, .spec = *spec};
    port_set_add(&n.links[0].from, 1);
    port_set_add(&n.links[0].to, 2);
    strcpy(n.where, "a -> b");
    return n;
}

static struct fault_result measure(const struct impair_spec *spec, const struct impair_report *r)
{
    static const bool told[FAULT_LINKS] = {true};
    struct fault_network n = asked(spec);
    struct fault_result ret = {0};
    network_measure(&n, r, told, &ret);
    ASSERT_EQ(ret.result < 0, ret.why[0] != '\0');
    return ret;
}

static void assert_good(const struct impair_spec *spec, const struct impair_report *r,
                        const char *measured)
{
    struct fault_result f = measure(spec, r);
    if (f.result != 0)
        TEST_FAIL("%s", f.why);
    ASSERT_STREQ(f.measured, measured);
}

static void assert_bad(const struct impair_spec *spec, const struct impair_report *r,
                       const char *why)
{
    struct fault_result f = measure(spec, r);
    ASSERT_EQ(f.result, -ENODATA);
    ASSERT_CONTAINS(f.why, why);
}

TEST(no_packet_is_no_effect)
{
    struct impair_spec loss = {.loss = {.share = 0.3}};
    assert_bad(&loss, &(struct impair_report){0}, "no packet met it: nobody talked over a -> b");
}

TEST(a_link_that_was_not_told_is_not_measured)
{
    struct impair_spec loss = {.loss = {.share = 0.3}};
    struct fault_network n = asked(&loss);
    struct impair_report r[2] = {{.packets = 100, .lost = 30}};
    struct fault_result ret = {0};
    n.links_n = 2;
    n.links[1] = n.links[0];
    network_measure(&n, r, (bool[FAULT_LINKS]){true, false}, &ret);
    ASSERT_EQ(ret.result, -ENODATA);
    ASSERT_CONTAINS(ret.why, "only some of its links");
    network_measure(&n, r, (bool[FAULT_LINKS]){false}, &ret);
    ASSERT_EQ(ret.result, -ENODATA);
    ASSERT_CONTAINS(ret.why, "its links could not be measured");
}

TEST(a_partition_stops_all)
{
    struct impair_spec s = {.partition = true};
    assert_good(&s, &(struct impair_report){.packets = 12, .partitioned = 12},
                "12 packets met it: none passed");
    assert_bad(&s, &(struct impair_report){.packets = 12, .partitioned = 11},
               "not exact: 1 of them passed");
}

TEST(shares_are_judged_by_chance)
{
    struct impair_spec s = {.loss = {.share = 0.3}};
    assert_good(&s, &(struct impair_report){.packets = 10000, .lost = 3040},
                "10,000 packets met it: lost 30.4 % (asked 30 %)");
    /* 4.42 standard deviations are 203 packets */
    assert_good(&s, &(struct impair_report){.packets = 10000, .lost = 3200},
                "10,000 packets met it: lost 32 % (asked 30 %)");
    assert_bad(&s, &(struct impair_report){.packets = 10000, .lost = 3210},
               "not exact: loss was 32.1 % where 30 % was asked");
    assert_bad(&s, &(struct impair_report){.packets = 10000, .lost = 2700}, "not exact");
    /* 0.7^20 = 0.08 %, 0.7^19 = 0.11 % */
    assert_bad(&s, &(struct impair_report){.packets = 20}, "loss of 30 % did not show");
    assert_bad(&s, &(struct impair_report){.packets = 19}, "too few packets to tell loss of 30 %");
    /* one that was met is an effect, however few there were */
    assert_good(&s, &(struct impair_report){.packets = 2, .lost = 1},
                "2 packets met it: lost 50 % (asked 30 %)");
    s.loss.share = 1;
    assert_good(&s, &(struct impair_report){.packets = 10, .lost = 10},
                "10 packets met it: lost 100 % (asked 100 %)");
    assert_bad(&s, &(struct impair_report){.packets = 100, .lost = 98}, "not exact");
}

TEST(a_correlation_makes_packets_say_less)
{
    struct impair_spec s = {.loss = {.share = 0.3, .correlation = 0.9}};
    assert_good(&s, &(struct impair_report){.packets = 10000, .lost = 3700},
                "10,000 packets met it: lost 37 % (asked 30 %)");
    assert_bad(&s, &(struct impair_report){.packets = 10000, .lost = 4000}, "not exact");
    /* 100 of them are as good as 5 */
    assert_bad(&s, &(struct impair_report){.packets = 100}, "too few packets to tell");
    s.loss.correlation = 1; /* one draw for ever: nothing to be expected */
    assert_good(&s, &(struct impair_report){.packets = 100, .lost = 100},
                "100 packets met it: lost 100 % (asked 30 %)");
}

TEST(copies_and_corruption_are_of_what_was_not_lost)
{
    struct impair_spec s = {
        .loss = {.share = 0.5}, .duplicate = {.share = 0.1}, .corrupt = {.share = 0.2}};
    struct impair_report r = {.packets = 10000, .lost = 5000, .duplicated = 500, .corrupted = 1000};
    assert_good(&s, &r,
                "10,000 packets met it: lost 50 % (asked 50 %), duplicated 10 % (asked 10 %), "
                "corrupted 20 % (asked 20 %)");
    r.corrupted = 0;
    assert_bad(&s, &r, "corruption of 20 % did not show");
    r.corrupted = 2000;
    assert_bad(&s, &r, "not exact: corruption was 40 % where 20 % was asked");
}

static struct impair_report delayed(int64_t p50_ns, int64_t p99_ns, int64_t late_ns)
{
    return (struct impair_report){
        .packets = 1000,
        .passed = 1000,
        .asked = {1000, p50_ns, p50_ns, p50_ns, p99_ns, p99_ns},
        .added = {1000, p50_ns, p50_ns, p50_ns, p99_ns, p99_ns},
        .late = {1000, 0, late_ns / 2, late_ns / 2, late_ns, late_ns},
    };
}

TEST(lateness_has_the_room_that_was_asked)
{
    struct impair_spec s = {.latency_ns = 5 * NS_PER_MS};
    struct impair_report r = delayed(5 * NS_PER_MS, 6 * NS_PER_MS, NS_PER_MS);
    assert_good(&s, &r,
                "1,000 packets met it: added 5.00ms p50, 6.00ms p99 (asked 5ms), lateness p99 "
                "1.00ms");
    r.late.p99++;
    assert_bad(&s, &r, "not exact: packets left up to 1.00ms (p99) later than asked");
    s.latency_ns = 500 * NS_PER_MS; /* a tenth of it */
    r.late.p99 = 50 * NS_PER_MS;
    ASSERT_OK(measure(&s, &r).result);
    r.late.p99++;
    assert_bad(&s, &r, "not exact");
    s.jitter_ns = 100 * NS_PER_MS;
    ASSERT_OK(measure(&s, &r).result);
    r.late.p99 = 101 * NS_PER_MS;
    assert_bad(&s, &r, "run it on a quieter one");
}

TEST(a_delay_that_nothing_left_is_no_effect)
{
    struct impair_spec s = {.latency_ns = 5 * NS_PER_S};
    assert_bad(&s, &(struct impair_report){.packets = 7, .held = 7},
               "no packet had left again when it ended");
    assert_bad(&s, &(struct impair_report){.packets = 7, .passed = 7}, "no packet was delayed");
}

TEST(packets_without_room_are_not_exact)
{
    struct impair_spec s = {.latency_ns = 5 * NS_PER_MS};
    struct impair_report r = delayed(5 * NS_PER_MS, 6 * NS_PER_MS, 0);
    r.overflow = 3;
    assert_bad(&s, &r, "not exact: the switch had no room for 3 packets");
}

TEST(reordering_has_a_gap_before_each)
{
    struct impair_spec s = {
        .latency_ns = 5 * NS_PER_MS, .reorder = {.share = 0.5}, .reorder_gap = 5};
    struct impair_report r = delayed(5 * NS_PER_MS, 6 * NS_PER_MS, 0);
    r.packets = r.passed = 60000;
    r.reordered = 10000; /* four in order, and two draws for a hit */
    ASSERT_CONTAINS(measure(&s, &r).measured, "sent ahead 16.7 % (asked 16.67 %)");
    ASSERT_OK(measure(&s, &r).result);
    r.reordered = 10100; /* one deviation is 23.6 */
    ASSERT_OK(measure(&s, &r).result);
    r.reordered = 10110;
    assert_bad(&s, &r, "not exact: reordering was 16.9 % where 16.67 % was asked");
    r.reordered = 0;
    assert_bad(&s, &r, "reordering of 16.67 % did not show");
    r.packets = r.passed = 10;
    assert_bad(&s, &r, "too few packets to tell reordering");
    s.reorder_gap = 0;
    r.packets = r.passed = 1000;
    r.reordered = 500;
    ASSERT_OK(measure(&s, &r).result);
}

TEST(a_rate_may_not_be_passed)
{
    struct impair_spec s = {.rate_bits_per_s = 8000000}; /* 1 MB/s */
    struct impair_report r = {.packets = 7000,
                              .passed = 7000,
                              .passed_bytes = 10000000,
                              .first_ns = NS_PER_S,
                              .last_ns = 11 * NS_PER_S,
                              .asked = {.count = 7000}};
    assert_good(&s, &r, "7,000 packets met it: 1 MB/s (8 Mbit/s) passed");
    r.passed_bytes = 10600000;
    assert_bad(&s, &r, "not exact: 1.06 MB/s (8.48 Mbit/s) passed, more than the rate asked");
}

TEST(a_bandwidth_has_its_bucket_and_must_be_felt)
{
    struct impair_spec s = {
        .bandwidth = {.rate_bytes_per_s = 1000000, .limit_bytes = 100000, .buffer_bytes = 500000}};
    struct impair_report r = {.packets = 7000,
                              .passed = 7000,
                              .passed_bytes = 10900000,
                              .first_ns = NS_PER_S,
                              .last_ns = 11 * NS_PER_S,
                              .asked = {.count = 10}};
    ASSERT_OK(measure(&s, &r).result);
    r.passed_bytes = 11100000;
    assert_bad(&s, &r, "more than the bandwidth asked");
    r.passed_bytes = 9000000;
    r.asked.count = 0;
    assert_bad(&s, &r, "no packet had to wait: the traffic stayed below what was asked");
    r.over_limit = 5;
    ASSERT_OK(measure(&s, &r).result);
    ASSERT_CONTAINS(measure(&s, &r).measured, "5 dropped at the full queue");
}

TEST(each_sender_has_the_rate_to_itself)
{
    struct impair_spec s = {.rate_bits_per_s = 8000000};
    struct fault_network n = asked(&s);
    struct impair_report r = {.packets = 7000,
                              .passed = 7000,
                              .passed_bytes = 19000000,
                              .first_ns = NS_PER_S,
                              .last_ns = 11 * NS_PER_S,
                              .asked = {.count = 7000}};
    struct fault_result ret = {0};
    const bool told[FAULT_LINKS] = {true};
    network_measure(&n, &r, told, &ret);
    ASSERT_EQ(ret.result, -ENODATA);
    port_set_add(&n.links[0].from, 3);
    network_measure(&n, &r, told, &ret);
    ASSERT_OK(ret.result);
}

static void assert_words(const struct impair_spec *s, const char *words)
{
    struct buf text = {0};
    network_words(s, &text);
    ASSERT_STREQ(buf_str(&text), words);
    buf_done(&text);
}

TEST(asked_in_words)
{
    assert_words(&(struct impair_spec){.partition = true}, "nothing passes");
    assert_words(
        &(struct impair_spec){.latency_ns = 500 * NS_PER_MS,
                              .jitter_ns = 100 * NS_PER_MS,
                              .latency_correlation = 0.25,
                              .reorder = {0.05, 0.5},
                              .reorder_gap = 5,
                              .loss = {0.3, 0}},
        "delay 500ms +-100ms (correlation 25 %), reorder 5 % after 4 in order (correlation "
        "50 %), loss 30 %");
    assert_words(&(struct impair_spec){.duplicate = {0.01, 0},
                                       .corrupt = {0.001, 0.1},
                                       .rate_bits_per_s = 10000000,
                                       .bandwidth = {.rate_bytes_per_s = 100000,
                                                     .limit_bytes = 20971520,
                                                     .buffer_bytes = 10000}},
                 "duplicate 1 %, corrupt 0.1 % (correlation 10 %), rate 10 Mbit/s, bandwidth 100 "
                 "kB/s (800 kbit/s), buffer 10,000 B, queue 20,971,520 B");
}
