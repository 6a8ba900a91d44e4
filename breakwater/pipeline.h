/*
 * pipeline - from an admitted alert to its object in Kubernetes, each alert counted exactly once.
 *
 * Alerts of one fingerprint queue in one cell; one worker at a time runs a cell and takes all that
 * wait there, so that concurrent duplicates share one write and never race each other:
 *     cell: IDLE -> READY -> RUNNING -> IDLE | READY (more came) | DELAYED (retry later) -> READY
 * A run asks Redis (or, when that cannot tell, Kubernetes) for the object, then creates it or adds
 * to its count. Conflicts are read again and retried; an API in trouble is backed off.
 *
 * Every admitted alert is answered by one of two threads, whoever is first:
 *     - the worker, when Kubernetes has the alert: created or duplicate;
 *     - the keeper, when answer_limit has passed or the API is in trouble: the alert goes to the
 *       journal, and after the disk has it: accepted. The cell goes on with it in the background.
 * Without a journal, or when it cannot be written, an alert that Kubernetes cannot take is
 * answered "not safe", and forgotten.
 *
 * Lifecycle: pipeline_new() (replays the journal) .. pipeline_stop() .. pipeline_free().
 * Limits: queue_max alerts admitted and not finished, then pipeline_admit() says no; cells_max
 * remembered cells. Threads: any.
 */
#ifndef BREAKWATER_PIPELINE_H
#define BREAKWATER_PIPELINE_H

#include "alert.h"
#include "crd.h"
#include "gw.h"
#include "redis_pool.h"

enum outcome {
    OUT_CREATED,
    OUT_DUPLICATE,
    OUT_ACCEPTED, /* safe in the journal */
    OUT_RESOLVED, /* recorded, nothing to write */
    OUT_INVALID,
    OUT_NOT_SAFE,
    OUT_UNKNOWN, /* not safe, and the API may or may not have it */
    OUT_REFUSED, /* Kubernetes does not take it */
    OUTCOMES
};

struct outcome_info {
    enum outcome what;
    char object[CRD_NAME_BYTES];
    int64_t count;
};

/* Called once per alert, on a worker or keeper thread, under no lock. */
typedef void outcome_fn(void *request, size_t index, const struct outcome_info *info);

struct pipeline;

struct pipeline *pipeline_new(const struct gw_settings *set, struct redis_pool *redis,
                              outcome_fn *tell, struct buf *err);
/* Reserves room for n alerts: all or nothing. */
bool pipeline_admit(struct pipeline *p, size_t n);
/* Moves the alert in; one per reserved place. */
void pipeline_submit(struct pipeline *p, struct alert *a, void *request, size_t index);
/* The journal can be written (true when there is none). */
bool pipeline_journal_ok(struct pipeline *p);
/* Alerts admitted that are still unanswered. */
int64_t pipeline_unanswered(struct pipeline *p);
/* Ends the threads after the current runs; what is open stays in the journal. */
void pipeline_stop(struct pipeline *p);
void pipeline_free(struct pipeline *p);

#endif
