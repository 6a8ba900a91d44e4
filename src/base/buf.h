/*
 * buf.h - a growing byte buffer for the control path; always NUL-terminated behind its length.
 *
 * Lifecycle: `struct buf b = {0}` is empty and ready; buf_done frees. Limits: grows to
 * BUF_MAX_BYTES, then aborts: callers that take input from outside bound it themselves.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

#define BUF_MAX_BYTES (1u << 30)

struct buf {
    char *p; /* NULL until the first byte; use buf_str() for a C string */
    size_t n, cap;
};
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_reserve(struct buf *b, size_t more_bytes);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_consume(struct buf *b, size_t n); /* drops n bytes at the front */
const char *buf_str(const struct buf *b);  /* "" when empty */
/* Reads a whole file, at most max_bytes (-EFBIG beyond). 0 or -errno. */
int buf_read_file(struct buf *b, const char *path, size_t max_bytes);
