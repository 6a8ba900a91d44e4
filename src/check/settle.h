/*
 * settle.h - matching what was sent with what is there: pure functions on sorted arrays.
 *
 * An item is one settlement key of one request with the fate of that request; an object is one
 * entry of the final state. Both are matched by key. With occurrence counts a key's objects say how
 * many requests they stand for; then, per key, with A accepted, U unknown, N answered no (refused,
 * failed) and F found: lost = max(0, A - F)      of the rest of F: up to U recovered, up to N
 * unexpected, then duplicated Without counts an object only shows that the key is there: A accepted
 * are found or lost together, and an object that is listed more often than once is duplicated.
 * Always: accepted = accepted_found + lost, and with counts
 * found = accepted_found + recovered + unexpected + duplicated.
 * A key that nobody sent, or whose requests never left, is unexpected. Strings are borrowed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/ledger.h"

struct settle_item {
    const char *key;
    uint64_t request;
    uint8_t fate;
    int16_t phase; /* the caller's: where the request belongs; not looked at here */
};
struct settle_object {
    const char *key;
    int64_t count; /* below 0 counts as 0 */
};

/* What one key came to; handed over only when something is wrong or was not known before. */
struct settle_finding {
    const char *key;
    uint64_t accepted, unknown, denied, found;
    uint64_t lost, recovered, unexpected, duplicated;
    const struct settle_item *items; /* of this key, by request */
    size_t items_n;
};
struct settle_totals {
    uint64_t keys;              /* different ones, sent */
    uint64_t fates[FATE_COUNT]; /* of items */
    uint64_t found;             /* occurrences in the final state; without counts: objects */
    uint64_t accepted_found, lost, recovered, unexpected, duplicated;
};

void settle_sort(struct settle_item *items, size_t items_n, struct settle_object *objects,
                 size_t objects_n);
typedef void settle_fn(void *ctx, const struct settle_finding *finding);
/* Arrays as settle_sort leaves them; findings come in key order; fn may be NULL. */
void settle_match(const struct settle_item *items, size_t items_n,
                  const struct settle_object *objects, size_t objects_n, bool counted,
                  settle_fn *fn, void *ctx, struct settle_totals *ret);
