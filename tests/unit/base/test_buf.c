#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests.h"

TEST(empty_buffer_is_a_string_and_takes_every_call)
{
    struct buf b = {0};
    ASSERT_STREQ(buf_str(&b), "");
    buf_clear(&b);
    buf_consume(&b, 0);
    buf_add(&b, NULL, 0);
    ASSERT_STREQ(buf_str(&b), "");
    buf_done(&b);
    buf_done(&b);
}

TEST(random_edits_against_a_plain_array)
{
    enum { MAX = 20000 };
    static char model[MAX + 1];
    size_t n = 0;
    struct buf b = {0};
    struct rng rng;
    rng_init(&rng, 3, "buf");
    for (int i = 0; i < 20000; i++) {
        char piece[300];
        size_t len = rng_below(&rng, sizeof piece);
        memset(piece, 'a' + i % 26, sizeof piece);
        if (rng_below(&rng, 2) && n + len <= MAX) {
            buf_add(&b, piece, len);
            memcpy(model + n, piece, len);
            n += len;
        } else if (len <= n) {
            buf_consume(&b, len);
            memmove(model, model + len, n - len);
            n -= len;
        }
        model[n] = '\0';
        ASSERT_EQ(b.n, n);
        ASSERT_EQ(buf_str(&b)[n], '\0');
        ASSERT(n == 0 || memcmp(b.p, model, n) == 0);
    }
    buf_done(&b);
}

TEST(printf_grows_as_needed)
{
    struct buf b = {0};
    char want[3000];
    memset(want, 'y', sizeof want - 1);
    want[sizeof want - 1] = '\0';
    buf_add_str(&b, "a");
    buf_add_char(&b, 'b');
    buf_printf(&b, "%s%d", want, 5);
    ASSERT_EQ(b.n, 2 + sizeof want - 1 + 1);
    ASSERT_EQ(memcmp(b.p, "ab", 2), 0);
    ASSERT_STREQ(b.p + b.n - 2, "y5");
    const char *kept = b.p;
    buf_clear(&b);
    ASSERT(b.p == kept && b.n == 0);
    buf_done(&b);
}

static void write_file(const char *path, size_t n)
{
    FILE *f = fopen(path, "w");
    ASSERT(f);
    for (size_t i = 0; i < n; i++)
        fputc((int)(i % 251), f);
    ASSERT_OK(fclose(f));
}

TEST(read_file_is_bounded)
{
    char dir[] = "/tmp/squall-buf-XXXXXX", path[64];
    struct buf b = {0};
    ASSERT(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    write_file(path, 200000);
    ASSERT_OK(buf_read_file(&b, path, 200000));
    ASSERT_EQ(b.n, 200000);
    for (size_t i = 0; i < b.n; i++)
        ASSERT_EQ((unsigned char)b.p[i], i % 251);
    buf_clear(&b);
    ASSERT_EQ(buf_read_file(&b, path, 199999), -EFBIG);
    ASSERT_EQ(buf_read_file(&b, "/dev/zero", 1000), -EFBIG);
    ASSERT_EQ(buf_read_file(&b, dir, 1000), -EISDIR);
    unlink(path);
    ASSERT_EQ(buf_read_file(&b, path, 1000), -ENOENT);
    buf_clear(&b);
    ASSERT_OK(mkfifo(path, 0600));
    ASSERT_OK(buf_read_file(&b, path, 1000)); /* no writer: empty, and no waiting for one */
    ASSERT_EQ(b.n, 0);
    unlink(path);
    ASSERT_OK(rmdir(dir));
    buf_done(&b);
}
