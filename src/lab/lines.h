/*
 * lines.h - bytes of a service's output into lines for people, and the limit on a flood of them.
 *
 * lines_feed takes any bytes in pieces of any size and calls fn for each line: NUL-terminated,
 * without its newline (and a carriage return before it), NUL bytes shown as '?', everything else as
 * it came. A line longer than LINE_BYTES keeps its beginning and ends in "[cut N bytes]".
 * lines_end gives what is left without a newline. No allocation.
 *
 * struct bucket lets `burst` lines pass at once and `rate` a second from then on; the rest is to be
 * dropped and counted. Time is a parameter. Pure, plain data.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES 4096 /* with the mark and the NUL */

typedef void line_fn(void *ctx, const char *line, size_t n);

struct lines {
    size_t n; /* bytes of the line so far, also those not kept */
    char text[LINE_BYTES];
};

void lines_init(struct lines *l);
void lines_feed(struct lines *l, const char *bytes, size_t n, line_fn *fn, void *ctx);
void lines_end(struct lines *l, line_fn *fn, void *ctx);

struct bucket {
    int64_t burst, rate_per_s;
    int64_t tokens_ns; /* saved-up time: one line costs 1e9 / rate */
    int64_t last_ns;
};

void bucket_init(struct bucket *b, int64_t burst, int64_t rate_per_s, int64_t now_ns);
bool bucket_take(struct bucket *b, int64_t now_ns);
