/*
 * reader.h - what checks and reports read from a run file; nothing else reads it.
 *
 * Works on any struct record, open for reading or still being written (the writer then sees its own
 * rows). A run file comes from outside: every number is range checked, every text bounded
 * (READER_TEXT_BYTES; the plan READER_PLAN_BYTES), every statement has a step budget in proportion
 * to the file's size, so that a damaged or hostile file ends in -EINVAL and record_problem(), never
 * in a crash or an endless scan. Strings and arrays live in the caller's arena; what a callback
 * gets lives during the call; a callback may not read from the same record. Callbacks return 0 to
 * go on, anything else ends the iteration and is returned. Times are ns since the run's start;
 * windows are [from, to). A request belongs to the window in which it was *due*. Thread rule: one
 * thread.
 */
#pragma once
#include "record/record.h"

#define READER_TEXT_BYTES (256u << 10)
#define READER_PLAN_BYTES (64u << 20)
#define READER_LIST_MAX   100000 /* rows of any table that is returned as an array */

struct reader_window {
    int64_t from_ns, to_ns;
};
#define READER_ALL ((struct reader_window){INT64_MIN, INT64_MAX})

struct reader_meta {
    int schema;
    const char *run_id, *squall_version, *machine, *tier; /* "" when not given */
    const char *plan_name, *plan_file;                    /* plan_file: its path as it was given */
    uint64_t seed;
    int64_t started_wall_ns;
    const char *how;  /* done, interrupted, aborted; NULL: cut off, the writer was killed */
    int64_t ended_ns; /* record_finish's time; when cut off: the last time that is in the file */
};
int reader_meta(struct record *r, struct arena *a, struct reader_meta *ret);
int reader_plan_text(struct record *r, struct arena *a, const char **ret);

struct reader_phase {
    enum plan_phase_kind kind;
    const char *name;
    int64_t start_ns, end_ns; /* -1: did not happen (yet) */
};
/* As in the plan, in its order. */
int reader_phases(struct record *r, struct arena *a, struct reader_phase **ret, size_t *ret_n);

struct reader_load {
    const char *name;
    enum plan_model model;
    int64_t timeout_ns;
    bool rows_kept; /* every request has its row; else only those that were not accepted */
    bool settled;   /* it is to be settled */
    bool counted;   /* ... by occurrence counts, not only by keys */
    bool ended;     /* `end` is there */
    struct record_load end;
    uint64_t rows; /* rows in `requests` */
};
int reader_loads(struct record *r, struct arena *a, struct reader_load **ret, size_t *ret_n);

/* In the order they were recorded; strings never NULL. */
int reader_faults(struct record *r, struct arena *a, struct record_fault **ret, size_t *ret_n);

typedef int reader_event_fn(void *ctx, const struct record_event *event);
int reader_events(struct record *r, struct reader_window w, reader_event_fn *fn, void *ctx);

/* Latency samples of the requests due in the window. Exact (0.1 % bucket width aside) when the rows
 * are kept or the window goes from the start of a phase to the end of one; else from the seconds
 * that begin in the window, and *ret_exact (may be NULL) is false. What is a sample: see
 * docs/run-file.md. */
int reader_hist(struct record *r, int load, struct reader_window w, struct hist *into,
                bool *ret_exact);

struct reader_fates {
    uint64_t due; /* = the sum of fates */
    uint64_t fates[FATE_COUNT];
    uint64_t reasons[REASON_COUNT]; /* of those that were not accepted */
    bool exact;                     /* as above, for the accepted ones */
};
int reader_fates(struct record *r, int load, struct reader_window w, struct reader_fates *ret);

/* Latency of one row as it is sampled; false when the row is no sample. */
bool reader_latency(const struct ledger_row *row, enum plan_model model, int64_t timeout_ns,
                    int64_t *ret_ns);

/* Rows of one load by id. Not the accepted ones when rows are not kept. */
typedef int reader_request_fn(void *ctx, const struct ledger_row *row);
int reader_requests(struct record *r, int load, struct reader_window w, reader_request_fn *fn,
                    void *ctx);
int reader_request(struct record *r, int load, uint64_t id, struct ledger_row *ret); /* -ENOENT */

/* Every settlement key of a load with the row of its request, by request id. */
typedef int reader_item_fn(void *ctx, const struct ledger_row *row, struct str key);
int reader_items(struct record *r, int load, reader_item_fn *fn, void *ctx);

/* One second of one load, for curves: counts by fate and the histogram; hist may be empty. */
struct reader_second {
    int64_t second; /* [second, second + 1) s since the run's start */
    uint64_t fates[FATE_COUNT];
    const struct hist *hist;
};
typedef int reader_second_fn(void *ctx, const struct reader_second *second);
int reader_seconds(struct record *r, int load, reader_second_fn *fn, void *ctx);

struct reader_series {
    int index;            /* as recorded */
    struct series series; /* without samples */
};
/* Those that match; sel NULL = all. */
int reader_series(struct record *r, struct arena *a, const struct series_selector *sel,
                  struct reader_series **ret, size_t *ret_n);
/* Samples of the given series (sorted by index, as reader_series gives them) in recording order;
 * `which` indexes the array. */
typedef int reader_sample_fn(void *ctx, size_t which, int64_t t_ns, double value);
int reader_samples(struct record *r, const struct reader_series *series, size_t series_n,
                   struct reader_window w, reader_sample_fn *fn, void *ctx);

struct reader_log {
    int64_t t_ns;
    const char *service;
    int stream;
    struct str line;
};
typedef int reader_log_fn(void *ctx, const struct reader_log *log);
/* service NULL = all. */
int reader_logs(struct record *r, const char *service, struct reader_window w, reader_log_fn *fn,
                void *ctx);

struct reader_settled {
    bool read; /* record_settled was called */
    bool stable;
    int64_t t_ns;
    const char *problem; /* NULL = none */
    uint64_t objects;
};
int reader_settled(struct record *r, struct arena *a, int load, struct reader_settled *ret);
typedef int reader_object_fn(void *ctx, struct str key, int64_t count);
int reader_objects(struct record *r, int load, reader_object_fn *fn, void *ctx);

/* The results that were stored with the run (squall report evaluates again and may compare). */
int reader_checks(struct record *r, struct arena *a, struct record_check **ret, size_t *ret_n);
