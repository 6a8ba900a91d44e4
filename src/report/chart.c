#include "report/chart.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/figures.h"

#define LATENCY_ROWS 6
#define ERROR_ROWS   2
#define STRETCH_MAX  3
#define LABEL_SPACE  10 /* columns from one time label to the next, at least */
#define STEPS        8  /* heights within one character */

/* The fill of one character cell: level 0..STEPS. */
static const char *cell(const struct pen *p, int level)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ".", ":", ":", "|", "|", "#", "#"};
    level = level < 0 ? 0 : level > STEPS ? STEPS : level;
    return p->ascii ? plain[level] : blocks[level];
}

static void axis(struct pen *p, const char *label)
{
    pen_right(p, PEN_DIM, CHART_LEFT - 2, "%s", label);
    pen_add(p, PEN_DIM, " %s", pen_glyph(p, label[0] ? "┤" : "│", "|"));
}

static int phase_of(const struct gather_run *run, size_t bucket)
{
    int64_t middle = ((int64_t)bucket * run->bucket_s * 2 + run->bucket_s) * NS_PER_S / 2;
    return gather_phase_at(run, middle);
}

static enum pen_style column_style(const struct gather_run *run, size_t bucket)
{
    return gather_is_fault(run, phase_of(run, bucket)) ? PEN_BAD : PEN_ACCENT;
}

/* How many characters one bucket is wide: a short run fills the line too. */
static int stretch(const struct gather_run *run)
{
    int n = GATHER_BUCKETS / (int)run->buckets_n;
    return n < 1 ? 1 : n > STRETCH_MAX ? STRETCH_MAX : n;
}

struct scale {
    double low, high; /* log10 of ns */
};

static bool latency_scale(const struct gather_run *run, const struct gather_load *load,
                          struct scale *ret)
{
    int64_t min = INT64_MAX, max = 0;
    for (size_t i = 0; i < run->buckets_n; i++) {
        int64_t v = load->buckets[i].p99_ns;
        if (v < 0)
            continue;
        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    if (max == 0)
        return false;
    ret->low = floor(log10((double)(min > 1000 ? min : 1000)) * 2) / 2 - 0.25;
    ret->high = log10((double)max);
    if (ret->high - ret->low < 1)
        ret->high = ret->low + 1;
    return true;
}

static void latency_label(const struct scale *s, int row, char *buf, size_t cap)
{
    double share = row == LATENCY_ROWS - 1 ? 1 : ((double)row + 0.5) / LATENCY_ROWS;
    buf[0] = '\0';
    if (row == LATENCY_ROWS - 1 || row == LATENCY_ROWS / 2 || row == 0)
        figures_latency((int64_t)pow(10, s->low + share * (s->high - s->low)), buf, cap);
}

static void latency_rows(struct pen *p, const struct gather_run *run,
                         const struct gather_load *load, const struct scale *s)
{
    for (int row = LATENCY_ROWS - 1; row >= 0; row--) {
        char label[FIGURES_BYTES];
        latency_label(s, row, label, sizeof label);
        axis(p, label);
        for (size_t i = 0; i < run->buckets_n; i++) {
            int64_t v = load->buckets[i].p99_ns;
            double share =
                v < 0 ? 0 : (log10((double)(v > 0 ? v : 1)) - s->low) / (s->high - s->low);
            int level = v < 0 ? 0 : (int)lround(share * LATENCY_ROWS * STEPS);
            level = v >= 0 && level < 1 ? 1 : level;
            pen_repeat(p, column_style(run, i), cell(p, level - row * STEPS), stretch(run));
        }
        pen_line(p);
    }
}

static void error_rows(struct pen *p, const struct gather_run *run, const struct gather_load *load)
{
    for (int row = ERROR_ROWS - 1; row >= 0; row--) {
        axis(p, row == ERROR_ROWS - 1 ? "100 %" : "0 %");
        for (size_t i = 0; i < run->buckets_n; i++) {
            double share = gather_error_share(load->buckets[i].fates);
            int level = isnan(share) ? 0 : (int)lround(share * ERROR_ROWS * STEPS);
            level = share > 0 && level < 1 ? 1 : level; /* one error in a million is not none */
            pen_repeat(p, PEN_WARN, cell(p, level - row * STEPS), stretch(run));
        }
        pen_line(p);
    }
}

/* A rule below the columns: thick under a fault, with each phase's name where there is room. */
static void phase_row(struct pen *p, const struct gather_run *run)
{
    pen_pad(p, CHART_LEFT);
    for (size_t i = 0; i < run->buckets_n;) {
        int phase = phase_of(run, i);
        size_t n = 1;
        while (i + n < run->buckets_n && phase_of(run, i + n) == phase)
            n++;
        const char *name = phase >= 0 ? run->phases[phase].name : "";
        bool fault = gather_is_fault(run, phase);
        enum pen_style style = fault ? PEN_BAD : PEN_DIM;
        const char *rule = fault ? pen_glyph(p, "━", "#") : pen_glyph(p, "─", "-");
        int room = (int)n * stretch(run) - 1,
            width = pen_columns(name); /* one rule before the name */
        pen_repeat(p, style, rule, 1);
        if (width > 0 && width <= room) {
            pen_add(p, style, "%s", name);
            room -= width;
        }
        pen_repeat(p, style, rule, room);
        i += n;
    }
    pen_line(p);
}

static void time_row(struct pen *p, const struct gather_run *run)
{
    size_t step = 5;
    while ((int)step * stretch(run) < LABEL_SPACE)
        step += 5;
    for (size_t i = 0; i < run->buckets_n; i += step) {
        pen_pad(p, CHART_LEFT + (int)i * stretch(run));
        pen_add(p, PEN_DIM, "%llds", (long long)((int64_t)i * run->bucket_s));
    }
    pen_line(p);
}

void chart_load(struct pen *p, const struct gather_run *run, const struct gather_load *load)
{
    struct scale s;
    if (run->buckets_n == 0)
        return;
    pen_add(p, PEN_DIM,
            "  p99 latency, log scale, in steps of %lld s; below it the share of errors",
            (long long)run->bucket_s);
    pen_line(p);
    if (latency_scale(run, load, &s))
        latency_rows(p, run, load, &s);
    else
        pen_add(p, PEN_DIM, "  no answer at all"), pen_line(p);
    error_rows(p, run, load);
    phase_row(p, run);
    time_row(p, run);
}
