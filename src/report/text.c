#include "report/text.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "report/figures.h"
#include "report/report.h"
#include "report/verdicts.h"

#define REASON_COLUMN 6
#define SHOWN_DETAILS 6
#define RECAP_CHECKS  5 /* under the verdict */

void text_title(struct pen *p, const char *title)
{
    pen_line(p);
    pen_add(p, PEN_BOLD, "%s ", title);
    pen_repeat(p, PEN_DIM, pen_glyph(p, "─", "-"), p->width - p->column);
    pen_line(p);
}

static void head(struct pen *p, const struct gather_run *run, const struct check_results *checks)
{
    char when[40] = "", length[FIGURES_BYTES];
    time_t wall = (time_t)(run->meta.started_wall_ns / NS_PER_S);
    struct tm tm;
    if (gmtime_r(&wall, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    const char *problem = verdict_run_problem(run->meta.how);
    pen_add(p, PEN_BOLD, "%s", run->meta.plan_name);
    pen_line(p);
    if (checks->plan && checks->plan->about && checks->plan->about[0]) {
        pen_wrap(p, PEN_PLAIN, 0, checks->plan->about);
        pen_line(p);
    }
    pen_add(p, PEN_DIM, "%s, %s, seed %llu", when,
            units_human_duration(run->meta.ended_ns, length, sizeof length),
            (unsigned long long)run->meta.seed);
    pen_line(p);
    pen_add(p, PEN_DIM, "squall %s, %s", run->meta.squall_version, run->meta.tier);
    pen_line(p);
    pen_add(p, PEN_DIM, "%s", run->meta.machine);
    pen_line(p);
    if (problem) {
        pen_add(p, PEN_BAD, "%s", problem);
        pen_line(p);
    }
}

/* Where the details of a check that are not shown can be found. */
static const char *details_view(const char *kind)
{
    static const struct {
        const char *kind, *view;
    } views[] = {{"nothing lost", "v_lost"},
                 {"errors", "v_requests"},
                 {"log", "v_logs"},
                 {"metric", "v_samples"}};
    for (size_t i = 0; i < ARRAY_SIZE(views); i++)
        if (strcmp(views[i].kind, kind) == 0)
            return views[i].view;
    return NULL;
}

static void details(struct pen *p, const struct gather_run *run, const struct check_result *c)
{
    char n[FIGURES_BYTES];
    const char *view = details_view(c->kind);
    size_t shown = c->details_n < SHOWN_DETAILS ? c->details_n : SHOWN_DETAILS;
    for (size_t i = 0; i < shown; i++) {
        pen_pad(p, REASON_COLUMN);
        pen_add(p, PEN_DIM, "%s ", pen_glyph(p, "·", "-"));
        pen_wrap(p, PEN_PLAIN, REASON_COLUMN + 2, c->details[i]);
        pen_line(p);
    }
    if (c->details_all <= shown)
        return;
    pen_pad(p, REASON_COLUMN);
    pen_add(p, PEN_DIM, "  and %s more", figures_count(c->details_all - shown, n, sizeof n));
    if (view)
        pen_add(p, PEN_DIM, ": sqlite3 %s 'SELECT * FROM %s'", run->path, view);
    pen_line(p);
}

/* "p99 61.4ms (limit < 250ms): of 200 requests" */
static void value_line(struct pen *p, const struct check_result *c)
{
    const char *value = c->value && c->value[0] ? c->value : NULL;
    const char *limit = c->limit && c->limit[0] ? c->limit : NULL;
    const char *reason = c->reason && c->reason[0] ? c->reason : NULL;
    pen_pad(p, REASON_COLUMN);
    if (value)
        pen_wrap(p, verdict_look(c->verdict)->style, REASON_COLUMN, value);
    if (limit) {
        char *text CLEANUP(free_p) = xasprintf("%s(limit %s)", value ? " " : "", limit);
        pen_wrap(p, PEN_DIM, REASON_COLUMN, text);
    }
    if (reason) {
        const char *gap = value ? ": " : limit ? " " : "";
        char *why CLEANUP(free_p) = xasprintf("%s%s", gap, reason);
        pen_wrap(p, c->verdict == VERDICT_PASS ? PEN_DIM : PEN_PLAIN, REASON_COLUMN, why);
    }
    pen_line(p);
}

static void check_lines(struct pen *p, const struct gather_run *run, const struct check_result *c)
{
    const struct verdict_look *look = verdict_look(c->verdict);
    char margin[FIGURES_BYTES];
    pen_add(p, look->style, "  %s ", look->sign);
    pen_wrap(p, PEN_BOLD, REASON_COLUMN - 2, c->name);
    verdict_margin(c->margin, margin, sizeof margin);
    if (margin[0] && p->column + 9 + (int)strlen(margin) <= p->width)
        pen_right(p, PEN_DIM, p->width - p->column, "margin %s", margin);
    pen_line(p);
    value_line(p, c);
    if (c->verdict != VERDICT_PASS)
        details(p, run, c);
}

static void check_part(struct pen *p, const struct gather_run *run,
                       const struct check_results *checks)
{
    text_title(p, "CHECKS");
    for (size_t i = 0; i < checks->n; i++)
        check_lines(p, run, &checks->v[i]);
    if (checks->n > 0)
        return;
    pen_add(p, PEN_WARN, "  none: nothing was proved");
    pen_line(p);
}

/* Whoever reads only the end of it sees which checks decided it. */
static void recap(struct pen *p, const struct check_results *checks)
{
    int shown = 0;
    for (size_t i = 0; i < checks->n && shown < RECAP_CHECKS; i++) {
        const struct check_result *c = &checks->v[i];
        if (c->verdict == VERDICT_PASS)
            continue;
        pen_add(p, verdict_look(c->verdict)->style, "  %s ", verdict_look(c->verdict)->sign);
        char *text CLEANUP(free_p) =
            xasprintf("%s: %s", c->name, c->value && c->value[0] ? c->value : c->reason);
        pen_wrap(p, PEN_PLAIN, REASON_COLUMN - 2, text);
        pen_line(p);
        shown++;
    }
}

static void verdict_lines(struct pen *p, const struct gather_run *run,
                          const struct check_results *checks)
{
    const struct verdict_look *look = verdict_look(checks->verdict);
    pen_line(p);
    pen_add(p, look->style, "%s %s", look->sign, look->shout);
    pen_add(p, PEN_PLAIN, "  ");
    pen_wrap(p, PEN_BOLD, 2, checks->reason ? checks->reason : "");
    pen_line(p);
    recap(p, checks);
    p->width = 0; /* a path must be whole to be copied */
    pen_add(p, PEN_DIM, "run file: ");
    pen_add(p, PEN_PLAIN, "%s", run->path);
    pen_add(p, PEN_DIM, "   again: ");
    pen_add(p, PEN_PLAIN, "squall report %s", run->path);
    pen_line(p);
}

static int write_text(FILE *out, struct record *r, const struct check_results *checks, bool colour)
{
    struct gather_run run;
    struct buf text = {0};
    struct pen p;
    int rc = gather_run(r, &run);
    if (rc < 0)
        return rc;
    pen_init(&p, &text, TEXT_COLUMNS, colour, false);
    head(&p, &run, checks);
    text_story(&p, &run);
    for (size_t i = 0; i < run.loads_n; i++)
        text_load(&p, &run, &run.loads[i]);
    check_part(&p, &run, checks);
    verdict_lines(&p, &run, checks);
    rc = fwrite(buf_str(&text), 1, text.n, out) == text.n ? 0 : -EIO;
    buf_done(&text);
    gather_done(&run);
    return rc;
}

const struct report_format report_text = {"text", "for people, in a terminal or a log", write_text};
