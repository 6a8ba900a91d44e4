#include <ctype.h>
#include <errno.h>

#include "observe/listing_rows.h"

struct cursor {
    const char *text;
    size_t at;
    struct arena *arena;
};

static bool name_byte(char c)
{
    unsigned char b = (unsigned char)c;
    return isalnum(b) || b == '_' || b == '-' || b >= 0x80;
}

static bool take_index(struct cursor *c, size_t *ret)
{
    size_t value = 0, digits = 0;
    for (; isdigit((unsigned char)c->text[c->at]); c->at++, digits++)
        value = value * 10 + (size_t)(c->text[c->at] - '0');
    *ret = value;
    return digits > 0 && digits < 10;
}

static bool take_quoted(struct cursor *c, struct str *ret)
{
    char quote = c->text[c->at++];
    char *out = arena_alloc(c->arena, strlen(c->text + c->at) + 1);
    size_t n = 0;
    while (c->text[c->at] && c->text[c->at] != quote) {
        if (c->text[c->at] == '\\' && c->text[c->at + 1])
            c->at++;
        out[n++] = c->text[c->at++];
    }
    *ret = (struct str){out, n};
    return c->text[c->at++] == quote && n > 0;
}

static bool take_bracket(struct cursor *c, struct listing_step *ret)
{
    char b = c->text[c->at];
    bool ok;
    if (b == '*') {
        ret->kind = LISTING_EACH;
        c->at++;
        ok = true;
    } else if (b == '\'' || b == '"') {
        ret->kind = LISTING_KEY;
        ok = take_quoted(c, &ret->key);
    } else {
        ret->kind = LISTING_INDEX;
        ok = take_index(c, &ret->index);
    }
    return ok && c->text[c->at] == ']' && ++c->at;
}

static bool take_dotted(struct cursor *c, struct listing_step *ret)
{
    size_t start = c->at;
    if (c->text[c->at] == '*') {
        ret->kind = LISTING_EACH;
        c->at++;
        return true;
    }
    while (name_byte(c->text[c->at]))
        c->at++;
    ret->kind = LISTING_KEY;
    ret->key = (struct str){arena_strndup(c->arena, c->text + start, c->at - start), c->at - start};
    return c->at > start;
}

int listing_path_parse(struct arena *arena, const char *text, struct listing_path *ret,
                       struct err *err)
{
    struct cursor c = {.text = text, .arena = arena};
    ret->n = 0;
    bool ok = text[c.at++] == '$';
    while (ok && text[c.at]) {
        char first = text[c.at++];
        if (ret->n == LISTING_STEPS)
            return err_set(err, -EINVAL, "JSON path \"%s\" has too many steps", text);
        struct listing_step *step = &ret->v[ret->n++];
        ok = first == '[' ? take_bracket(&c, step) : first == '.' && take_dotted(&c, step);
    }
    return ok ? 0
              : err_at(err, -EINVAL, NULL, 1, (int)c.at,
                       "JSON path \"%s\", byte %zu: not of the form $.a.b[*].c", text, c.at);
}
