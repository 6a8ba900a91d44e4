#include "lab/impairment.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static unsigned number(const struct port_set *set, uint16_t *ret_index)
{
    unsigned n = 0;
    for (unsigned i = 0; i < IMPAIR_PORTS; i++)
        if (port_set_has(set, i))
            ret_index[i] = (uint16_t)n++;
    return n;
}

struct impairment *impairment_new(const struct lab_link *order, uint64_t sequence)
{
    struct impairment *im = xmalloc(sizeof *im);
    *im = (struct impairment){
        .order = *order, .sequence = sequence, .per_packet = impair_per_packet(&order->spec)};
    im->from_n = number(&order->from, im->from_row);
    im->to_n = number(&order->to, im->to_column);
    im->lanes = xcalloc((size_t)im->from_n * im->to_n + 1, sizeof *im->lanes);
    im->shapers = xcalloc(im->from_n + 1, sizeof *im->shapers);
    im->asked = hist_new();
    im->added = hist_new();
    im->late = hist_new();
    return im;
}

void impairment_free(struct impairment *im)
{
    if (!im)
        return;
    hist_free(im->asked);
    hist_free(im->added);
    hist_free(im->late);
    free(im->lanes);
    free(im->shapers);
    free(im);
}

bool impairment_covers(const struct impairment *im, unsigned from, unsigned to)
{
    return from != to && port_set_has(&im->order.from, from) && port_set_has(&im->order.to, to);
}

struct lane *impairment_lane(struct impairment *im, unsigned from, unsigned to)
{
    assert(impairment_covers(im, from, to));
    struct lane *lane = &im->lanes[im->from_row[from] * im->to_n + im->to_column[to]];
    if (!lane->ready)
        lane_init(lane, im->order.seed, from, to);
    return lane;
}

struct shaper *impairment_shaper(struct impairment *im, unsigned from)
{
    assert(port_set_has(&im->order.from, from));
    return &im->shapers[im->from_row[from]];
}

void impairment_left(struct impairment *im, int64_t now_ns, unsigned n, size_t bytes)
{
    struct impair_report *f = &im->figures;
    if (f->passed == 0)
        f->first_ns = now_ns;
    f->last_ns = now_ns;
    f->passed += n;
    f->passed_bytes += bytes;
}

void impairment_delayed(struct impairment *im, unsigned n, int64_t asked_ns, int64_t added_ns)
{
    hist_record_n(im->asked, asked_ns, n);
    hist_record_n(im->added, added_ns, n);
    hist_record_n(im->late, added_ns - asked_ns, n);
}

static struct impair_delay summary(const struct hist *h)
{
    if (h->count == 0)
        return (struct impair_delay){0};
    return (struct impair_delay){.count = h->count,
                                 .min = h->min,
                                 .mean = (int64_t)hist_mean(h),
                                 .p50 = hist_quantile(h, 0.5),
                                 .p99 = hist_quantile(h, 0.99),
                                 .max = h->max};
}

void impairment_report(const struct impairment *im, struct impair_report *ret)
{
    *ret = im->figures;
    ret->asked = summary(im->asked);
    ret->added = summary(im->added);
    ret->late = summary(im->late);
}
