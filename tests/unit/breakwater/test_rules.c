/* Stub rules: which request fires which rule, counters, and refused lists. */
#include "stub_rules.h"
#include "tests.h"

static struct rules *load(const char *text)
{
    struct buf err = {0};
    struct rules *r = rules_parse(text, strlen(text), &err);
    if (!r)
        TEST_FAIL("%s", err.p);
    buf_done(&err);
    return r;
}

static int hit(struct rules *r, const char *method, const char *path, const char *body)
{
    struct rule *u = rules_match(r, method, path, body, body ? strlen(body) : 0);
    return u ? (u->reply.status ? u->reply.status : -1) : 0;
}

TEST(globs)
{
    ASSERT(glob_match("*", ""));
    ASSERT(glob_match("/a/*", "/a/b/c"));
    ASSERT(glob_match("*/c", "/a/b/c"));
    ASSERT(glob_match("/a/?/c", "/a/b/c"));
    ASSERT(glob_match("*a*b*", "xxaxxbxx"));
    ASSERT(!glob_match("/a", "/a/"));
    ASSERT(!glob_match("*ab", "abc"));
    ASSERT(!glob_match("", "x"));
    /* many stars on a long text must not take for ever */
    char text[4096];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ASSERT(!glob_match("*a*a*a*a*a*a*a*a*a*a*b", text));
}

TEST(first_that_fires_wins)
{
    struct rules *r =
        load("[{\"match\":{\"method\":\"PUT\",\"path\":\"/x*\"},\"reply\":{\"status\":409}},"
             "{\"match\":{\"body_has\":\"poison\"},\"reply\":{\"status\":500}},"
             "{\"reply\":{\"delay_ms\":5}}]");
    ASSERT_EQ(hit(r, "PUT", "/x/1", NULL), 409);
    ASSERT_EQ(hit(r, "GET", "/x/1", "a poison b"), 500);
    ASSERT_EQ(hit(r, "GET", "/x/1", "clean"), -1);
    rules_free(r);
}

TEST(nth_every_times)
{
    struct rules *r = load("[{\"match\":{\"path\":\"/n\",\"nth\":3},\"reply\":{\"status\":503}},"
                           "{\"match\":{\"path\":\"/e\",\"every\":2},\"reply\":{\"status\":429}},"
                           "{\"match\":{\"path\":\"/t\"},\"reply\":{\"status\":500},\"times\":2}]");
    int n = 0, e = 0, t = 0;
    for (int i = 1; i <= 10; i++) {
        bool third = hit(r, "GET", "/n", NULL) == 503;
        ASSERT_EQ(third, i == 3);
        n += third;
        e += hit(r, "GET", "/e", NULL) == 429;
        t += hit(r, "GET", "/t", NULL) == 500;
    }
    ASSERT(n == 1 && e == 5 && t == 2);
    rules_free(r);
}

TEST(share)
{
    struct rules *r = load("[{\"match\":{\"prob\":0.25},\"reply\":{\"status\":500}}]");
    int n = 0;
    for (int i = 0; i < 4000; i++)
        n += hit(r, "GET", "/", NULL) == 500;
    ASSERT_LT(850, n);
    ASSERT_LT(n, 1150);
    rules_free(r);
}

TEST(body_forms)
{
    struct rules *r = load(
        "[{\"reply\":{\"body\":{\"a\":[1]},\"headers\":{\"Retry-After\":\"3\"},\"truncate\":2}}]");
    ASSERT_STREQ(r->v[0].reply.body, "{\"a\":[1]}");
    ASSERT_STREQ(r->v[0].reply.headers[0].value, "3");
    ASSERT_EQ(r->v[0].reply.truncate, 2);
    rules_free(r);
}

TEST(refused)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[1]",
                                      "[{}]",
                                      "[{\"reply\":{\"statsu\":1}}]",
                                      "[{\"reply\":{\"status\":\"200\"}}]",
                                      "[{\"reply\":{\"status\":99}}]",
                                      "[{\"reply\":{},\"mach\":{}}]",
                                      "[{\"reply\":{\"drop\":1}}]",
                                      "[{\"match\":{\"prob\":2},\"reply\":{}}]",
                                      "[{\"match\":{\"nth\":0},\"reply\":{}}]",
                                      "[{\"match\":[],\"reply\":{}}]",
                                      "[{\"reply\":{\"headers\":{\"A\":\"b\\r\\nC: d\"}}}]",
                                      "[{\"reply\":{\"delay_ms\":-1}}]",
                                      "[{\"reply\":{\"delay_ms\":99999999}}]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf err = {0};
        if (rules_parse(bad[i], strlen(bad[i]), &err))
            TEST_FAIL("'%s' must be refused", bad[i]);
        ASSERT_CONTAINS(err.p, "rules");
        buf_done(&err);
    }
}
