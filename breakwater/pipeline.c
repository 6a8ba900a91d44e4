#include "pipeline.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "defect.h"
#include "journal.h"
#include "log.h"

#define KEEPER_BATCH  512
#define DONE_FLUSH_NS (200 * NS_PER_MS)
#define RECOVER_NS    (20 * NS_PER_MS)

/* An outcome on its way to its request; told after the lock is released. */
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

static void cond_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t at_ns)
{
    struct timespec ts = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S};
    pthread_cond_timedwait(c, m, &ts);
}

/* ---- notes ---- */

static void note(struct note **notes, void *request, size_t index, const struct outcome_info *info)
{
    struct note *n = xcalloc(1, sizeof(*n));
    *n = (struct note){request, index, *info, *notes};
    *notes = n;
}

static void tell_all(struct pipeline *p, struct note *notes)
{
    for (struct note *n = notes, *next; n; n = next) {
        next = n->next;
        p->tell(n->request, n->index, &n->info);
        free(n);
    }
}

/* ---- the wait list: jobs whose sender waits, by the time the keeper must take them ---- */

static void wait_remove(struct pipeline *p, struct job *j)
{
    if (!j->wait_on)
        return;
    *(j->wait_prev ? &j->wait_prev->wait_next : &p->wait_first) = j->wait_next;
    *(j->wait_next ? &j->wait_next->wait_prev : &p->wait_last) = j->wait_prev;
    j->wait_on = false;
}

static void wait_append(struct pipeline *p, struct job *j)
{
    j->wait_on = true;
    j->wait_next = NULL;
    j->wait_prev = p->wait_last;
    *(p->wait_last ? &p->wait_last->wait_next : &p->wait_first) = j;
    p->wait_last = j;
}

static void wait_urgent(struct pipeline *p, struct job *j)
{
    wait_remove(p, j);
    j->due_ns = 0;
    j->wait_on = true;
    j->wait_prev = NULL;
    j->wait_next = p->wait_first;
    *(p->wait_first ? &p->wait_first->wait_prev : &p->wait_last) = j;
    p->wait_first = j;
    pthread_cond_signal(&p->keep);
}

/* ---- jobs ---- */

static void job_free(struct job *j)
{
    alert_done(&j->alert);
    free(j);
}

static void done_push(struct pipeline *p, uint64_t seq)
{
    if (p->n_done == p->cap_done) {
        p->cap_done = p->cap_done ? p->cap_done * 2 : 256;
        p->done = xrealloc(p->done, p->cap_done * sizeof(*p->done));
    }
    if (p->n_done == 0)
        pthread_cond_signal(&p->keep);
    p->done[p->n_done++] = seq;
}

static void job_answer(struct pipeline *p, struct job *j, const struct outcome_info *info,
                       struct note **notes)
{
    assert(j->request);
    note(notes, j->request, j->index, info);
    j->request = NULL;
    p->unanswered--;
    metric_observe_ns(gwm.processing, now_ns() - j->received_ns);
}

static void count_outcome(enum outcome what)
{
    switch (what) {
    case OUT_CREATED:
        metric_add(gwm.crd_created, 1);
        metric_add(gwm.crds_created_direct, 1);
        return;
    case OUT_DUPLICATE: metric_add(gwm.deduplicated, 1); return;
    case OUT_ACCEPTED:
    case OUT_RESOLVED:
    case OUT_INVALID:
    case OUT_NOT_SAFE:
    case OUT_UNKNOWN:
    case OUT_REFUSED:
    case OUTCOMES: return;
    }
}

/* The job has left its cell and has its outcome. */
static void job_finish(struct pipeline *p, struct job *j, const struct outcome_info *info,
                       struct note **notes)
{
    j->cell = NULL;
    if (j->state == JOB_JOURNALING) {
        j->finished = true;
        j->info = *info;
        return; /* the keeper ends it */
    }
    count_outcome(info->what);
    p->admitted--;
    metric_set(gwm.pending, p->admitted);
    wait_remove(p, j);
    if (j->state == JOB_JOURNALED) {
        done_push(p, j->seq);
        p->journaled--;
        metric_set(gwm.queue_depth, p->journaled);
    } else {
        job_answer(p, j, info, notes);
    }
    job_free(j);
}

/* ---- cells ---- */

static struct cell *cell_find(struct pipeline *p, const char *fp)
{
    uint64_t h = hash64(fp, 64, 0);
    for (struct hnode *n = hmap_first(&p->cells, h); n; n = hmap_next(n)) {
        struct cell *c = HMAP_OWNER(n, struct cell, node);
        if (strcmp(c->fp, fp) == 0)
            return c;
    }
    return NULL;
}

static void idle_remove(struct pipeline *p, struct cell *c)
{
    *(c->idle_prev ? &c->idle_prev->idle_next : &p->idle_first) = c->idle_next;
    *(c->idle_next ? &c->idle_next->idle_prev : &p->idle_last) = c->idle_prev;
    c->idle_prev = c->idle_next = NULL;
}

static void cell_free(struct pipeline *p, struct cell *c)
{
    hmap_remove(&p->cells, &c->node);
    json_decref(c->object);
    free(c);
}

static void idle_append(struct pipeline *p, struct cell *c)
{
    c->state = CELL_IDLE;
    c->hard = false;
    c->idle_next = NULL;
    c->idle_prev = p->idle_last;
    *(p->idle_last ? &p->idle_last->idle_next : &p->idle_first) = c;
    p->idle_last = c;
    while (p->cells.n > (size_t)p->set->cells_max && p->idle_first != c) {
        struct cell *old = p->idle_first;
        idle_remove(p, old);
        cell_free(p, old);
    }
}

static void cell_ready(struct pipeline *p, struct cell *c)
{
    c->state = CELL_READY;
    c->hard = false;
    c->next = NULL;
    *p->ready_end = c;
    p->ready_end = &c->next;
    pthread_cond_signal(&p->work);
}

static void cell_delay(struct pipeline *p, struct cell *c, int64_t wait_ns, bool hard)
{
    c->state = CELL_DELAYED;
    c->hard = hard;
    c->not_before = now_ns() + wait_ns;
    struct cell **at = &p->delayed;
    while (*at && (*at)->not_before <= c->not_before)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
    if (p->delayed == c)
        pthread_cond_signal(&p->work); /* an earlier time to wake up at */
}

static struct cell *cell_get(struct pipeline *p, const char *fp)
{
    struct cell *c = cell_find(p, fp);
    if (c)
        return c;
    c = xcalloc(1, sizeof(*c));
    memcpy(c->fp, fp, sizeof(c->fp));
    c->jobs_end = &c->jobs;
    hmap_add(&p->cells, &c->node, hash64(fp, 64, 0));
    idle_append(p, c);
    return c;
}

static void cell_add(struct pipeline *p, struct cell *c, struct job *j)
{
    j->cell = c;
    *c->jobs_end = j;
    c->jobs_end = &j->next;
    if (c->state == CELL_IDLE) {
        idle_remove(p, c);
        cell_ready(p, c);
    }
}

static void cell_pop_first(struct cell *c)
{
    struct job *j = c->jobs;
    c->jobs = j->next;
    if (!c->jobs)
        c->jobs_end = &c->jobs;
    j->next = NULL;
}

/* Takes the jobs out for which `what` is the answer: those waiting, all or only the unsafe ones. */
static void cell_reap(struct pipeline *p, struct cell *c, bool only_unsafe, enum outcome what,
                      struct note **notes)
{
    const struct outcome_info info = {.what = what};
    struct job **at = &c->jobs;
    while (*at) {
        struct job *j = *at;
        if (j->state == JOB_WAITING && (j->unsafe || !only_unsafe)) {
            *at = j->next;
            job_finish(p, j, &info, notes);
        } else {
            at = &j->next;
        }
    }
    c->jobs_end = at;
}

/* Jobs of a cell that cannot go on now: to the journal, or out. */
static void cell_make_safe(struct pipeline *p, struct cell *c, bool ambiguous, struct note **notes)
{
    for (struct job *j = c->jobs; j; j = j->next) {
        if (j->state != JOB_WAITING)
            continue;
        if (p->journal && !j->unsafe)
            wait_urgent(p, j);
        else
            j->unsafe = true;
    }
    cell_reap(p, c, true, ambiguous ? OUT_UNKNOWN : OUT_NOT_SAFE, notes);
}

/* ---- workers ---- */

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
        idle_append(p, c);
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
            cond_until(&p->work, &p->lock, p->delayed->not_before);
        else
            pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    kube_client_free(r.kube);
    buf_done(&r.answer.body);
    return NULL;
}

/* ---- the keeper ---- */

static size_t take_due(struct pipeline *p, struct job **jobs)
{
    size_t n = 0;
    int64_t now = now_ns();
    while (p->wait_first && n < KEEPER_BATCH &&
           (p->wait_first->due_ns <= now || p->keeper_stopping)) {
        struct job *j = p->wait_first;
        wait_remove(p, j);
        j->state = JOB_JOURNALING;
        jobs[n++] = j;
    }
    return n;
}

static bool keep_alert(struct pipeline *p, const struct job *j)
{
    json_t *o = alert_to_json(&j->alert);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int rc = text ? journal_add_alert(p->journal, j->seq, j->received_ms, text, strlen(text)) : -1;
    free(text);
    json_decref(o);
    return rc == 0;
}

/* Under no lock: writes the jobs (those that fit) and the finished numbers. */
static bool keep_write(struct pipeline *p, struct job **jobs, size_t n, const uint64_t *seqs,
                       size_t n_seqs)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        if (!keep_alert(p, jobs[i])) {
            jobs[i]->unsafe = true;
            LOG_LINE(LOG_ERROR, "journal", "alert does not fit");
        }
    }
    for (size_t i = 0; i < n_seqs; i++)
        journal_add_done(p->journal, seqs[i]);
    int rc = journal_commit(p->journal);
    if (rc < 0) {
        ok = false;
        metric_add(gwm.journal_errors, 1);
        LOG_LINE(LOG_ERROR, "journal", "cannot be written", LF_S("error", strerror(-rc)));
    }
    return ok;
}

/* The file has the job: it may be answered, unless the worker was faster. */
static void kept(struct pipeline *p, struct job *j, struct note **notes)
{
    const struct outcome_info accepted = {.what = OUT_ACCEPTED};
    metric_add(gwm.journal_records, 1);
    if (j->finished) {
        done_push(p, j->seq);
        j->state = JOB_WAITING;
        struct outcome_info info = j->info;
        job_finish(p, j, &info, notes);
        return;
    }
    j->state = JOB_JOURNALED;
    p->journaled++;
    metric_set(gwm.queue_depth, p->journaled);
    job_answer(p, j, &accepted, notes);
}

static void not_kept(struct pipeline *p, struct job *j, struct note **notes)
{
    j->state = JOB_WAITING;
    j->unsafe = true;
    if (j->finished) {
        struct outcome_info info = j->info;
        job_finish(p, j, &info, notes);
    } else if (j->cell->state == CELL_DELAYED && j->cell->hard) {
        cell_reap(p, j->cell, true, OUT_NOT_SAFE, notes);
    }
}

static void keep_round(struct pipeline *p)
{
    struct job *jobs[KEEPER_BATCH];
    struct note *notes = NULL;
    size_t n = take_due(p, jobs), n_seqs = p->n_done;
    uint64_t *seqs = p->done;
    p->done = NULL;
    p->n_done = p->cap_done = 0;
    pthread_mutex_unlock(&p->lock);
    bool ok = keep_write(p, jobs, n, seqs, n_seqs);
    free(seqs);
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < n; i++) {
        if (ok && !jobs[i]->unsafe)
            kept(p, jobs[i], &notes);
        else
            not_kept(p, jobs[i], &notes);
    }
    pthread_mutex_unlock(&p->lock);
    tell_all(p, notes);
    pthread_mutex_lock(&p->lock);
}

static void *keeper_main(void *arg)
{
    struct pipeline *p = arg;
    int64_t flush_at = 0;
    pthread_mutex_lock(&p->lock);
    while (!p->keeper_stopping) {
        int64_t now = now_ns();
        if (p->n_done && !flush_at)
            flush_at = now + DONE_FLUSH_NS;
        if ((p->wait_first && p->wait_first->due_ns <= now) || (flush_at && flush_at <= now)) {
            flush_at = 0;
            keep_round(p);
            continue;
        }
        int64_t at = p->wait_first ? p->wait_first->due_ns : INT64_MAX;
        if (flush_at && flush_at < at)
            at = flush_at;
        if (at == INT64_MAX)
            pthread_cond_wait(&p->keep, &p->lock);
        else
            cond_until(&p->keep, &p->lock, at);
    }
    do { /* whoever still waits is answered now: the next life goes on with it */
        keep_round(p);
    } while (p->wait_first);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- outside ---- */

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
        idle_remove(p, c);
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
