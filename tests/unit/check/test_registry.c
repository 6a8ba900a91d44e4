/* Walks the table of checks: what each row must have. */
#include "base/buf.h"
#include "check/check.h"
#include "tests.h"

TEST(names_are_sorted_and_unique)
{
    for (size_t i = 1; i < check_count(); i++)
        ASSERT_LT(strcmp(check_at(i - 1)->name, check_at(i)->name), 0);
}

TEST(each_has_help_a_function_and_its_name_finds_it)
{
    ASSERT_LT(0, check_count());
    for (size_t i = 0; i < check_count(); i++) {
        const struct check_kind *k = check_at(i);
        ASSERT(k->help && strlen(k->help) > 10 && k->run);
        ASSERT(check_find(k->name) == k);
    }
    ASSERT(!check_find("nothing"));
}

TEST(each_has_a_section_in_the_docs)
{
    struct buf b = {0};
    ASSERT_OK(buf_read_file(&b, SQUALL_DOCS "/checks.md", 1 << 20));
    for (size_t i = 0; i < check_count(); i++) {
        char heading[80];
        snprintf(heading, sizeof heading, "\n## `%s`\n", check_at(i)->name);
        ASSERT_CONTAINS(buf_str(&b), heading);
        ASSERT_CONTAINS(buf_str(&b), check_at(i)->help);
    }
    buf_done(&b);
}
