#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/figures.h"
#include "report/text.h"

#define WHAT_COLUMN 28 /* where sentences start */

static void at(struct pen *p, int64_t t_ns)
{
    char clock[FIGURES_BYTES];
    pen_right(p, PEN_DIM, 9, "%s", figures_clock(t_ns, clock, sizeof clock));
    pen_add(p, PEN_PLAIN, "  ");
}

static void phase_line(struct pen *p, const struct gather_run *run,
                       const struct reader_phase *phase)
{
    char took[FIGURES_BYTES];
    bool fault = phase->kind == PLAN_FAULT;
    at(p, phase->start_ns);
    pen_add(p, fault ? PEN_BAD : PEN_BOLD, "%s", phase->name);
    pen_pad(p, WHAT_COLUMN);
    int64_t length = gather_phase_end(run, phase) - phase->start_ns;
    pen_add(p, PEN_DIM, " %s%s", figures_clock(length, took, sizeof took),
            phase->end_ns < 0 ? ", not ended" : "");
    pen_line(p);
}

static void labelled(struct pen *p, const char *label, const char *text)
{
    if (!text[0])
        return;
    pen_pad(p, WHAT_COLUMN + 1);
    pen_add(p, PEN_DIM, "%-9s ", label);
    pen_wrap(p, PEN_PLAIN, WHAT_COLUMN + 11, text);
    pen_line(p);
}

static enum pen_style state_style(const char *state)
{
    if (strcmp(state, "ended") == 0 || strcmp(state, "active") == 0)
        return PEN_PLAIN;
    return PEN_BAD;
}

static void fault_lines(struct pen *p, const struct gather_fault *f)
{
    char span[FIGURES_BYTES];
    at(p, f->start_ns >= 0 ? f->start_ns : f->end_ns);
    pen_add(p, PEN_BAD, "  %s", f->kind);
    pen_pad(p, WHAT_COLUMN);
    pen_add(p, PEN_PLAIN, " %s on ", f->name);
    pen_add(p, PEN_BOLD, "%s", f->targets[0] ? f->targets : "nothing");
    if (f->start_ns >= 0 && f->end_ns >= 0)
        pen_add(p, PEN_DIM, ", in effect for %s",
                figures_clock(f->end_ns - f->start_ns, span, sizeof span));
    if (state_style(f->state) == PEN_BAD)
        pen_add(p, PEN_BAD, "  %s", f->state);
    pen_line(p);
    labelled(p, "asked", f->asked);
    labelled(p, "measured", f->measured[0] ? f->measured : "nothing");
    labelled(p, "undone", f->undone);
    if (state_style(f->state) == PEN_BAD)
        labelled(p, "why", f->text);
}

static void event_line(struct pen *p, const struct gather_event *e)
{
    bool bad = strcmp(e->severity, "err") == 0, warn = strcmp(e->severity, "warn") == 0;
    char what[64];
    at(p, e->t_ns);
    snprintf(what, sizeof what, "%s", e->subject[0] ? e->subject : e->kind);
    pen_add(p, PEN_DIM, "  %s", what);
    if (p->column >= WHAT_COLUMN)
        pen_line(p);
    pen_pad(p, WHAT_COLUMN + 1);
    pen_wrap(p, bad ? PEN_BAD : warn ? PEN_WARN : PEN_PLAIN, WHAT_COLUMN + 1, e->text);
    pen_line(p);
}

/* Faults and events of [from, to) in the order of their times; a fault comes before an event of the
 * same instant. */
static void between(struct pen *p, const struct gather_run *run, int64_t from_ns, int64_t to_ns,
                    size_t *event)
{
    size_t fault = 0;
    for (;;) {
        const struct gather_fault *f = NULL;
        int64_t f_ns = INT64_MAX;
        for (; fault < run->faults_n; fault++) {
            f = &run->faults[fault];
            f_ns = f->start_ns >= 0 ? f->start_ns : f->end_ns;
            if (f_ns >= from_ns && f_ns < to_ns)
                break;
            f_ns = INT64_MAX;
        }
        int64_t e_ns = *event < run->events_n ? run->events[*event].t_ns : INT64_MAX;
        if (f_ns >= to_ns && e_ns >= to_ns)
            return;
        if (f && f_ns <= e_ns) {
            fault_lines(p, f);
            fault++;
        } else {
            event_line(p, &run->events[(*event)++]);
        }
    }
}

void text_story(struct pen *p, const struct gather_run *run)
{
    size_t event = 0;
    int64_t from_ns = INT64_MIN;
    text_title(p, "WHAT HAPPENED");
    for (size_t i = 0; i < run->phases_n; i++) {
        const struct reader_phase *phase = &run->phases[i];
        if (phase->start_ns < 0)
            continue;
        between(p, run, from_ns, phase->start_ns, &event);
        phase_line(p, run, phase);
        from_ns = phase->start_ns;
    }
    between(p, run, from_ns, INT64_MAX, &event);
    for (size_t i = 0; i < run->phases_n; i++)
        if (run->phases[i].start_ns < 0) {
            pen_pad(p, 11);
            pen_add(p, PEN_WARN, "%s", run->phases[i].name);
            pen_pad(p, WHAT_COLUMN);
            pen_add(p, PEN_WARN, " did not happen");
            pen_line(p);
        }
    if (run->events_left_out > 0) {
        pen_pad(p, 11);
        pen_add(p, PEN_DIM, "and %zu more events: SELECT * FROM v_events", run->events_left_out);
        pen_line(p);
    }
}
