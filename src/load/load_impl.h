/*
 * load_impl.h - what the workers of one load share; immutable while they run. Inside of src/load
 * only.
 */
#pragma once
#include <semaphore.h>

#include "load/load.h"
#include "load/request.h"

#define WORKER_IN_BYTES 65536
#define STATUSES        1000

struct worker;

struct load {
    const struct plan_load *plan;
    struct addr target;
    uint64_t seed; /* the run's */
    int64_t run_start_ns;
    int (*enter)(void *ctx);
    void *enter_ctx;
    size_t ledger_rows; /* 0 = from the plan */
    bool head_request;
    struct requests *requests;
    uint8_t fate_of[STATUSES]; /* enum fate by status */
    struct worker *workers;
    unsigned workers_n;
    sem_t entered; /* posted by each worker once enter has returned */
};

static inline enum fate load_fate(const struct load *l, int status)
{
    return (enum fate)l->fate_of[status];
}
