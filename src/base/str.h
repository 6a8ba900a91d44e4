/*
 * str.h - string slices, and the small text jobs that several rooms need.
 *
 * A struct str borrows: pointer and length, not NUL-terminated, valid as long as what it points
 * into.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(LIT) ((struct str){(LIT), sizeof(LIT) - 1})

static inline struct str str_of(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool str_case_eq(struct str a, struct str b); /* ASCII only */
bool str_prefix(struct str s, struct str prefix);
struct str str_trim(struct str s);                      /* spaces and tabs at both ends */
struct str str_split(struct str *rest, char separator); /* takes the next piece off *rest */

/* Shell-like wildcard over the whole text: `*` any run, `?` one byte. Linear in space, O(n*m) in
 * time. */
bool str_glob(struct str pattern, struct str text);

/* The name in names[0..n) that a misspelt one most likely meant, or NULL when none is near (edit
 * distance with swaps, at most a third of the length, rounded up). For "did you mean". */
const char *str_nearest(const char *wrong, const char *const *names, size_t n);
