/*
 * golden.h - compares text with tests/golden/report/NAME; UPDATE_GOLDEN=1 rewrites the file
 * instead.
 */
#pragma once
#include "base/buf.h"
#include "tests.h"

static inline void golden_check(const char *name, const char *text, size_t n)
{
    char path[512];
    struct buf want = {0};
    snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    if (getenv("UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "we");
        if (!f || fwrite(text, 1, n, f) != n || fclose(f) != 0)
            TEST_FAIL("cannot write %s", path);
        return;
    }
    if (buf_read_file(&want, path, 16 << 20) < 0)
        TEST_FAIL("cannot read %s (UPDATE_GOLDEN=1 makes it)", path);
    if (want.n != n || memcmp(want.p, text, n) != 0)
        TEST_FAIL("%s differs; it is now:\n%.*s", path, (int)n, text);
    buf_done(&want);
}
