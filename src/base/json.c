#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

void json_init(struct json *j, struct buf *out, int indent)
{
    *j = (struct json){.out = out, .indent = indent};
    j->first[0] = true;
}

static void newline(struct json *j)
{
    if (!j->indent)
        return;
    buf_add_char(j->out, '\n');
    for (int i = 0; i < j->depth * j->indent; i++)
        buf_add_char(j->out, ' ');
}

static void separate(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (!j->first[j->depth])
        buf_add_char(j->out, ',');
    if (j->depth > 0)
        newline(j);
    j->first[j->depth] = false;
}

static void open_level(struct json *j, char c)
{
    separate(j);
    buf_add_char(j->out, c);
    assert(j->depth + 1 < JSON_DEPTH);
    j->first[++j->depth] = true;
}

static void close_level(struct json *j, char c)
{
    assert(j->depth > 0 && !j->after_key);
    bool empty = j->first[j->depth--];
    if (!empty)
        newline(j);
    buf_add_char(j->out, c);
}

void json_object(struct json *j)
{
    open_level(j, '{');
}
void json_array(struct json *j)
{
    open_level(j, '[');
}
void json_end_object(struct json *j)
{
    close_level(j, '}');
}
void json_end_array(struct json *j)
{
    close_level(j, ']');
}

static void add_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': buf_add_str(out, "\\\""); break;
    case '\\': buf_add_str(out, "\\\\"); break;
    case '\n': buf_add_str(out, "\\n"); break;
    case '\r': buf_add_str(out, "\\r"); break;
    case '\t': buf_add_str(out, "\\t"); break;
    default: buf_printf(out, "\\u%04x", c); break;
    }
}

static void add_quoted(struct buf *out, const char *s, size_t n)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t len = utf8_take(s + i, n - i, NULL);
        if (len == 0) {
            buf_add_str(out, "\xef\xbf\xbd");
            len = 1;
        } else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            add_escaped(out, c);
        } else {
            buf_add(out, s + i, len);
        }
        i += len;
    }
    buf_add_char(out, '"');
}

void json_key(struct json *j, const char *key)
{
    assert(!j->after_key);
    separate(j);
    add_quoted(j->out, key, strlen(key));
    buf_add_str(j->out, j->indent ? ": " : ":");
    j->after_key = true;
}

void json_strn(struct json *j, const char *s, size_t n)
{
    separate(j);
    add_quoted(j->out, s, n);
}

void json_str(struct json *j, const char *s)
{
    if (s)
        json_strn(j, s, strlen(s));
    else
        json_null(j);
}

void json_int(struct json *j, int64_t v)
{
    separate(j);
    buf_printf(j->out, "%lld", (long long)v);
}

void json_num(struct json *j, double v)
{
    char text[40];
    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    json_raw(j, text);
}

void json_bool(struct json *j, bool v)
{
    json_raw(j, v ? "true" : "false");
}

void json_null(struct json *j)
{
    json_raw(j, "null");
}

void json_raw(struct json *j, const char *text)
{
    separate(j);
    buf_add_str(j->out, text);
}

void json_key_str(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value);
}

void json_key_int(struct json *j, const char *key, int64_t value)
{
    json_key(j, key);
    json_int(j, value);
}
