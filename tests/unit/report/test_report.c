#include "base/mem.h"
#include "base/rng.h"
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

TEST(what_is_not_there_leaves_no_gap)
{
    struct fixture f;
    size_t n;
    fixture_open(&f, FIXTURE_CUT);
    f.plan.about = "";
    f.results.v[0].value = f.results.v[0].limit = "";
    f.results.v[0].reason = "nobody knows";
    char *text = fixture_report(&f, "text", false, &n);
    ASSERT_CONTAINS(text, "redis-outage\n2026-11-20");
    ASSERT_CONTAINS(text, "\n      nobody knows\n");
    free(text);
    f.results.v[0].limit = "== 1";
    text = fixture_report(&f, "text", false, &n);
    ASSERT_CONTAINS(text, "\n      (limit == 1) nobody knows\n");
    free(text);
    text = fixture_report(&f, "markdown", false, &n);
    ASSERT(strstr(text, "\n\n\n") == NULL);
    free(text);
    fixture_close(&f);
}

/* In force, then measured to its end, then ended. */
static void slow_fault(struct fixture *f)
{
    const struct record_fault rows[] = {
        {.state = "active", .asked = "loss 30 %", .measured = "in force on 2 links"},
        {.state = "no-effect", .measured = "0 packets met it", .text = "nobody talked"},
        {.state = "ended", .text = "undone as asked"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record_fault row = rows[i];
        row.fault = 9;
        row.phase = 1;
        row.name = "redis-slow";
        row.kind = "NetworkChaos loss";
        row.t_ns = AT_MS(9000 + 100 * (int64_t)i);
        ASSERT_OK(record_fault(f->r, &row));
    }
}

TEST(an_end_does_not_hide_that_there_was_no_effect)
{
    struct fixture f;
    size_t n;
    fixture_more = slow_fault;
    fixture_open(&f, FIXTURE_PASS);
    fixture_more = NULL;
    char *text = fixture_report(&f, "text", false, &n);
    ASSERT_CONTAINS(text, "redis-slow on nothing, in effect for 0.2s  no-effect");
    ASSERT_CONTAINS(text, "measured  0 packets met it\n");
    ASSERT_CONTAINS(text, "why       nobody talked\n");
    ASSERT(!strstr(text, "undone as asked"));
    free(text);
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

/* Overwrites some bytes of demo.run behind its first page. */
static void damage(struct rng *rng, const struct buf *whole)
{
    char *bytes CLEANUP(free_p) = xmalloc(whole->n);
    memcpy(bytes, whole->p, whole->n);
    for (uint64_t i = 0; i < 1 + rng_below(rng, 40); i++)
        bytes[4096 + rng_below(rng, whole->n - 4096)] = (char)rng_u64(rng);
    FILE *f = fopen("demo.run", "we");
    ASSERT(f && fwrite(bytes, 1, whole->n, f) == whole->n && fclose(f) == 0);
}

/* DAMAGE_ROUNDS=N runs longer. */
TEST(a_damaged_run_file_gives_a_report_or_an_error)
{
    const char *rounds = getenv("DAMAGE_ROUNDS");
    struct fixture f;
    struct buf whole = {0};
    struct rng rng;
    int written = 0;
    rng_init(&rng, 3, "damage");
    fixture_open(&f, FIXTURE_FAIL);
    ASSERT_OK(buf_read_file(&whole, "demo.run", 64 << 20));
    for (int round = 0; round < (rounds ? atoi(rounds) : 25); round++) {
        struct err err = {0};
        record_close(f.r);
        f.r = NULL;
        damage(&rng, &whole);
        if (record_open("demo.run", &f.r, &err) < 0)
            continue;
        for (size_t i = 0; i < report_count(); i++) {
            char *text = NULL;
            size_t n = 0;
            FILE *out = open_memstream(&text, &n);
            if (report_at(i)->write(out, f.r, &f.results, true) == 0)
                written++;
            fclose(out);
            free(text);
        }
    }
    ASSERT_LT(0, written);
    buf_done(&whole);
    fixture_close(&f);
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
