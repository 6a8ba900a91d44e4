/*
 * metrics - counters, gauges and histograms in Prometheus text format.
 *
 * A series is made once with metric_new() (then it is exported with value 0 from the start) or
 * found-or-made with metric_get() where labels are only known at run time. Both take ready label
 * text, e.g. `component="redis"`, and give a handle that stays valid for ever.
 * Limits: METRICS_MAX series; beyond it metric_get() gives a shared overflow series, so that a
 * flood of label values cannot eat memory. Units: counters are events, histograms seconds (fed in
 * ns). Threads: any; hot paths are one atomic add.
 */
#ifndef BREAKWATER_METRICS_H
#define BREAKWATER_METRICS_H

#include "util.h"

#define METRICS_MAX 512

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_TYPES };

struct metric;

struct metric *metric_new(enum metric_type type, const char *name, const char *labels,
                          const char *help);
struct metric *metric_get(enum metric_type type, const char *name, const char *labels,
                          const char *help);
/* A gauge read at scrape time. */
void metric_gauge_fn(const char *name, const char *help, double (*fn)(void *ctx), void *ctx);
/* process_resident_memory_bytes, process_open_fds, process_cpu_seconds_total, start time. */
void metrics_process_init(void);

void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
int64_t metric_value(const struct metric *m);
void metric_observe_ns(struct metric *m, int64_t ns);

void metrics_render(struct buf *out);

#endif
