#include "base/mem.h"
#include "fixture.h"
#include "golden.h"

static const struct {
    enum fixture_kind kind;
    const char *name;
} kinds[] = {{FIXTURE_PASS, "pass"}, {FIXTURE_FAIL, "fail"}, {FIXTURE_CUT, "cut"}};

static const struct {
    const char *format, *suffix;
} formats[] = {{"json", "json"}, {"junit", "xml"}, {"markdown", "md"}, {"text", "txt"}};

TEST(each_format_is_as_agreed)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        struct fixture f;
        fixture_open(&f, kinds[k].kind);
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
            char name[64];
            size_t n;
            char *text = fixture_report(&f, formats[i].format, false, &n);
            snprintf(name, sizeof name, "%s.%s", kinds[k].name, formats[i].suffix);
            golden_check(name, text, n);
            ASSERT(!strchr(text, '\033') && !strchr(text, '\a'));
            free(text);
        }
        fixture_close(&f);
    }
}

TEST(colour_only_adds_colour)
{
    struct fixture f;
    size_t n, plain_n;
    fixture_open(&f, FIXTURE_FAIL);
    char *text = fixture_report(&f, "text", true, &n);
    char *plain = fixture_report(&f, "text", false, &plain_n);
    char *to = text;
    ASSERT_CONTAINS(text, "\033[31m");
    for (char *from = text; *from; from++)
        if (*from == '\033')
            from = strchr(from, 'm');
        else
            *to++ = *from;
    *to = '\0';
    ASSERT_STREQ(text, plain);
    free(text);
    free(plain);
    fixture_close(&f);
}

TEST(a_report_is_the_same_twice)
{
    struct fixture f;
    fixture_open(&f, FIXTURE_PASS);
    for (size_t i = 0; i < report_count(); i++) {
        size_t n, m;
        char *a = fixture_report(&f, report_at(i)->name, false, &n);
        char *b = fixture_report(&f, report_at(i)->name, false, &m);
        ASSERT(n == m && memcmp(a, b, n) == 0);
        free(a);
        free(b);
    }
    fixture_close(&f);
}

TEST(the_registry)
{
    struct buf page = {0};
    ASSERT_OK(buf_read_file(&page, DOCS_DIR "/reports.md", 1 << 20));
    ASSERT_LE(4, report_count());
    for (size_t i = 0; i < report_count(); i++) {
        const struct report_format *f = report_at(i);
        ASSERT(f->name[0] && strlen(f->help) > 10 && f->write);
        ASSERT(report_find(f->name) == f);
        char row[64];
        snprintf(row, sizeof row, "| `%s` |", f->name);
        ASSERT_CONTAINS(buf_str(&page), row);
        ASSERT(i == 0 || strcmp(report_at(i - 1)->name, f->name) < 0);
    }
    ASSERT(!report_find("html") && !report_find("") && !report_at(report_count()));
    buf_done(&page);
}

TEST(an_output_that_fails_is_an_error)
{
    struct fixture f;
    fixture_open(&f, FIXTURE_PASS);
    for (size_t i = 0; i < report_count(); i++) {
        FILE *out = fopen("/dev/full", "w");
        ASSERT(out != NULL);
        setvbuf(out, NULL, _IONBF, 0);
        ASSERT_LT(report_at(i)->write(out, f.r, &f.results, false), 0);
        fclose(out);
    }
    fixture_close(&f);
}
