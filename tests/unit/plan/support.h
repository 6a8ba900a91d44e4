/* support.h - plans as text in a test: a folder of its own, and what loading said. */
#pragma once
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan/plan.h"
#include "tests.h"

static char support_dir[64];

__attribute__((unused)) static void support_clean(void)
{
    char command[128];
    if (!support_dir[0])
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", support_dir);
    if (system(command) != 0)
        perror(support_dir);
}

/* Writes a file into the test's folder; returns its path (static, four at a time). */
__attribute__((unused)) static const char *write_file(const char *name, const char *text, size_t n)
{
    static char paths[4][256];
    static int turn;
    char *path = paths[turn++ % 4];
    if (!support_dir[0]) {
        strcpy(support_dir, "/tmp/squall-plan-XXXXXX");
        ASSERT(mkdtemp(support_dir) != NULL);
        atexit(support_clean);
    }
    snprintf(path, 256, "%s/%s", support_dir, name);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL);
    ASSERT_EQ(fwrite(text, 1, n, f), n);
    ASSERT_OK(fclose(f));
    return path;
}

struct loaded {
    int rc;
    struct plan *plan;
    struct plan_errors errors;
};

__attribute__((unused)) static struct loaded load_with(const char *text, const char *const *sets,
                                                       size_t sets_n)
{
    struct loaded l = {0};
    struct plan_options options = {sets, sets_n};
    l.rc = plan_load(write_file("plan.yaml", text, strlen(text)), &options, &l.plan, &l.errors);
    return l;
}

__attribute__((unused)) static struct loaded load_text(const char *text)
{
    return load_with(text, NULL, 0);
}

__attribute__((unused)) static void loaded_done(struct loaded *l)
{
    plan_free(l->plan);
    plan_errors_done(&l->errors);
    *l = (struct loaded){0};
}

/* The error at that place, or NULL. */
__attribute__((unused)) static const struct err *error_at(const struct loaded *l, int line,
                                                          int column)
{
    for (size_t i = 0; i < l->errors.n; i++)
        if (l->errors.v[i].line == line && l->errors.v[i].column == column)
            return &l->errors.v[i];
    return NULL;
}

__attribute__((unused)) static void expect_error(const char *text, int line, int column,
                                                 const char *message)
{
    struct loaded l = load_text(text);
    const struct err *e = error_at(&l, line, column);
    if (!e || !strstr(e->msg, message))
        TEST_FAIL("no error at %d:%d with \"%s\" in:\n%s", line, column, message,
                  buf_str(&l.errors.text));
    ASSERT(l.plan == NULL && l.rc < 0);
    loaded_done(&l);
}
