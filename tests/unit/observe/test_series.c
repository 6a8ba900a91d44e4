#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "observe/series.h"
#include "tests.h"

#define LABEL(NAME, VALUE) ((struct series_label){STR(NAME), STR(VALUE)})

TEST(the_key_is_canonical)
{
    struct series_store *s = series_store_new();
    struct series_label ab[] = {LABEL("a", "1"), LABEL("b", "x\"\\\ny")};
    struct series_label ba[] = {ab[1], ab[0]};
    int first = series_intern(s, STR("up"), ab, 2);
    ASSERT_EQ(first, 0);
    ASSERT_EQ(series_intern(s, STR("up"), ba, 2), first);
    ASSERT_STREQ(series_get(s, 0)->key, "up{a=\"1\",b=\"x\\\"\\\\\\ny\"}");
    ASSERT_EQ(series_intern(s, STR("up"), NULL, 0), 1);
    ASSERT_STREQ(series_get(s, 1)->key, "up");
    ASSERT_EQ(series_find(s, STR("up"), ab, 1), -ENOENT);
    ASSERT_EQ(series_find(s, STR("up"), ba, 2), first);
    ASSERT_EQ(series_count(s), 2);
    series_store_free(s);
}

/* Against the plainest model: the i-th new name gets index i. */
TEST(interning_holds_while_the_table_grows)
{
    struct series_store *s = series_store_new();
    static int index_of[6000];
    struct rng rng;
    int next = 0;
    rng_init(&rng, 7, "series");
    memset(index_of, -1, sizeof index_of);
    for (int i = 0; i < 30000; i++) {
        char text[32];
        int which = (int)rng_below(&rng, ARRAY_SIZE(index_of));
        snprintf(text, sizeof text, "%d", which);
        struct series_label label = {STR("n"), str_of(text)};
        int got = series_intern(s, STR("m"), &label, 1);
        if (index_of[which] < 0)
            index_of[which] = next++;
        ASSERT_EQ(got, index_of[which]);
    }
    ASSERT_EQ(series_count(s), next);
    series_store_free(s);
}

TEST(limits)
{
    struct series_store *s = series_store_new();
    struct series_label many[SERIES_LABELS + 1];
    char names[SERIES_LABELS + 1][16];
    for (int i = 0; i <= SERIES_LABELS; i++) {
        snprintf(names[i], sizeof names[i], "l%d", i);
        many[i] = (struct series_label){str_of(names[i]), STR("")};
    }
    ASSERT_EQ(series_intern(s, STR("m"), many, SERIES_LABELS + 1), -E2BIG);
    for (int i = 0; i < SERIES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        ASSERT_EQ(series_intern(s, str_of(name), NULL, 0), i);
    }
    ASSERT_EQ(series_intern(s, STR("one_more"), NULL, 0), -ENOSPC);
    ASSERT_EQ(series_intern(s, STR("m17"), NULL, 0), 17);
    series_store_free(s);
}

TEST(samples_and_the_stale_marker)
{
    struct series_store *s = series_store_new();
    int i = series_intern(s, STR("m"), NULL, 0);
    const struct series *m = series_get(s, (size_t)i);
    for (int t = 0; t < 1000; t++)
        series_append(s, i, t, t * 0.5);
    series_append(s, i, 1000, series_stale());
    ASSERT_EQ(m->samples_n, 1001);
    ASSERT_EQ(m->samples[999].t_ns, 999);
    ASSERT_NEAR(m->samples[999].value, 499.5, 0);
    ASSERT(series_is_stale(m->samples[1000].value) && isnan(m->samples[1000].value));
    ASSERT(!series_is_stale((double)NAN));
    series_store_free(s);
}

static bool selects(const char *text, const struct series *s)
{
    struct series_selector *sel;
    size_t at;
    ASSERT_OK(series_selector_parse(str_of(text), &sel, &at));
    bool match = series_selector_match(sel, s);
    series_selector_free(sel);
    return match;
}

TEST(a_selector_selects)
{
    struct series_store *store = series_store_new();
    struct series_label labels[] = {LABEL("service", "gateway"), LABEL("code", "5\"0\n")};
    int i = series_intern(store, STR("http:requests_total"), labels, 2);
    const struct series *s = series_get(store, (size_t)i);
    static const struct {
        const char *text;
        bool match;
    } rows[] = {
        {"http:requests_total", true},
        {"http:requests", false},
        {" http:requests_total { service = \"gateway\" , } ", true},
        {"http:requests_total{}", true},
        {"{service='gateway'}", true},
        {"{service=\"gateway\",code!=\"200\"}", true},
        {"{service=\"gateway\",code=\"5\\\"0\\n\"}", true},
        {"http:requests_total{service!=\"gateway\"}", false},
        {"http:requests_total{missing=\"\"}", true},
        {"http:requests_total{missing!=\"\"}", false},
        {"http:requests_total{service=\"\"}", false},
        {"{__name__=\"http:requests_total\"}", true},
        {"other{service=\"gateway\"}", false},
    };
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++)
        if (selects(rows[r].text, s) != rows[r].match)
            TEST_FAIL("%s", rows[r].text);
    series_store_free(store);
}

TEST(a_bad_selector_says_where)
{
    static const struct {
        const char *text;
        int code;
        size_t at;
    } rows[] = {
        {"", -EINVAL, 0},
        {"{}", -EINVAL, 2},
        {"{a=\"\"}", -EINVAL, 6},
        {"{a!=\"1\"}", -EINVAL, 8},
        {"9up", -EINVAL, 0},
        {"up{a=~\"x.*\"}", -ENOTSUP, 4},
        {"up{a=\"1\",bb!~\"x\"}", -ENOTSUP, 11},
        {"up{a=1}", -EINVAL, 5},
        {"up{a=\"1}", -EINVAL, 8},
        {"up{a=\"\\q\"}", -EINVAL, 6},
        {"up{a=\"1\" b=\"2\"}", -EINVAL, 9},
        {"up{a=\"1\"} > 3", -EINVAL, 10},
        {"up{", -EINVAL, 3},
        {"rate(up[1m])", -EINVAL, 4},
    };
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        struct series_selector *sel;
        size_t at = 999;
        int code = series_selector_parse(str_of(rows[r].text), &sel, &at);
        if (code != rows[r].code || at != rows[r].at)
            TEST_FAIL("%s: %d at %zu", rows[r].text, code, at);
    }
}
