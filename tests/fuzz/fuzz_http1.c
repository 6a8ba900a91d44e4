/* The HTTP/1 answer parser: the first byte chooses how the rest is cut; every cut must give the
 * same outcome as the whole. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http1_result result;
    enum http1_error error;
    int status;
    int64_t body_bytes;
    uint64_t sum; /* of body and headers */
    bool keep_alive;
};

static void mix(struct outcome *o, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        o->sum = (o->sum ^ (unsigned char)p[i]) * 0x100000001b3ull;
}

static void on_body(void *ctx, const char *bytes, size_t n)
{
    mix(ctx, bytes, n);
}

static void on_header(void *ctx, struct str name, struct str value)
{
    assert(name.n > 0);
    mix(ctx, name.p, name.n);
    mix(ctx, value.p, value.n);
}

static struct outcome run(const char *p, size_t n, size_t piece, bool head)
{
    static struct http1 h;
    struct outcome o;
    memset(&o, 0, sizeof o);
    http1_init(&h, head, on_body, on_header, &o);
    o.result = HTTP1_MORE;
    for (size_t i = 0; i < n && o.result == HTTP1_MORE; i += piece) {
        size_t take = n - i < piece ? n - i : piece, used = 0;
        o.result = http1_feed(&h, p + i, take, &used);
        assert(used <= take && (o.result != HTTP1_MORE || used == take));
    }
    if (o.result == HTTP1_MORE)
        o.result = http1_eof(&h);
    assert((o.result == HTTP1_BAD) == (h.error != HTTP1_OK));
    o.error = h.error;
    o.status = h.status;
    o.body_bytes = h.body_bytes;
    o.keep_alive = h.keep_alive;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool head = data[0] & 0x80;
    size_t piece = (data[0] & 0x7f) + 1;
    const char *p = (const char *)data + 1;
    struct outcome whole = run(p, size - 1, size, head), cut = run(p, size - 1, piece, head);
    assert(memcmp(&whole, &cut, sizeof cut) == 0);
    return 0;
}
