#include "observe/promtext.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

#define NUMBER_BYTES 64

static const char *const type_names[] = {
    "counter", "gauge", "histogram", "summary",        "untyped",
    "unknown", "info",  "stateset",  "gaugehistogram",
};

/* One line and where the parser is in it. */
struct line {
    const char *p;
    size_t n, at;
    int number;
    struct err *err;
    size_t scratch_n;
    char scratch[PROMTEXT_LINE_BYTES]; /* label values, unescaped: never longer than the line */
};

static int bad(struct line *l, const char *what)
{
    return err_at(l->err, -EINVAL, NULL, l->number, (int)l->at + 1,
                  "metrics line %d, column %zu: %s", l->number, l->at + 1, what);
}

static void skip_blanks(struct line *l)
{
    while (l->at < l->n && (l->p[l->at] == ' ' || l->p[l->at] == '\t'))
        l->at++;
}

static bool at_end(const struct line *l)
{
    return l->at == l->n;
}

static struct str take_name(struct line *l, bool colons)
{
    size_t start = l->at;
    for (; l->at < l->n; l->at++) {
        unsigned char b = (unsigned char)l->p[l->at];
        if (!isalpha(b) && b != '_' && !(b == ':' && colons) && !(isdigit(b) && l->at > start))
            break;
    }
    return (struct str){l->p + start, l->at - start};
}

static struct str take_word(struct line *l)
{
    size_t start = l->at;
    while (l->at < l->n && l->p[l->at] != ' ' && l->p[l->at] != '\t')
        l->at++;
    return (struct str){l->p + start, l->at - start};
}

static int take_escape(struct line *l)
{
    char c = l->at + 1 < l->n ? l->p[l->at + 1] : '\0';
    if (c != '\\' && c != '"' && c != 'n')
        return bad(l, "only \\\\, \\\" and \\n are escapes in a label value");
    l->scratch[l->scratch_n++] = c == 'n' ? '\n' : c;
    l->at += 2;
    return 0;
}

static int take_value_text(struct line *l, struct str *ret)
{
    size_t start = l->scratch_n;
    if (at_end(l) || l->p[l->at] != '"')
        return bad(l, "a label value starts with a double quote");
    l->at++;
    while (!at_end(l) && l->p[l->at] != '"') {
        if (l->p[l->at] == '\\') {
            int r = take_escape(l);
            if (r < 0)
                return r;
            continue;
        }
        size_t len = utf8_take(l->p + l->at, l->n - l->at, NULL);
        if (len == 0 || l->p[l->at] == '\0')
            return bad(l, "a label value is not UTF-8 text");
        memcpy(l->scratch + l->scratch_n, l->p + l->at, len);
        l->scratch_n += len;
        l->at += len;
    }
    if (at_end(l))
        return bad(l, "a label value has no closing quote");
    l->at++;
    *ret = (struct str){l->scratch + start, l->scratch_n - start};
    return 0;
}

static int take_label(struct line *l, struct series_label *labels, size_t *n)
{
    struct series_label *new = &labels[*n];
    if (*n == SERIES_LABELS)
        return bad(l, "too many labels");
    new->name = take_name(l, false);
    if (new->name.n == 0)
        return bad(l, "a label name is expected");
    if (str_eq(new->name, STR("__name__")))
        return bad(l, "__name__ is not a label of its own");
    for (size_t i = 0; i < *n; i++)
        if (str_eq(labels[i].name, new->name))
            return bad(l, "the label is there twice");
    skip_blanks(l);
    if (at_end(l) || l->p[l->at] != '=')
        return bad(l, "'=' is expected after a label name");
    l->at++;
    skip_blanks(l);
    int r = take_value_text(l, &new->value);
    if (r == 0)
        ++*n;
    return r;
}

static int take_labels(struct line *l, struct series_label *labels, size_t *n)
{
    *n = 0;
    if (at_end(l) || l->p[l->at] != '{')
        return 0;
    l->at++;
    for (;;) {
        skip_blanks(l);
        if (!at_end(l) && l->p[l->at] == '}')
            break;
        int r = take_label(l, labels, n);
        if (r < 0)
            return r;
        skip_blanks(l);
        if (at_end(l) || (l->p[l->at] != ',' && l->p[l->at] != '}'))
            return bad(l, "',' or '}' is expected after a label");
        if (l->p[l->at] == '}')
            break;
        l->at++;
    }
    l->at++;
    return 0;
}

static bool special_value(struct str word, double *ret)
{
    double sign = 1;
    if (str_case_eq(word, STR("nan"))) {
        *ret = NAN;
        return true;
    }
    if (word.n && (word.p[0] == '+' || word.p[0] == '-')) {
        sign = word.p[0] == '-' ? -1 : 1;
        word.p++, word.n--;
    }
    if (!str_case_eq(word, STR("inf")) && !str_case_eq(word, STR("infinity")))
        return false;
    *ret = sign * (double)INFINITY;
    return true;
}

/* A decimal number as Go and C both read it; a number too large for a double is refused. */
static bool decimal_value(struct str word, double *ret)
{
    char copy[NUMBER_BYTES], *end;
    if (word.n == 0 || word.n >= sizeof copy)
        return false;
    for (size_t i = 0; i < word.n; i++)
        if (!isdigit((unsigned char)word.p[i]) && !strchr("+-.eE", word.p[i]))
            return false;
    memcpy(copy, word.p, word.n);
    copy[word.n] = '\0';
    *ret = strtod(copy, &end);
    return end != copy && *end == '\0' && isfinite(*ret);
}

static int take_number(struct line *l, bool specials, const char *what, double *ret)
{
    size_t start = l->at;
    struct str word = take_word(l);
    if (decimal_value(word, ret) || (specials && special_value(word, ret)))
        return 0;
    l->at = start;
    return bad(l, what);
}

/* Behind the value: a timestamp (checked, not used), an exemplar (cut), or nothing. */
static int take_tail(struct line *l)
{
    double ignored;
    skip_blanks(l);
    if (!at_end(l) && l->p[l->at] != '#') {
        int r = take_number(l, false, "the timestamp is not a number", &ignored);
        if (r < 0)
            return r;
        skip_blanks(l);
    }
    if (at_end(l))
        return 0;
    if (l->p[l->at] != '#')
        return bad(l, "text after the timestamp");
    l->at++;
    skip_blanks(l);
    return !at_end(l) && l->p[l->at] == '{' ? 0 : bad(l, "an exemplar starts with '# {'");
}

static int sample_line(struct line *l, promtext_fn *fn, void *ctx)
{
    struct series_label labels[SERIES_LABELS];
    size_t labels_n;
    double value;
    struct str name = take_name(l, true);
    if (name.n == 0)
        return bad(l, "a metric name is expected");
    skip_blanks(l);
    int r = take_labels(l, labels, &labels_n);
    if (r < 0)
        return r;
    skip_blanks(l);
    r = take_number(l, true, "the value is not a number", &value);
    if (r == 0)
        r = take_tail(l);
    if (r == 0 && fn)
        fn(ctx, name, labels, labels_n, value);
    return r;
}

static bool known_type(struct str word)
{
    for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
        if (str_eq(word, str_of(type_names[i])))
            return true;
    return false;
}

/* HELP, TYPE, UNIT and EOF have a form; any other comment is free text. */
static int comment_line(struct line *l, bool *eof)
{
    l->at++;
    skip_blanks(l);
    struct str word = take_word(l);
    bool type = str_eq(word, STR("TYPE"));
    if (str_eq(word, STR("EOF"))) {
        skip_blanks(l);
        *eof = true;
        return at_end(l) ? 0 : bad(l, "text after # EOF");
    }
    if (!type && !str_eq(word, STR("HELP")) && !str_eq(word, STR("UNIT")))
        return 0;
    skip_blanks(l);
    if (take_name(l, true).n == 0)
        return bad(l, "a metric name is expected");
    if (!at_end(l) && l->p[l->at] != ' ' && l->p[l->at] != '\t')
        return bad(l, "a metric name has a character that is not allowed");
    skip_blanks(l);
    if (!type)
        return 0;
    size_t start = l->at;
    word = take_word(l);
    skip_blanks(l);
    if (at_end(l) && known_type(word))
        return 0;
    l->at = start;
    return bad(l, "an unknown metric type");
}

static int parse_line(struct line *l, bool *eof, promtext_fn *fn, void *ctx)
{
    skip_blanks(l);
    if (at_end(l))
        return 0;
    return l->p[l->at] == '#' ? comment_line(l, eof) : sample_line(l, fn, ctx);
}

int promtext_parse(const char *text, size_t n, promtext_fn *fn, void *ctx, struct err *err)
{
    struct line l;
    bool eof = false;
    l.err = err;
    l.number = 0;
    for (size_t at = 0; at < n; at += l.n + 1) {
        const char *end = memchr(text + at, '\n', n - at);
        l.p = text + at;
        l.n = end ? (size_t)(end - l.p) : n - at;
        l.at = l.scratch_n = 0;
        l.number++;
        if (l.n > PROMTEXT_LINE_BYTES)
            return bad(&l, "the line is too long");
        if (!end) {
            l.at = l.n;
            return bad(&l, "the last line is cut off: no line feed at its end");
        }
        if (eof)
            return bad(&l, "text after # EOF");
        int r = parse_line(&l, &eof, fn, ctx);
        if (r < 0)
            return r;
    }
    return 0;
}
