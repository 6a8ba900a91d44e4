#include <errno.h>

#include "base/clock.h"
#include "observe/listing.h"
#include "serve.h"
#include "tests.h"

#define ID    "$.items[*].spec.pod"
#define COUNT "$.items[*].status.count"

/* Rows as "key=count ..." or the error. */
static const char *rows_text(const char *id, const char *count, const char *json, struct buf *out)
{
    struct listing_paths paths;
    struct listing_rows rows;
    struct err err = {0};
    char *token = NULL;
    buf_clear(out);
    if (listing_paths_init(&paths, id, count, &err) < 0) {
        buf_add_str(out, err.msg);
        return buf_str(out);
    }
    listing_rows_init(&rows);
    if (listing_rows_read(&rows, &paths, json, strlen(json), &token, &err) < 0)
        buf_add_str(out, err.msg);
    else {
        listing_rows_sort(&rows);
        for (size_t i = 0; i < rows.n; i++)
            buf_printf(out, "%s=%lld ", rows.v[i].key, (long long)rows.v[i].count);
        if (rows.without_id)
            buf_printf(out, "without=%d ", (int)rows.without_id);
        if (token)
            buf_printf(out, "next=%s", token);
    }
    free(token);
    listing_rows_done(&rows);
    listing_paths_done(&paths);
    return buf_str(out);
}

TEST(rows_of_a_page)
{
    static const struct {
        const char *id, *count, *json, *want;
    } rows[] = {
        {ID, COUNT,
         "{\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":2}},"
         "{\"spec\":{\"pod\":\"a\"},\"status\":{\"count\":0}}]}",
         "a=0 b=2 "},
        {ID, NULL, "{\"items\":[{\"spec\":{\"pod\":\"b\"}}]}", "b=1 "},
        {ID, NULL, "{\"items\":[{\"spec\":{\"pod\":\"b\"}},{\"spec\":{\"pod\":\"b\"}}]}",
         "b=1 b=1 "},
        {ID, NULL, "{\"items\":null,\"metadata\":{\"continue\":\"\"}}", ""},
        {ID, NULL, "{\"items\":[],\"metadata\":{\"continue\":\"x/=\"}}", "next=x/="},
        {ID, NULL, "{\"items\":[{\"spec\":{}},{\"spec\":{\"pod\":7}},{\"spec\":{\"pod\":{}}}]}",
         "7=1 without=2 "},
        {"$[*]", NULL, "[\"x\",true,1.5]", "1.5=1 true=1 x=1 "},
        {"$.*.n", "$.*.c", "{\"p\":{\"n\":\"x\",\"c\":3.0},\"q\":{\"n\":\"y\",\"c\":4}}",
         "x=3 y=4 "},
        {"$.a[*].b[*].n", "$.a[*].b[*].c",
         "{\"a\":[{\"b\":[{\"n\":\"x\",\"c\":1}]},{},{\"b\":null},{\"b\":[{\"n\":\"y\",\"c\":2}]}]"
         "}",
         "x=1 y=2 "},
        {"$.a[1]['odd key']", NULL, "{\"a\":[0,{\"odd key\":\"k\"}]}", "k=1 "},
        {ID, COUNT, "{\"items\":[{\"spec\":{\"pod\":\"b\"}}]}",
         "object \"b\" has no whole number at " COUNT},
        {ID, COUNT, "{\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":-1}}]}",
         "object \"b\" has no whole number at " COUNT},
        {ID, COUNT, "{\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":1.5}}]}",
         "object \"b\" has no whole number at " COUNT},
        {ID, NULL, "{\"kind\":\"Status\"}", "the answer does not have what " ID " starts with"},
        {ID, NULL, "{\"items\":\"none\"}", "the answer holds no list where " ID " has its [*]"},
        {ID, NULL, "{\"items\":[],\"items\":[]}",
         "the answer is not JSON: line 1, column 19: duplicate object key near '\"items\"'"},
        {ID, "$.items[*].a[*].count", "{}",
         "count \"$.items[*].a[*].count\" does not walk the objects of id \"" ID "\""},
        {ID, "$.others[*].count", "{}",
         "count \"$.others[*].count\" does not walk the objects of id \"" ID "\""},
        {"items", NULL, "{}", "\"items\": not a JSON path: it starts with \"$\""},
        {"$.a[-1]", NULL, "{\"a\":[1,2,3]}", "3=1 "},
        {"$.a[-4]", NULL, "{\"a\":[1,2,3]}", "without=1 "},
    };
    struct buf out = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = rows_text(rows[i].id, rows[i].count, rows[i].json, &out);
        if (strcmp(got, rows[i].want) != 0)
            TEST_FAIL("row %zu: \"%s\" instead of \"%s\"", i, got, rows[i].want);
    }
    buf_done(&out);
}

#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define ONE  HEAD "{\"items\":[{\"spec\":{\"pod\":\"a\"},\"status\":{\"count\":1}}]}"
#define TWO                                                                                        \
    HEAD "{\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":5}},"                        \
         "{\"spec\":{\"pod\":\"a\"},\"status\":{\"count\":1}}]}"

struct bench {
    struct loop loop;
    struct serve serve;
    struct listing listing;
    int ended;
};

static struct bench bench;

static void on_done(struct listing *l)
{
    ASSERT(l == &bench.listing);
    bench.ended++;
}

/* Runs a listing over the prepared answers to its end. */
static void bench_run(const char *const *answers, int n, int64_t stable_ns, int64_t within_ns)
{
    struct err err = {0};
    bench.ended = 0;
    memset(&bench.serve, 0, sizeof bench.serve);
    ASSERT_OK(loop_init(&bench.loop));
    serve_open(&bench.serve, &bench.loop);
    for (int i = 0; i < n; i++)
        bench.serve.answers[bench.serve.answers_n++] = answers[i];
    struct listing_config config = {.socket = serve_socket,
                                    .to = bench.serve.addr,
                                    .host = "kube:6443",
                                    .path = "/list?x=1",
                                    .id = ID,
                                    .count = COUNT,
                                    .stable_ns = stable_ns,
                                    .within_ns = within_ns,
                                    .every_ns = NS_PER_MS};
    ASSERT_OK(listing_start(&bench.listing, &bench.loop, &config, on_done, &err));
    ASSERT_EQ(bench.ended, 0);
    for (int i = 0; i < 10000 && !bench.ended; i++)
        loop_turn(&bench.loop, 20 * NS_PER_MS);
    ASSERT_EQ(bench.ended, 1);
}

static void bench_close(void)
{
    listing_done(&bench.listing);
    serve_close(&bench.serve);
    loop_done(&bench.loop);
}

TEST(stable_is_twice_the_same_far_enough_apart)
{
    const char *answers[] = {ONE, ONE, TWO};
    bench_run(answers, 3, 10 * NS_PER_MS, 5 * NS_PER_S);
    const struct listing *l = &bench.listing;
    ASSERT(l->stable && l->listings >= 4);
    ASSERT_STREQ(l->problem, "");
    ASSERT_EQ(l->items_n, 2);
    ASSERT_STREQ(l->items[0].key, "a");
    ASSERT(l->items[1].count == 5 && l->items[0].count == 1);
    ASSERT_CONTAINS(bench.serve.requests[0], "GET /list?x=1 HTTP/1.1\r\n");
    ASSERT_CONTAINS(bench.serve.requests[0], "Host: kube:6443\r\n");
    bench_close();
}

TEST(errors_are_retried)
{
    const char *answers[] = {"", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                             HEAD "{\"items\":7}", HEAD "{\"items\":[", ONE};
    bench_run(answers, 5, 0, 5 * NS_PER_S);
    ASSERT(bench.listing.stable && bench.listing.items_n == 1);
    ASSERT_STREQ(bench.listing.problem, "");
    bench_close();
}

TEST(pages_are_followed)
{
    const char *answers[] = {
        HEAD "{\"metadata\":{\"continue\":\"t+1/=\"},"
             "\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":1}}]}",
        ONE,
        HEAD "{\"metadata\":{\"continue\":\"t2\"},"
             "\"items\":[{\"spec\":{\"pod\":\"a\"},\"status\":{\"count\":1}}]}",
        HEAD "{\"items\":[{\"spec\":{\"pod\":\"b\"},\"status\":{\"count\":1}}]}",
    };
    bench_run(answers, 4, 0, 5 * NS_PER_S);
    ASSERT(bench.listing.stable && bench.listing.items_n == 2);
    ASSERT_EQ(bench.serve.served, 4);
    ASSERT_CONTAINS(bench.serve.requests[1], "GET /list?x=1&continue=t%2B1%2F%3D HTTP/1.1\r\n");
    bench_close();
}

TEST(a_limit_ends_it)
{
    const char *same[] = {ONE};
    bench_run(same, 1, NS_PER_S, 20 * NS_PER_MS);
    ASSERT(!bench.listing.stable && bench.listing.items_n == 1);
    ASSERT_STREQ(bench.listing.problem,
                 "the list of 1 objects did not stay the same for 1s within 20ms");
    bench_close();
    const char *broken[] = {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"};
    bench_run(broken, 1, 0, 20 * NS_PER_MS);
    ASSERT(!bench.listing.stable && bench.listing.items_n == 0);
    ASSERT_STREQ(bench.listing.problem,
                 "cannot read the final state from kube:6443/list?x=1: status 500");
    bench_close();
}

TEST(a_wrong_id_is_not_an_empty_list)
{
    const char *answers[] = {HEAD "{\"items\":[{\"spec\":{\"name\":\"a\"}}]}"};
    bench_run(answers, 1, 0, 5 * NS_PER_S);
    ASSERT(!bench.listing.stable);
    ASSERT_STREQ(bench.listing.problem, "none of the 1 objects has an id at " ID);
    bench_close();
}

TEST(ending_early_leaves_nothing)
{
    const char *answers[] = {NULL};
    struct err err = {0};
    memset(&bench.serve, 0, sizeof bench.serve);
    ASSERT_OK(loop_init(&bench.loop));
    serve_open(&bench.serve, &bench.loop);
    bench.serve.answers[bench.serve.answers_n++] = answers[0];
    struct listing_config config = {.socket = serve_socket,
                                    .to = bench.serve.addr,
                                    .host = "kube",
                                    .path = "/",
                                    .id = ID,
                                    .within_ns = NS_PER_S};
    ASSERT_OK(listing_start(&bench.listing, &bench.loop, &config, on_done, &err));
    for (int i = 0; i < 100 && bench.serve.served == 0; i++)
        loop_turn(&bench.loop, NS_PER_MS);
    ASSERT_EQ(bench.serve.served, 1);
    bench_close();
    config.id = "items";
    ASSERT_OK(loop_init(&bench.loop));
    ASSERT_EQ(listing_start(&bench.listing, &bench.loop, &config, on_done, &err), -EINVAL);
    listing_done(&bench.listing);
    loop_done(&bench.loop);
}
