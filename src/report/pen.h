/*
 * pen.h - writes lines of styled text and knows in which column it is: for the live view and the
 * text report.
 *
 * Everything written through it is escaped for a terminal, so hostile text cannot act. With a
 * width, a line is cut there and ends in an ellipsis. Plain data over the caller's buf, nothing to
 * free.
 */
#pragma once
#include <stdbool.h>

#include "base/buf.h"

enum pen_style {
    PEN_PLAIN,
    PEN_BOLD,
    PEN_DIM,
    PEN_GOOD,
    PEN_WARN,
    PEN_BAD,
    PEN_ACCENT,
    PEN_STYLE_COUNT
};

struct pen {
    struct buf *out;
    bool colour;
    bool ascii;          /* no characters outside ASCII of our own */
    int width;           /* 0 = no limit */
    int column;          /* of the line being written, from 0 */
    bool cut;            /* the line is full: the rest of it is left out */
    enum pen_style open; /* what the terminal is set to */
};

void pen_init(struct pen *p, struct buf *out, int width, bool colour, bool ascii);
void pen_add(struct pen *p, enum pen_style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, right-aligned in so many columns. */
void pen_right(struct pen *p, enum pen_style style, int columns, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void pen_pad(struct pen *p, int column); /* spaces up to there; at least none */
void pen_repeat(struct pen *p, enum pen_style style, const char *glyph, int n);
void pen_line(struct pen *p); /* ends the line */
const char *pen_glyph(const struct pen *p, const char *unicode, const char *ascii);
/* Columns that text takes when it is escaped and written. */
int pen_columns(const char *text);
/* Writes text wrapped at spaces (in a word only when that is longer than a line); lines after the
 * first start at `indent`. Without a width, on one line. */
void pen_wrap(struct pen *p, enum pen_style style, int indent, const char *text);
