#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pipeline_inner.h"

static void finish_run(struct pipeline *p, struct cell *c, size_t n, const struct run_result *res,
                       struct note **notes)
{
    struct outcome_info info = {.what = OUT_DUPLICATE, .count = res->count};
    memcpy(info.object, res->object, sizeof(info.object));
    for (size_t i = 0; i < n; i++) {
        struct job *j = c->jobs;
        cell_pop_first(c);
        info.what = i == 0 && res->created ? OUT_CREATED : OUT_DUPLICATE;
        job_finish(p, j, &info, notes);
    }
}

static void settle(struct pipeline *p, struct cell *c, size_t n, const struct run_result *res,
                   struct note **notes)
{
    switch (res->verdict) {
    case RUN_DONE: finish_run(p, c, n, res, notes); return;
    case RUN_CONFLICT: return;
    case RUN_TROUBLE: cell_make_safe(p, c, res->ambiguous, notes); return;
    case RUN_REFUSED: cell_reap(p, c, false, OUT_REFUSED, notes); return;
    }
}

static void cell_next(struct pipeline *p, struct cell *c, const struct run_result *res)
{
    if (!c->jobs)
        cell_idle(p, c);
    else if (res->verdict == RUN_DONE)
        cell_ready(p, c);
    else
        cell_delay(p, c, res->wait_ns, res->verdict != RUN_CONFLICT);
}

/* Delayed cells whose time has come; after a recovery, those that waited for the API. */
static void wake_delayed(struct pipeline *p)
{
    int64_t now = now_ns();
    bool all = __atomic_exchange_n(&p->kube_recovered, false, __ATOMIC_ACQ_REL);
    struct cell **at = &p->delayed;
    while (*at && (all || (*at)->not_before <= now)) {
        struct cell *c = *at;
        if (c->not_before <= now || c->hard) {
            *at = c->next;
            cell_ready(p, c);
        } else {
            at = &c->next;
        }
    }
}

static struct cell *take_ready(struct pipeline *p)
{
    struct cell *c = p->ready;
    if (!c)
        return NULL;
    p->ready = c->next;
    if (!p->ready)
        p->ready_end = &p->ready;
    c->next = NULL;
    return c;
}

static size_t collect(struct cell *c, struct job **jobs)
{
    size_t n = 0;
    for (struct job *j = c->jobs; j && n < BATCH_MAX; j = j->next)
        jobs[n++] = j;
    return n;
}

static void run_one(struct pipeline *p, struct runner *r, struct cell *c)
{
    struct job *jobs[BATCH_MAX];
    struct run_result res = {.verdict = RUN_DONE};
    struct note *notes = NULL;
    struct alert *sample = NULL;
    size_t n = collect(c, jobs);
    c->state = CELL_RUNNING;
    if (n > 0) {
        pthread_mutex_unlock(&p->lock);
        cell_run(r, c, jobs, n, &res);
        if (res.verdict == RUN_DONE) { /* the job may be gone after settle() */
            sample = xmalloc(sizeof(*sample));
            *sample = jobs[0]->alert;
        }
        pthread_mutex_lock(&p->lock);
        settle(p, c, n, &res, &notes);
        pthread_mutex_unlock(&p->lock);
        tell_all(p, notes);
        if (sample)
            cell_remember(r, c, sample, &res); /* uses the fixed text fields only */
        free(sample);
        pthread_mutex_lock(&p->lock);
    }
    cell_next(p, c, &res);
}

static void *worker_main(void *arg)
{
    struct pipeline *p = arg;
    struct runner r = {.env = &p->env, .kube = kube_client_new(p->set)};
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        wake_delayed(p);
        struct cell *c = take_ready(p);
        if (c)
            run_one(p, &r, c);
        else if (p->delayed)
            pipeline_until(p, &p->work, p->delayed->not_before);
        else
            pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    kube_client_free(r.kube);
    buf_done(&r.answer.body);
    return NULL;
}

static void kube_breaker_moved(void *ctx, enum breaker_state from, enum breaker_state to)
{
    struct pipeline *p = ctx;
    metric_set(gwm.breaker_state[GW_KUBE], to);
    metric_add(gwm.breaker_moves[GW_KUBE][to], 1);
    if (to == BREAKER_CLOSED)
        __atomic_store_n(&p->kube_recovered, true, __ATOMIC_RELEASE);
    LOG_LINE(to == BREAKER_OPEN ? LOG_WARN : LOG_INFO, "k8s_api", "circuit breaker changed",
             LF_S("from", breaker_state_name(from)), LF_S("to", breaker_state_name(to)));
}

static void insert_by_seq(struct cell *c, struct job *j)
{
    struct job **at = &c->jobs;
    while (*at && (*at)->seq < j->seq)
        at = &(*at)->next;
    j->next = *at;
    *at = j;
    if (!j->next)
        c->jobs_end = &j->next;
}

/* An alert that an earlier life of this gateway accepted. */
static void replay(void *ctx, uint64_t seq, int64_t received_ms, const char *text, size_t len)
{
    struct pipeline *p = ctx;
    struct job *j = xcalloc(1, sizeof(*j));
    json_t *o = json_loadb(text, len, 0, NULL);
    if (alert_from_json(o, &j->alert) < 0) {
        LOG_LINE(LOG_ERROR, "journal", "an alert cannot be read back", LF_I("seq", (int64_t)seq));
        free(j);
        json_decref(o);
        return;
    }
    json_decref(o);
    j->seq = seq;
    j->received_ms = received_ms;
    j->state = JOB_JOURNALED;
    struct cell *c = cell_get(p, j->alert.fingerprint);
    c->must_read = true;
    c->read_reason = QUERY_RECOVERY;
    j->cell = c;
    insert_by_seq(c, j);
    if (c->state == CELL_IDLE) {
        cell_wake(p, c);
        cell_ready(p, c);
    }
    p->admitted++;
    p->journaled++;
    metric_add(gwm.journal_replayed, 1);
}

/* A creation that an earlier life of this gateway began: its name is used again. */
static void replay_intent(void *ctx, const char *fp, const char *name)
{
    struct cell *c = cell_get(ctx, fp);
    snprintf(c->create_name, sizeof(c->create_name), "%s", name);
    c->must_read = true;
    c->read_reason = QUERY_RECOVERY;
}

static int take_journal(struct pipeline *p, struct buf *err)
{
    const char *file = p->set->journal;
    uint64_t epoch = 1;
    snprintf(p->env.gateway, sizeof(p->env.gateway), "%016llx", (unsigned long long)rand64());
    if (file && file[0]) {
        const struct journal_reader reader = {replay, replay_intent, p};
        if (journal_open(file, p->set->journal_compact_bytes, &reader, &p->journal, err) < 0)
            return -1;
        p->env.journal = p->journal;
        snprintf(p->env.gateway, sizeof(p->env.gateway), "%s", journal_id(p->journal));
        epoch = journal_epoch(p->journal);
        LOG_LINE(LOG_INFO, "journal", "open", LF_S("file", file), LF_I("epoch", (int64_t)epoch),
                 LF_I("replayed", p->journaled));
    }
    p->seq = epoch << 32;
    metric_set(gwm.queue_depth, p->journaled);
    metric_set(gwm.pending, p->admitted);
    return 0;
}

static void start_threads(struct pipeline *p)
{
    p->workers = xcalloc((size_t)p->set->workers, sizeof(*p->workers));
    for (; p->n_workers < (size_t)p->set->workers; p->n_workers++)
        if (pthread_create(&p->workers[p->n_workers], NULL, worker_main, p) != 0)
            abort();
    if (p->journal) {
        if (pthread_create(&p->keeper, NULL, keeper_main, p) != 0)
            abort();
        p->keeper_on = true;
    }
}

struct pipeline *pipeline_new(const struct gw_settings *set, struct redis_pool *redis,
                              outcome_fn *tell, struct buf *err)
{
    struct pipeline *p = xcalloc(1, sizeof(*p));
    p->set = set;
    p->tell = tell;
    p->env.set = set;
    p->env.redis = redis;
    const struct breaker_limits lim = {.consecutive = set->breaker_kube_failures,
                                       .open_ns = set->backoff_base_ms * NS_PER_MS,
                                       .window_ns = NS_PER_S};
    breaker_init(&p->env.kube_breaker, &lim, kube_breaker_moved, p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &ca);
    pthread_cond_init(&p->keep, &ca);
    pthread_condattr_destroy(&ca);
    p->ready_end = &p->ready;
    if (take_journal(p, err) < 0) {
        pipeline_free(p);
        return NULL;
    }
    start_threads(p);
    return p;
}

bool pipeline_admit(struct pipeline *p, size_t n)
{
    pthread_mutex_lock(&p->lock);
    bool yes = !p->stopping && p->admitted + (int64_t)n <= p->set->queue_max;
    if (yes) {
        p->admitted += (int64_t)n;
        p->unanswered += (int64_t)n;
        metric_set(gwm.pending, p->admitted);
    }
    pthread_mutex_unlock(&p->lock);
    return yes;
}

void pipeline_submit(struct pipeline *p, struct alert *a, void *request, size_t index)
{
    struct job *j = xcalloc(1, sizeof(*j));
    alert_move(&j->alert, a);
    j->request = request;
    j->index = index;
    j->received_ms = wall_ms();
    j->received_ns = now_ns();
    pthread_mutex_lock(&p->lock);
    j->seq = ++p->seq;
    struct cell *c = cell_get(p, j->alert.fingerprint);
    cell_add(p, c, j);
    if (p->journal) {
        j->due_ns = j->received_ns + p->set->answer_limit_ms * NS_PER_MS;
        if (c->state == CELL_DELAYED && c->hard)
            wait_urgent(p, j);
        else
            wait_append(p, j);
        if (p->wait_first == j)
            pthread_cond_signal(&p->keep);
    }
    pthread_mutex_unlock(&p->lock);
}

bool pipeline_journal_ok(struct pipeline *p)
{
    return !p->journal || journal_healthy(p->journal);
}

int64_t pipeline_unanswered(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    int64_t n = p->unanswered;
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* After the threads have ended: nobody may be left without an answer. */
static void turn_away(struct pipeline *p)
{
    struct note *notes = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->cells.cap; i++)
        for (struct hnode *n = p->cells.slots[i]; n; n = n->next)
            cell_reap(p, HMAP_OWNER(n, struct cell, node), false, OUT_UNKNOWN, &notes);
    pthread_mutex_unlock(&p->lock);
    tell_all(p, notes);
}

void pipeline_stop(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    p->n_workers = 0;
    pthread_mutex_lock(&p->lock);
    p->keeper_stopping = true;
    pthread_cond_broadcast(&p->keep);
    pthread_mutex_unlock(&p->lock);
    if (p->keeper_on)
        pthread_join(p->keeper, NULL);
    p->keeper_on = false;
    turn_away(p);
}

static void cell_drop(struct pipeline *p, struct cell *c)
{
    while (c->jobs) {
        struct job *j = c->jobs;
        cell_pop_first(c);
        job_free(j);
    }
    cell_free(p, c);
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    pipeline_stop(p);
    for (size_t i = 0; i < p->cells.cap; i++)
        while (p->cells.slots[i])
            cell_drop(p, HMAP_OWNER(p->cells.slots[i], struct cell, node));
    hmap_done(&p->cells);
    journal_close(p->journal);
    free(p->workers);
    free(p->done);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->keep);
    free(p);
}
