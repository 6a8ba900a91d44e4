/*
 * mem.h - allocation that aborts, arenas, and clean-up of locals. Control path only: data paths
 * allocate at start.
 *
 * Lifecycle: arena_init/arena_done (caller's struct). Everything taken from an arena lives until
 * arena_done; there is no single free. Thread rule: an arena belongs to one thread at a time.
 * Limits: one allocation at most 1 GiB; multiplication is checked and aborts.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(A)                   (sizeof(A) / sizeof((A)[0]))
#define container_of(PTR, TYPE, MEMBER) ((TYPE *)((char *)(PTR)-offsetof(TYPE, MEMBER)))

void *xmalloc(size_t bytes);           /* zeroed */
void *xcalloc(size_t n, size_t bytes); /* zeroed */
void *xrealloc(void *p, size_t n, size_t bytes);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* For locals: char *s CLEANUP(free_p) = ...; */
#define CLEANUP(FN) __attribute__((cleanup(FN)))
void free_p(void *pp);
void close_p(int *fd); /* closes when >= 0 */

struct arena_chunk;
struct arena {
    struct arena_chunk *head;
    size_t total_bytes; /* handed out so far */
};
void arena_init(struct arena *a);
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t bytes); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t n, size_t bytes);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
