#include "plan/problems.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

#define SOURCE_LINE_SHOWN 160

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
}

void problems_done(struct problems *p)
{
    free(p->v);
    *p = (struct problems){0};
}

void problems_add_err(struct problems *p, const struct ysource *source, const struct err *err)
{
    assert(err->code < 0);
    p->all++;
    if (p->n == PROBLEMS_KEPT)
        return;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 8;
        p->v = xrealloc(p->v, p->cap, sizeof *p->v);
    }
    p->v[p->n] = (struct problem){.err = *err, .source = source, .sequence = p->n};
    p->n++;
}

void problems_hide(struct problems *p, const char *secret)
{
    /* shorter ones would hit ordinary words */
    if (strlen(secret) >= 3 && p->secrets_n < PROBLEMS_SECRETS)
        p->secrets[p->secrets_n++] = secret;
}

static void hide_secrets(const struct problems *p, char *msg)
{
    for (size_t i = 0; i < p->secrets_n; i++) {
        size_t n = strlen(p->secrets[i]);
        for (char *at = msg; (at = strstr(at, p->secrets[i]));) {
            memmove(at + 3, at + n, strlen(at + n) + 1);
            memcpy(at, "***", 3);
            at += 3;
        }
    }
}

static void add(struct problems *p, const struct ynode *at, size_t offset, const char *fmt,
                va_list ap) __attribute__((format(printf, 4, 0)));

static void add(struct problems *p, const struct ynode *at, size_t offset, const char *fmt,
                va_list ap)
{
    char msg[ERR_MSG_BYTES];
    int line, column;
    struct err err = {0};

    if (p->n == PROBLEMS_KEPT) { /* finding the place costs time */
        p->all++;
        return;
    }
    vsnprintf(msg, sizeof msg, fmt, ap);
    hide_secrets(p, msg);
    yaml_position(at, offset, &line, &column);
    err_at(&err, -EINVAL, at->file, line, column, "%s", msg);
    problems_add_err(p, at->source, &err);
}

void problems_add(struct problems *p, const struct ynode *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, at, 0, fmt, ap);
    va_end(ap);
}

void problems_add_inside(struct problems *p, const struct ynode *at, size_t offset, const char *fmt,
                         ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, at, offset, fmt, ap);
    va_end(ap);
}

static int by_place(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    int xo = x->source ? x->source->order : -1, yo = y->source ? y->source->order : -1;
    if (xo != yo)
        return xo < yo ? -1 : 1;
    if (x->err.line != y->err.line)
        return x->err.line < y->err.line ? -1 : 1;
    if (x->err.column != y->err.column)
        return x->err.column < y->err.column ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static struct str source_line(struct str text, int line)
{
    for (int at = 1; at < line && text.n; at++)
        (void)str_split(&text, '\n');
    struct str s = str_split(&text, '\n');
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

/* Up to n bytes of the line as a terminal may show them: what is no character or a control becomes
 * '?'. */
static void add_shown(struct buf *out, struct str line, size_t n)
{
    for (size_t i = 0; i < n && i < line.n;) {
        uint32_t point;
        size_t len = utf8_take(line.p + i, line.n - i, &point);
        bool shown = len > 0 && (point >= 0x20 || point == '\t') && (point < 0x7f || point >= 0xa0);
        buf_add(out, shown ? line.p + i : "?", shown ? len : 1);
        i += len ? len : 1;
    }
}

/* The source line and a caret under the column; a long line is cut around the column. Tabs are
 * repeated before the caret, so that it stands under its character in any terminal. */
static void add_caret(struct buf *out, struct str line, int column)
{
    size_t at = (size_t)(column > 0 ? column - 1 : 0), from = 0;
    if (at > line.n)
        at = line.n;
    if (at > SOURCE_LINE_SHOWN * 3 / 4)
        from = at - SOURCE_LINE_SHOWN / 2;
    for (int back = 0; back < 3 && from > 0 && ((unsigned char)line.p[from] & 0xc0) == 0x80; back++)
        from--;
    struct str rest = {line.p + from, line.n - from};
    buf_add_str(out, "    ");
    buf_add_str(out, from ? "..." : "");
    add_shown(out, rest, SOURCE_LINE_SHOWN);
    buf_add_str(out, rest.n > SOURCE_LINE_SHOWN ? "...\n    " : "\n    ");
    buf_add_str(out, from ? "   " : "");
    for (size_t i = 0; i < at - from;) {
        size_t len = utf8_take(rest.p + i, rest.n - i, NULL);
        buf_add_char(out, rest.p[i] == '\t' ? '\t' : ' ');
        i += len ? len : 1;
    }
    buf_add_str(out, "^\n");
}

static void add_text(struct buf *out, const struct problem *p)
{
    if (p->err.file[0] && p->err.line > 0)
        buf_printf(out, "%s:%d:%d: error: %s\n", p->err.file, p->err.line, p->err.column,
                   p->err.msg);
    else
        buf_printf(out, "%s%serror: %s\n", p->err.file, p->err.file[0] ? ": " : "", p->err.msg);
    if (p->source && p->err.line > 0)
        add_caret(out, source_line(p->source->text, p->err.line), p->err.column);
}

int problems_finish(struct problems *p, struct plan_errors *ret)
{
    *ret = (struct plan_errors){0};
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_place);
    for (size_t i = 0; i < p->n && i < PROBLEMS_SHOWN; i++) {
        if (ret->n == ret->cap) {
            ret->cap = ret->cap ? ret->cap * 2 : 8;
            ret->v = xrealloc(ret->v, ret->cap, sizeof *ret->v);
        }
        ret->v[ret->n++] = p->v[i].err;
        add_text(&ret->text, &p->v[i]);
    }
    if (p->all > PROBLEMS_SHOWN)
        buf_printf(&ret->text, "... and %zu more\n", p->all - PROBLEMS_SHOWN);
    problems_done(p);
    return ret->n ? -EINVAL : 0;
}

void plan_errors_done(struct plan_errors *errors)
{
    free(errors->v);
    buf_done(&errors->text);
    *errors = (struct plan_errors){0};
}
