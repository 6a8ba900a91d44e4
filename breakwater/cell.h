/*
 * cell - one fingerprint being worked on, and one run over the alerts that wait in it.
 *
 * Private to the pipeline. cell_run() is the whole decision: ask Redis, else Kubernetes; create
 * the object or count on it. It runs under no lock and touches only the fields of the cell marked
 * "run" and the fixed fields of the jobs given to it; the pipeline guarantees one run per cell.
 */
#ifndef BREAKWATER_CELL_H
#define BREAKWATER_CELL_H

#include "breaker.h"
#include "hmap.h"
#include "journal.h"
#include "kube_client.h"
#include "pipeline.h"

#define BATCH_MAX 256

enum job_state {
    JOB_WAITING,    /* its sender waits for an answer */
    JOB_JOURNALING, /* in the keeper's hands */
    JOB_JOURNALED   /* answered; only the object is missing */
};

struct job {
    /* fixed from submit on */
    struct alert alert;
    uint64_t seq;
    int64_t received_ms, received_ns;
    struct cell *cell;
    /* under the pipeline's lock */
    enum job_state state;
    void *request; /* NULL once answered */
    size_t index;
    bool unsafe;   /* the journal could not take it */
    bool finished; /* the object has it; set while JOURNALING, `info` then holds the outcome */
    struct outcome_info info;
    struct job *next; /* in the cell, by seq */
    int64_t due_ns;   /* when the keeper takes it; in the wait list while wait_on */
    bool wait_on;
    struct job *wait_prev, *wait_next;
};

enum cell_state { CELL_IDLE, CELL_READY, CELL_RUNNING, CELL_DELAYED };

struct cell {
    struct hnode node;
    char fp[SHA256_HEX_BYTES];
    /* under the pipeline's lock */
    enum cell_state state;
    bool hard; /* delayed because the API is in trouble: jobs must not wait for it */
    int64_t not_before;
    struct job *jobs, **jobs_end;
    struct cell *next;                  /* ready or delayed list */
    struct cell *idle_prev, *idle_next; /* idle list, oldest first */
    /* run */
    json_t *object; /* as last written or read; NULL: not known */
    bool must_read; /* the next run reads Kubernetes whatever Redis says, because: */
    enum query_reason read_reason;
    char create_name[CRD_NAME_BYTES]; /* of a creation whose fate is not known, else empty */
    int64_t troubles, conflicts;      /* in a row */
};

/* What all runs share. */
struct cell_env {
    const struct gw_settings *set;
    struct redis_pool *redis;
    struct breaker kube_breaker;
    struct journal *journal; /* NULL: none */
    char gateway[17];        /* this gateway's id in markers */
};

enum run_verdict {
    RUN_DONE,     /* all jobs of the run are in the object */
    RUN_CONFLICT, /* run again after wait_ns */
    RUN_TROUBLE,  /* the API is in trouble: make the jobs safe, run again after wait_ns */
    RUN_REFUSED   /* Kubernetes will never take this */
};

struct run_result {
    enum run_verdict verdict;
    int64_t wait_ns;
    bool created;   /* the first job made the object */
    bool ambiguous; /* a write may have been carried out */
    bool redis_hit;
    int64_t added, count;
    char object[CRD_NAME_BYTES];
};

struct runner {
    struct cell_env *env;
    struct kube_client *kube;
    struct kube_answer answer;
};

void cell_run(struct runner *r, struct cell *c, struct job *const *jobs, size_t n,
              struct run_result *ret);
/* After a RUN_DONE: tells Redis. name etc. are those of any alert of the cell. */
void cell_remember(struct runner *r, struct cell *c, const struct alert *a,
                   const struct run_result *res);

#endif
