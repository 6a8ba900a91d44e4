#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "report/chart.h"
#include "report/figures.h"
#include "report/text.h"

#define NAME_COLUMNS 16

/* 1,234 due = 1,200 accepted + 30 refused + 0 failed + 4 unknown + 0 unsent */
static void identity_line(struct pen *p, const struct gather_load *l)
{
    static const struct {
        enum fate fate;
        enum pen_style style;
    } parts[] = {{FATE_ACCEPTED, PEN_GOOD},
                 {FATE_REFUSED, PEN_WARN},
                 {FATE_FAILED, PEN_BAD},
                 {FATE_UNKNOWN, PEN_WARN},
                 {FATE_UNSENT, PEN_WARN}};
    char n[FIGURES_BYTES];
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        sum += l->fates[parts[i].fate];
    pen_add(p, PEN_BOLD, "  %s due", figures_count(l->due, n, sizeof n));
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        uint64_t count = l->fates[parts[i].fate];
        pen_add(p, PEN_PLAIN, " %s ", i > 0 ? "+" : sum == l->due ? "=" : "IS NOT");
        pen_add(p, count ? parts[i].style : PEN_DIM, "%s %s", figures_count(count, n, sizeof n),
                fate_names[parts[i].fate]);
    }
    pen_line(p);
}

static void reasons_line(struct pen *p, const struct gather_load *l)
{
    char n[FIGURES_BYTES];
    const char *before = "  not accepted: ";
    for (size_t i = 0; i < l->statuses_n; i++) {
        pen_add(p, PEN_DIM, "%s%s answered %d", before,
                figures_count(l->statuses[i].count, n, sizeof n), l->statuses[i].status);
        before = ", ";
    }
    for (int i = REASON_STATUS + 1; i < REASON_COUNT; i++) {
        uint64_t count = l->all.fates.reasons[i];
        if (count == 0)
            continue;
        pen_add(p, PEN_DIM, "%s%s %s", before, figures_count(count, n, sizeof n),
                fate_reason_names[i]);
        before = ", ";
    }
    if (p->column > 0)
        pen_line(p);
}

static void generator_line(struct pen *p, const struct gather_load *l)
{
    const struct record_load *end = &l->head.end;
    char p99[FIGURES_BYTES], max[FIGURES_BYTES], late[FIGURES_BYTES], connects[FIGURES_BYTES];
    if (!l->head.ended) {
        pen_add(p, PEN_WARN, "  the generator's own figures are missing: counted from the rows");
        pen_line(p);
        return;
    }
    pen_add(p, PEN_DIM, "  generator: send lateness p99 %s, max %s, %s late; %s connections",
            figures_latency(end->lateness_p99_ns, p99, sizeof p99),
            figures_latency(end->lateness_max_ns, max, sizeof max),
            figures_count(end->late, late, sizeof late),
            figures_count(end->connects, connects, sizeof connects));
    pen_line(p);
}

static void table_head(struct pen *p)
{
    static const char *const titles[] = {"due", "refused", "failed", "unknown", "p50",
                                         "p95", "p99",     "p99.9",  "max"};
    pen_pad(p, NAME_COLUMNS);
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
        pen_right(p, PEN_DIM, 9, "%s", titles[i]);
    pen_line(p);
}

static void count_cell(struct pen *p, uint64_t n, enum pen_style style)
{
    char text[FIGURES_BYTES];
    pen_right(p, n ? style : PEN_DIM, 9, "%s", figures_count(n, text, sizeof text));
}

static void span_row(struct pen *p, const char *name, bool fault, const struct gather_span *s)
{
    const int64_t latencies[] = {s->latency.p50_ns, s->latency.p95_ns, s->latency.p99_ns,
                                 s->latency.p999_ns, s->latency.max_ns};
    char text[FIGURES_BYTES];
    pen_add(p, fault ? PEN_BAD : PEN_PLAIN, "  %s", name);
    pen_pad(p, NAME_COLUMNS);
    count_cell(p, s->fates.due, PEN_PLAIN);
    count_cell(p, s->fates.fates[FATE_REFUSED], PEN_WARN);
    count_cell(p, s->fates.fates[FATE_FAILED], PEN_BAD);
    count_cell(p, s->fates.fates[FATE_UNKNOWN], PEN_WARN);
    for (size_t i = 0; i < ARRAY_SIZE(latencies); i++)
        pen_right(p, latencies[i] < 0 ? PEN_DIM : PEN_PLAIN, 9, "%s",
                  figures_latency(latencies[i], text, sizeof text));
    if (s->latency.samples > 0 && !s->latency.exact)
        pen_add(p, PEN_DIM, " ~"); /* from whole seconds: the phase's edges are blurred */
    pen_line(p);
}

static void spans(struct pen *p, const struct gather_run *run, const struct gather_load *l)
{
    table_head(p);
    for (size_t i = 0; i < run->phases_n; i++)
        if (run->phases[i].start_ns >= 0)
            span_row(p, run->phases[i].name, run->phases[i].kind == PLAN_FAULT, &l->phases[i]);
    span_row(p, "all", false, &l->all);
}

static void settlement_line(struct pen *p, const struct gather_load *l)
{
    char n[FIGURES_BYTES], t[FIGURES_BYTES];
    const struct reader_settled *s = &l->settled;
    if (!l->head.settled)
        return;
    pen_add(p, PEN_PLAIN, "  settlement: ");
    if (!s->read) {
        pen_add(p, PEN_WARN, "the final state was never read");
        pen_line(p);
        return;
    }
    pen_add(p, PEN_PLAIN, "%s objects in the final state, read at %s, ",
            figures_count(s->objects, n, sizeof n), figures_clock(s->t_ns, t, sizeof t));
    pen_add(p, s->stable ? PEN_GOOD : PEN_BAD, "%s", s->stable ? "stable" : "not stable");
    if (s->problem) {
        pen_add(p, PEN_PLAIN, ": ");
        pen_wrap(p, PEN_BAD, 4, s->problem);
    }
    pen_line(p);
}

void text_load(struct pen *p, const struct gather_run *run, const struct gather_load *l)
{
    char title[128];
    snprintf(title, sizeof title, "REQUESTS: %s", l->head.name);
    text_title(p, title);
    identity_line(p, l);
    reasons_line(p, l);
    settlement_line(p, l);
    generator_line(p, l);
    pen_line(p);
    spans(p, run, l);
    pen_line(p);
    chart_load(p, run, l);
}
