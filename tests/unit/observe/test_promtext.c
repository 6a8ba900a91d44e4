#include <errno.h>
#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "observe/promtext.h"
#include "tests.h"

static void collect(void *ctx, struct str name, const struct series_label *labels, size_t labels_n,
                    double value)
{
    struct buf *out = ctx;
    buf_printf(out, "%.*s", (int)name.n, name.p);
    for (size_t i = 0; i < labels_n; i++)
        buf_printf(out, "|%.*s=%.*s", (int)labels[i].name.n, labels[i].name.p,
                   (int)labels[i].value.n, labels[i].value.p);
    buf_printf(out, " %.17g\n", value);
}

static void expect(const char *text, const char *samples)
{
    struct buf out = {0};
    struct err err = {0};
    int r = promtext_parse(text, strlen(text), collect, &out, &err);
    if (r < 0)
        TEST_FAIL("%s: %s", text, err.msg);
    ASSERT_STREQ(buf_str(&out), samples);
    buf_done(&out);
}

TEST(samples)
{
    expect("", "");
    expect("\n \t\n", "");
    expect("up 1\n", "up 1\n");
    expect("up 1 1395066363000\n", "up 1\n");
    expect("up{} 1 -3.5e3\n", "up 1\n");
    expect("a:b_c{x=\"1\",y=\"2\",} -1.5e-3\n", "a:b_c|x=1|y=2 -0.0015\n");
    expect("  m { x = \"1\" , y=\"\" }\t2  \n", "m|x=1|y= 2\n");
    expect("m{x=\"q\\\"b\\\\n\\nz\"} 1\n", "m|x=q\"b\\n\nz 1\n");
    expect("m{x=\"\xc3\xa4 } , #\"} 1\n", "m|x=\xc3\xa4 } , # 1\n");
    expect("m NaN\nm2 +Inf\nm3 -inf\nm4 Infinity\n", "m nan\nm2 inf\nm3 -inf\nm4 inf\n");
}

TEST(comments)
{
    expect("# HELP up Is it \xff up?\n# TYPE up gauge\n#\n# anything goes\n#TYPE x_total counter\n"
           "# UNIT x_seconds seconds\nup 1\n# EOF\n",
           "up 1\n");
    expect("x_total 3 # {trace_id=\"a\"} 0.5 12.5\n", "x_total 3\n");
    expect("x_bucket{le=\"+Inf\"} 3 99 # {} 1\n", "x_bucket|le=+Inf 3\n");
}

TEST(malformed_input_is_located)
{
    static const struct {
        const char *text, *what;
        int line, column;
    } rows[] = {
        {"up 1", "cut off", 1, 5},
        {"up 1\ndown\n", "not a number", 2, 5},
        {"up one\n", "not a number", 1, 4},
        {"up 0x1p3\n", "not a number", 1, 4},
        {"up 1e999\n", "not a number", 1, 4},
        {"up 1 soon\n", "timestamp", 1, 6},
        {"up 1 2 3\n", "after the timestamp", 1, 8},
        {"up 1\r\n", "not a number", 1, 4},
        {"9up 1\n", "metric name", 1, 1},
        {"{\"my.metric\"} 1\n", "metric name", 1, 1},
        {"up{a=\"1\" 1\n", "',' or '}'", 1, 10},
        {"up{a=\"1 1\n", "closing quote", 1, 10},
        {"up{a=1} 1\n", "double quote", 1, 6},
        {"up{a} 1\n", "'='", 1, 5},
        {"up{,} 1\n", "label name", 1, 4},
        {"up{a=\"1\",a=\"2\"} 1\n", "twice", 1, 11},
        {"up{a=\"\\t\"} 1\n", "escapes", 1, 7},
        {"up{a=\"\xff\"} 1\n", "UTF-8", 1, 7},
        {"up{a=\"\xed\xa0\x80\"} 1\n", "UTF-8", 1, 7},
        {"up{__name__=\"x\"} 1\n", "__name__", 1, 12},
        {"up 1 # trace\n", "exemplar", 1, 8},
        {"# TYPE up speed\n", "unknown metric type", 1, 11},
        {"# TYPE 9up gauge\n", "metric name", 1, 8},
        {"# HELP\n", "metric name", 1, 7},
        {"# EOF\nup 1\n", "after # EOF", 2, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = {0};
        int r = promtext_parse(rows[i].text, strlen(rows[i].text), NULL, NULL, &err);
        if (r != -EINVAL || err.line != rows[i].line || err.column != rows[i].column ||
            !strstr(err.msg, rows[i].what))
            TEST_FAIL("%s: %d \"%s\" at %d:%d", rows[i].text, r, err.msg, err.line, err.column);
    }
}

static int parse_labels(int n, struct err *err)
{
    struct buf text = {0};
    buf_add_str(&text, "m{");
    for (int i = 0; i < n; i++)
        buf_printf(&text, "l%d=\"\",", i);
    buf_add_str(&text, "} 1\n");
    int r = promtext_parse(buf_str(&text), text.n, NULL, NULL, err);
    buf_done(&text);
    return r;
}

static int parse_long_line(size_t bytes, struct err *err)
{
    struct buf text = {0};
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&text, '#');
    buf_add_char(&text, '\n');
    int r = promtext_parse(buf_str(&text), text.n, NULL, NULL, err);
    buf_done(&text);
    return r;
}

TEST(limits)
{
    struct err err = {0};
    ASSERT_OK(parse_labels(SERIES_LABELS, &err));
    ASSERT_EQ(parse_labels(SERIES_LABELS + 1, &err), -EINVAL);
    ASSERT_CONTAINS(err.msg, "too many labels");
    ASSERT_OK(parse_long_line(PROMTEXT_LINE_BYTES, &err));
    ASSERT_EQ(parse_long_line(PROMTEXT_LINE_BYTES + 1, &err), -EINVAL);
    ASSERT_CONTAINS(err.msg, "too long");
    ASSERT_EQ(promtext_parse("m{a=\"\0\"} 1\n", 11, NULL, NULL, &err), -EINVAL);
    ASSERT_CONTAINS(err.msg, "UTF-8");
}
