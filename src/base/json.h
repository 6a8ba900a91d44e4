/*
 * json.h - streaming JSON writer onto a buf: commas, escapes and nesting are its business.
 *
 * Lifecycle: `struct json j; json_init(&j, &buf, indent)`; nothing to free. Nesting at most
 * JSON_DEPTH (asserted). Text is escaped per RFC 8259; bytes that are not UTF-8 become U+FFFD, so
 * that output is always valid. NaN and infinities become null.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_DEPTH 64

struct json {
    struct buf *out;
    int indent; /* spaces a level; 0 = one line */
    int depth;
    bool first[JSON_DEPTH];
    bool after_key;
};

/* jansson has functions of these names: the same program may link both, one file may include only
 * one. */
#define JSON_LINK_NAME(NAME) __asm__("squall_" #NAME)

void json_init(struct json *j, struct buf *out, int indent);
void json_object(struct json *j) JSON_LINK_NAME(json_object);
void json_array(struct json *j) JSON_LINK_NAME(json_array);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s); /* NULL writes null */
void json_strn(struct json *j, const char *s, size_t n);
void json_int(struct json *j, int64_t v);
void json_num(struct json *j, double v); /* shortest text that reads back the same */
void json_bool(struct json *j, bool v);
void json_null(struct json *j) JSON_LINK_NAME(json_null);
/* A key and its value. */
void json_key_str(struct json *j, const char *key, const char *value);
void json_key_int(struct json *j, const char *key, int64_t value);
void json_raw(struct json *j, const char *text); /* already JSON */
