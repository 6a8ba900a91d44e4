/* Names in a plan's texts: the first byte chooses the place and the word before, the rest is the
 * text. What is told is what was done; a text without replacements stays; addresses are not
 * replaced again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "lab/loopback_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"gateway", "redis", "redis-main", "h"};
static const char *const addrs[] = {"127.213.4.10", "127.213.4.11", "127.213.4.12", "127.213.4.13"};
static const char *const before[] = {"", "--host", "app", "-h"};

static void count(void *ctx, int line, const char *was, const char *is)
{
    size_t *n = ctx;
    assert(line >= 1 && was[0] && strncmp(is, "127.213.4.1", 11) == 0);
    ++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct loopback_scope scope = {
        .names = names, .names_n = ARRAY_SIZE(names), .addrs = addrs, .self = 1};
    if (size == 0)
        return 0;
    enum loopback_place place = data[0] & 1 ? LOOPBACK_WORD : LOOPBACK_TEXT;
    const char *key = before[data[0] >> 1 & 3];
    char *text = xstrndup((const char *)data + 1, size - 1);
    struct buf once = {0}, twice = {0};
    size_t told = 0;
    size_t n = loopback_replace(&scope, place, key, text, &once, count, &told);
    assert(n == told);
    assert(n || strcmp(buf_str(&once), text) == 0);
    assert(loopback_replace(&scope, place, key, buf_str(&once), &twice, NULL, NULL) == 0);
    assert(strcmp(buf_str(&once), buf_str(&twice)) == 0);
    buf_done(&once);
    buf_done(&twice);
    free_p(&text);
    return 0;
}
