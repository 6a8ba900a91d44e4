/* The lists of the pipeline: notes, waiting jobs, cells. See pipeline_inner.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline_inner.h"

void pipeline_until(struct pipeline *p, pthread_cond_t *c, int64_t at_ns)
{
    struct timespec ts = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S};
    pthread_cond_timedwait(c, &p->lock, &ts);
}

static void note(struct note **notes, void *request, size_t index, const struct outcome_info *info)
{
    struct note *n = xcalloc(1, sizeof(*n));
    *n = (struct note){request, index, *info, *notes};
    *notes = n;
}

void tell_all(struct pipeline *p, struct note *notes)
{
    for (struct note *n = notes, *next; n; n = next) {
        next = n->next;
        p->tell(n->request, n->index, &n->info);
        free(n);
    }
}

void wait_remove(struct pipeline *p, struct job *j)
{
    if (!j->wait_on)
        return;
    *(j->wait_prev ? &j->wait_prev->wait_next : &p->wait_first) = j->wait_next;
    *(j->wait_next ? &j->wait_next->wait_prev : &p->wait_last) = j->wait_prev;
    j->wait_on = false;
}

void wait_append(struct pipeline *p, struct job *j)
{
    j->wait_on = true;
    j->wait_next = NULL;
    j->wait_prev = p->wait_last;
    *(p->wait_last ? &p->wait_last->wait_next : &p->wait_first) = j;
    p->wait_last = j;
}

void wait_urgent(struct pipeline *p, struct job *j)
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

void job_free(struct job *j)
{
    alert_done(&j->alert);
    free(j);
}

void done_push(struct pipeline *p, uint64_t seq)
{
    if (p->n_done == p->cap_done) {
        p->cap_done = p->cap_done ? p->cap_done * 2 : 256;
        p->done = xrealloc(p->done, p->cap_done * sizeof(*p->done));
    }
    if (p->n_done == 0)
        pthread_cond_signal(&p->keep);
    p->done[p->n_done++] = seq;
}

void job_answer(struct pipeline *p, struct job *j, const struct outcome_info *info,
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

void job_finish(struct pipeline *p, struct job *j, const struct outcome_info *info,
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

void cell_wake(struct pipeline *p, struct cell *c)
{
    *(c->idle_prev ? &c->idle_prev->idle_next : &p->idle_first) = c->idle_next;
    *(c->idle_next ? &c->idle_next->idle_prev : &p->idle_last) = c->idle_prev;
    c->idle_prev = c->idle_next = NULL;
}

void cell_free(struct pipeline *p, struct cell *c)
{
    hmap_remove(&p->cells, &c->node);
    json_decref(c->object);
    free(c);
}

void cell_idle(struct pipeline *p, struct cell *c)
{
    c->state = CELL_IDLE;
    c->hard = false;
    c->idle_next = NULL;
    c->idle_prev = p->idle_last;
    *(p->idle_last ? &p->idle_last->idle_next : &p->idle_first) = c;
    p->idle_last = c;
    while (p->cells.n > (size_t)p->set->cells_max && p->idle_first != c) {
        struct cell *old = p->idle_first;
        cell_wake(p, old);
        cell_free(p, old);
    }
}

void cell_ready(struct pipeline *p, struct cell *c)
{
    c->state = CELL_READY;
    c->hard = false;
    c->next = NULL;
    *p->ready_end = c;
    p->ready_end = &c->next;
    pthread_cond_signal(&p->work);
}

void cell_delay(struct pipeline *p, struct cell *c, int64_t wait_ns, bool hard)
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

struct cell *cell_get(struct pipeline *p, const char *fp)
{
    struct cell *c = cell_find(p, fp);
    if (c)
        return c;
    c = xcalloc(1, sizeof(*c));
    memcpy(c->fp, fp, sizeof(c->fp));
    c->jobs_end = &c->jobs;
    hmap_add(&p->cells, &c->node, hash64(fp, 64, 0));
    cell_idle(p, c);
    return c;
}

void cell_add(struct pipeline *p, struct cell *c, struct job *j)
{
    j->cell = c;
    *c->jobs_end = j;
    c->jobs_end = &j->next;
    if (c->state == CELL_IDLE) {
        cell_wake(p, c);
        cell_ready(p, c);
    }
}

void cell_pop_first(struct cell *c)
{
    struct job *j = c->jobs;
    c->jobs = j->next;
    if (!c->jobs)
        c->jobs_end = &c->jobs;
    j->next = NULL;
}

void cell_reap(struct pipeline *p, struct cell *c, bool only_unsafe, enum outcome what,
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

void cell_make_safe(struct pipeline *p, struct cell *c, bool ambiguous, struct note **notes)
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
