/* Lines, bucket, back-off, start order, paths, nsswitch: the pure parts of the lab. */
#include "tests.h"

#include <errno.h>

#include "base/buf.h"
#include "base/rng.h"
#include "lab/backoff.h"
#include "lab/lines.h"
#include "lab/mounts.h"
#include "lab/order.h"
#include "lab/ready.h"

struct got {
    struct buf text; /* each line followed by '|' */
    int n;
};

static void on_line(void *ctx, const char *line, size_t n)
{
    struct got *g = ctx;
    ASSERT_EQ(strlen(line), n);
    buf_add(&g->text, line, n);
    buf_add_char(&g->text, '|');
    g->n++;
}

static void feed(struct lines *l, struct got *g, const char *s)
{
    lines_feed(l, s, strlen(s), on_line, g);
}

TEST(lines_come_whole_from_any_pieces)
{
    const char text[] = "one\ntwo\r\n\nfour\rfour\n\r\nlast";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        struct lines l;
        struct got g = {0};
        lines_init(&l);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            lines_feed(&l, text + at, left < piece ? left : piece, on_line, &g);
        }
        ASSERT_EQ(g.n, 5);
        lines_end(&l, on_line, &g);
        lines_end(&l, on_line, &g);
        ASSERT_STREQ(buf_str(&g.text), "one|two||four\rfour||last|");
        buf_done(&g.text);
    }
}

TEST(line_with_nul_bytes_and_binary)
{
    struct lines l;
    struct got g = {0};
    lines_init(&l);
    lines_feed(&l, "a\0b\xff\0\n\0\n", 8, on_line, &g);
    ASSERT_STREQ(buf_str(&g.text), "a?b\xff?|?|");
    buf_done(&g.text);
}

TEST(long_line_is_cut_and_marked)
{
    struct lines l;
    struct got g = {0};
    char x[1000];
    memset(x, 'x', sizeof x);
    lines_init(&l);
    for (int i = 0; i < 100; i++)
        lines_feed(&l, x, sizeof x, on_line, &g);
    ASSERT_EQ(g.n, 0);
    feed(&l, &g, "\nnext\n");
    ASSERT_EQ(g.n, 2);
    ASSERT_CONTAINS(buf_str(&g.text), "xxx[cut 95936 bytes]|next|");
    ASSERT_LT(g.text.n, LINE_BYTES + 8);
    buf_done(&g.text);
}

TEST(carriage_return_inside_a_cut_line_does_not_hide_the_cut)
{
    struct lines l;
    struct got g = {0};
    lines_init(&l);
    for (int i = 0; i < 2 * LINE_BYTES; i++)
        feed(&l, &g, "\r");
    feed(&l, &g, "\n");
    ASSERT_CONTAINS(buf_str(&g.text), "[cut 4128 bytes]");
    buf_done(&g.text);
}

TEST(line_of_exactly_the_kept_length_is_not_marked)
{
    for (size_t n = LINE_BYTES - 34; n < LINE_BYTES - 30; n++) {
        struct lines l;
        struct got g = {0};
        lines_init(&l);
        for (size_t i = 0; i < n; i++)
            feed(&l, &g, "y");
        feed(&l, &g, "\n");
        bool cut = strstr(buf_str(&g.text), "[cut") != NULL;
        ASSERT_EQ(cut, n > LINE_BYTES - 32);
        buf_done(&g.text);
    }
}

TEST(bucket_lets_a_burst_pass_then_the_rate)
{
    struct bucket b;
    int64_t now = 1000;
    int passed = 0;
    bucket_init(&b, 20000, 2000, now);
    for (int i = 0; i < 30000; i++)
        passed += bucket_take(&b, now);
    ASSERT_EQ(passed, 20000);
    for (passed = 0; now < 1000 + NS_PER_S; now += NS_PER_S / 10000)
        passed += bucket_take(&b, now);
    ASSERT_NEAR(passed, 2000, 1);
    now += 3600 * NS_PER_S; /* no more than a burst is saved up */
    for (int i = passed = 0; i < 30000; i++)
        passed += bucket_take(&b, now);
    ASSERT_EQ(passed, 20000);
    ASSERT(!bucket_take(&b, now - NS_PER_S)); /* a clock that goes back gives nothing */
}

TEST(backoff_doubles_to_its_limit_and_is_reset_when_steady)
{
    struct backoff b;
    backoff_init(&b, NS_PER_S, 5 * NS_PER_S);
    ASSERT_EQ(backoff_take(&b), NS_PER_S);
    ASSERT_EQ(backoff_take(&b), 2 * NS_PER_S);
    ASSERT_EQ(backoff_take(&b), 4 * NS_PER_S);
    ASSERT_EQ(backoff_take(&b), 5 * NS_PER_S);
    backoff_note_end(&b, 100, 100 + BACKOFF_STEADY_NS - 1);
    ASSERT_EQ(backoff_take(&b), 5 * NS_PER_S);
    backoff_note_end(&b, 0, 100 * NS_PER_S); /* was never ready */
    ASSERT_EQ(backoff_take(&b), 5 * NS_PER_S);
    backoff_note_end(&b, 100, 100 + BACKOFF_STEADY_NS);
    ASSERT_EQ(backoff_take(&b), NS_PER_S);
}

TEST(backoff_is_never_zero_nor_overflows)
{
    struct backoff b;
    backoff_init(&b, 0, 0);
    ASSERT_EQ(backoff_take(&b), BACKOFF_MIN_NS);
    ASSERT_EQ(backoff_take(&b), BACKOFF_MIN_NS);
    backoff_init(&b, INT64_MAX / 2 + 1, INT64_MAX);
    for (int i = 0; i < 5; i++)
        ASSERT_LT(0, backoff_take(&b));
}

static struct plan_service services[8];
static const char *needs_text[8][3];

static int order_of(struct order *o, size_t n, struct err *err)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < n; i++) {
        services[i] = (struct plan_service){.name = names[i], .needs.v = needs_text[i]};
        while (services[i].needs.n < 3 && needs_text[i][services[i].needs.n])
            services[i].needs.n++;
    }
    return order_make(o, services, n, err);
}

TEST(order_puts_needs_first_and_keeps_the_plan_otherwise)
{
    struct order o;
    struct err err = {0};
    memset(needs_text, 0, sizeof needs_text);
    needs_text[0][0] = "c";
    needs_text[2][0] = "d";
    needs_text[2][1] = "b";
    ASSERT_OK(order_of(&o, 5, &err));
    const size_t want[] = {1, 3, 2, 0, 4};
    for (size_t i = 0; i < 5; i++)
        ASSERT_EQ(o.seq[i], want[i]);
    ASSERT(order_needs(&o, 0, 2) && !order_needs(&o, 2, 0));
    order_done(&o);
}

TEST(order_refuses_cycles_and_unknown_names)
{
    struct order o;
    struct err err = {0};
    memset(needs_text, 0, sizeof needs_text);
    needs_text[0][0] = "b";
    needs_text[1][0] = "c";
    needs_text[2][0] = "b";
    ASSERT_EQ(order_of(&o, 4, &err), -ELOOP);
    ASSERT_CONTAINS(err.msg, "'a' needs itself");
    memset(needs_text, 0, sizeof needs_text);
    needs_text[3][0] = "d";
    ASSERT_EQ(order_of(&o, 4, &err), -ELOOP);
    needs_text[3][0] = "nobody";
    ASSERT_EQ(order_of(&o, 4, &err), -ENOENT);
    ASSERT_CONTAINS(err.msg, "'d' needs 'nobody'");
    memset(needs_text, 0, sizeof needs_text);
    ASSERT_OK(order_of(&o, 0, &err));
    order_done(&o);
}

TEST(order_holds_for_random_graphs)
{
    struct rng r;
    rng_init(&r, 7, "order");
    for (int round = 0; round < 500; round++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        struct order o;
        struct err err = {0};
        size_t at[8];
        memset(needs_text, 0, sizeof needs_text);
        for (size_t i = 0; i < 8; i++)
            for (int k = 0; k < 2; k++)
                if (rng_below(&r, 3) == 0 && i + 1 < 8) /* only later ones: no cycle */
                    needs_text[i][needs_text[i][0] ? 1 : 0] = names[i + 1 + rng_below(&r, 7 - i)];
        ASSERT_OK(order_of(&o, 8, &err));
        for (size_t k = 0; k < 8; k++)
            at[o.seq[k]] = k;
        for (size_t i = 0; i < 8; i++)
            for (size_t j = 0; j < 8; j++)
                ASSERT(!order_needs(&o, i, j) || at[j] < at[i]);
        order_done(&o);
    }
}

TEST(file_paths_stay_below_the_working_folder)
{
    static const char *const good[] = {"a", "conf/a.yaml", "..a/b..", ".hidden"};
    static const char *const bad[] = {"",          "/etc/passwd", "..", "../x",
                                      "a/../../x", "a//b",        "a/", "./a"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ASSERT(mounts_path_ok(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ASSERT(!mounts_path_ok(bad[i]));
}

TEST(nsswitch_asks_files_first)
{
    struct buf out = {0};
    mounts_nsswitch(&out, STR("passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files\n"
                              "  hosts:   dns\n# end"));
    ASSERT_STREQ(buf_str(&out), "passwd: files\n# end\nhosts: files dns\n");
    buf_clear(&out);
    mounts_nsswitch(&out, STR(""));
    ASSERT_STREQ(buf_str(&out), "hosts: files dns\n");
    buf_done(&out);
}

/* --- who listens where ------------------------------------------------------------------------ */

#define TCP_HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"

TEST(a_listener_on_loopback_only)
{
    static const struct {
        const char *table;
        bool only;
    } rows[] = {
        {TCP_HEAD, false},
        {TCP_HEAD "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000\n", true},
        {TCP_HEAD "   0: 0100007F:1F40 0100007F:9999 01 00000000:00000000\n", false},
        {TCP_HEAD "   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000\n", false},
        {TCP_HEAD "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000\n", false},
        {TCP_HEAD "   0: 0300D50A:1F40 00000000:0000 0A 00000000:00000000\n", false},
        {TCP_HEAD "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000\n"
                  "   1: 0300D50A:1F40 00000000:0000 0A 00000000:00000000\n",
         false},
        {"   0: zz:1F40 0:0000 0A\n0: :\n\n:::\n   0: 0100007F", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (ready_loopback_only(rows[i].table, 8000) != rows[i].only)
            TEST_FAIL("table %zu", i);
}
