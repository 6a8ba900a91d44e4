#include "report/live_view.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/figures.h"
#include "report/pen.h"

#define NAME_COLUMNS 13 /* names of rows */
#define BAR_COLUMNS  30
#define CURVE_LEAST  10 /* a shorter curve tells nothing */
#define AREA_COLUMN  10
#define TEXT_COLUMN  20

/* The columns of the load table after its name. */
enum cell {
    CELL_RATE,
    CELL_P50,
    CELL_P99,
    CELL_ACCEPTED,
    CELL_REFUSED,
    CELL_FAILED,
    CELL_UNKNOWN,
    CELL_UNSENT,
    CELL_OPEN,
    CELL_COUNT
};

static const struct {
    const char *title;
    int columns;
    enum pen_style style; /* of a count that is not 0 */
} cells[] = {
    [CELL_RATE] = {"rate", 10, PEN_BOLD},      [CELL_P50] = {"p50", 9, PEN_PLAIN},
    [CELL_P99] = {"p99", 9, PEN_PLAIN},        [CELL_ACCEPTED] = {"accepted", 11, PEN_GOOD},
    [CELL_REFUSED] = {"refused", 9, PEN_WARN}, [CELL_FAILED] = {"failed", 8, PEN_BAD},
    [CELL_UNKNOWN] = {"unknown", 9, PEN_WARN}, [CELL_UNSENT] = {"unsent", 8, PEN_WARN},
    [CELL_OPEN] = {"open", 6, PEN_DIM},
};
_Static_assert(ARRAY_SIZE(cells) == CELL_COUNT, "a row for each cell");

static const enum pen_style tone_styles[] = {
    [LIVE_PLAIN] = PEN_PLAIN, [LIVE_GOOD] = PEN_GOOD, [LIVE_WARN] = PEN_WARN,
    [LIVE_BAD] = PEN_BAD,     [LIVE_DIM] = PEN_DIM,
};

static void next_second(struct live_view *v, const struct live_status *status)
{
    for (int i = 0; i < status->loads_n && i < LIVE_LOADS; i++) {
        memmove(v->rates[i], v->rates[i] + 1, sizeof v->rates[i] - sizeof v->rates[i][0]);
        v->rates[i][LIVE_HISTORY - 1] = (float)status->loads[i].rate_per_s;
    }
    v->history_n += v->history_n < LIVE_HISTORY;
}

void live_view_note(struct live_view *v, const struct live_status *status)
{
    char phase[sizeof v->phase];
    snprintf(phase, sizeof phase, "%s", status->phase);
    if (strcmp(phase, v->phase) != 0) {
        memcpy(v->phase, phase, sizeof phase);
        v->phase_start_ns = status->t_ns;
    }
    if (status->t_ns < v->next_second_ns)
        return;
    next_second(v, status);
    v->next_second_ns = status->t_ns + NS_PER_S;
}

static void phase_bar(struct pen *p, int64_t past_ns, int64_t all_ns)
{
    int columns = p->width - 50; /* what the words around it need */
    columns = columns < 8 ? 8 : columns > BAR_COLUMNS ? BAR_COLUMNS : columns;
    int done = all_ns > 0 ? (int)(past_ns * columns / all_ns) : columns;
    done = done < 0 ? 0 : done > columns ? columns : done;
    pen_repeat(p, PEN_ACCENT, pen_glyph(p, "━", "#"), done);
    pen_repeat(p, PEN_DIM, pen_glyph(p, "─", "-"), columns - done);
}

static void phase_line(struct pen *p, const struct live_view *v, const struct live_status *status)
{
    char a[FIGURES_BYTES], b[FIGURES_BYTES];
    int64_t past = status->t_ns - v->phase_start_ns, left = status->phase_left_ns;
    pen_add(p, PEN_PLAIN, " ");
    pen_add(p, PEN_BOLD, "%s", status->phase);
    pen_pad(p, NAME_COLUMNS);
    pen_add(p, PEN_PLAIN, " ");
    if (left >= 0) {
        phase_bar(p, past, past + left);
        pen_add(p, PEN_PLAIN, "  %s", figures_clock(left, a, sizeof a));
        pen_add(p, PEN_DIM, " left of %s", figures_clock(past + left, b, sizeof b));
    } else {
        pen_add(p, PEN_DIM, "for %s", figures_clock(past, a, sizeof a));
    }
    figures_clock(status->t_ns, a, sizeof a);
    if (p->column + 8 + (int)strlen(a) <= p->width)
        pen_right(p, PEN_DIM, p->width - p->column, "run %s", a);
    pen_line(p);
}

struct table {
    bool show[CELL_COUNT];
    int curve; /* columns of the rate's curve, 0 = none */
};

static int table_columns(const struct table *t)
{
    int columns = NAME_COLUMNS;
    for (int i = 0; i < CELL_COUNT; i++)
        columns += t->show[i] ? cells[i].columns : 0;
    return columns;
}

/* On a narrow terminal the counts stay longest: they are what the verdict will be about. */
static void table_plan(const struct live_status *status, int width, struct table *ret)
{
    static const enum cell drops[] = {CELL_OPEN,    CELL_UNSENT, CELL_P50,     CELL_P99,
                                      CELL_UNKNOWN, CELL_FAILED, CELL_REFUSED, CELL_ACCEPTED};
    bool unsent = false;
    for (int i = 0; i < CELL_COUNT; i++)
        ret->show[i] = true;
    for (int i = 0; i < status->loads_n; i++)
        unsent = unsent || status->loads[i].unsent > 0;
    for (size_t i = 0; i < ARRAY_SIZE(drops) && table_columns(ret) > width; i++)
        ret->show[drops[i]] = false;
    for (size_t i = 0; i < 2 && table_columns(ret) + 2 + CURVE_LEAST > width; i++)
        if (drops[i] != CELL_UNSENT || !unsent)
            ret->show[drops[i]] = false;
    int rest = width - table_columns(ret) - 2;
    ret->curve = rest > LIVE_HISTORY ? LIVE_HISTORY : rest >= CURVE_LEAST ? rest : 0;
}

static void table_head(struct pen *p, const struct table *t)
{
    pen_pad(p, NAME_COLUMNS);
    for (int i = 0; i < CELL_COUNT; i++) {
        if (!t->show[i])
            continue;
        pen_right(p, PEN_DIM, cells[i].columns, "%s", cells[i].title);
        if (i == CELL_RATE && t->curve) {
            pen_add(p, PEN_DIM, "  last %d s", t->curve);
            pen_pad(p, NAME_COLUMNS + cells[0].columns + 2 + t->curve);
        }
    }
    pen_line(p);
}

static void load_curve(struct pen *p, const float *rates, int history_n, int columns)
{
    int n = history_n < columns ? history_n : columns;
    float max = 0;
    for (int i = 0; i < LIVE_HISTORY; i++)
        max = rates[i] > max ? rates[i] : max;
    pen_repeat(p, PEN_PLAIN, " ", 2 + columns - n);
    for (int i = LIVE_HISTORY - n; i < LIVE_HISTORY; i++)
        pen_add(p, PEN_ACCENT, "%s", figures_block((double)rates[i], (double)max, p->ascii));
}

static void load_cell(struct pen *p, enum cell cell, const struct live_load *l)
{
    char text[FIGURES_BYTES];
    uint64_t count = 0;
    switch (cell) {
    case CELL_RATE:
        pen_right(p, PEN_BOLD, cells[cell].columns, "%s",
                  figures_rate(l->rate_per_s, text, sizeof text));
        return;
    case CELL_P50:
    case CELL_P99:
        figures_latency(cell == CELL_P50 ? l->p50_ns : l->p99_ns, text, sizeof text);
        pen_right(p, PEN_PLAIN, cells[cell].columns, "%s", text);
        return;
    case CELL_ACCEPTED: count = l->accepted; break;
    case CELL_REFUSED: count = l->refused; break;
    case CELL_FAILED: count = l->failed; break;
    case CELL_UNKNOWN: count = l->unknown; break;
    case CELL_UNSENT: count = l->unsent; break;
    case CELL_OPEN: count = l->open; break;
    case CELL_COUNT: break;
    }
    pen_right(p, count ? cells[cell].style : PEN_DIM, cells[cell].columns, "%s",
              figures_count(count, text, sizeof text));
}

static void load_line(struct pen *p, const struct live_load *l, const float *rates, int history_n,
                      const struct table *t)
{
    int name = pen_columns(l->name);
    pen_add(p, PEN_PLAIN, " ");
    if (name > NAME_COLUMNS - 2) { /* a long name gives way, the figures do not */
        struct buf cut = {0};
        struct pen inner;
        pen_init(&inner, &cut, NAME_COLUMNS - 2, false, p->ascii);
        pen_add(&inner, PEN_PLAIN, "%s", l->name);
        pen_add(p, PEN_BOLD, "%s", buf_str(&cut));
        buf_done(&cut);
    } else {
        pen_add(p, PEN_BOLD, "%s", l->name);
    }
    pen_pad(p, NAME_COLUMNS);
    for (int i = 0; i < CELL_COUNT; i++) {
        if (t->show[i])
            load_cell(p, (enum cell)i, l);
        if (i == CELL_RATE && t->curve)
            load_curve(p, rates, history_n, t->curve);
    }
    pen_line(p);
}

static void service_lines(struct pen *p, const struct live_status *status)
{
    int lines = 0;
    if (status->services_n == 0)
        return;
    pen_add(p, PEN_PLAIN, " lab");
    pen_pad(p, NAME_COLUMNS);
    for (int i = 0; i < status->services_n; i++) {
        const struct live_service *s = &status->services[i];
        int need = 5 + pen_columns(s->name) + pen_columns(s->state);
        if (p->column + need > p->width && p->column > NAME_COLUMNS) {
            if (++lines == LIVE_SERVICE_LINES)
                break;
            pen_line(p);
            pen_pad(p, NAME_COLUMNS);
        }
        pen_add(p, PEN_PLAIN, " ");
        pen_add(p, s->good ? PEN_GOOD : PEN_BAD, "%s",
                s->good ? pen_glyph(p, "●", "+") : pen_glyph(p, "○", "!"));
        pen_add(p, PEN_PLAIN, " %s ", s->name);
        pen_add(p, s->good ? PEN_DIM : PEN_BAD, "%s", s->state);
        pen_add(p, PEN_PLAIN, " ");
    }
    pen_line(p);
}

static void cut_lines(struct buf *out, size_t start, int lines)
{
    for (size_t i = start; i < out->n; i++)
        if (out->p[i] == '\n' && --lines == 0) {
            out->n = i + 1;
            out->p[out->n] = '\0';
            return;
        }
}

void live_view_block(const struct live_view *v, const struct live_status *status,
                     const struct live_look *look, struct buf *out)
{
    struct pen p;
    struct table table;
    int width = look->width < 20 ? 20 : look->width;
    size_t start = out->n;
    table_plan(status, width - 1, &table);
    pen_init(&p, out, width - 1, look->colour, look->ascii); /* the last column would wrap */
    pen_repeat(&p, PEN_DIM, pen_glyph(&p, "─", "-"), width - 1);
    pen_line(&p);
    phase_line(&p, v, status);
    if (status->loads_n > 0)
        table_head(&p, &table);
    for (int i = 0; i < status->loads_n && i < LIVE_LOADS; i++)
        load_line(&p, &status->loads[i], v->rates[i], v->history_n, &table);
    service_lines(&p, status);
    if (look->height > 1)
        cut_lines(out, start, look->height - 1);
}

void live_view_event(const struct live_look *look, int64_t t_ns, enum live_tone tone,
                     const char *area, const char *text, struct buf *out)
{
    static const char *const marks[] = {[LIVE_PLAIN] = " ",
                                        [LIVE_GOOD] = "✓",
                                        [LIVE_WARN] = "!",
                                        [LIVE_BAD] = "✗",
                                        [LIVE_DIM] = " "};
    static const char *const plain_marks[] = {[LIVE_PLAIN] = " ",
                                              [LIVE_GOOD] = "+",
                                              [LIVE_WARN] = "!",
                                              [LIVE_BAD] = "x",
                                              [LIVE_DIM] = " "};
    char clock[FIGURES_BYTES];
    struct pen p;
    int width = look->wrap && look->width > 2 * TEXT_COLUMN ? look->width - 1 : 0;
    pen_init(&p, out, width, look->colour, look->ascii);
    pen_right(&p, PEN_DIM, 8, "%s", figures_clock(t_ns, clock, sizeof clock));
    pen_add(&p, tone_styles[tone], " %s", look->ascii ? plain_marks[tone] : marks[tone]);
    pen_pad(&p, AREA_COLUMN);
    pen_add(&p, tone == LIVE_PLAIN ? PEN_ACCENT : tone_styles[tone], " %s", area);
    pen_pad(&p, TEXT_COLUMN - 1);
    pen_add(&p, PEN_PLAIN, " ");
    pen_wrap(&p, tone_styles[tone], TEXT_COLUMN, text);
    pen_line(&p);
}

static void plain_load(struct pen *p, const struct live_load *l)
{
    static const char *const names[] = {"accepted", "refused", "failed", "unknown", "unsent"};
    const uint64_t counts[] = {l->accepted, l->refused, l->failed, l->unknown, l->unsent};
    char a[FIGURES_BYTES], b[FIGURES_BYTES], c[FIGURES_BYTES];
    pen_add(p, PEN_PLAIN, " | %s %s", l->name, figures_rate(l->rate_per_s, a, sizeof a));
    if (l->p99_ns >= 0)
        pen_add(p, PEN_PLAIN, " p50 %s p99 %s", figures_latency(l->p50_ns, b, sizeof b),
                figures_latency(l->p99_ns, c, sizeof c));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (i == 0 || counts[i] > 0)
            pen_add(p, PEN_PLAIN, "%s %s %s", i ? "," : ":", figures_count(counts[i], a, sizeof a),
                    names[i]);
}

void live_view_plain(const struct live_status *status, const struct live_look *look,
                     struct buf *out)
{
    char clock[FIGURES_BYTES], left[FIGURES_BYTES];
    struct pen p;
    bool first = true;
    pen_init(&p, out, 0, false, look->ascii);
    pen_right(&p, PEN_PLAIN, 8, "%s", figures_clock(status->t_ns, clock, sizeof clock));
    pen_add(&p, PEN_PLAIN, "   status");
    pen_pad(&p, TEXT_COLUMN);
    pen_add(&p, PEN_PLAIN, "%s", status->phase);
    if (status->phase_left_ns >= 0)
        pen_add(&p, PEN_PLAIN, ", %s left",
                figures_clock(status->phase_left_ns, left, sizeof left));
    for (int i = 0; i < status->loads_n; i++)
        plain_load(&p, &status->loads[i]);
    for (int i = 0; i < status->services_n; i++)
        if (!status->services[i].good) {
            pen_add(&p, PEN_PLAIN, "%s %s %s", first ? " | not ready:" : ",",
                    status->services[i].name, status->services[i].state);
            first = false;
        }
    pen_line(&p);
}
