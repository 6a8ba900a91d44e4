/*
 * gather.h - what every format says about a run, read once from the run file.
 *
 * Lifecycle: gather_run fills a struct, gather_done frees all of it. Formats then only lay out;
 * none reads the record itself. Limits: GATHER_EVENTS events (the most severe are kept when there
 * are more), GATHER_BUCKETS points of a curve. Errors: what the reader returns. Times are ns since
 * the run's start; -1 = did not happen.
 */
#pragma once
#include "check/check.h"
#include "record/reader.h"

#define GATHER_EVENTS     200
#define GATHER_BUCKETS    72
#define GATHER_STATUSES   12
#define GATHER_TEXT_BYTES 1000 /* of an event */

struct gather_latency {
    uint64_t samples;
    int64_t p50_ns, p95_ns, p99_ns, p999_ns, max_ns; /* -1 without samples */
    bool exact;
};

struct gather_span { /* one phase of one load, or all of it */
    struct reader_fates fates;
    struct gather_latency latency;
};

/* One point of the curves: the requests due in one or more whole seconds. */
struct gather_bucket {
    uint64_t fates[FATE_COUNT];
    int64_t p50_ns, p99_ns; /* -1 without answers */
};

struct gather_status {
    int status;
    uint64_t count;
};

struct gather_load {
    struct reader_load head;
    uint64_t due,
        fates[FATE_COUNT]; /* the generator's own count; from the rows when it never ended */
    struct gather_span *phases, all;
    struct gather_status statuses[GATHER_STATUSES]; /* of the answers that were not accepted */
    size_t statuses_n;
    struct gather_bucket *buckets; /* gather_run's buckets_n */
    struct reader_settled settled;
};

struct gather_fault {
    const char *name, *kind, *targets, *state, *asked, *measured, *undone, *text;
    int phase;
    int64_t start_ns, end_ns;
    bool one_shot;
};

struct gather_event {
    int64_t t_ns;
    const char *kind, *subject, *severity, *text;
};

struct gather_run {
    struct arena arena;
    const char *path;
    struct reader_meta meta;
    struct reader_phase *phases;
    size_t phases_n;
    struct gather_load *loads;
    size_t loads_n;
    struct gather_fault *faults;
    size_t faults_n;
    struct gather_event *events; /* worth telling: not those that phases and faults tell already */
    size_t events_n, events_left_out;
    int64_t bucket_s;
    size_t buckets_n;
};

int gather_run(struct record *r, struct gather_run *ret);
void gather_done(struct gather_run *run);
/* Index of the phase that t_ns falls in, -1 = none. */
int gather_phase_at(const struct gather_run *run, int64_t t_ns);
int64_t gather_phase_end(const struct gather_run *run, const struct reader_phase *phase);
/* Refused, failed or unknown among those that were due: what the curves call errors. */
double gather_error_share(const uint64_t fates[FATE_COUNT]);
bool gather_is_fault(const struct gather_run *run, int phase);
