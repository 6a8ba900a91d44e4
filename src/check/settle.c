#include "check/settle.h"

#include <stdlib.h>
#include <string.h>

static int by_key_and_request(const void *pa, const void *pb)
{
    const struct settle_item *a = pa, *b = pb;
    int order = strcmp(a->key, b->key);
    if (order)
        return order;
    return a->request < b->request ? -1 : a->request > b->request;
}

static int by_key(const void *pa, const void *pb)
{
    const struct settle_object *a = pa, *b = pb;
    return strcmp(a->key, b->key);
}

void settle_sort(struct settle_item *items, size_t items_n, struct settle_object *objects,
                 size_t objects_n)
{
    if (items_n)
        qsort(items, items_n, sizeof *items, by_key_and_request);
    if (objects_n)
        qsort(objects, objects_n, sizeof *objects, by_key);
}

static uint64_t at_most(uint64_t v, uint64_t limit)
{
    return v < limit ? v : limit;
}

/* Gives out what was found: first to those who were promised it. */
static void match_counts(struct settle_finding *f)
{
    uint64_t rest = f->found;
    uint64_t kept = at_most(rest, f->accepted);
    f->lost = f->accepted - kept;
    rest -= kept;
    f->recovered = at_most(rest, f->unknown);
    rest -= f->recovered;
    bool possible = f->accepted + f->unknown + f->denied > 0;
    f->unexpected = possible ? at_most(rest, f->denied) : rest;
    f->duplicated = rest - f->unexpected;
}

static void match_presence(struct settle_finding *f)
{
    if (f->found == 0) {
        f->lost = f->accepted;
        return;
    }
    if (f->accepted + f->unknown + f->denied == 0) {
        f->unexpected = f->found;
        return;
    }
    f->duplicated = f->found - 1;
    if (f->accepted == 0 && f->unknown)
        f->recovered = 1;
    else if (f->accepted == 0)
        f->unexpected = 1;
}

static void add_items(struct settle_finding *f, struct settle_totals *totals)
{
    for (size_t i = 0; i < f->items_n; i++) {
        uint8_t fate = f->items[i].fate;
        totals->fates[fate]++;
        f->accepted += fate == FATE_ACCEPTED;
        f->unknown += fate == FATE_UNKNOWN;
        f->denied += fate == FATE_REFUSED || fate == FATE_FAILED;
    }
    totals->keys += f->items_n > 0;
}

static void close_key(struct settle_finding *f, bool counted, settle_fn *fn, void *ctx,
                      struct settle_totals *totals)
{
    add_items(f, totals);
    if (counted)
        match_counts(f);
    else
        match_presence(f);
    totals->found += f->found;
    totals->accepted_found += f->accepted - f->lost;
    totals->lost += f->lost;
    totals->recovered += f->recovered;
    totals->unexpected += f->unexpected;
    totals->duplicated += f->duplicated;
    if (fn && (f->lost || f->recovered || f->unexpected || f->duplicated))
        fn(ctx, f);
}

void settle_match(const struct settle_item *items, size_t items_n,
                  const struct settle_object *objects, size_t objects_n, bool counted,
                  settle_fn *fn, void *ctx, struct settle_totals *ret)
{
    *ret = (struct settle_totals){0};
    for (size_t i = 0, o = 0; i < items_n || o < objects_n;) {
        int order = i == items_n ? 1 : o == objects_n ? -1 : strcmp(items[i].key, objects[o].key);
        struct settle_finding f = {.key = order <= 0 ? items[i].key : objects[o].key,
                                   .items = items + i};
        while (i < items_n && strcmp(items[i].key, f.key) == 0) {
            i++;
            f.items_n++;
        }
        for (; o < objects_n && strcmp(objects[o].key, f.key) == 0; o++)
            f.found += !counted ? 1 : objects[o].count > 0 ? (uint64_t)objects[o].count : 0;
        close_key(&f, counted, fn, ctx, ret);
    }
}
