/*
 * pipeline_inner - what the files of the pipeline share: its state, and the moves of jobs and
 * cells.
 *
 * Private to pipeline.c (outside calls and workers), keeper.c (the journal's thread) and queues.c
 * (the lists). All of it is called with the pipeline's lock held, except tell_all() and
 * pipeline_until(), which say so. A note is an outcome on its way to its request: notes are
 * gathered under the lock and told after it is released.
 */
#ifndef BREAKWATER_PIPELINE_INNER_H
#define BREAKWATER_PIPELINE_INNER_H

#include <pthread.h>

#include "cell.h"
#include "journal.h"

struct note {
    void *request;
    size_t index;
    struct outcome_info info;
    struct note *next;
};

struct pipeline {
    const struct gw_settings *set;
    outcome_fn *tell;
    struct cell_env env;
    struct journal *journal; /* NULL: none; the keeper's after the start */
    bool kube_recovered;     /* the breaker closed: delayed cells may go */

    pthread_mutex_t lock;
    pthread_cond_t work, keep;
    bool stopping, keeper_stopping;
    uint64_t seq;
    int64_t admitted, unanswered, journaled;
    struct hmap cells;
    struct cell *ready, **ready_end;
    struct cell *delayed; /* by not_before */
    struct cell *idle_first, *idle_last;
    struct job *wait_first, *wait_last; /* by due_ns */
    uint64_t *done;
    size_t n_done, cap_done;

    pthread_t *workers;
    size_t n_workers;
    pthread_t keeper;
    bool keeper_on;
};

/* Waits on c, with the lock, until at_ns at the latest. */
void pipeline_until(struct pipeline *p, pthread_cond_t *c, int64_t at_ns);
/* Under no lock: hands the outcomes over and frees them. */
void tell_all(struct pipeline *p, struct note *notes);

/* The wait list holds jobs whose sender waits, by the time the keeper must take them. */
void wait_remove(struct pipeline *p, struct job *j);
void wait_append(struct pipeline *p, struct job *j);
void wait_urgent(struct pipeline *p, struct job *j);

void job_free(struct job *j);
void job_answer(struct pipeline *p, struct job *j, const struct outcome_info *info,
                struct note **notes);
/* The job has left its cell and has its outcome. */
void job_finish(struct pipeline *p, struct job *j, const struct outcome_info *info,
                struct note **notes);
/* This number is in its object: the keeper will strike it out. */
void done_push(struct pipeline *p, uint64_t seq);

/* The cell of a fingerprint, made when there is none. */
struct cell *cell_get(struct pipeline *p, const char *fp);
void cell_free(struct pipeline *p, struct cell *c);
void cell_add(struct pipeline *p, struct cell *c, struct job *j);
void cell_pop_first(struct cell *c);
void cell_ready(struct pipeline *p, struct cell *c);
void cell_delay(struct pipeline *p, struct cell *c, int64_t wait_ns, bool hard);
void cell_idle(struct pipeline *p, struct cell *c);
/* Out of the idle list, before it becomes ready. */
void cell_wake(struct pipeline *p, struct cell *c);
/* Takes the jobs out for which `what` is the answer: those waiting, all or only the unsafe ones. */
void cell_reap(struct pipeline *p, struct cell *c, bool only_unsafe, enum outcome what,
               struct note **notes);
/* Jobs of a cell that cannot go on now: to the journal, or out. */
void cell_make_safe(struct pipeline *p, struct cell *c, bool ambiguous, struct note **notes);

void *keeper_main(void *pipeline);

#endif
