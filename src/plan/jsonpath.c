#include "plan/jsonpath.h"

#include <ctype.h>
#include <errno.h>

#include "base/units.h"

struct cursor {
    struct arena *arena;
    const char *text, *p;
    struct err *err;
};

static int fail(const struct cursor *c, const char *at, const char *what)
{
    return err_at(c->err, -EINVAL, "", 1, (int)(at - c->text) + 1, "not a JSON path: %s", what);
}

static int take_dotted(struct cursor *c, struct jsonpath_step *ret)
{
    c->p++;
    if (*c->p == '*') {
        c->p++;
        ret->kind = JSONPATH_ALL;
        return 0;
    }
    const char *from = c->p;
    while (isalnum((unsigned char)*c->p) || *c->p == '_' || *c->p == '-' || (*c->p & 0x80))
        c->p++;
    if (c->p == from)
        return fail(c, from, "a name is missing after \".\"; write ['...'] for unusual names");
    ret->kind = JSONPATH_NAME;
    ret->name = arena_strndup(c->arena, from, (size_t)(c->p - from));
    return 0;
}

static int take_quoted(struct cursor *c, struct jsonpath_step *ret)
{
    char quote = *c->p;
    const char *open = c->p++;
    char *name = arena_alloc(c->arena, strlen(c->p) + 1);
    size_t n = 0;
    while (*c->p && *c->p != quote) {
        if (*c->p == '\\' && c->p[1])
            c->p++;
        name[n++] = *c->p++;
    }
    if (!*c->p)
        return fail(c, open, "the quote is not closed");
    c->p++;
    ret->kind = JSONPATH_NAME;
    ret->name = name;
    return 0;
}

static int take_bracket(struct cursor *c, struct jsonpath_step *ret)
{
    int rc = 0;
    c->p++;
    if (*c->p == '*') {
        c->p++;
        ret->kind = JSONPATH_ALL;
    } else if (*c->p == '\'' || *c->p == '"') {
        rc = take_quoted(c, ret);
    } else {
        const char *from = c->p;
        while (*c->p == '-' || isdigit((unsigned char)*c->p))
            c->p++;
        ret->kind = JSONPATH_INDEX;
        if (units_int((struct str){from, (size_t)(c->p - from)}, &ret->index) < 0)
            return fail(c, from, "[...] needs a number, * or a quoted name");
    }
    if (rc < 0)
        return rc;
    if (*c->p != ']')
        return fail(c, c->p, "a \"]\" is missing");
    c->p++;
    return 0;
}

int jsonpath_parse(struct arena *a, const char *text, struct jsonpath *ret, struct err *err)
{
    struct cursor c = {a, text, text, err};
    struct jsonpath_step steps[JSONPATH_STEPS] = {0};
    size_t n = 0;
    if (*c.p++ != '$')
        return fail(&c, text, "it starts with \"$\"");
    while (*c.p) {
        if (n == JSONPATH_STEPS)
            return fail(&c, c.p, "64 steps are the most");
        int rc = *c.p == '.'   ? take_dotted(&c, &steps[n])
                 : *c.p == '[' ? take_bracket(&c, &steps[n])
                               : fail(&c, c.p, "\".\" or \"[\" must come next");
        if (rc < 0)
            return rc;
        n++;
    }
    ret->n = n;
    ret->steps = arena_array(a, n, sizeof *ret->steps);
    if (n)
        memcpy(ret->steps, steps, n * sizeof *steps);
    return 0;
}
