#include "record/histblob.h"

#include <errno.h>
#include <string.h>

static void put(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_add_char(b, (char)(0x80 | (v & 0x7f)));
    buf_add_char(b, (char)v);
}

static int take(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; *p < end && shift < 63; shift += 7) {
        uint8_t byte = *(*p)++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return 0;
        }
    }
    return -EINVAL;
}

void histblob_encode(const struct hist *h, struct buf *ret)
{
    if (h->count == 0)
        return;
    int before = -1, last = (int)hist_bucket(h->max);
    for (int i = (int)hist_bucket(h->min); i <= last; i++) {
        if (h->buckets[i] == 0)
            continue;
        put(ret, (uint64_t)(i - before));
        put(ret, h->buckets[i]);
        before = i;
    }
}

int histblob_decode(const void *data, size_t n, int64_t min, int64_t max, struct hist *into)
{
    if (n == 0)
        return 0;
    const uint8_t *p = data, *end = p + n;
    int64_t at = -1, low = hist_bucket(min), high = hist_bucket(max);
    while (p < end) {
        uint64_t step, count;
        if (take(&p, end, &step) || take(&p, end, &count))
            return -EINVAL;
        if (step == 0 || step > HIST_BUCKETS || count == 0 || count > INT64_MAX / 2)
            return -EINVAL;
        at += (int64_t)step;
        if (at < low || at > high || into->count > INT64_MAX / 2)
            return -EINVAL;
        into->buckets[at] += count;
        into->count += count;
    }
    return 0;
}

void histblob_clear(struct hist *h)
{
    if (h->count) {
        unsigned low = hist_bucket(h->min), high = hist_bucket(h->max);
        memset(&h->buckets[low], 0, (high - low + 1) * sizeof h->buckets[0]);
    }
    h->count = 0;
    h->min = h->max = 0;
    h->sum = 0;
}
