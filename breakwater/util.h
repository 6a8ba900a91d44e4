/*
 * util - the few helpers every role needs: memory, growing text, time, hex.
 *
 * Memory: x* calls abort when memory is out; a gateway that cannot allocate a
 * few kilobytes cannot keep a promise either, and its supervisor restarts it.
 * struct buf owns its bytes, is always NUL-terminated after the first add, and
 * is good for reuse after buf_reset(). Lifecycle: zero-init .. buf_done().
 * Time: now_ns() is monotonic, wall_ms() is Unix time in milliseconds.
 * Threads: no shared state; every struct belongs to one thread at a time.
 */
#ifndef BREAKWATER_UTIL_H
#define BREAKWATER_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))
#define NS_PER_MS        1000000LL
#define NS_PER_S         1000000000LL
#define SHA256_HEX_BYTES 65 /* 64 digits and the NUL */
#define RFC3339_BYTES    32

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

struct buf {
    char *p;
    size_t len, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds s as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD. */
void buf_json(struct buf *b, const char *s);
void buf_reset(struct buf *b);
void buf_done(struct buf *b);

int64_t now_ns(void);
int64_t wall_ms(void);
/* UTC with milliseconds, e.g. 2026-01-02T03:04:05.678Z. */
void rfc3339(int64_t unix_ms, char out[RFC3339_BYTES]);

void sha256_hex(const void *p, size_t n, char out[SHA256_HEX_BYTES]);
uint64_t hash64(const void *p, size_t n, uint64_t seed);
/* Not for secrets: jitter, ids, sampling. Seeded from the kernel once per thread. */
uint64_t rand64(void);

#endif
