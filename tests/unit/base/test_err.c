#include "base/err.h"

#include <errno.h>

#include "tests.h"

TEST(set_returns_the_code_and_forgets_an_old_position)
{
    struct err err = {0};
    char text[ERR_MSG_BYTES];
    ASSERT_EQ(err_at(&err, -ERANGE, "plan.yaml", 3, 9, "rate %d is too high", 7), -ERANGE);
    ASSERT_STREQ(err_text(&err, text, sizeof text), "plan.yaml:3:9: rate 7 is too high");
    ASSERT_EQ(err_set(&err, -EINVAL, "no %s", "load"), -EINVAL);
    ASSERT_EQ(err.code, -EINVAL);
    ASSERT_STREQ(err_text(&err, text, sizeof text), "no load");
}

TEST(unknown_parts_of_a_position_are_left_out)
{
    struct err err = {0};
    char text[200];
    err_at(&err, -EINVAL, "a.yaml", 3, 0, "m");
    ASSERT_STREQ(err_text(&err, text, sizeof text), "a.yaml:3: m");
    err_at(&err, -EINVAL, "a.yaml", 0, 5, "m");
    ASSERT_STREQ(err_text(&err, text, sizeof text), "a.yaml: m");
    err_at(&err, -EINVAL, NULL, 3, 5, "m");
    ASSERT_STREQ(err_text(&err, text, sizeof text), "m");
}

TEST(wrap_puts_context_in_front_and_keeps_code_and_position)
{
    struct err err = {0};
    char text[200];
    err_at(&err, -ENOENT, "a.yaml", 1, 2, "not there");
    ASSERT_EQ(err_wrap(&err, "stage '%s'", "warmup"), -ENOENT);
    ASSERT_STREQ(err_text(&err, text, sizeof text), "a.yaml:1:2: stage 'warmup': not there");
    err_wrap(&err, "plan");
    ASSERT_STREQ(err.msg, "plan: stage 'warmup': not there");
}

TEST(long_messages_files_and_contexts_are_cut_and_stay_terminated)
{
    struct err err = {0};
    char big[3000], small[8];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    err_at(&err, -EINVAL, big, 1, 1, "%s", big);
    ASSERT_EQ(strlen(err.msg), ERR_MSG_BYTES - 1);
    ASSERT_EQ(strlen(err.file), ERR_FILE_BYTES - 1);
    err_wrap(&err, "%s", big);
    ASSERT_EQ(strlen(err.msg), ERR_MSG_BYTES - 1);
    ASSERT_STREQ(err_text(&err, small, sizeof small), "xxxxxxx");
}
