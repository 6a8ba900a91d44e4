/* Label selectors: which objects match, and which texts are refused. */
#include "selector.h"
#include "tests.h"

/* The object under test: app=web, tier=front, empty= */
static const char *labels(void *ctx, const char *key)
{
    (void)ctx;
    if (strcmp(key, "app") == 0)
        return "web";
    if (strcmp(key, "k.io/tier") == 0)
        return "front";
    return strcmp(key, "empty") == 0 ? "" : NULL;
}

static bool matches(const char *text)
{
    struct selector s;
    struct buf err = {0};
    ASSERT_OK(selector_parse(text, &s, &err));
    bool yes = selector_match(&s, labels, NULL);
    selector_done(&s);
    buf_done(&err);
    return yes;
}

TEST(matching)
{
    static const char *const yes[] = {"",
                                      "app",
                                      "app=web",
                                      "app==web",
                                      " app = web ",
                                      "app!=db",
                                      "none!=x",
                                      "!none",
                                      "empty=",
                                      "app in (web)",
                                      "app in (db, web)",
                                      "app notin (db)",
                                      "none notin (x)",
                                      "app=web,k.io/tier=front,!none",
                                      "app=web , k.io/tier in (back,front)"};
    static const char *const no[] = {
        "none",          "app=db",      "app!=web",          "!app",
        "app in (db,x)", "none in (x)", "app notin (web,x)", "app=web,none",
        "empty=x",       "app="};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!matches(yes[i]))
            TEST_FAIL("'%s' must match", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (matches(no[i]))
            TEST_FAIL("'%s' must not match", no[i]);
}

TEST(refused)
{
    static const char *const bad[] = {
        ",",       "a,",         ",a",   "=b",         "!",     "a b", "a===b", "a in b",
        "a in (b", "a in (b c)", "a in", "a like (b)", "a=b=c", "a;b", "()",    "a=b,,c"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct selector s;
        struct buf err = {0};
        if (selector_parse(bad[i], &s, &err) == 0)
            TEST_FAIL("'%s' must be refused", bad[i]);
        ASSERT_CONTAINS(err.p, "label selector");
        selector_done(&s);
        buf_done(&err);
    }
}

TEST(limits)
{
    struct selector s;
    struct buf b = {0}, err = {0};
    for (int i = 0; i <= SELECTOR_MAX; i++)
        buf_printf(&b, "%sk%d", i ? "," : "", i);
    ASSERT_NE(selector_parse(b.p, &s, &err), 0);
    selector_done(&s);
    buf_reset(&b);
    buf_puts(&b, "a in (x");
    for (int i = 0; i < SELECTOR_VALUES_MAX; i++)
        buf_puts(&b, ",x");
    buf_puts(&b, ")");
    ASSERT_NE(selector_parse(b.p, &s, &err), 0);
    selector_done(&s);
    buf_done(&b);
    buf_done(&err);
}
