/*
 * promtext.h - Prometheus text format 0.0.4 (and the OpenMetrics subset that exporters mix in) as a
 * pure parser.
 *
 * Calls fn for each sample line. Strict: the first malformed line ends it with its line number, so
 * that half a scrape is never mistaken for a whole one. Limits: PROMTEXT_LINE_BYTES a line,
 * SERIES_LABELS labels. Label values are unescaped.
 *
 * Timestamps are checked and not used: the service's clock may be what a fault has moved, so the
 * run's clock is the only one. HELP, TYPE and UNIT lines are checked for their form; other comments
 * are free text; nothing may follow `# EOF`. Exemplars are cut off. Every line ends with a line
 * feed: a missing last one means a cut-off page. Names follow the classic character set; quoted
 * UTF-8 names are refused. fn gets slices that live only during the call. Source:
 * prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0.
 */
#pragma once
#include "base/err.h"
#include "observe/series.h"

#define PROMTEXT_LINE_BYTES 16384

typedef void promtext_fn(void *ctx, struct str name, const struct series_label *labels,
                         size_t labels_n, double value);
int promtext_parse(const char *text, size_t n, promtext_fn *fn, void *ctx, struct err *err);
