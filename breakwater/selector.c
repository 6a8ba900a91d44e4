#include "selector.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *p;
    struct buf *err;
};

static void skip_space(struct cursor *c)
{
    while (*c->p == ' ' || *c->p == '\t')
        c->p++;
}

static bool word_byte(char ch)
{
    return isalnum((unsigned char)ch) || ch == '.' || ch == '-' || ch == '_' || ch == '/';
}

static char *take_word(struct cursor *c)
{
    skip_space(c);
    size_t n = 0;
    while (word_byte(c->p[n]))
        n++;
    char *w = xstrndup(c->p, n);
    c->p += n;
    skip_space(c);
    return w;
}

static bool add_value(struct selector_req *r, char *v)
{
    if (r->n_values >= SELECTOR_VALUES_MAX) {
        free(v);
        return false;
    }
    r->values = xrealloc(r->values, (r->n_values + 1) * sizeof(*r->values));
    r->values[r->n_values++] = v;
    return true;
}

static int fail(struct cursor *c, const char *what)
{
    buf_printf(c->err, "label selector: %s near '%.20s'", what, c->p);
    return -EINVAL;
}

static int parse_set(struct cursor *c, struct selector_req *r)
{
    if (*c->p++ != '(') {
        c->p--;
        return fail(c, "expected '('");
    }
    for (;;) {
        if (!add_value(r, take_word(c)))
            return fail(c, "too many values");
        if (*c->p == ',') {
            c->p++;
            continue;
        }
        if (*c->p == ')') {
            c->p++;
            return 0;
        }
        return fail(c, "expected ',' or ')'");
    }
}

/* After the key: an operator with its values, or nothing. */
static int parse_operator(struct cursor *c, struct selector_req *r)
{
    if (*c->p == '\0' || *c->p == ',') {
        r->op = SEL_EXISTS;
        return 0;
    }
    if (*c->p == '=' || (c->p[0] == '!' && c->p[1] == '=')) {
        r->op = *c->p == '=' ? SEL_IN : SEL_NOT_IN;
        c->p += c->p[1] == '=' ? 2 : 1;
        add_value(r, take_word(c));
        return 0;
    }
    char *word = take_word(c);
    int rc = 0;
    if (strcmp(word, "in") == 0)
        r->op = SEL_IN;
    else if (strcmp(word, "notin") == 0)
        r->op = SEL_NOT_IN;
    else
        rc = fail(c, "unknown operator");
    free(word);
    return rc < 0 ? rc : parse_set(c, r);
}

static int parse_one(struct cursor *c, struct selector *s)
{
    if (s->n >= SELECTOR_MAX)
        return fail(c, "too many requirements");
    struct selector_req *r = &s->req[s->n++];
    skip_space(c);
    bool absent = *c->p == '!';
    if (absent)
        c->p++;
    r->key = take_word(c);
    if (!r->key[0])
        return fail(c, "expected a label name");
    if (absent) {
        r->op = SEL_ABSENT;
        return 0;
    }
    return parse_operator(c, r);
}

int selector_parse(const char *text, struct selector *ret_sel, struct buf *err)
{
    struct cursor c = {.p = text, .err = err};
    *ret_sel = (struct selector){.n = 0};
    skip_space(&c);
    if (*c.p == '\0')
        return 0;
    for (;;) {
        int rc = parse_one(&c, ret_sel);
        if (rc < 0)
            return rc;
        skip_space(&c);
        if (*c.p == '\0')
            return 0;
        if (*c.p != ',')
            return fail(&c, "expected ','");
        c.p++;
    }
}

static bool value_in(const struct selector_req *r, const char *v)
{
    for (size_t i = 0; i < r->n_values; i++)
        if (strcmp(r->values[i], v) == 0)
            return true;
    return false;
}

static bool req_match(const struct selector_req *r, const char *v)
{
    switch (r->op) {
    case SEL_EXISTS: return v != NULL;
    case SEL_ABSENT: return v == NULL;
    case SEL_IN: return v && value_in(r, v);
    case SEL_NOT_IN: return !v || !value_in(r, v);
    }
    return false;
}

bool selector_match(const struct selector *s, selector_label_fn *label, void *ctx)
{
    for (size_t i = 0; i < s->n; i++)
        if (!req_match(&s->req[i], label(ctx, s->req[i].key)))
            return false;
    return true;
}

void selector_done(struct selector *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < s->req[i].n_values; j++)
            free(s->req[i].values[j]);
        free(s->req[i].values);
        free(s->req[i].key);
    }
    s->n = 0;
}
