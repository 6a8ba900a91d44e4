#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "observe/series.h"

struct matcher {
    struct str label, value;
    bool equal;
};

struct series_selector {
    struct arena arena;
    struct str name; /* empty = any */
    struct matcher v[SERIES_LABELS];
    size_t n;
};

struct cursor {
    struct str text;
    size_t at;
};

static char peek(const struct cursor *c)
{
    return c->at < c->text.n ? c->text.p[c->at] : '\0';
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->text.n && strchr(" \t\n", c->text.p[c->at]))
        c->at++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at >= c->text.n || c->text.p[c->at] != wanted)
        return false;
    c->at++;
    return true;
}

static struct str take_name(struct cursor *c, bool colons)
{
    size_t start = c->at;
    while (c->at < c->text.n) {
        unsigned char b = (unsigned char)c->text.p[c->at];
        bool ok = isalpha(b) || b == '_' || (b == ':' && colons) || (isdigit(b) && c->at > start);
        if (!ok)
            break;
        c->at++;
    }
    return (struct str){c->text.p + start, c->at - start};
}

static int take_operator(struct cursor *c, bool *ret_equal)
{
    skip_blanks(c);
    char first = peek(c), second = c->at + 1 < c->text.n ? c->text.p[c->at + 1] : '\0';
    if ((first == '=' || first == '!') && second == '~')
        return -ENOTSUP;
    if (first == '!' && second == '=')
        c->at += 2;
    else if (first == '=')
        c->at++;
    else
        return -EINVAL;
    *ret_equal = first == '=';
    return 0;
}

static int unescape(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case '\\':
    case '"':
    case '\'': return c;
    default: return -1;
    }
}

static int take_quoted(struct cursor *c, struct arena *arena, struct str *ret)
{
    skip_blanks(c);
    char quote = peek(c);
    if (quote != '"' && quote != '\'')
        return -EINVAL;
    c->at++;
    char *out = arena_alloc(arena, c->text.n - c->at + 1);
    size_t n = 0;
    while (c->at < c->text.n && c->text.p[c->at] != quote) {
        char b = c->text.p[c->at];
        if (b == '\\') {
            int plain = c->at + 1 < c->text.n ? unescape(c->text.p[c->at + 1]) : -1;
            if (plain < 0)
                return -EINVAL;
            b = (char)plain;
            c->at++;
        }
        out[n++] = b;
        c->at++;
    }
    if (c->at == c->text.n)
        return -EINVAL;
    c->at++;
    *ret = (struct str){out, n};
    return 0;
}

static int take_matcher(struct cursor *c, struct series_selector *sel)
{
    skip_blanks(c);
    if (sel->n == SERIES_LABELS)
        return -EINVAL;
    struct matcher *m = &sel->v[sel->n];
    struct str name = take_name(c, false);
    if (name.n == 0)
        return -EINVAL;
    m->label = (struct str){arena_strndup(&sel->arena, name.p, name.n), name.n};
    int r = take_operator(c, &m->equal);
    if (r == 0)
        r = take_quoted(c, &sel->arena, &m->value);
    if (r == 0)
        sel->n++;
    return r;
}

static int take_matchers(struct cursor *c, struct series_selector *sel)
{
    if (!take(c, '{'))
        return 0;
    while (!take(c, '}')) {
        int r = take_matcher(c, sel);
        if (r < 0)
            return r;
        if (take(c, ','))
            continue;
        if (!take(c, '}'))
            return -EINVAL;
        break;
    }
    return 0;
}

/* Whether some matcher fails on an empty label: else it would select every series there is. */
static bool asks_something(const struct series_selector *sel)
{
    for (size_t i = 0; i < sel->n; i++)
        if (sel->v[i].equal != (sel->v[i].value.n == 0))
            return true;
    return sel->name.n > 0;
}

static int parse(struct cursor *c, struct series_selector *sel)
{
    if (c->text.n > SELECTOR_BYTES)
        return -EINVAL;
    skip_blanks(c);
    struct str name = take_name(c, true);
    sel->name = (struct str){arena_strndup(&sel->arena, name.p, name.n), name.n};
    int r = take_matchers(c, sel);
    if (r < 0)
        return r;
    skip_blanks(c);
    if (c->at < c->text.n)
        return -EINVAL;
    return asks_something(sel) ? 0 : -EINVAL;
}

int series_selector_parse(struct str text, struct series_selector **ret, size_t *ret_error_at)
{
    struct series_selector *sel = xmalloc(sizeof *sel);
    struct cursor c = {.text = text};
    arena_init(&sel->arena);
    int r = parse(&c, sel);
    if (r < 0) {
        *ret_error_at = c.at;
        series_selector_free(sel);
        return r;
    }
    *ret = sel;
    return 0;
}

void series_selector_free(struct series_selector *sel)
{
    if (!sel)
        return;
    arena_done(&sel->arena);
    free(sel);
}

static struct str label_value(const struct series *s, struct str name)
{
    if (str_eq(name, STR("__name__")))
        return str_of(s->name);
    for (size_t i = 0; i < s->labels_n; i++)
        if (str_eq(s->labels[i].name, name))
            return s->labels[i].value;
    return (struct str){"", 0};
}

bool series_selector_match(const struct series_selector *sel, const struct series *s)
{
    if (sel->name.n && !str_eq(sel->name, str_of(s->name)))
        return false;
    for (size_t i = 0; i < sel->n; i++)
        if (str_eq(label_value(s, sel->v[i].label), sel->v[i].value) != sel->v[i].equal)
            return false;
    return true;
}
