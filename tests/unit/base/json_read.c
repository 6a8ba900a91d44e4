#include "json_read.h"

#include <jansson.h>

static json_t *parsed(const struct buf *text)
{
    json_error_t error;
    json_t *v = json_loadb(text->p, text->n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!v)
        fprintf(stderr, "not JSON: %s\n%s\n", error.text, buf_str(text));
    return v;
}

bool json_read_ok(const struct buf *text)
{
    json_t *v = parsed(text);
    json_decref(v);
    return v != NULL;
}

bool json_read_equal(const struct buf *a, const struct buf *b)
{
    json_t *x = parsed(a), *y = parsed(b);
    bool equal = x && y && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return equal;
}

bool json_read_is_string(const struct buf *text, const char *want, size_t n)
{
    json_t *v = parsed(text);
    bool same = v && json_string_length(v) == n && memcmp(json_string_value(v), want, n) == 0;
    json_decref(v);
    return same;
}
