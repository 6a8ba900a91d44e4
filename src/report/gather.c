#include "report/gather.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

#define LAST_NS (INT64_MAX / 16)

struct event_pass {
    struct gather_run *run;
    int64_t storm_ns, over_ns; /* the storm's start (-1: none) and end */
};

int gather_phase_at(const struct gather_run *run, int64_t t_ns)
{
    for (size_t i = 0; i < run->phases_n; i++)
        if (run->phases[i].start_ns >= 0 && t_ns >= run->phases[i].start_ns &&
            t_ns < gather_phase_end(run, &run->phases[i]))
            return (int)i;
    return -1;
}

int64_t gather_phase_end(const struct gather_run *run, const struct reader_phase *phase)
{
    if (phase->end_ns >= 0)
        return phase->end_ns;
    return run->meta.ended_ns > phase->start_ns ? run->meta.ended_ns : phase->start_ns;
}

bool gather_is_fault(const struct gather_run *run, int phase)
{
    return phase >= 0 && run->phases[phase].kind == PLAN_FAULT;
}

double gather_error_share(const uint64_t fates[FATE_COUNT])
{
    uint64_t bad = fates[FATE_REFUSED] + fates[FATE_FAILED] + fates[FATE_UNKNOWN];
    uint64_t all = bad + fates[FATE_ACCEPTED] + fates[FATE_UNSENT];
    return all ? (double)bad / (double)all : (double)NAN;
}

static void take_latency(const struct hist *h, bool exact, struct gather_latency *ret)
{
    *ret = (struct gather_latency){h->count, -1, -1, -1, -1, -1, exact};
    if (h->count == 0)
        return;
    ret->p50_ns = hist_quantile(h, 0.5);
    ret->p95_ns = hist_quantile(h, 0.95);
    ret->p99_ns = hist_quantile(h, 0.99);
    ret->p999_ns = hist_quantile(h, 0.999);
    ret->max_ns = h->max;
}

static int read_span(struct record *r, int load, struct reader_window w, struct hist *scratch,
                     struct gather_span *ret)
{
    bool exact;
    hist_clear(scratch);
    int rc = reader_fates(r, load, w, &ret->fates);
    if (rc == 0)
        rc = reader_hist(r, load, w, scratch, &exact);
    if (rc == 0)
        take_latency(scratch, exact, &ret->latency);
    return rc;
}

struct second_pass {
    struct gather_run *run;
    struct gather_load *load;
    struct hist *merged;
    int64_t bucket; /* being merged, -1 = none */
};

static void close_bucket(struct second_pass *p)
{
    if (p->bucket >= 0 && p->merged->count > 0) {
        struct gather_bucket *b = &p->load->buckets[p->bucket];
        b->p50_ns = hist_quantile(p->merged, 0.5);
        b->p99_ns = hist_quantile(p->merged, 0.99);
    }
    hist_clear(p->merged);
}

static int on_second(void *ctx, const struct reader_second *second)
{
    struct second_pass *p = ctx;
    int64_t bucket = second->second / p->run->bucket_s;
    if (second->second < 0 || bucket >= (int64_t)p->run->buckets_n)
        return 0;
    if (bucket != p->bucket) {
        close_bucket(p);
        p->bucket = bucket;
    }
    for (int i = 0; i < FATE_COUNT; i++)
        p->load->buckets[bucket].fates[i] += second->fates[i];
    hist_merge(p->merged, second->hist);
    return 0;
}

static int read_buckets(struct record *r, struct gather_run *run, int index, struct hist *scratch)
{
    struct gather_load *load = &run->loads[index];
    struct second_pass pass = {run, load, scratch, -1};
    load->buckets = arena_array(&run->arena, run->buckets_n, sizeof *load->buckets);
    for (size_t i = 0; i < run->buckets_n; i++)
        load->buckets[i].p50_ns = load->buckets[i].p99_ns = -1;
    hist_clear(scratch);
    int rc = reader_seconds(r, index, on_second, &pass);
    close_bucket(&pass);
    return rc;
}

static int on_row(void *ctx, const struct ledger_row *row)
{
    struct gather_load *load = ctx;
    size_t i = 0;
    if (row->fate == FATE_ACCEPTED || row->status == 0)
        return 0;
    while (i < load->statuses_n && load->statuses[i].status != row->status)
        i++;
    if (i == GATHER_STATUSES)
        return 0;
    load->statuses_n += i == load->statuses_n;
    load->statuses[i].status = row->status;
    load->statuses[i].count++;
    return 0;
}

static int status_cmp(const void *a, const void *b)
{
    const struct gather_status *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : x->status - y->status;
}

static int read_statuses(struct record *r, int index, struct gather_load *load)
{
    int rc = reader_requests(r, index, READER_ALL, on_row, load);
    if (load->statuses_n > 0)
        qsort(load->statuses, load->statuses_n, sizeof *load->statuses, status_cmp);
    return rc;
}

static void own_counts(struct gather_load *load)
{
    const struct record_load *end = &load->head.end;
    load->due = load->head.ended ? end->due : load->all.fates.due;
    memcpy(load->fates, load->head.ended ? end->fates : load->all.fates.fates, sizeof load->fates);
}

static int read_load(struct record *r, struct gather_run *run, int index, struct hist *scratch)
{
    struct gather_load *load = &run->loads[index];
    int rc = read_span(r, index, READER_ALL, scratch, &load->all);
    load->phases = arena_array(&run->arena, run->phases_n, sizeof *load->phases);
    for (size_t i = 0; i < run->phases_n && rc == 0; i++) {
        const struct reader_phase *phase = &run->phases[i];
        struct reader_window w = {phase->start_ns, gather_phase_end(run, phase)};
        if (phase->start_ns >= 0)
            rc = read_span(r, index, w, scratch, &load->phases[i]);
    }
    if (rc == 0)
        rc = read_buckets(r, run, index, scratch);
    if (rc == 0)
        rc = read_statuses(r, index, load);
    if (rc == 0 && load->head.settled)
        rc = reader_settled(r, &run->arena, index, &load->settled);
    own_counts(load);
    return rc;
}

static int read_loads(struct record *r, struct gather_run *run)
{
    struct reader_load *heads;
    int rc = reader_loads(r, &run->arena, &heads, &run->loads_n);
    if (rc < 0)
        return rc;
    struct hist *scratch = hist_new();
    run->loads = arena_array(&run->arena, run->loads_n, sizeof *run->loads);
    for (size_t i = 0; i < run->loads_n && rc == 0; i++) {
        run->loads[i].head = heads[i];
        rc = read_load(r, run, (int)i, scratch);
    }
    hist_free(scratch);
    return rc;
}

static struct gather_fault *fault_of(struct gather_run *run, int *ids, const struct record_fault *f)
{
    for (size_t i = 0; i < run->faults_n; i++)
        if (ids[i] == f->fault)
            return &run->faults[i];
    ids[run->faults_n] = f->fault;
    struct gather_fault *new = &run->faults[run->faults_n++];
    *new = (struct gather_fault){.name = f->name,
                                 .kind = f->kind,
                                 .targets = f->targets,
                                 .asked = "",
                                 .measured = "",
                                 .undone = "",
                                 .text = "",
                                 .phase = f->phase,
                                 .start_ns = -1,
                                 .end_ns = -1};
    return new;
}

/* The records of a fault's life made one: what it did stands in the first, what its undo did in the
 * last. */
static void add_fault(struct gather_fault *g, const struct record_fault *f)
{
    bool over = strcmp(f->state, "ended") == 0 || strcmp(f->state, "undo-failed") == 0;
    /* that it ended does not make up for the effect that it had not */
    bool hides =
        over && g->state && strcmp(g->state, "no-effect") == 0 && strcmp(f->state, "ended") == 0;
    if (!hides)
        g->state = f->state;
    g->one_shot = g->one_shot || f->one_shot;
    if (f->targets[0])
        g->targets = f->targets;
    if (f->asked[0] && !g->asked[0])
        g->asked = f->asked;
    if (f->measured[0] && !over)
        g->measured = f->measured;
    if (f->measured[0] && over)
        g->undone = f->measured;
    if (f->text[0] && !hides)
        g->text = f->text;
    if (over)
        g->end_ns = f->t_ns;
    else if (g->start_ns < 0)
        g->start_ns = f->t_ns;
}

static int read_faults(struct record *r, struct gather_run *run)
{
    struct record_fault *rows;
    size_t n;
    int rc = reader_faults(r, &run->arena, &rows, &n);
    if (rc < 0)
        return rc;
    int *ids = arena_array(&run->arena, n, sizeof *ids);
    run->faults = arena_array(&run->arena, n, sizeof *run->faults);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].phase < 0 || (size_t)rows[i].phase >= run->phases_n)
            rows[i].phase = -1;
        add_fault(fault_of(run, ids, &rows[i]), &rows[i]);
    }
    return 0;
}

/* Phases and faults have rows of their own; of the quiet rest only what services did in the storm.
 */
static bool worth_telling(const struct event_pass *p, const struct record_event *e)
{
    bool loud = strcmp(e->severity, "info") != 0;
    if (strcmp(e->kind, "fault") == 0)
        return false;
    if (strcmp(e->severity, "err") == 0 || strcmp(e->kind, "service") != 0)
        return loud;
    return p->storm_ns >= 0 && e->t_ns >= p->storm_ns && e->t_ns < p->over_ns;
}

/* The least telling event that is kept already, to make room. */
static size_t dullest(const struct gather_run *run)
{
    for (size_t i = run->events_n; i-- > 0;)
        if (strcmp(run->events[i].severity, "info") == 0)
            return i;
    for (size_t i = run->events_n; i-- > 0;)
        if (strcmp(run->events[i].severity, "warn") == 0)
            return i;
    return run->events_n;
}

static const char *clipped(struct arena *a, const char *text)
{
    size_t n = strnlen(text, GATHER_TEXT_BYTES + 1);
    return n > GATHER_TEXT_BYTES ? arena_printf(a, "%.*s ...", GATHER_TEXT_BYTES, text)
                                 : arena_strdup(a, text);
}

static int on_event(void *ctx, const struct record_event *e)
{
    struct event_pass *p = ctx;
    struct gather_run *run = p->run;
    if (!worth_telling(p, e))
        return 0;
    if (run->events_n == GATHER_EVENTS) {
        size_t out = strcmp(e->severity, "err") == 0 ? dullest(run) : run->events_n;
        run->events_left_out++;
        if (out == run->events_n)
            return 0;
        memmove(run->events + out, run->events + out + 1,
                (run->events_n - out - 1) * sizeof *run->events);
        run->events_n--;
    }
    struct arena *a = &run->arena;
    run->events[run->events_n++] =
        (struct gather_event){e->t_ns, clipped(a, e->kind), clipped(a, e->subject),
                              clipped(a, e->severity), clipped(a, e->text)};
    return 0;
}

static int read_events(struct record *r, struct gather_run *run)
{
    struct event_pass pass = {.run = run, .storm_ns = -1, .over_ns = INT64_MAX};
    if (run->phases_n > 0)
        pass.storm_ns = run->phases[0].start_ns;
    if (run->phases_n > 0 && run->phases[run->phases_n - 1].end_ns >= 0)
        pass.over_ns = run->phases[run->phases_n - 1].end_ns;
    run->events = arena_array(&run->arena, GATHER_EVENTS, sizeof *run->events);
    return reader_events(r, READER_ALL, on_event, &pass);
}

static void choose_buckets(struct gather_run *run)
{
    int64_t last_ns = 0;
    for (size_t i = 0; i < run->phases_n; i++)
        if (run->phases[i].start_ns >= 0 && gather_phase_end(run, &run->phases[i]) > last_ns)
            last_ns = gather_phase_end(run, &run->phases[i]);
    last_ns = last_ns < LAST_NS ? last_ns : LAST_NS; /* a damaged file may say anything */
    int64_t seconds = (last_ns + NS_PER_S - 1) / NS_PER_S;
    run->bucket_s = seconds > GATHER_BUCKETS ? (seconds + GATHER_BUCKETS - 1) / GATHER_BUCKETS : 1;
    run->buckets_n = (size_t)((seconds + run->bucket_s - 1) / run->bucket_s);
}

int gather_run(struct record *r, struct gather_run *ret)
{
    *ret = (struct gather_run){.path = record_path(r)};
    arena_init(&ret->arena);
    int rc = reader_meta(r, &ret->arena, &ret->meta);
    if (rc == 0)
        rc = reader_phases(r, &ret->arena, &ret->phases, &ret->phases_n);
    if (rc == 0)
        choose_buckets(ret);
    if (rc == 0)
        rc = read_faults(r, ret);
    if (rc == 0)
        rc = read_events(r, ret);
    if (rc == 0)
        rc = read_loads(r, ret);
    if (rc < 0)
        gather_done(ret);
    return rc;
}

void gather_done(struct gather_run *run)
{
    arena_done(&run->arena);
    *run = (struct gather_run){0};
}
