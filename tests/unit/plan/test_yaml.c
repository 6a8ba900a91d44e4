#include "plan/yaml.h"

#include "base/buf.h"
#include "tests.h"

static struct arena arena;
static struct err err;

static int read_text(const char *text, size_t n, struct ydocs *docs)
{
    arena_done(&arena);
    err = (struct err){0};
    return yaml_read(&arena, "f.yaml", (struct str){text, n}, docs, &err);
}

static struct ynode *read_one(const char *text)
{
    struct ydocs docs;
    if (read_text(text, strlen(text), &docs) != 0)
        TEST_FAIL("%d:%d %s", err.line, err.column, err.msg);
    ASSERT_EQ(docs.n, 1);
    return docs.v[0];
}

static void expect_place(const struct ynode *node, int line, int column)
{
    ASSERT(node != NULL);
    ASSERT_EQ(node->line, line);
    ASSERT_EQ(node->column, column);
}

static void expect_bad(const char *text, size_t n, int line, int column, const char *message)
{
    struct ydocs docs;
    ASSERT_LT(read_text(text, n, &docs), 0);
    ASSERT_CONTAINS(err.msg, message);
    ASSERT_EQ(err.line, line);
    ASSERT_EQ(err.column, column);
    ASSERT_STREQ(err.file, "f.yaml");
}

TEST(every_node_knows_its_place)
{
    const struct ynode *root = read_one("# c\n"
                                        "a: plain\n"
                                        "\"q\": \"x\"\n"
                                        "l: |\n"
                                        "  one\n"
                                        "s: [a, {é: 'd'}, \"e\"]\n"
                                        "n:\n"
                                        "m:\n"
                                        "  k: v\n");
    expect_place(yaml_get(root, "a"), 2, 4);
    expect_place(yaml_get(root, "a")->key, 2, 1);
    expect_place(yaml_get(root, "q"), 3, 6);
    expect_place(yaml_get(root, "q")->key, 3, 1);
    expect_place(yaml_get(root, "l"), 5, 3);
    const struct ynode *s = yaml_get(root, "s");
    ASSERT_EQ(s->count, 3);
    expect_place(s, 6, 4);
    expect_place(s->first, 6, 5);
    expect_place(s->first->next->first, 6, 13); /* columns count bytes */
    expect_place(s->first->next->next, 6, 19);
    ASSERT(yaml_is_null(yaml_get(root, "n")));
    ASSERT_EQ(yaml_get(root, "n")->line, 7);
    expect_place(yaml_get(root, "m"), 9, 3);
    ASSERT(yaml_get(root, "nope") == NULL);
}

static void expect_inside(const struct ynode *node, const char *what, int line, int column)
{
    int l, c;
    const char *at = strstr(node->text, what);
    ASSERT(at != NULL);
    yaml_position(node, (size_t)(at - node->text), &l, &c);
    if (l != line || c != column)
        TEST_FAIL("\"%s\" is at %d:%d, not %d:%d", what, l, c, line, column);
}

TEST(a_place_inside_a_text)
{
    const struct ynode *root = read_one("p: one two\n"
                                        "d: \"a\\\"b\\u00e9c X\"\n"
                                        "s: 'it''s X'\n"
                                        "l: |\n"
                                        "  one\n"
                                        "    two\n"
                                        "\n"
                                        "  three\n"
                                        "f: >-\n"
                                        "  aaa\n"
                                        "  bbb\n"
                                        "\n"
                                        "  ccc\n"
                                        "m: aaa\n"
                                        "   bbb\n"
                                        "i: |2\n"
                                        "    deep\n");
    expect_inside(yaml_get(root, "p"), "two", 1, 8);
    expect_inside(yaml_get(root, "d"), "X", 2, 17);
    expect_inside(yaml_get(root, "s"), "X", 3, 11);
    expect_inside(yaml_get(root, "l"), "two", 6, 5);
    expect_inside(yaml_get(root, "l"), "three", 8, 3);
    expect_inside(yaml_get(root, "f"), "bbb", 11, 3);
    expect_inside(yaml_get(root, "f"), "ccc", 13, 3);
    expect_inside(yaml_get(root, "m"), "bbb", 15, 4);
}

TEST(a_place_behind_replacements)
{
    struct ynode *node = yaml_get(read_one("k: ab{{x}}cd{{y}}ef\n"), "k");
    struct yedit second = {9, 5, 0, NULL}, first = {2, 5, 9, &second};
    node->edits = &first;
    node->text = "ab123456789cdef";
    expect_inside(node, "cd", 1, 11);
    expect_inside(node, "ef", 1, 18);
    expect_inside(node, "5678", 1, 6); /* inside a replacement: its begin */
}

TEST(documents_are_a_list)
{
    struct ydocs docs;
    const char *text = "a: 1\n---\nb: 2\n---\n- c\n";
    ASSERT_OK(read_text(text, strlen(text), &docs));
    ASSERT_EQ(docs.n, 3);
    ASSERT(yaml_get(docs.v[1], "b") != NULL);
    ASSERT_EQ(docs.v[2]->kind, YAML_SEQ);
    ASSERT_OK(read_text("", 0, &docs));
    ASSERT_EQ(docs.n, 0);
    ASSERT_OK(read_text("# only a comment\n", 17, &docs));
    ASSERT_EQ(docs.n, 0);
}

TEST(aliases_are_copies)
{
    const struct ynode *root = read_one("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n");
    const struct ynode *b = yaml_get(root, "b");
    ASSERT(b != yaml_get(root, "a"));
    ASSERT_STREQ(yaml_get(b, "k")->first->text, "1");
    ASSERT_EQ(yaml_get(root, "c")->count, 2);
    expect_bad("a: *no\n", 7, 1, 4, "no anchor");
    expect_bad("a: &x\n  b: *x\n", 14, 2, 6, "never ends");
}

TEST(styles_and_tags_are_kept)
{
    const struct ynode *root = read_one("a: !int \"5\"\nb: '5'\nc: 5\nd: !!str 5\n");
    ASSERT_STREQ(yaml_get(root, "a")->tag, "!int");
    ASSERT_EQ(yaml_get(root, "b")->style, YAML_SINGLE);
    ASSERT_EQ(yaml_get(root, "c")->style, YAML_PLAIN);
    ASSERT_STREQ(yaml_get(root, "d")->tag, "tag:yaml.org,2002:str");
}

TEST(bad_text_is_an_error_with_a_place)
{
    expect_bad("a: 1\nb: 2\na: 3\n", 15, 3, 1, "duplicate key \"a\"");
    expect_bad("a: [1, 2\nb: 3\n", 14, 3, 1, "not valid YAML");
    expect_bad("a: > 60%\nb: }\n", 14, 1, 6, "not valid YAML");
    expect_bad("a: 1\n b: 2\n", 11, 1, 4, "not valid YAML");
    expect_bad("a: \"x", 5, 1, 5, "closing quote");
    expect_bad("? [a]\n: b\n", 10, 1, 3, "a key must be");
    expect_bad("a: b\n\0\n", 7, 2, 1, "control character");
    expect_bad("a: \xff\xfe\n", 6, 1, 4, "not UTF-8");
    expect_bad("a: \xc0\x80\n", 6, 1, 4, "not UTF-8");
    expect_bad("a: \"\\0\"\n", 8, 1, 5, "NUL");
    expect_bad("%YAML 9.9\n---\na\n", 16, 1, 1, "");
}

TEST(big_and_deep_and_bombs_are_refused)
{
    struct buf b = {0};
    for (int i = 0; i < 100; i++)
        buf_add_char(&b, '[');
    expect_bad(b.p, b.n, 1, 65, "nested too deeply");
    buf_clear(&b);
    for (int i = 0; i < 100; i++)
        buf_add_str(&b, "{a: ");
    expect_bad(b.p, b.n, 1, 64 * 4 + 1, "nested too deeply");
    buf_clear(&b);
    buf_add_str(&b, "a0: &a0 [x]\n");
    for (int i = 1; i < 30; i++) {
        buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    struct ydocs docs;
    ASSERT_LT(read_text(b.p, b.n, &docs), 0);
    ASSERT_CONTAINS(err.msg, "too many values");
    buf_clear(&b);
    buf_add_str(&b, "- &a x\n");
    for (int i = 0; i < 1001; i++)
        buf_add_str(&b, "- *a\n");
    expect_bad(b.p, b.n, 1002, 3, "too many aliases");
    buf_clear(&b);
    for (int i = 0; i < 50001; i++)
        buf_add_str(&b, "- a\n");
    expect_bad(b.p, b.n, 50000, 3, "too many values");
    buf_clear(&b);
    buf_reserve(&b, YAML_BYTES_MAX + 2);
    while (b.n <= YAML_BYTES_MAX)
        buf_add_str(&b, "# nothing\n");
    expect_bad(b.p, b.n, 1, 1, "too big");
    buf_done(&b);
}

TEST(a_map_of_many_keys)
{
    struct buf b = {0};
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "k%d: 1\n", i);
    struct ydocs docs;
    ASSERT_OK(read_text(b.p, b.n, &docs));
    ASSERT_EQ(docs.v[0]->count, 20000);
    buf_add_str(&b, "k777: 2\n");
    ASSERT_LT(read_text(b.p, b.n, &docs), 0);
    ASSERT_EQ(err.line, 20001);
    ASSERT_CONTAINS(err.msg, "line 778");
    buf_done(&b);
    arena_done(&arena);
}
