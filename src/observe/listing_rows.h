/*
 * listing_rows.h - from one JSON page to (key, count) rows: pure, bounded, fuzzable.
 *
 * Lifecycle: listing_paths_init/done; listing_rows_init -> listing_rows_read per page ->
 * listing_rows_sort -> listing_rows_done. Keys live in the rows' arena. A key is a string, a number
 * or a boolean of the document as text; a count is a whole number from 0 on. An [*] over null is an
 * empty list (Go's encoding of one); a path whose steps before its first [*] are missing is an
 * error.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "plan/jsonpath.h"

struct listing_paths {
    struct arena arena;
    const char *id_text, *count_text; /* count_text NULL = none */
    struct jsonpath id, count;
    size_t shared; /* steps up to and with id's last [*] */
};

int listing_paths_init(struct listing_paths *p, const char *id, const char *count, struct err *err);
void listing_paths_done(struct listing_paths *p);

struct listing_item {
    const char *key;
    int64_t count;
};

struct listing_rows {
    struct arena arena;
    struct listing_item *v;
    size_t n, cap;
    uint64_t without_id;
};

void listing_rows_init(struct listing_rows *rows);
void listing_rows_done(struct listing_rows *rows);
/* Adds one page's objects. *ret_continue is the token of the next page (malloc'd), NULL at the
 * last. On error the rows may hold part of the page. */
int listing_rows_read(struct listing_rows *rows, const struct listing_paths *paths,
                      const char *text, size_t n, char **ret_continue, struct err *err);
void listing_rows_sort(struct listing_rows *rows);
bool listing_rows_equal(const struct listing_rows *a, const struct listing_rows *b);
