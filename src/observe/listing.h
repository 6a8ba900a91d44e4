/*
 * listing.h - reads a system's final state over HTTP for settlement: a list of objects with key and
 * count, waited for until it is stable.
 *
 * `path` is fetched every every_ns; a page whose metadata.continue is not empty is followed by
 * `continue=TOKEN` (Kubernetes' paging). `id` and `count` are JSON paths (plan/jsonpath.h) that
 * share everything up to id's last [*]: each object that has an id is one item; an object without
 * an id is counted in `without_id`, one without a count is an error, so that nothing is guessed.
 * Stable: two good listings that began and ended at least stable_ns apart, and all between them,
 * are equal. Errors are retried until within_ns has passed; then the last good listing, `stable` =
 * false and `problem` are the result.
 *
 * Lifecycle: listing_start -> done, once, from the loop -> read the result -> listing_done (frees;
 * cancels when running; not from within done). Everything on the loop's thread. Limits:
 * LISTING_BYTES for all pages of one listing, LISTING_PAGES. Errors of the arguments come from
 * listing_start (-EINVAL), all others through `problem`.
 */
#pragma once
#include "base/err.h"
#include "net/fetch.h"
#include "observe/listing_rows.h"

#define LISTING_BYTES      (256u << 20)
#define LISTING_PAGES      100000
#define LISTING_EVERY_NS   (500 * 1000 * 1000LL)
#define LISTING_TEXT_BYTES 512

struct listing;
typedef void listing_fn(struct listing *l);

struct listing_config {
    int (*socket)(void *ctx); /* non-blocking TCP socket, or -errno */
    void *socket_ctx;
    struct addr to;
    const char *host;  /* for the Host field */
    const char *path;  /* with query */
    const char *id;    /* JSON path to the key */
    const char *count; /* JSON path to the count; NULL = an object is one */
    int64_t stable_ns, within_ns;
    int64_t every_ns; /* 0 = LISTING_EVERY_NS */
};

struct listing {
    /* the result, valid from done on */
    const struct listing_item *items; /* sorted by key, then count */
    size_t items_n;
    uint64_t without_id; /* objects that have no id */
    bool stable;
    char problem[LISTING_TEXT_BYTES]; /* "" = none */
    int listings;                     /* good ones */
    int64_t ended_ns;                 /* when the last good one was complete; loop's clock */

    /* private */
    struct loop *loop;
    struct listing_config config;
    struct listing_paths paths;
    char *host, *path;
    listing_fn *done;
    struct fetch fetch;
    struct timer again;
    struct listing_rows last, next;
    struct buf page_path;
    size_t bytes;
    int pages;
    int64_t limit_ns, began_ns, same_since_ns;
    bool running;
};

/* Copies what config points to. */
int listing_start(struct listing *l, struct loop *loop, const struct listing_config *config,
                  listing_fn *done, struct err *err);
void listing_done(struct listing *l);
