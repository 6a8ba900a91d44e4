#include "report/pen.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "report/escape.h"

static const char *const style_codes[] = {
    [PEN_PLAIN] = "",  [PEN_BOLD] = "1", [PEN_DIM] = "2",     [PEN_GOOD] = "32",
    [PEN_WARN] = "33", [PEN_BAD] = "31", [PEN_ACCENT] = "36",
};
_Static_assert(ARRAY_SIZE(style_codes) == PEN_STYLE_COUNT, "a code for each style");

void pen_init(struct pen *p, struct buf *out, int width, bool colour, bool ascii)
{
    *p = (struct pen){.out = out, .colour = colour, .ascii = ascii, .width = width};
}

const char *pen_glyph(const struct pen *p, const char *unicode, const char *ascii)
{
    return p->ascii ? ascii : unicode;
}

static int columns_of(const char *s, size_t n)
{
    int columns = 0;
    for (size_t i = 0; i < n;) {
        uint32_t point = 0;
        size_t len = utf8_take(s + i, n - i, &point);
        columns += len ? escape_columns(point) : 1;
        i += len ? len : 1;
    }
    return columns;
}

/* As many bytes of s as fit in `room` columns. */
static size_t fitting(const char *s, size_t n, int room)
{
    size_t i = 0;
    while (i < n) {
        uint32_t point = 0;
        size_t len = utf8_take(s + i, n - i, &point);
        int wide = len ? escape_columns(point) : 1;
        if (wide > room)
            break;
        room -= wide;
        i += len ? len : 1;
    }
    return i;
}

/* Only on a change, and not for spaces, which look the same in every style. */
static void set_style(struct pen *p, enum pen_style style)
{
    if (!p->colour || p->open == style)
        return;
    if (p->open != PEN_PLAIN)
        buf_add_str(p->out, "\033[0m");
    if (style != PEN_PLAIN)
        buf_printf(p->out, "\033[%sm", style_codes[style]);
    p->open = style;
}

/* s is already escaped. */
static void write_styled(struct pen *p, enum pen_style style, const char *s, size_t n)
{
    int columns = columns_of(s, n);
    if (p->cut || n == 0)
        return;
    p->cut = p->width > 0 && p->column + columns > p->width;
    if (p->cut && p->column == p->width)
        return; /* full to the last column: not even room to say so */
    if (p->cut)
        n = fitting(s, n, p->width - 1 - p->column);
    if (strspn(s, " ") < n)
        set_style(p, style);
    buf_add(p->out, s, n);
    if (p->cut)
        buf_add_str(p->out, pen_glyph(p, "…", "~"));
    p->column = p->cut ? p->width : p->column + columns;
}

static void format(struct buf *ret, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void format(struct buf *ret, const char *fmt, va_list ap)
{
    struct buf raw = {0};
    buf_vprintf(&raw, fmt, ap);
    escape_terminal(ret, buf_str(&raw), raw.n);
    buf_done(&raw);
}

void pen_add(struct pen *p, enum pen_style style, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    format(&text, fmt, ap);
    va_end(ap);
    write_styled(p, style, buf_str(&text), text.n);
    buf_done(&text);
}

void pen_right(struct pen *p, enum pen_style style, int columns, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    format(&text, fmt, ap);
    va_end(ap);
    int need = columns_of(buf_str(&text), text.n);
    pen_repeat(p, PEN_PLAIN, " ", columns - need);
    write_styled(p, style, buf_str(&text), text.n);
    buf_done(&text);
}

void pen_pad(struct pen *p, int column)
{
    pen_repeat(p, PEN_PLAIN, " ", column - p->column);
}

void pen_repeat(struct pen *p, enum pen_style style, const char *glyph, int n)
{
    struct buf text = {0};
    for (int i = 0; i < n; i++)
        buf_add_str(&text, glyph);
    write_styled(p, style, buf_str(&text), text.n);
    buf_done(&text);
}

void pen_line(struct pen *p)
{
    while (p->out->n && p->out->p[p->out->n - 1] == ' ')
        p->out->n--; /* what only pads is not written */
    set_style(p, PEN_PLAIN);
    buf_add_char(p->out, '\n');
    p->column = 0;
    p->cut = false;
}

int pen_columns(const char *text)
{
    struct buf safe = {0};
    escape_terminal(&safe, text, strlen(text));
    int columns = columns_of(buf_str(&safe), safe.n);
    buf_done(&safe);
    return columns;
}

static void next_line(struct pen *p, int indent)
{
    pen_line(p);
    pen_pad(p, indent);
}

/* A word that is longer than a whole line is broken wherever the line ends. */
static void write_word(struct pen *p, enum pen_style style, int indent, struct str word)
{
    while (p->width > 0 && p->column + columns_of(word.p, word.n) > p->width &&
           p->width > indent + 2) {
        size_t n = fitting(word.p, word.n, p->width - p->column);
        write_styled(p, style, word.p, n);
        word.p += n;
        word.n -= n;
        next_line(p, indent);
    }
    write_styled(p, style, word.p, word.n);
}

void pen_wrap(struct pen *p, enum pen_style style, int indent, const char *text)
{
    struct buf safe = {0};
    escape_terminal(&safe, text, strlen(text));
    struct str rest = {buf_str(&safe), safe.n};
    bool first = true;
    while (rest.n) {
        struct str word = str_split(&rest, ' ');
        int room = p->width - p->column - 1;
        if (!first && p->width > 0 && columns_of(word.p, word.n) > room && p->column > indent)
            next_line(p, indent);
        else if (!first)
            write_styled(p, style, " ", 1);
        write_word(p, style, indent, word);
        first = false;
    }
    buf_done(&safe);
}
