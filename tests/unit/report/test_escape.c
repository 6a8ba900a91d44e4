#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "report/escape.h"
#include "report/pen.h"
#include "tests.h"

typedef void escape_fn(struct buf *out, const char *s, size_t n);

static void expect(escape_fn *fn, const char *s, const char *want)
{
    struct buf out = {0};
    fn(&out, s, strlen(s));
    ASSERT_STREQ(buf_str(&out), want);
    buf_done(&out);
}

TEST(terminal)
{
    expect(escape_terminal, "plain \xc3\xa4 \xe2\x9c\x93", "plain \xc3\xa4 \xe2\x9c\x93");
    expect(escape_terminal, "\033[31mred\033[0m\a", "\\x1b[31mred\\x1b[0m\\x07");
    expect(escape_terminal, "a\nb\tc\r", "a\\nb\\tc\\r");
    expect(escape_terminal,
           "\xc2\x9b"
           "31m",
           "\\x9b31m"); /* CSI in C1 */
    expect(escape_terminal,
           "\xe2\x80\xae"
           "gpj",
           "\\u{202e}gpj"); /* right to left */
    expect(escape_terminal, "\xff\xc0\xaf\xed\xa0\x80", "\\xff\\xc0\\xaf\\xed\\xa0\\x80");
    expect(escape_terminal, "cut \xe2\x82", "cut \\xe2\\x82");
}

TEST(xml)
{
    expect(escape_xml, "<a b=\"c\">&'</a>", "&lt;a b=&quot;c&quot;&gt;&amp;&#39;&lt;/a&gt;");
    expect(escape_xml, "]]>\n\001", "]]&gt;&#10;\\x01");
    expect(escape_xml, "\xef\xbf\xbf", "\\u{ffff}");
}

TEST(markdown)
{
    expect(escape_markdown, "a|b\n<script>", "a\\|b<br>&lt;script&gt;");
    expect(escape_markdown, "*x* _y_ `z` [l](u) @me #1",
           "\\*x\\* \\_y\\_ \\`z\\` \\[l\\](u) &#64;me \\#1");
}

/* Whatever goes in, nothing but valid UTF-8 without controls comes out. */
TEST(random_bytes_never_act)
{
    static escape_fn *const all[] = {escape_terminal, escape_xml, escape_markdown};
    struct rng rng;
    rng_init(&rng, 1, "escape");
    for (int round = 0; round < 20000; round++) {
        char s[32];
        struct buf out = {0};
        size_t n = rng_below(&rng, sizeof s);
        for (size_t i = 0; i < n; i++)
            s[i] = (char)rng_u64(&rng);
        all[round % 3](&out, s, n);
        for (size_t i = 0; i < out.n;) {
            uint32_t point = 0;
            size_t len = utf8_take(out.p + i, out.n - i, &point);
            ASSERT(len > 0 && !escape_is_control(point));
            i += len;
        }
        buf_done(&out);
    }
}

TEST(a_pen_cuts_at_its_width)
{
    struct buf out = {0};
    struct pen p;
    pen_init(&p, &out, 10, false, false);
    pen_add(&p, PEN_BAD, "12345");
    pen_add(&p, PEN_BAD, "67890");
    pen_line(&p);
    pen_add(&p, PEN_BAD, "12345");
    pen_add(&p, PEN_BAD, "678901");
    pen_add(&p, PEN_BAD, "never");
    pen_line(&p);
    pen_add(&p, PEN_PLAIN,
            "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87");
    pen_line(&p);
    pen_right(&p, PEN_PLAIN, 6, "%d", 42);
    pen_pad(&p, 9);
    pen_line(&p);
    ASSERT_STREQ(
        buf_str(&out),
        "1234567890\n123456789…\n\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87…\n    42\n");
    buf_clear(&out);
    pen_init(&p, &out, 12, true, true);
    pen_add(&p, PEN_BAD, "a\033b");
    pen_line(&p);
    pen_wrap(&p, PEN_PLAIN, 2, "one two three four");
    ASSERT_STREQ(buf_str(&out), "\033[31ma\\x1bb\033[0m\none two\n  three four");
    buf_done(&out);
}
