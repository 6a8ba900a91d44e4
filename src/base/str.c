#include "base/str.h"

#include <ctype.h>

bool str_case_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (tolower((unsigned char)a.p[i]) != tolower((unsigned char)b.p[i]))
            return false;
    return true;
}

bool str_prefix(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

struct str str_trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

struct str str_split(struct str *rest, char separator)
{
    const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    struct str piece = *rest;
    if (!at) {
        *rest = (struct str){rest->p + rest->n, 0};
        return piece;
    }
    piece.n = (size_t)(at - rest->p);
    rest->p += piece.n + 1;
    rest->n -= piece.n + 1;
    return piece;
}

bool str_glob(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = (size_t)-1, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
            p++;
            t++;
        } else if (star != (size_t)-1) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

#define NEAREST_MAX 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Damerau-Levenshtein, restricted (optimal string alignment): an insertion, deletion, substitution
 * or swap of two neighbours costs one. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t d[3][NEAREST_MAX + 1];
    size_t an = strlen(a), bn = strlen(b);
    if (an > NEAREST_MAX || bn > NEAREST_MAX)
        return (size_t)-1;
    for (size_t j = 0; j <= bn; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < row[j])
                row[j] = up2[j - 2] + 1;
        }
    }
    return d[an % 3][bn];
}

const char *str_nearest(const char *wrong, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = (strlen(wrong) + 2) / 3;
    for (size_t i = 0; i < n; i++) {
        size_t distance = edit_distance(wrong, names[i]);
        if (distance <= best_distance && (!best || distance < best_distance)) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}
