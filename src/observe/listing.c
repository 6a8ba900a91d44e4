#include "observe/listing.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"

#define FETCH_LEAST_NS NS_PER_S /* even the last try gets so long */

static void begin(struct listing *l);

static void problem(struct listing *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct listing *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->problem, sizeof l->problem, fmt, ap);
    va_end(ap);
}

static void finish(struct listing *l, bool stable)
{
    l->running = false;
    l->stable = stable;
    l->items = l->last.v;
    l->items_n = l->last.n;
    l->without_id = l->last.without_id;
    if (stable && l->last.n == 0 && l->last.without_id > 0) {
        l->stable = false;
        problem(l, "none of the %llu objects has an id at %s",
                (unsigned long long)l->last.without_id, l->paths.id_text);
    } else if (stable) {
        l->problem[0] = '\0';
    }
    l->done(l);
}

static void again_or_finish(struct listing *l)
{
    int64_t now = l->loop->now_ns;
    int64_t every = l->config.every_ns ? l->config.every_ns : LISTING_EVERY_NS;
    if (now >= l->limit_ns) {
        finish(l, false);
        return;
    }
    timer_start(l->loop, &l->again, now + every < l->limit_ns ? now + every : l->limit_ns);
}

/* A listing is complete: is it the same as the one before, and for how long? */
static void complete(struct listing *l)
{
    char stable[32], limit[32];
    int64_t now = l->loop->now_ns;
    listing_rows_sort(&l->next);
    bool same = l->listings > 0 && listing_rows_equal(&l->last, &l->next);
    listing_rows_done(&l->last);
    l->last = l->next;
    listing_rows_init(&l->next);
    l->listings++;
    l->ended_ns = now;
    if (!same)
        l->same_since_ns = now;
    if (same && l->began_ns - l->same_since_ns >= l->config.stable_ns) {
        finish(l, true);
        return;
    }
    problem(l, "the list of %zu objects did not stay the same for %s within %s", l->last.n,
            units_format_duration(l->config.stable_ns, stable, sizeof stable),
            units_format_duration(l->config.within_ns, limit, sizeof limit));
    again_or_finish(l);
}

static void failed(struct listing *l)
{
    listing_rows_done(&l->next);
    listing_rows_init(&l->next);
    again_or_finish(l);
}

static const char *fetch_error(const struct fetch *f)
{
    switch (f->result) {
    case -ETIMEDOUT: return "no answer in time";
    case -EPROTO: return "the answer is not HTTP or is cut off";
    case -EFBIG: return "the answer is too large";
    default: return strerror(-f->result);
    }
}

static void start_page(struct listing *l);

static void add_query(struct buf *to, const char *token)
{
    buf_add_str(to, strchr(buf_str(to), '?') ? "&continue=" : "?continue=");
    for (const unsigned char *p = (const unsigned char *)token; *p; p++)
        if (isalnum(*p) || strchr("-._~", *p))
            buf_add_char(to, (char)*p);
        else
            buf_printf(to, "%%%02X", *p);
}

static void on_fetched(struct fetch *f)
{
    struct listing *l = container_of(f, struct listing, fetch);
    struct err err = {0};
    char *token CLEANUP(free_p) = NULL;
    l->bytes += f->body.n;
    l->pages++;
    if (f->result < 0)
        problem(l, "cannot read the final state from %s%s: %s", l->host, l->path, fetch_error(f));
    else if (f->status != 200)
        problem(l, "cannot read the final state from %s%s: status %d", l->host, l->path, f->status);
    else if (listing_rows_read(&l->next, &l->paths, buf_str(&f->body), f->body.n, &token, &err) < 0)
        problem(l, "cannot read the final state from %s%s: %s", l->host, l->path, err.msg);
    else if (token && (l->bytes >= LISTING_BYTES || l->pages >= LISTING_PAGES))
        problem(l, "the list at %s%s has too many pages", l->host, l->path);
    else if (token) {
        buf_clear(&l->page_path);
        buf_add_str(&l->page_path, l->path);
        add_query(&l->page_path, token);
        start_page(l);
        return;
    } else {
        complete(l);
        return;
    }
    failed(l);
}

static void start_page(struct listing *l)
{
    int64_t now = l->loop->now_ns;
    int64_t limit = l->limit_ns > now + FETCH_LEAST_NS ? l->limit_ns : now + FETCH_LEAST_NS;
    int r = l->config.socket(l->config.socket_ctx);
    if (r >= 0)
        r = fetch_start(&l->fetch, r, &l->config.to, "GET", str_of(l->host),
                        (struct str){l->page_path.p, l->page_path.n}, (struct str){"", 0}, limit,
                        LISTING_BYTES - l->bytes, on_fetched);
    if (r < 0) {
        problem(l, "cannot ask %s: %s", l->host, strerror(-r));
        failed(l);
    }
}

static void begin(struct listing *l)
{
    l->began_ns = l->loop->now_ns;
    l->bytes = 0;
    l->pages = 0;
    buf_clear(&l->page_path);
    buf_add_str(&l->page_path, l->path);
    start_page(l);
}

static void on_again(struct loop *loop, struct timer *t)
{
    (void)loop;
    begin(container_of(t, struct listing, again));
}

int listing_start(struct listing *l, struct loop *loop, const struct listing_config *config,
                  listing_fn *done, struct err *err)
{
    assert(config->socket && done);
    *l = (struct listing){.loop = loop, .config = *config, .done = done, .running = true};
    fetch_init(&l->fetch, loop);
    timer_init(&l->again, on_again);
    listing_rows_init(&l->last);
    listing_rows_init(&l->next);
    int r = listing_paths_init(&l->paths, config->id, config->count, err);
    if (r < 0)
        return r;
    l->host = xstrdup(config->host);
    l->path = xstrdup(config->path);
    l->limit_ns = loop->now_ns + config->within_ns;
    timer_start(loop, &l->again, loop->now_ns); /* done never comes from within start */
    return 0;
}

void listing_done(struct listing *l)
{
    if (!l->loop)
        return;
    timer_stop(l->loop, &l->again);
    fetch_done(&l->fetch);
    listing_rows_done(&l->last);
    listing_rows_done(&l->next);
    listing_paths_done(&l->paths);
    buf_done(&l->page_path);
    free(l->host);
    free(l->path);
    *l = (struct listing){0};
}
