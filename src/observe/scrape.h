/*
 * scrape.h - polls the metrics pages of the lab's services into a series store.
 *
 * Lifecycle: scraper_new -> scraper_add per service -> scraper_start -> scraper_stop ->
 * scraper_free. Each target has its own interval; a scrape that is still running when the next is
 * due counts as missed. Every scrape also yields up{service=...} 1 or 0. Results go to the store
 * and to on_sample (for the run file); failures to on_error, once per change of state. Lives on the
 * caller's loop.
 */
#pragma once
#include "loop/loop.h"
#include "net/addr.h"
#include "observe/series.h"

#define SCRAPE_BODY_BYTES (16 << 20)
#define SCRAPE_TIMEOUT_NS (1000 * 1000 * 1000LL)

struct scraper;
struct scraper_ops {
    int (*socket)(void *ctx); /* non-blocking TCP socket, or -errno */
    void (*on_sample)(void *ctx, int series, int64_t t_ns, double value); /* may be NULL */
    void (*on_error)(void *ctx, const char *service,
                     const char *what); /* what = NULL: works again; may be NULL */
    void *ctx;
};
struct scraper *scraper_new(struct loop *loop, struct series_store *store, int64_t run_start_ns,
                            const struct scraper_ops *ops);
void scraper_add(struct scraper *s, const char *service, const struct addr *to, const char *path,
                 int64_t every_ns);
void scraper_start(struct scraper *s);
void scraper_stop(struct scraper *s);
void scraper_free(struct scraper *s);

struct scraper_counts {
    uint64_t good, failed, missed;
};
/* false when there is no such service. */
bool scraper_counts(const struct scraper *s, const char *service, struct scraper_counts *ret);
