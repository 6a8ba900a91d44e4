/* The keeper: the one thread that writes alerts to the journal and answers them. */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pipeline_inner.h"

#define KEEPER_BATCH  512
#define DONE_FLUSH_NS (200 * NS_PER_MS)

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

void *keeper_main(void *arg)
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
            pipeline_until(p, &p->keep, at);
    }
    do { /* whoever still waits is answered now: the next life goes on with it */
        keep_round(p);
    } while (p->wait_first);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}
