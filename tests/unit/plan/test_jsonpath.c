#include "plan/jsonpath.h"

#include "tests.h"

static struct arena arena;

static void expect_bad(const char *text, int column)
{
    struct jsonpath path;
    struct err err = {0};
    ASSERT_LT(jsonpath_parse(&arena, text, &path, &err), 0);
    if (err.column != column)
        TEST_FAIL("%s: column %d, not %d: %s", text, err.column, column, err.msg);
}

TEST(steps)
{
    struct jsonpath path;
    struct err err = {0};
    ASSERT_OK(jsonpath_parse(&arena, "$.a-b_1[*]['x y'][0][-1].*[\"q\\\"\"]", &path, &err));
    ASSERT_EQ(path.n, 7);
    ASSERT_STREQ(path.steps[0].name, "a-b_1");
    ASSERT_EQ(path.steps[1].kind, JSONPATH_ALL);
    ASSERT_STREQ(path.steps[2].name, "x y");
    ASSERT_EQ(path.steps[3].kind, JSONPATH_INDEX);
    ASSERT_EQ(path.steps[3].index, 0);
    ASSERT_EQ(path.steps[4].index, -1);
    ASSERT_EQ(path.steps[5].kind, JSONPATH_ALL);
    ASSERT_STREQ(path.steps[6].name, "q\"");
    ASSERT_OK(jsonpath_parse(&arena, "$", &path, &err));
    ASSERT_EQ(path.n, 0);
}

TEST(mistakes_have_a_column)
{
    char deep[400] = "$";
    expect_bad("", 1);
    expect_bad("a.b", 1);
    expect_bad("$a", 2);
    expect_bad("$.", 3);
    expect_bad("$..a", 3);
    expect_bad("$.a[", 5);
    expect_bad("$.a[b]", 5);
    expect_bad("$.a['b]", 5);
    expect_bad("$.a[0", 6);
    expect_bad("$.a[99999999999999999999]", 5);
    for (int i = 0; i < 65; i++)
        strcat(deep, ".a");
    expect_bad(deep, 130);
    arena_done(&arena);
}
