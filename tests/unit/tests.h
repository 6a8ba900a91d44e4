/*
 * tests.h - the unit test harness: TEST(name) { ... } registers itself, ASSERT_* print both sides
 * and abort.
 *
 * One program a module. `prog` runs all tests, `prog NAME...` those named. Exit 0 all passed, 1 a
 * test failed (the process aborts at the first), 77 every test that ran was skipped. Each test runs
 * in the same process: tests must not depend on their order.
 */
#pragma once
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*fn)(void);
    struct test_case *next;
};
static struct test_case *test_head, **test_tail = &test_head;
static const char *test_skip_reason;

#define TEST(NAME)                                                                                 \
    static void test_##NAME(void);                                                                 \
    static struct test_case test_case_##NAME = {#NAME, test_##NAME, NULL};                         \
    __attribute__((constructor)) static void test_register_##NAME(void)                            \
    {                                                                                              \
        *test_tail = &test_case_##NAME;                                                            \
        test_tail = &test_case_##NAME.next;                                                        \
    }                                                                                              \
    static void test_##NAME(void)

/* Leaves the test; the reason is printed and counted as a skip, never as a pass. */
#define SKIP(REASON)                                                                               \
    do {                                                                                           \
        test_skip_reason = (REASON);                                                               \
        return;                                                                                    \
    } while (0)

#define TEST_FAIL(...)                                                                             \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

#define ASSERT(C)                                                                                  \
    do {                                                                                           \
        if (!(C))                                                                                  \
            TEST_FAIL("%s is false", #C);                                                          \
    } while (0)

#define ASSERT_CMP(A, OP, B)                                                                       \
    do {                                                                                           \
        int64_t a_ = (int64_t)(A), b_ = (int64_t)(B);                                              \
        if (!(a_ OP b_))                                                                           \
            TEST_FAIL("%s %s %s: %" PRId64 " against %" PRId64, #A, #OP, #B, a_, b_);              \
    } while (0)
#define ASSERT_EQ(A, B) ASSERT_CMP(A, ==, B)
#define ASSERT_NE(A, B) ASSERT_CMP(A, !=, B)
#define ASSERT_LT(A, B) ASSERT_CMP(A, <, B)
#define ASSERT_LE(A, B) ASSERT_CMP(A, <=, B)
#define ASSERT_OK(A)    ASSERT_CMP(A, ==, 0)

#define ASSERT_NEAR(A, B, TOL)                                                                     \
    do {                                                                                           \
        double a_ = (A), b_ = (B), t_ = (TOL);                                                     \
        if (!(a_ - b_ <= t_ && b_ - a_ <= t_))                                                     \
            TEST_FAIL("%s near %s: %.9g against %.9g (+-%.9g)", #A, #B, a_, b_, t_);               \
    } while (0)

#define ASSERT_STREQ(A, B)                                                                         \
    do {                                                                                           \
        const char *a_ = (A), *b_ = (B);                                                           \
        if (!a_ || !b_ || strcmp(a_, b_) != 0)                                                     \
            TEST_FAIL("%s == %s:\n  \"%s\"\n  \"%s\"", #A, #B, a_ ? a_ : "(null)",                 \
                      b_ ? b_ : "(null)");                                                         \
    } while (0)

#define ASSERT_CONTAINS(A, B)                                                                      \
    do {                                                                                           \
        const char *a_ = (A), *b_ = (B);                                                           \
        if (!a_ || !b_ || !strstr(a_, b_))                                                         \
            TEST_FAIL("%s contains %s:\n  \"%s\"\n  \"%s\"", #A, #B, a_ ? a_ : "(null)",           \
                      b_ ? b_ : "(null)");                                                         \
    } while (0)

static bool test_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    int ran = 0, skipped = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test_case *t = test_head; t; t = t->next) {
        if (!test_wanted(argc, argv, t->name))
            continue;
        test_skip_reason = NULL;
        printf("%s\n", t->name);
        t->fn();
        ran++;
        if (test_skip_reason) {
            skipped++;
            printf("  skipped: %s\n", test_skip_reason);
        }
    }
    printf("%d run, %d skipped\n", ran, skipped);
    return ran == 0 ? 1 : ran == skipped ? 77 : 0;
}
