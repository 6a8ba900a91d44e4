#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "observe/scrape.h"
#include "serve.h"
#include "tests.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

struct bench {
    struct loop loop;
    struct serve serve;
    struct series_store *store;
    struct scraper *scraper;
    struct buf errors, samples;
};

static void on_sample(void *ctx, int series, int64_t t_ns, double value)
{
    struct bench *b = ctx;
    (void)t_ns;
    buf_printf(&b->samples, "%s %g\n", series_get(b->store, (size_t)series)->key, value);
}

static void on_error(void *ctx, const char *service, const char *what)
{
    struct bench *b = ctx;
    buf_printf(&b->errors, "%s: %s\n", service, what ? what : "works");
}

static void bench_open(struct bench *b)
{
    *b = (struct bench){0};
    ASSERT_OK(loop_init(&b->loop));
    serve_open(&b->serve, &b->loop);
    b->store = series_store_new();
    struct scraper_ops ops = {serve_socket, on_sample, on_error, b};
    b->scraper = scraper_new(&b->loop, b->store, b->loop.now_ns, &ops);
}

static void bench_answer(struct bench *b, const char *answer)
{
    b->serve.answers[b->serve.answers_n++] = answer;
}

/* Turns until so many scrapes have ended, well or not. */
static void bench_run(struct bench *b, uint64_t ended)
{
    struct scraper_counts c = {0};
    scraper_add(b->scraper, "gateway", &b->serve.addr, "/metrics", 2 * NS_PER_MS);
    scraper_start(b->scraper);
    for (int i = 0; i < 10000 && c.good + c.failed < ended; i++) {
        loop_turn(&b->loop, 10 * NS_PER_MS);
        ASSERT(scraper_counts(b->scraper, "gateway", &c));
    }
    ASSERT_EQ(c.good + c.failed, ended);
    scraper_stop(b->scraper);
}

static void bench_close(struct bench *b)
{
    scraper_free(b->scraper);
    series_store_free(b->store);
    serve_close(&b->serve);
    loop_done(&b->loop);
    buf_done(&b->errors);
    buf_done(&b->samples);
}

TEST(a_good_scrape_fills_the_store)
{
    struct bench b;
    bench_open(&b);
    bench_answer(&b, OK_HEAD "x_total{code=\"200\"} 3\ny 4 1395066363000\n");
    bench_run(&b, 1);
    ASSERT_STREQ(buf_str(&b.samples), "x_total{code=\"200\",service=\"gateway\"} 3\n"
                                      "y{service=\"gateway\"} 4\nup{service=\"gateway\"} 1\n");
    ASSERT_STREQ(buf_str(&b.errors), "");
    ASSERT_CONTAINS(b.serve.requests[0], "GET /metrics HTTP/1.1\r\n");
    ASSERT_CONTAINS(b.serve.requests[0], "Host: gateway:");
    const struct series *y = series_get(b.store, 1);
    ASSERT(y->samples_n == 1 && y->samples[0].t_ns > 0 && y->samples[0].t_ns < NS_PER_S);
    bench_close(&b);
}

TEST(own_labels_give_way)
{
    struct bench b;
    bench_open(&b);
    bench_answer(&b, OK_HEAD "up 7\nx{service=\"other\"} 1\n");
    bench_run(&b, 1);
    ASSERT_STREQ(
        buf_str(&b.samples),
        "exported_up{service=\"gateway\"} 7\n"
        "x{exported_service=\"other\",service=\"gateway\"} 1\nup{service=\"gateway\"} 1\n");
    bench_close(&b);
}

TEST(a_series_that_is_gone_gets_a_marker)
{
    struct bench b;
    bench_open(&b);
    bench_answer(&b, OK_HEAD "a 1\nb 1\n");
    bench_answer(&b, OK_HEAD "b 2\n");
    bench_answer(&b, OK_HEAD "b 3\n");
    bench_run(&b, 3);
    const struct series *a = series_get(b.store, 0);
    ASSERT_STREQ(a->name, "a");
    ASSERT_EQ(a->samples_n, 2);
    ASSERT(series_is_stale(a->samples[1].value));
    ASSERT_EQ(series_get(b.store, 1)->samples_n, 3);
    bench_close(&b);
}

static void expect_refused(const char *answer, const char *why)
{
    struct bench b;
    bench_open(&b);
    bench_answer(&b, answer);
    bench_answer(&b, answer);
    bench_answer(&b, OK_HEAD "a 1\n");
    bench_run(&b, 3);
    ASSERT_STREQ(buf_str(&b.samples), "up{service=\"gateway\"} 0\nup{service=\"gateway\"} 0\n"
                                      "a{service=\"gateway\"} 1\nup{service=\"gateway\"} 1\n");
    ASSERT_CONTAINS(buf_str(&b.errors), why);
    ASSERT_CONTAINS(buf_str(&b.errors), "gateway: works\n");
    int lines = 0;
    for (const char *p = buf_str(&b.errors); *p; p++)
        lines += *p == '\n';
    ASSERT_EQ(lines, 2); /* one a change, not one a scrape */
    bench_close(&b);
}

TEST(a_bad_scrape_is_no_scrape)
{
    expect_refused(OK_HEAD "a 1\nb\n", "metrics line 2");
    expect_refused(OK_HEAD "a 1\na 2\n", "two values for a{service=");
    expect_refused("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\na 1\n", "status 503");
    expect_refused("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n", "cut off");
    expect_refused("SSH-2.0-OpenSSH\r\n", "not HTTP");
    expect_refused("", "reset");
}

TEST(too_many_series_are_refused_as_a_whole)
{
    struct bench b;
    struct buf page = {0};
    bench_open(&b);
    buf_add_str(&page, OK_HEAD);
    for (int i = 0; i <= SERIES_MAX; i++)
        buf_printf(&page, "m%d 1\n", i);
    bench_answer(&b, buf_str(&page));
    bench_run(&b, 1);
    ASSERT_CONTAINS(buf_str(&b.errors), "more than the 20000");
    ASSERT_EQ(series_count(b.store), 1); /* up */
    bench_close(&b);
    buf_done(&page);
}

TEST(a_scrape_that_hangs_misses_the_next)
{
    struct bench b;
    struct scraper_counts c = {0};
    bench_open(&b);
    bench_answer(&b, NULL);
    scraper_add(b.scraper, "gateway", &b.serve.addr, "/metrics", NS_PER_MS);
    scraper_start(b.scraper);
    for (int i = 0; i < 1000 && c.missed < 3; i++) {
        loop_turn(&b.loop, NS_PER_MS);
        ASSERT(scraper_counts(b.scraper, "gateway", &c));
    }
    ASSERT(c.missed >= 3 && c.good == 0 && c.failed == 0);
    ASSERT_EQ(b.serve.served, 1);
    bench_close(&b);
}

TEST(nobody_listens)
{
    struct bench b;
    bench_open(&b);
    serve_close(&b.serve);
    bench_run(&b, 2);
    ASSERT_STREQ(buf_str(&b.errors), "gateway: Connection refused\n");
    ASSERT_STREQ(buf_str(&b.samples), "up{service=\"gateway\"} 0\nup{service=\"gateway\"} 0\n");
    bench_close(&b);
}
