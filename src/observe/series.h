/*
 * series.h - the time-series store of a run: (name, labels) -> samples (t_ns since the run's start,
 * value).
 *
 * Lifecycle: series_store_new/free. Series are interned once and addressed by index. Samples of a
 * series come in time order. Limits: SERIES_MAX series, SERIES_LABELS labels each; a scrape beyond
 * that is refused as a whole and said so. Staleness: a series missing from a scrape that worked
 * gets a NaN marker sample (series_stale).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SERIES_MAX    20000
#define SERIES_LABELS 32

struct series_label {
    struct str name, value;
};

struct series_sample {
    int64_t t_ns;
    double value; /* may be NaN: a stale marker, or the exporter said NaN */
};

struct series {
    const char *key; /* canonical: name{a="x",b="y"} with sorted labels */
    const char *name;
    struct series_label *labels; /* sorted by name; include service="..." */
    size_t labels_n;
    struct series_sample *samples;
    size_t samples_n, samples_cap;
};

struct series_store;
struct series_store *series_store_new(void);
void series_store_free(struct series_store *s);
/* Index, -ENOSPC, or -E2BIG (labels). Labels in any order, no name twice; they are copied. */
int series_intern(struct series_store *s, struct str name, const struct series_label *labels,
                  size_t n);
/* The same without making it: index, -ENOENT, or -E2BIG. */
int series_find(struct series_store *s, struct str name, const struct series_label *labels,
                size_t n);
void series_append(struct series_store *s, int index, int64_t t_ns, double value);
size_t series_count(const struct series_store *s);
const struct series *series_get(const struct series_store *s, size_t index);

/* The stale marker: Prometheus' NaN bit pattern. Any other NaN is a value that the exporter gave.
 */
double series_stale(void);
bool series_is_stale(double value);

/*
 * A selector as a plan writes it: name{label="value",other!="x"}; every given matcher must hold. A
 * label that a series lacks equals "". At least one matcher must ask for something ({} selects
 * nothing in particular and is refused). -EINVAL, or -ENOTSUP at a regular expression (=~ !~);
 * *ret_error_at is the byte. Limits: SELECTOR_BYTES of text, SERIES_LABELS matchers.
 */
#define SELECTOR_BYTES 4096
struct series_selector;
int series_selector_parse(struct str text, struct series_selector **ret, size_t *ret_error_at);
void series_selector_free(struct series_selector *sel);
bool series_selector_match(const struct series_selector *sel, const struct series *s);
