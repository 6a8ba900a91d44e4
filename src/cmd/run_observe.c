/* What a run watches and reads: metrics while the storm goes on, the final state after it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/run.h"

static void record_new_series(struct run *run)
{
    for (; run->series_recorded < series_count(run->series); run->series_recorded++)
        record_series(run->record, (int)run->series_recorded,
                      series_get(run->series, run->series_recorded));
}

static void on_sample(void *ctx, int series, int64_t t_ns, double value)
{
    struct run *run = ctx;
    record_new_series(run);
    record_sample(run->record, series, t_ns, value);
}

static void on_scrape_error(void *ctx, const char *service, const char *what)
{
    struct run *run = ctx;
    run_event(run, clock_now_ns(), what ? LIVE_WARN : LIVE_GOOD, "scrape", service, "%s",
              what ? what : "metrics are readable again");
}

void run_observe_start(struct run *run)
{
    struct scraper_ops ops = {
        .socket = run_socket, .on_sample = on_sample, .on_error = on_scrape_error, .ctx = run};
    run->scraper = scraper_new(&run->loop, run->series, run->start_ns, &ops);
    for (size_t i = 0; i < run->plan->services_n; i++) {
        const struct plan_service *s = &run->plan->services[i];
        struct addr to;
        if (s->metrics_port && run_target_addr(run, s->name, s->metrics_port, &to) == 0)
            scraper_add(run->scraper, s->name, &to, s->metrics_path, s->metrics_every_ns);
    }
    scraper_start(run->scraper);
}

void run_observe_stop(struct run *run)
{
    if (!run->scraper)
        return;
    scraper_stop(run->scraper);
    scraper_free(run->scraper);
    run->scraper = NULL;
}

static void settle_finished(struct run_load *l, bool stable, const char *problem)
{
    l->settled = true;
    record_settled(l->run->record, l->index, stable, run_clock(l->run, clock_now_ns()), problem);
}

static void all_settled(struct run *run)
{
    for (size_t i = 0; i < run->plan->loads_n; i++)
        if (run->loads[i].plan->settle.from && !run->loads[i].settled)
            return;
    run_observe_stop(run);
    run_set_state(run, RUN_STOPPING);
    if (!run->bed.lab || lab_stop(run->bed.lab) < 0)
        run_set_state(run, RUN_DONE);
}

static void on_listed(struct listing *listing)
{
    struct run_load *l = container_of(listing, struct run_load, listing);
    struct run *run = l->run;
    int64_t objects = 0;
    for (size_t i = 0; i < listing->items_n; i++) {
        record_settled_object(run->record, l->index, listing->items[i].key,
                              listing->items[i].count);
        objects++;
    }
    const char *problem = listing->problem[0] ? listing->problem : NULL;
    run_event(run, clock_now_ns(), problem ? LIVE_BAD : LIVE_GOOD, "settle", l->plan->name,
              "%lld objects in %s%s%s", (long long)objects, l->plan->settle.from,
              problem ? "; " : ", stable", problem ? problem : "");
    settle_finished(l, listing->stable, problem);
    all_settled(run);
}

static void settle_load(struct run *run, struct run_load *l)
{
    const struct plan_settle *settle = &l->plan->settle;
    struct err err = {0};
    struct listing_config config = {.socket = run_socket,
                                    .socket_ctx = run,
                                    .host = settle->from,
                                    .path = settle->list,
                                    .id = settle->id,
                                    .count = settle->count,
                                    .stable_ns = settle->stable_ns,
                                    .within_ns = settle->within_ns};
    int r = run_target_addr(run, settle->from, settle->port, &config.to);
    if (r < 0)
        err_set(&err, r, "\"%s\" cannot be reached: %s", settle->from, strerror(-r));
    if (r == 0)
        r = listing_start(&l->listing, &run->loop, &config, on_listed, &err);
    l->listing_used = r == 0;
    if (r < 0) {
        run_event(run, clock_now_ns(), LIVE_BAD, "settle", l->plan->name, "%s", err.msg);
        settle_finished(l, false, err.msg);
    }
}

void run_settle_start(struct run *run)
{
    for (size_t i = 0; i < run->plan->loads_n; i++)
        if (run->loads[i].plan->settle.from)
            settle_load(run, &run->loads[i]);
    all_settled(run);
}

void run_settle_done(struct run *run)
{
    for (size_t i = 0; run->loads && i < run->plan->loads_n; i++) {
        struct run_load *l = &run->loads[i];
        if (l->listing_used)
            listing_done(&l->listing);
        l->listing_used = false;
    }
}
