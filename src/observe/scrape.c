#include "observe/scrape.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/fetch.h"
#include "observe/promtext.h"

struct pending {
    int series;
    double value;
};

struct target {
    struct list link;
    struct scraper *owner;
    char *service, *path, host[80];
    struct addr to;
    int64_t every_ns, due_ns;
    struct timer timer;
    struct fetch fetch;
    bool running, failing;
    int up_series; /* -1 until the first result */
    struct scraper_counts counts;
    int *known; /* series of the last good scrape */
    size_t known_n;
    struct pending *pending; /* of the scrape being read */
    size_t pending_n, pending_cap;
};

struct scraper {
    struct loop *loop;
    struct series_store *store;
    int64_t run_start_ns;
    struct scraper_ops ops;
    struct list targets;
    /* seen[series] = number of the scrape that last had it: finds doubles and those that are gone
     */
    uint64_t *seen, scrape_number;
    size_t seen_n;
};

/* One page being read: first counted, then interned. */
struct page {
    struct target *target;
    size_t unknown;
    int result; /* first -errno */
    char double_key[160];
};

static void on_timer(struct loop *loop, struct timer *timer);

struct scraper *scraper_new(struct loop *loop, struct series_store *store, int64_t run_start_ns,
                            const struct scraper_ops *ops)
{
    struct scraper *s = xmalloc(sizeof *s);
    *s = (struct scraper){.loop = loop, .store = store, .run_start_ns = run_start_ns, .ops = *ops};
    assert(ops->socket);
    list_init(&s->targets);
    return s;
}

static unsigned port_of(const struct addr *a)
{
    return ntohs(a->sa.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->sa)->sin6_port
                                             : ((const struct sockaddr_in *)&a->sa)->sin_port);
}

void scraper_add(struct scraper *s, const char *service, const struct addr *to, const char *path,
                 int64_t every_ns)
{
    struct target *t = xmalloc(sizeof *t);
    assert(every_ns > 0);
    t->owner = s;
    t->service = xstrdup(service);
    t->path = xstrdup(path);
    t->to = *to;
    t->every_ns = every_ns;
    t->up_series = -1;
    snprintf(t->host, sizeof t->host, "%s:%u", service, port_of(to));
    timer_init(&t->timer, on_timer);
    fetch_init(&t->fetch, s->loop);
    list_append(&s->targets, &t->link);
}

/* The labels as they are kept: ours is service, so an exporter's own becomes exported_service. */
static size_t own_labels(const struct target *t, const struct series_label *labels, size_t n,
                         struct series_label *ret)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        ret[out] = labels[i];
        if (str_eq(labels[i].name, STR("service")))
            ret[out].name = STR("exported_service");
        out++;
    }
    ret[out++] = (struct series_label){STR("service"), str_of(t->service)};
    return out;
}

static struct str own_name(struct str name)
{
    return str_eq(name, STR("up")) ? STR("exported_up") : name;
}

static void count_sample(void *ctx, struct str name, const struct series_label *labels, size_t n,
                         double value)
{
    struct page *page = ctx;
    struct series_label own[SERIES_LABELS + 1];
    size_t own_n = own_labels(page->target, labels, n, own);
    int r = series_find(page->target->owner->store, own_name(name), own, own_n);
    if (r == -E2BIG && page->result == 0)
        page->result = r;
    page->unknown += r == -ENOENT;
}

static bool mark_seen(struct scraper *s, int series)
{
    if ((size_t)series >= s->seen_n) {
        size_t n = s->seen_n ? s->seen_n * 2 : 256;
        while (n <= (size_t)series)
            n *= 2;
        s->seen = xrealloc(s->seen, n, sizeof *s->seen);
        memset(s->seen + s->seen_n, 0, (n - s->seen_n) * sizeof *s->seen);
        s->seen_n = n;
    }
    bool first = s->seen[series] != s->scrape_number;
    s->seen[series] = s->scrape_number;
    return first;
}

static void add_pending(struct target *t, int series, double value)
{
    if (t->pending_n == t->pending_cap) {
        t->pending_cap = t->pending_cap ? t->pending_cap * 2 : 64;
        t->pending = xrealloc(t->pending, t->pending_cap, sizeof *t->pending);
    }
    t->pending[t->pending_n++] = (struct pending){series, value};
}

static void take_sample(void *ctx, struct str name, const struct series_label *labels, size_t n,
                        double value)
{
    struct page *page = ctx;
    struct scraper *s = page->target->owner;
    struct series_label own[SERIES_LABELS + 1];
    size_t own_n = own_labels(page->target, labels, n, own);
    int series = series_intern(s->store, own_name(name), own, own_n);
    if (series < 0) {
        page->result = page->result ? page->result : series;
        return;
    }
    if (!mark_seen(s, series) && !page->double_key[0])
        snprintf(page->double_key, sizeof page->double_key, "%s",
                 series_get(s->store, (size_t)series)->key);
    add_pending(page->target, series, value);
}

/* All samples into target->pending, or none and why. */
static int read_page(struct target *t, struct err *err)
{
    struct page page = {.target = t};
    const char *text = buf_str(&t->fetch.body);
    size_t n = t->fetch.body.n;
    t->pending_n = 0;
    int r = promtext_parse(text, n, count_sample, &page, err);
    if (r < 0)
        return r;
    if (page.result < 0)
        return err_set(err, page.result, "a series has more than %d labels", SERIES_LABELS - 1);
    if (series_count(t->owner->store) + page.unknown > SERIES_MAX)
        return err_set(err, -ENOSPC, "%zu new series are more than the %d that a run can hold",
                       page.unknown, SERIES_MAX);
    t->owner->scrape_number++;
    promtext_parse(text, n, take_sample, &page, err);
    if (page.double_key[0])
        return err_set(err, -EINVAL, "two values for %s", page.double_key);
    return page.result;
}

static void store_sample(struct scraper *s, int series, int64_t t_ns, double value)
{
    series_append(s->store, series, t_ns, value);
    if (s->ops.on_sample)
        s->ops.on_sample(s->ops.ctx, series, t_ns, value);
}

static void store_up(struct target *t, int64_t t_ns, bool up)
{
    struct series_label label = {STR("service"), str_of(t->service)};
    if (t->up_series < 0)
        t->up_series = series_intern(t->owner->store, STR("up"), &label, 1);
    if (t->up_series >= 0)
        store_sample(t->owner, t->up_series, t_ns, up);
}

/* The good scrape's samples, and the stale marker for those that the last one had and this has not.
 */
static void store_page(struct target *t, int64_t t_ns)
{
    struct scraper *s = t->owner;
    for (size_t i = 0; i < t->known_n; i++)
        if (s->seen[t->known[i]] != s->scrape_number)
            store_sample(s, t->known[i], t_ns, series_stale());
    t->known = xrealloc(t->known, t->pending_n, sizeof *t->known);
    t->known_n = t->pending_n;
    for (size_t i = 0; i < t->pending_n; i++) {
        store_sample(s, t->pending[i].series, t_ns, t->pending[i].value);
        t->known[i] = t->pending[i].series;
    }
}

static void scrape_failed(struct target *t, int64_t t_ns, const char *what)
{
    t->counts.failed++;
    store_up(t, t_ns, false);
    if (!t->failing && t->owner->ops.on_error)
        t->owner->ops.on_error(t->owner->ops.ctx, t->service, what);
    t->failing = true;
}

static const char *fetch_problem(const struct fetch *f, char *buf, size_t cap)
{
    if (f->result == -EFBIG)
        snprintf(buf, cap, "the metrics page is larger than %d MiB", SCRAPE_BODY_BYTES >> 20);
    else if (f->result == -ETIMEDOUT)
        snprintf(buf, cap, "no answer in time");
    else if (f->result == -EPROTO)
        snprintf(buf, cap, "the answer is not HTTP or is cut off");
    else if (f->result < 0)
        snprintf(buf, cap, "%s", strerror(-f->result));
    else if (f->status != 200)
        snprintf(buf, cap, "status %d", f->status);
    else
        return NULL;
    return buf;
}

static void on_fetched(struct fetch *f)
{
    struct target *t = container_of(f, struct target, fetch);
    struct err err = {0};
    char text[128];
    int64_t t_ns = f->ended_ns - t->owner->run_start_ns;
    t->running = false;
    const char *problem = fetch_problem(f, text, sizeof text);
    if (!problem && read_page(t, &err) < 0)
        problem = err.msg;
    if (problem) {
        scrape_failed(t, t_ns, problem);
        return;
    }
    t->counts.good++;
    store_page(t, t_ns);
    store_up(t, t_ns, true);
    if (t->failing && t->owner->ops.on_error)
        t->owner->ops.on_error(t->owner->ops.ctx, t->service, NULL);
    t->failing = false;
}

static void start_fetch(struct target *t)
{
    struct scraper *s = t->owner;
    int64_t limit_ns = t->every_ns > SCRAPE_TIMEOUT_NS ? t->every_ns : SCRAPE_TIMEOUT_NS;
    int r = s->ops.socket(s->ops.ctx);
    if (r >= 0)
        r = fetch_start(&t->fetch, r, &t->to, "GET", str_of(t->host), str_of(t->path),
                        (struct str){"", 0}, s->loop->now_ns + limit_ns, SCRAPE_BODY_BYTES,
                        on_fetched);
    t->running = r == 0;
    if (r < 0)
        scrape_failed(t, s->loop->now_ns - s->run_start_ns, strerror(-r));
}

static void on_timer(struct loop *loop, struct timer *timer)
{
    struct target *t = container_of(timer, struct target, timer);
    if (t->running)
        t->counts.missed++;
    else
        start_fetch(t);
    for (t->due_ns += t->every_ns; t->due_ns <= loop->now_ns; t->due_ns += t->every_ns)
        t->counts.missed++;
    timer_start(loop, &t->timer, t->due_ns);
}

void scraper_start(struct scraper *s)
{
    list_for_each (l, &s->targets) {
        struct target *t = container_of(l, struct target, link);
        t->due_ns = s->loop->now_ns;
        timer_start(s->loop, &t->timer, t->due_ns);
    }
}

void scraper_stop(struct scraper *s)
{
    list_for_each (l, &s->targets) {
        struct target *t = container_of(l, struct target, link);
        timer_stop(s->loop, &t->timer);
        if (t->running)
            fetch_cancel(&t->fetch);
        t->running = false;
    }
}

bool scraper_counts(const struct scraper *s, const char *service, struct scraper_counts *ret)
{
    list_for_each (l, &s->targets) {
        struct target *t = container_of(l, struct target, link);
        if (strcmp(t->service, service) == 0) {
            *ret = t->counts;
            return true;
        }
    }
    return false;
}

void scraper_free(struct scraper *s)
{
    if (!s)
        return;
    scraper_stop(s);
    while (!list_empty(&s->targets)) {
        struct target *t = container_of(s->targets.next, struct target, link);
        list_remove(&t->link);
        fetch_done(&t->fetch);
        free(t->service);
        free(t->path);
        free(t->known);
        free(t->pending);
        free(t);
    }
    free(s->seen);
    free(s);
}
