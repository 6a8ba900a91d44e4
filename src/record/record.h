/*
 * record.h - the run file: everything about one run in one SQLite database that a person can open
 * and query.
 *
 * Writer: record_create -> record_* while the run goes on (buffered in one transaction, committed
 * by record_tick at least every second, so that a kill loses at most that) -> record_finish ->
 * record_close. Reader: record_open on a finished or cut-off file. Times are ns since the run's
 * start. The schema is documented in docs/run-file.md and has a version in `meta`. WAL is not used:
 * one file, and a hot journal beside it only after a kill (SQLite rolls it back). Errors: 0 or
 * -errno (-ENOSPC: disk full; what is committed stays). After the first write error the writer goes
 * on refusing with the same error, and record_error tells. Thread rule: one thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hist.h"
#include "load/ledger.h"
#include "observe/series.h"
#include "plan/plan.h"

struct record;

struct record_meta { /* about the run; all strings owned by the caller during the call */
    const char *run_id, *squall_version, *machine, *tier;
    uint64_t seed;
    int64_t started_wall_ns;
};

enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_INCONCLUSIVE, VERDICT_COUNT };
extern const char *const verdict_names[VERDICT_COUNT];

int record_create(const char *path, const struct plan *plan, const struct record_meta *meta,
                  struct record **ret, struct err *err);
int record_open(const char *path, struct record **ret, struct err *err);
void record_close(struct record *r);                /* commits */
int record_error(const struct record *r);           /* 0 or the first -errno */
const char *record_problem(const struct record *r); /* the last error in words; "" when none */
const char *record_path(const struct record *r);
int record_tick(struct record *r, int64_t now_ns,
                bool force); /* commits when a second has passed since the last */

/* One thing that happened. kind: phase, service, fault, load, lab, scrape, run. severity: info,
 * warn, err. */
struct record_event {
    int64_t t_ns;
    const char *kind, *subject, *severity, *text;
};
int record_event(struct record *r, const struct record_event *e);
int record_phase_start(struct record *r, int phase, int64_t t_ns);
int record_phase_end(struct record *r, int phase, int64_t t_ns);
/* Rows of accepted requests are written one by one when the plan keeps them, when the load is
 * settled, or when a `recovers` check asks about it; else they count in the histograms only.
 * `keys` are the settlement keys of the request (keys_n of them), NULL when the load is not
 * settled. */
int record_request(struct record *r, int load, const struct ledger_row *row, const struct str *keys,
                   size_t keys_n);
/* Final numbers of the generator: does it keep its rate, how late was it. */
struct record_load {
    uint64_t due, sent, late, connects;
    int64_t lateness_p99_ns, lateness_max_ns, started_ns, ended_ns;
    uint64_t fates[FATE_COUNT];
};
int record_load_end(struct record *r, int load, const struct record_load *l);
int record_series(struct record *r, int series, const struct series *s);
int record_sample(struct record *r, int series, int64_t t_ns, double value);
int record_log(struct record *r, int64_t t_ns, const char *service, int stream, const char *line);
/* A fault's life: asked/measured texts; state active, no-effect, failed, ended, undo-failed. */
struct record_fault {
    int fault, phase;
    const char *name, *kind, *targets, *state, *asked, *measured, *text;
    int64_t t_ns;
    bool one_shot; /* nothing to undo: it was over when its effect was seen (`active`) */
};
int record_fault(struct record *r, const struct record_fault *f);
/* The final state as read: objects with key and count; `stable` = it did not change for long
 * enough. */
int record_settled_object(struct record *r, int load, const char *key, int64_t count);
int record_settled(struct record *r, int load, bool stable, int64_t t_ns, const char *problem);
int record_finish(struct record *r, int64_t t_ns,
                  const char *how); /* how: done, interrupted, aborted */
/* What check_run found, kept for people and other tools; nothing is derived from it. The writer
 * calls it after record_finish and check_run. `nr` counts from 0. */
struct record_check {
    int nr;
    const char *kind, *name, *value, *limit, *reason;
    enum verdict verdict;
    double value_num, limit_num, margin; /* NaN = none */
    int64_t at_ns;                       /* -1 = none */
    const char *const *details;
    size_t details_n;
};
int record_check_result(struct record *r, const struct record_check *c);
int record_verdict(struct record *r, enum verdict verdict, const char *reason);
