/*
 * live_view.h - what the live view looks like: pure functions from a status to text.
 *
 * Lifecycle: a struct live_view is plain data, zeroed at first; live_view_note takes in each status
 * (for the bar's full length and the rate curves), the render functions only read. Limits:
 * LIVE_LOADS loads and LIVE_SERVICE_LINES lines of services are shown.
 */
#pragma once
#include "base/buf.h"
#include "report/live.h"

#define LIVE_LOADS         16
#define LIVE_HISTORY       30 /* one rate a second */
#define LIVE_SERVICE_LINES 4
#define LIVE_BLOCK_LINES   (3 + LIVE_LOADS + LIVE_SERVICE_LINES)

struct live_look {
    int width, height; /* of the terminal; height 0 = no limit */
    bool colour, ascii;
    bool wrap; /* long events at words; else the terminal or the reader does */
};

struct live_view {
    char phase[64];
    int64_t phase_start_ns, next_second_ns;
    float rates[LIVE_LOADS][LIVE_HISTORY]; /* oldest first; the last history_n of them are filled */
    int history_n;
};

void live_view_note(struct live_view *v, const struct live_status *status);
/* The status block: lines that each end in a line feed; none is wider than the terminal. */
void live_view_block(const struct live_view *v, const struct live_status *status,
                     const struct live_look *look, struct buf *out);
/* One line that scrolls. */
void live_view_event(const struct live_look *look, int64_t t_ns, enum live_tone tone,
                     const char *area, const char *text, struct buf *out);
/* The status as one plain line. */
void live_view_plain(const struct live_status *status, const struct live_look *look,
                     struct buf *out);
