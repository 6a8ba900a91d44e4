/* Metrics text of any shape: bounded slices, no reads outside, and the same answer twice. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "observe/promtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
    size_t samples, bytes;
};

static void count(void *ctx, struct str name, const struct series_label *labels, size_t labels_n,
                  double value)
{
    struct tally *t = ctx;
    assert(name.n > 0 && labels_n <= SERIES_LABELS);
    t->samples++;
    t->bytes += name.n;
    for (size_t i = 0; i < labels_n; i++) {
        assert(labels[i].name.n > 0 && !memchr(labels[i].value.p, '\0', labels[i].value.n));
        t->bytes += labels[i].value.n;
    }
    (void)value;
}

/* Labels that the parser let through make a key that a selector made of it finds again. */
static void intern(void *ctx, struct str name, const struct series_label *labels, size_t labels_n,
                   double value)
{
    struct series_store *store = ctx;
    struct series_selector *sel;
    size_t at;
    int i = series_intern(store, name, labels, labels_n);
    assert(i >= 0 && series_find(store, name, labels, labels_n) == i);
    struct str key = str_of(series_get(store, (size_t)i)->key);
    if (key.n > SELECTOR_BYTES)
        return;
    assert(series_selector_parse(key, &sel, &at) == 0);
    assert(series_selector_match(sel, series_get(store, (size_t)i)));
    series_selector_free(sel);
    (void)value;
}

static void selector(const char *text, size_t n)
{
    struct series_selector *sel;
    size_t at = 0;
    if (series_selector_parse((struct str){text, n}, &sel, &at) == 0)
        series_selector_free(sel);
    else
        assert(at <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct tally first = {0}, second = {0};
    struct err err = {0};
    selector(text, size);
    int r = promtext_parse(text, size, count, &first, &err);
    assert(r == 0 || (err.line > 0 && err.column > 0));
    assert(promtext_parse(text, size, count, &second, &err) == r);
    assert(first.samples == second.samples && first.bytes == second.bytes);
    if (r == 0 && first.samples < 1000) {
        struct series_store *store = series_store_new();
        promtext_parse(text, size, intern, store, &err);
        series_store_free(store);
    }
    return 0;
}
