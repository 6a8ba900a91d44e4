/* The machine's view of a run. Field names and their meaning are a promise: docs/reports.md. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "report/gather.h"
#include "report/report.h"
#include "report/verdicts.h"

#define REPORT_VERSION 1

static void key_num(struct json *j, const char *key, double value)
{
    json_key(j, key);
    json_num(j, value);
}

/* -1 = did not happen, or no samples. */
static void key_time(struct json *j, const char *key, int64_t ns)
{
    json_key(j, key);
    if (ns < 0)
        json_null(j);
    else
        json_int(j, ns);
}

static void key_bool(struct json *j, const char *key, bool value)
{
    json_key(j, key);
    json_bool(j, value);
}

static void run_part(struct json *j, const struct gather_run *run,
                     const struct check_results *checks)
{
    char when[40] = "", seed[24];
    time_t wall = (time_t)(run->meta.started_wall_ns / NS_PER_S);
    struct tm tm;
    if (gmtime_r(&wall, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->meta.seed);
    json_key(j, "run");
    json_object(j);
    json_key_str(j, "id", run->meta.run_id);
    json_key_str(j, "file", run->path);
    json_key_str(j, "squall_version", run->meta.squall_version);
    json_key_str(j, "machine", run->meta.machine);
    json_key_str(j, "tier", run->meta.tier);
    json_key_str(j, "seed", seed); /* text: 64 bits do not survive every JSON reader */
    json_key_str(j, "started", when);
    json_key_int(j, "started_wall_ns", run->meta.started_wall_ns);
    json_key_int(j, "duration_ns", run->meta.ended_ns);
    json_key_str(j, "end", run->meta.how ? run->meta.how : "cut off");
    json_end_object(j);
    json_key(j, "plan");
    json_object(j);
    json_key_str(j, "name", run->meta.plan_name);
    json_key_str(j, "about", checks->plan ? checks->plan->about : NULL);
    json_key_str(j, "file", run->meta.plan_file);
    json_end_object(j);
}

static void check_part(struct json *j, const struct check_result *c)
{
    json_object(j);
    json_key_str(j, "kind", c->kind);
    json_key_str(j, "name", c->name);
    json_key_str(j, "verdict", verdict_names[c->verdict]);
    json_key_str(j, "value", c->value);
    json_key_str(j, "limit", c->limit);
    key_num(j, "value_num", c->value_num);
    key_num(j, "limit_num", c->limit_num);
    key_num(j, "margin_ratio", c->margin);
    json_key_str(j, "reason", c->reason);
    key_time(j, "at_ns", c->at_ns);
    json_key(j, "details");
    json_array(j);
    for (size_t i = 0; i < c->details_n; i++)
        json_str(j, c->details[i]);
    json_end_array(j);
    json_key_int(j, "details_all", (int64_t)c->details_all);
    json_end_object(j);
}

static void fates_part(struct json *j, const uint64_t fates[FATE_COUNT])
{
    for (int i = FATE_NONE + 1; i < FATE_COUNT; i++)
        json_key_int(j, fate_names[i], (int64_t)fates[i]);
}

static void span_part(struct json *j, const struct gather_span *s)
{
    json_key_int(j, "due", (int64_t)s->fates.due);
    fates_part(j, s->fates.fates);
    json_key_int(j, "latency_samples", (int64_t)s->latency.samples);
    key_time(j, "p50_ns", s->latency.p50_ns);
    key_time(j, "p95_ns", s->latency.p95_ns);
    key_time(j, "p99_ns", s->latency.p99_ns);
    key_time(j, "p999_ns", s->latency.p999_ns);
    key_time(j, "max_ns", s->latency.max_ns);
    key_bool(j, "latency_exact", s->latency.exact);
}

static void reasons_part(struct json *j, const struct reader_fates *f)
{
    json_key(j, "reasons");
    json_object(j);
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
        if (f->reasons[i] > 0)
            json_key_int(j, fate_reason_names[i], (int64_t)f->reasons[i]);
    json_end_object(j);
}

static void statuses_part(struct json *j, const struct gather_load *l)
{
    json_key(j, "statuses_not_accepted");
    json_array(j);
    for (size_t i = 0; i < l->statuses_n; i++) {
        json_object(j);
        json_key_int(j, "status", l->statuses[i].status);
        json_key_int(j, "count", (int64_t)l->statuses[i].count);
        json_end_object(j);
    }
    json_end_array(j);
}

static void settlement_part(struct json *j, const struct gather_load *l)
{
    json_key(j, "settlement");
    if (!l->head.settled) {
        json_null(j);
        return;
    }
    json_object(j);
    key_bool(j, "read", l->settled.read);
    key_bool(j, "stable", l->settled.stable);
    key_time(j, "at_ns", l->settled.read ? l->settled.t_ns : -1);
    json_key_int(j, "objects", (int64_t)l->settled.objects);
    json_key_str(j, "problem", l->settled.problem);
    json_end_object(j);
}

static void generator_part(struct json *j, const struct gather_load *l)
{
    json_key(j, "generator");
    if (!l->head.ended) {
        json_null(j);
        return;
    }
    json_object(j);
    json_key_int(j, "sent", (int64_t)l->head.end.sent);
    json_key_int(j, "late", (int64_t)l->head.end.late);
    json_key_int(j, "connects", (int64_t)l->head.end.connects);
    json_key_int(j, "lateness_p99_ns", l->head.end.lateness_p99_ns);
    json_key_int(j, "lateness_max_ns", l->head.end.lateness_max_ns);
    json_key_int(j, "started_ns", l->head.end.started_ns);
    json_key_int(j, "ended_ns", l->head.end.ended_ns);
    json_end_object(j);
}

static void curve_part(struct json *j, const struct gather_run *run, const struct gather_load *l)
{
    json_key(j, "curve");
    json_array(j);
    for (size_t i = 0; i < run->buckets_n; i++) {
        const struct gather_bucket *b = &l->buckets[i];
        json_object(j);
        json_key_int(j, "start_ns", (int64_t)i * run->bucket_s * NS_PER_S);
        fates_part(j, b->fates);
        key_time(j, "p50_ns", b->p50_ns);
        key_time(j, "p99_ns", b->p99_ns);
        json_end_object(j);
    }
    json_end_array(j);
}

static void load_part(struct json *j, const struct gather_run *run, const struct gather_load *l)
{
    json_object(j);
    json_key_str(j, "name", l->head.name);
    json_key_str(j, "model", l->head.model == PLAN_OPEN ? "open" : "closed");
    json_key_int(j, "due", (int64_t)l->due);
    fates_part(j, l->fates);
    reasons_part(j, &l->all.fates);
    statuses_part(j, l);
    generator_part(j, l);
    settlement_part(j, l);
    json_key(j, "all");
    json_object(j);
    span_part(j, &l->all);
    json_end_object(j);
    json_key(j, "phases");
    json_array(j);
    for (size_t i = 0; i < run->phases_n; i++) {
        if (run->phases[i].start_ns < 0)
            continue;
        json_object(j);
        json_key_str(j, "phase", run->phases[i].name);
        span_part(j, &l->phases[i]);
        json_end_object(j);
    }
    json_end_array(j);
    curve_part(j, run, l);
    json_end_object(j);
}

static void phases_part(struct json *j, const struct gather_run *run)
{
    static const char *const kinds[] = {"baseline", "fault", "recovery", "cooldown"};
    _Static_assert(sizeof kinds / sizeof *kinds == PLAN_PHASE_COUNT, "a name for each kind");
    json_key(j, "phases");
    json_array(j);
    for (size_t i = 0; i < run->phases_n; i++) {
        json_object(j);
        json_key_str(j, "name", run->phases[i].name);
        json_key_str(j, "kind", kinds[run->phases[i].kind]);
        key_time(j, "start_ns", run->phases[i].start_ns);
        key_time(j, "end_ns", run->phases[i].end_ns);
        json_end_object(j);
    }
    json_end_array(j);
}

static void faults_part(struct json *j, const struct gather_run *run)
{
    json_key(j, "faults");
    json_array(j);
    for (size_t i = 0; i < run->faults_n; i++) {
        const struct gather_fault *f = &run->faults[i];
        json_object(j);
        json_key_str(j, "name", f->name);
        json_key_str(j, "kind", f->kind);
        json_key_str(j, "phase", f->phase >= 0 ? run->phases[f->phase].name : NULL);
        json_key_str(j, "targets", f->targets);
        json_key_str(j, "state", f->state);
        json_key_str(j, "asked", f->asked);
        json_key_str(j, "measured", f->measured);
        json_key_str(j, "undone", f->undone);
        json_key_str(j, "text", f->text);
        key_bool(j, "one_shot", f->one_shot);
        key_time(j, "start_ns", f->start_ns);
        key_time(j, "end_ns", f->end_ns);
        json_end_object(j);
    }
    json_end_array(j);
}

static void events_part(struct json *j, const struct gather_run *run)
{
    json_key(j, "events");
    json_array(j);
    for (size_t i = 0; i < run->events_n; i++) {
        const struct gather_event *e = &run->events[i];
        json_object(j);
        json_key_int(j, "t_ns", e->t_ns);
        json_key_str(j, "kind", e->kind);
        json_key_str(j, "subject", e->subject);
        json_key_str(j, "severity", e->severity);
        json_key_str(j, "text", e->text);
        json_end_object(j);
    }
    json_end_array(j);
    json_key_int(j, "events_left_out", (int64_t)run->events_left_out);
}

static void document(struct json *j, const struct gather_run *run,
                     const struct check_results *checks)
{
    json_object(j);
    json_key_int(j, "squall_report", REPORT_VERSION);
    json_key_str(j, "verdict", verdict_names[checks->verdict]);
    json_key_str(j, "reason", checks->reason);
    run_part(j, run, checks);
    json_key(j, "checks");
    json_array(j);
    for (size_t i = 0; i < checks->n; i++)
        check_part(j, &checks->v[i]);
    json_end_array(j);
    phases_part(j, run);
    faults_part(j, run);
    events_part(j, run);
    json_key(j, "loads");
    json_array(j);
    for (size_t i = 0; i < run->loads_n; i++)
        load_part(j, run, &run->loads[i]);
    json_end_array(j);
    json_end_object(j);
}

static int write_json(FILE *out, struct record *r, const struct check_results *checks, bool colour)
{
    struct gather_run run;
    struct buf text = {0};
    struct json j;
    (void)colour;
    int rc = gather_run(r, &run);
    if (rc < 0)
        return rc;
    json_init(&j, &text, 1);
    document(&j, &run, checks);
    buf_add_char(&text, '\n');
    rc = fwrite(buf_str(&text), 1, text.n, out) == text.n ? 0 : -EIO;
    buf_done(&text);
    gather_done(&run);
    return rc;
}

const struct report_format report_json = {
    "json", "for programs: every number of the run, documented", write_json};
