/* GitHub flavoured Markdown, made for $GITHUB_STEP_SUMMARY and merge request comments. */
#include <errno.h>
#include <stdarg.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "report/escape.h"
#include "report/figures.h"
#include "report/gather.h"
#include "report/report.h"
#include "report/verdicts.h"

/* Text from outside, escaped. */
static void add(struct buf *out, const char *s)
{
    if (s)
        escape_markdown(out, s, strlen(s));
}

static void head(struct buf *out, const struct gather_run *run, const struct check_results *checks)
{
    const char *problem = verdict_run_problem(run->meta.how);
    const struct verdict_look *look = verdict_look(checks->verdict);
    buf_printf(out, "## %s ", look->emoji);
    add(out, run->meta.plan_name);
    buf_printf(out, ": %s\n\n", verdict_names[checks->verdict]);
    buf_add_str(out, "**");
    add(out, checks->reason ? checks->reason : "");
    buf_add_str(out, "**\n\n");
    if (problem) {
        buf_add_str(out, "> [!WARNING]\n> ");
        add(out, problem);
        buf_add_str(out, "\n\n");
    }
    if (checks->plan && checks->plan->about && checks->plan->about[0]) {
        add(out, checks->plan->about);
        buf_add_str(out, "\n\n");
    }
}

static void check_row(struct buf *out, const struct check_result *c)
{
    char margin[FIGURES_BYTES];
    buf_printf(out, "| %s | ", verdict_look(c->verdict)->emoji);
    add(out, c->name);
    buf_add_str(out, " | ");
    add(out, c->value);
    buf_add_str(out, " | ");
    add(out, c->limit);
    buf_printf(out, " | %s | ", verdict_margin(c->margin, margin, sizeof margin));
    add(out, c->reason);
    buf_add_str(out, " |\n");
}

static void check_details(struct buf *out, const struct check_result *c)
{
    if (c->details_n == 0 || c->verdict == VERDICT_PASS)
        return;
    buf_add_str(out, "\n<details><summary>");
    escape_xml(out, c->name, strlen(c->name));
    buf_printf(out, ": %zu of %zu</summary>\n\n", c->details_n, c->details_all);
    for (size_t i = 0; i < c->details_n; i++) {
        buf_add_str(out, "- ");
        add(out, c->details[i]);
        buf_add_char(out, '\n');
    }
    buf_add_str(out, "\n</details>\n");
}

static void checks_part(struct buf *out, const struct check_results *checks)
{
    buf_add_str(out, "| | check | value | limit | margin | why |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < checks->n; i++)
        check_row(out, &checks->v[i]);
    for (size_t i = 0; i < checks->n; i++)
        check_details(out, &checks->v[i]);
}

static void count(struct buf *out, uint64_t n)
{
    char text[FIGURES_BYTES];
    buf_printf(out, " %s |", figures_count(n, text, sizeof text));
}

static void latency(struct buf *out, int64_t ns)
{
    char text[FIGURES_BYTES];
    buf_printf(out, " %s |", figures_latency(ns, text, sizeof text));
}

static void requests_part(struct buf *out, const struct gather_run *run)
{
    buf_add_str(out,
                "\n### Requests\n\n| load | due | = accepted | + refused | + failed | + unknown "
                "| + unsent | p50 | p99 | max |\n"
                "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < run->loads_n; i++) {
        const struct gather_load *l = &run->loads[i];
        buf_add_str(out, "| ");
        add(out, l->head.name);
        buf_add_str(out, " |");
        count(out, l->due);
        for (int f = FATE_NONE + 1; f < FATE_COUNT; f++)
            count(out, l->fates[f]);
        latency(out, l->all.latency.p50_ns);
        latency(out, l->all.latency.p99_ns);
        latency(out, l->all.latency.max_ns);
        buf_add_char(out, '\n');
    }
}

static void phase_row(struct buf *out, const struct gather_run *run, size_t phase)
{
    char at[FIGURES_BYTES], span[FIGURES_BYTES];
    const struct reader_phase *p = &run->phases[phase];
    bool fault = p->kind == PLAN_FAULT;
    if (p->start_ns < 0) {
        buf_add_str(out, "| | ");
        add(out, p->name);
        buf_add_str(out, " | | did not happen |");
    } else {
        buf_printf(out, "| %s | %s", figures_clock(p->start_ns, at, sizeof at), fault ? "⚡ " : "");
        add(out, p->name);
        buf_printf(out, " | %s | ",
                   figures_clock(gather_phase_end(run, p) - p->start_ns, span, sizeof span));
        for (size_t i = 0; i < run->faults_n; i++) {
            const struct gather_fault *f = &run->faults[i];
            if (f->phase != (int)phase)
                continue;
            add(out, f->kind);
            buf_add_str(out, " on ");
            add(out, f->targets);
            buf_add_str(out, "; asked: ");
            add(out, f->asked);
            buf_add_str(out, "; measured: ");
            add(out, f->measured[0] ? f->measured : "nothing");
        }
        buf_add_str(out, " |");
    }
    for (size_t i = 0; i < run->loads_n; i++)
        latency(out, p->start_ns < 0 ? -1 : run->loads[i].phases[phase].latency.p99_ns);
    buf_add_char(out, '\n');
}

static void story_part(struct buf *out, const struct gather_run *run)
{
    buf_add_str(out, "\n### What happened\n\n| at | phase | length | fault |");
    for (size_t i = 0; i < run->loads_n; i++) {
        buf_add_char(out, ' ');
        add(out, run->loads[i].head.name);
        buf_add_str(out, " p99 |");
    }
    buf_add_str(out, "\n|--:|---|--:|---|");
    for (size_t i = 0; i < run->loads_n; i++)
        buf_add_str(out, "--:|");
    buf_add_char(out, '\n');
    for (size_t i = 0; i < run->phases_n; i++)
        phase_row(out, run, i);
}

static void events_part(struct buf *out, const struct gather_run *run)
{
    char at[FIGURES_BYTES];
    if (run->events_n == 0)
        return;
    buf_printf(out, "\n<details><summary>%zu events</summary>\n\n", run->events_n);
    for (size_t i = 0; i < run->events_n; i++) {
        const struct gather_event *e = &run->events[i];
        buf_printf(out, "- %s ", figures_clock(e->t_ns, at, sizeof at));
        add(out, e->subject[0] ? e->subject : e->kind);
        buf_add_str(out, ": ");
        add(out, e->text);
        buf_add_char(out, '\n');
    }
    buf_add_str(out, "\n</details>\n");
}

static void foot(struct buf *out, const struct gather_run *run)
{
    char when[40] = "", length[FIGURES_BYTES];
    time_t wall = (time_t)(run->meta.started_wall_ns / NS_PER_S);
    struct tm tm;
    if (gmtime_r(&wall, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    buf_printf(out, "\n<sub>%s, %s, seed %llu, ", when,
               units_human_duration(run->meta.ended_ns, length, sizeof length),
               (unsigned long long)run->meta.seed);
    const char *const parts[] = {run->meta.tier, run->meta.machine, run->meta.squall_version,
                                 run->path};
    static const char *const labels[] = {"", "", "squall ", "run file "};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        buf_printf(out, "%s%s", i ? ", " : "", labels[i]);
        add(out, parts[i]);
    }
    buf_add_str(out, "</sub>\n");
}

static int write_markdown(FILE *out, struct record *r, const struct check_results *checks,
                          bool colour)
{
    struct gather_run run;
    struct buf text = {0};
    (void)colour;
    int rc = gather_run(r, &run);
    if (rc < 0)
        return rc;
    head(&text, &run, checks);
    checks_part(&text, checks);
    requests_part(&text, &run);
    story_part(&text, &run);
    events_part(&text, &run);
    foot(&text, &run);
    rc = fwrite(buf_str(&text), 1, text.n, out) == text.n ? 0 : -EIO;
    buf_done(&text);
    gather_done(&run);
    return rc;
}

const struct report_format report_markdown = {
    "markdown", "a summary for GitHub step summaries and merge requests", write_markdown};
