#include "base/str.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tests.h"

TEST(compare)
{
    ASSERT(str_eq(STR("a"), str_of("a")) && !str_eq(STR("a"), STR("ab")) &&
           !str_eq(STR("a"), STR("b")));
    ASSERT(str_eq(str_of(NULL), STR("")));
    ASSERT(str_case_eq(STR("Content-Length"), STR("content-LENGTH")));
    ASSERT(!str_case_eq(STR("\xc3\x84"), STR("\xc3\xa4")));
    ASSERT(str_prefix(STR("gateway"), STR("gate")) && str_prefix(STR("x"), STR("")));
    ASSERT(str_prefix(str_of(NULL), str_of(NULL)));
    ASSERT(!str_prefix(STR("gate"), STR("gateway")) && !str_prefix(STR("gat"), STR("get")));
}

TEST(trim_takes_spaces_and_tabs_only)
{
    ASSERT(str_eq(str_trim(STR(" \t a b \t")), STR("a b")));
    ASSERT(str_eq(str_trim(STR("\na ")), STR("\na")));
    ASSERT_EQ(str_trim(STR(" \t ")).n, 0);
}

TEST(split_takes_pieces_off_the_front)
{
    struct str rest = STR("a,,bc");
    ASSERT(str_eq(str_split(&rest, ','), STR("a")));
    ASSERT(str_eq(str_split(&rest, ','), STR("")));
    ASSERT(str_eq(str_split(&rest, ','), STR("bc")));
    ASSERT_EQ(rest.n, 0);
    ASSERT_EQ(str_split(&rest, ',').n, 0);
}

/* The definition itself: exponential, and therefore for short texts only. */
static bool glob_naive(struct str p, struct str t)
{
    if (p.n == 0)
        return t.n == 0;
    struct str p1 = {p.p + 1, p.n - 1};
    if (p.p[0] == '*') {
        for (size_t i = 0; i <= t.n; i++)
            if (glob_naive(p1, (struct str){t.p + i, t.n - i}))
                return true;
        return false;
    }
    return t.n && (p.p[0] == '?' || p.p[0] == t.p[0]) &&
           glob_naive(p1, (struct str){t.p + 1, t.n - 1});
}

TEST(glob_against_its_definition)
{
    struct rng rng;
    int matched = 0;
    rng_init(&rng, 2, "glob");
    for (int i = 0; i < 50000; i++) {
        char pattern[8], text[10];
        struct str p = {pattern, rng_below(&rng, sizeof pattern)},
                   t = {text, rng_below(&rng, sizeof text)};
        for (size_t k = 0; k < p.n; k++)
            pattern[k] = "ab*?"[rng_below(&rng, 4)];
        for (size_t k = 0; k < t.n; k++)
            text[k] = "ab"[rng_below(&rng, 2)];
        bool want = glob_naive(p, t);
        matched += want;
        if (str_glob(p, t) != want)
            TEST_FAIL("pattern %.*s text %.*s: wanted %d", (int)p.n, pattern, (int)t.n, text, want);
    }
    ASSERT_LT(5000, matched);
}

TEST(glob_is_not_exponential)
{
    char pattern[200], text[5000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[sizeof pattern - 1] = 'b';
    ASSERT(!str_glob((struct str){pattern, sizeof pattern}, (struct str){text, sizeof text}));
}

TEST(nearest_name)
{
    static const char *const names[] = {"arrive", "body", "get",    "headers",
                                        "post",   "rate", "timeout"};
    static const struct {
        const char *wrong, *near;
    } rows[] = {
        {"arive", "arrive"},    /* an insertion */
        {"arrrive", "arrive"},  /* a deletion */
        {"arrave", "arrive"},   /* a substitution */
        {"raet", "rate"},       /* a swap */
        {"Timeout", "timeout"}, /* case does not count */
        {"timeuot", "timeout"},    {"hedaers", "headers"}, {"zzz", NULL},  {"", NULL},
        {"completely-else", NULL}, {"gxx", NULL},          {"gex", "get"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *near = str_nearest(rows[i].wrong, names, ARRAY_SIZE(names));
        if (near != rows[i].near && (!near || !rows[i].near || strcmp(near, rows[i].near) != 0))
            TEST_FAIL("%s: %s", rows[i].wrong, near ? near : "(none)");
    }
    ASSERT(!str_nearest("x", names, 0));
}

TEST(nearest_takes_hostile_names)
{
    char big[5000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    const char *names[] = {"a", big};
    str_nearest(big, names, 2);
    str_nearest("a", names, 2);
}
