#include "plan/template.h"

#include "tests.h"

static struct arena arena;
static struct template_vars vars;
static struct template_values values;

static struct template *compile_as(const char *text, const char *use)
{
    struct template *t = NULL;
    struct err err = {0};
    if (template_compile_for(&arena, text, use, &vars, &t, &err) != 0)
        TEST_FAIL("%s: %d:%d %s", text, err.line, err.column, err.msg);
    return t;
}

static const char *render_as(const struct template *t, uint64_t seed, uint64_t id)
{
    static char out[4][1024];
    static int turn;
    char *o = out[turn++ % 4];
    template_bind(&vars, seed, id, &values);
    size_t n = template_render(t, &values, o, 1023);
    ASSERT_LE(n, template_max_bytes(t));
    ASSERT_LT(n, 1023);
    o[n] = '\0';
    return o;
}

static const char *render(const char *text, uint64_t id)
{
    return render_as(compile_as(text, ""), 7, id);
}

static void expect_bad(const char *text, int line, int column, const char *message)
{
    struct template *t = NULL;
    struct err err = {0};
    ASSERT_LT(template_compile(&arena, text, &vars, &t, &err), 0);
    ASSERT_CONTAINS(err.msg, message);
    if (err.line != line || err.column != column)
        TEST_FAIL("%s: %d:%d, not %d:%d: %s", text, err.line, err.column, line, column, err.msg);
}

TEST(text_and_numbers)
{
    static const struct {
        const char *text;
        uint64_t id;
        const char *expected;
    } rows[] = {
        {"", 0, ""},
        {"plain } text {", 3, "plain } text {"},
        {"{{id}}", 0, "0"},
        {"p-{{id / 4}}-x", 11, "p-2-x"},
        {"{{ id }}{{id}}", 42, "4242"},
        {"{{id*2+1}}", 10, "21"},
        {"{{1+id*2}}", 10, "21"},
        {"{{(1+id)*2}}", 10, "22"},
        {"{{-id + 3}}", 10, "-7"},
        {"{{id-1}}", 10, "9"},
        {"{{10 - 3 - 2}}", 0, "5"},
        {"{{100 / 10 / 5}}", 0, "2"},
        {"{{id % 4}}", 11, "3"},
        {"{{id / 0}}|{{id % 0}}", 5, "0|0"},
        {"{{7}}", 5, "7"},
        {"{{9223372036854775807 + 1}}", 0, "-9223372036854775808"},
        {"{{(0-9223372036854775807-1) / -1}}", 0, "-9223372036854775808"},
        {"{{(0-9223372036854775807-1) % -1}}", 0, "0"},
        {"{{counter 100 5}}", 3, "115"},
        {"{{counter 100 -5}}", 3, "85"},
        {"{{random 5 5}}", 3, "5"},
        {"{{choose only}}", 3, "only"},
        {"{{choose a:0 \"b c:d\":1}}", 3, "b c:d"},
        {"{{\"{{\"}}id}}", 3, "{{id}}"},
        {"é{{id}}é", 1, "é1é"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ASSERT_STREQ(render(rows[i].text, rows[i].id), rows[i].expected);
}

TEST(the_same_request_is_the_same_text)
{
    const struct template *t =
        compile_as("{{uuid}} {{hex 40}} {{random -5 5}} {{choose a b c}}", "");
    char first[256];
    strcpy(first, render_as(t, 1, 99));
    for (uint64_t id = 0; id < 50; id++)
        (void)render_as(t, 1, id);
    ASSERT_STREQ(render_as(t, 1, 99), first);
    ASSERT(strcmp(render_as(t, 2, 99), first) != 0);
    ASSERT(strcmp(render_as(t, 1, 98), first) != 0);
}

TEST(one_more_draw_does_not_shift_the_others)
{
    char all[256];
    strcpy(all, render("{{hex 16}}-{{hex 16}}", 5));
    ASSERT(strncmp(all, all + 17, 16) != 0);
    const char *more = render("{{hex 16}}-{{hex 16}}-{{hex 16}}", 5);
    ASSERT(strncmp(all, more, 33) == 0);
    ASSERT(strcmp(render_as(compile_as("{{uuid}}", "a"), 1, 1),
                  render_as(compile_as("{{uuid}}", "b"), 1, 1)) != 0);
}

TEST(draws_are_uniform_and_inside)
{
    const struct template *t = compile_as("{{random -3 3}}", ""),
                          *c = compile_as("{{choose x:3 y:1}}", "");
    int seen[7] = {0}, x = 0;
    for (uint64_t id = 0; id < 7000; id++) {
        int v = atoi(render_as(t, 11, id));
        ASSERT(v >= -3 && v <= 3);
        seen[v + 3]++;
        x += render_as(c, 11, id)[0] == 'x';
    }
    for (int i = 0; i < 7; i++)
        ASSERT_NEAR(seen[i], 1000, 150);
    ASSERT_NEAR(x, 5250, 200);
    (void)render("{{random -9223372036854775808 9223372036854775807}}", 1);
}

TEST(a_uuid_is_version_4)
{
    for (uint64_t id = 0; id < 100; id++) {
        const char *u = render("{{uuid}}", id);
        ASSERT_EQ(strlen(u), 36);
        ASSERT(u[8] == '-' && u[13] == '-' && u[18] == '-' && u[23] == '-');
        ASSERT(u[14] == '4' && strchr("89ab", u[19]) != NULL);
    }
}

TEST(vars_are_drawn_once_a_request)
{
    vars = (struct template_vars){0};
    vars.names[0] = "pod";
    vars.values[0] = compile_as("p-{{hex 8}}", "vars.pod");
    vars.n = 1;
    vars.names[1] = "twice";
    vars.values[1] = compile_as("{{pod}}/{{pod}}", "vars.twice");
    vars.n = 2;
    const char *s = render("{{pod}} {{twice}}", 4);
    ASSERT_EQ(strlen(s), 10 + 1 + 21);
    ASSERT(memcmp(s, s + 11, 10) == 0 && memcmp(s, s + 22, 10) == 0);
    const struct template *t = compile_as("{{pod}}", "");
    ASSERT(template_json_safe(t, &vars));
    vars.values[0] = compile_as("say \"hi\"", "");
    ASSERT(!template_json_safe(t, &vars));
    ASSERT(!template_json_safe(compile_as("{{twice}}", ""), &vars));
    expect_bad("{{pd}}", 1, 3, "did you mean \"pod\"");
    vars = (struct template_vars){0};
}

TEST(output_is_cut_but_counted)
{
    char out[8] = "#######";
    const struct template *t = compile_as("abc{{id}}def", "");
    template_bind(&vars, 1, 12345, &values);
    ASSERT_EQ(template_render(t, &values, out, 5), 11);
    ASSERT_STREQ(out, "abc12##");
    ASSERT_EQ(template_render(t, &values, NULL, 0), 11);
}

TEST(mistakes_have_a_place)
{
    expect_bad("a {{idd}}", 1, 5, "did you mean \"id\"");
    expect_bad("a\nb{{nothing-like}}", 2, 4, "unknown name");
    expect_bad("{{id", 1, 1, "not closed");
    expect_bad("{{}}", 1, 3, "nothing stands");
    expect_bad("{{id +}}", 1, 7, "missing");
    expect_bad("{{(id}}", 1, 6, "\")\"");
    expect_bad("{{id 5}}", 1, 6, "not expected");
    expect_bad("{{99999999999999999999}}", 1, 3, "from");
    expect_bad("{{random 5}}", 1, 11, "highest");
    expect_bad("{{random 5 4}}", 1, 11, "below");
    expect_bad("{{hex 0}}", 1, 7, "from 1 to 128");
    expect_bad("{{hex x}}", 1, 7, "whole number");
    expect_bad("{{choose}}", 1, 9, "needs words");
    expect_bad("{{choose a:0}}", 1, 13, "weight above 0");
    expect_bad("{{choose a:x}}", 1, 12, "weight");
    expect_bad("{{choose \"a}}", 1, 1, "not closed");
    expect_bad("{{id + uuid}}", 1, 8, "cannot be used");
    char deep[400] = "{{";
    for (int i = 0; i < 50; i++)
        strcat(deep, "(");
    expect_bad(strcat(deep, "1}}"), 1, 19, "too deeply");
}

TEST(parts_are_bounded)
{
    char *text = calloc(TEMPLATE_PARTS + 1, 6);
    for (int i = 0; i <= TEMPLATE_PARTS; i++)
        strcat(text + i * 5, "{{1}}");
    expect_bad(text, 1, TEMPLATE_PARTS * 5 + 1, "too many");
    text[TEMPLATE_PARTS * 5] = '\0';
    ASSERT(compile_as(text, "") != NULL);
    free(text);
    arena_done(&arena);
}
