#include "lab/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define MARK_BYTES 32
#define KEEP_BYTES (LINE_BYTES - MARK_BYTES)

void lines_init(struct lines *l)
{
    l->n = 0;
}

static void keep(struct lines *l, const char *bytes, size_t n)
{
    if (l->n < KEEP_BYTES) {
        size_t room = KEEP_BYTES - l->n, take = n < room ? n : room;
        memcpy(l->text + l->n, bytes, take);
    }
    l->n += n;
}

static void emit(struct lines *l, line_fn *fn, void *ctx)
{
    size_t kept = l->n < KEEP_BYTES ? l->n : KEEP_BYTES;
    if (kept == l->n && kept > 0 && l->text[kept - 1] == '\r')
        l->n = --kept;
    for (char *p = l->text; (p = memchr(p, 0, (size_t)(l->text + kept - p)));)
        *p = '?';
    size_t n = kept;
    if (kept < l->n)
        n += (size_t)snprintf(l->text + kept, MARK_BYTES, "[cut %zu bytes]", l->n - kept);
    l->text[n] = '\0';
    l->n = 0;
    fn(ctx, l->text, n);
}

void lines_feed(struct lines *l, const char *bytes, size_t n, line_fn *fn, void *ctx)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t piece = end ? (size_t)(end - bytes) : n;
        keep(l, bytes, piece);
        if (!end)
            return;
        emit(l, fn, ctx);
        bytes = end + 1;
        n -= piece + 1;
    }
}

void lines_end(struct lines *l, line_fn *fn, void *ctx)
{
    if (l->n > 0)
        emit(l, fn, ctx);
}

void bucket_init(struct bucket *b, int64_t burst, int64_t rate_per_s, int64_t now_ns)
{
    assert(burst > 0 && rate_per_s > 0 && rate_per_s <= NS_PER_S);
    *b = (struct bucket){.burst = burst, .rate_per_s = rate_per_s, .last_ns = now_ns};
    b->tokens_ns = burst * (NS_PER_S / rate_per_s);
}

bool bucket_take(struct bucket *b, int64_t now_ns)
{
    int64_t cost = NS_PER_S / b->rate_per_s, most = b->burst * cost;
    int64_t passed = now_ns - b->last_ns;
    if (passed > 0) {
        b->last_ns = now_ns;
        b->tokens_ns = passed >= most - b->tokens_ns ? most : b->tokens_ns + passed;
    }
    if (b->tokens_ns < cost)
        return false;
    b->tokens_ns -= cost;
    return true;
}
