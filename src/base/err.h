/*
 * err.h - one error as a user sees it: what failed, where in which file, and what to do.
 *
 * Lifecycle: a struct err is plain data on the caller's stack, `struct err err = {0}`; nothing to
 * free. Calls that face a user take `struct err *err` last, return -errno and fill it; err may not
 * be NULL there. Limits: the message is cut at ERR_MSG_BYTES. Line and column count from 1; 0 means
 * unknown. Columns count bytes, as editors and compilers do.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define ERR_MSG_BYTES  640
#define ERR_FILE_BYTES 256

struct err {
    int code; /* -errno, 0 = no error */
    int line, column;
    char file[ERR_FILE_BYTES];
    char msg[ERR_MSG_BYTES];
};

/* Each returns `code`, so that `return err_set(err, -EINVAL, ...)` reads as one step. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_at(struct err *err, int code, const char *file, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Puts context in front: "stage 'warmup': " + what was there. Keeps code and position. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "file:3:9: message" (parts that are unknown are left out) into buf; returns buf. */
const char *err_text(const struct err *err, char *buf, size_t cap);
