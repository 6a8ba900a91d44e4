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
/* Index, or -ENOSPC. Labels in any order; they are copied. */
int series_intern(struct series_store *s, struct str name, const struct series_label *labels,
                  size_t n);
void series_append(struct series_store *s, int index, int64_t t_ns, double value);
size_t series_count(const struct series_store *s);
const struct series *series_get(const struct series_store *s, size_t index);

/* A selector as a plan writes it: name{label="value",other!="x"}; every given matcher must hold. */
struct series_selector;
int series_selector_parse(struct str text, struct series_selector **ret, size_t *ret_error_at);
void series_selector_free(struct series_selector *sel);
bool series_selector_match(const struct series_selector *sel, const struct series *s);
