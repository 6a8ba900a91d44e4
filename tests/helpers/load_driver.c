/*
 * load_driver.c - one load from the command line, without a lab: the engine of the load tests and
 * of bench/load.
 *
 *   load_driver --port P [--path /ok] [--method GET] [--body TEXT] [--var NAME=TEXT]...
 *               [--rate R [--poisson] | --closed] [--connections N] [--workers N] [--requests N]
 *               [--duration S] [--timeout S] [--connect-timeout S] [--seed N] [--no-keep-alive]
 *               [--abort] [--no-drain S]
 *
 * Starts after 10 ms, stops at the duration (or aborts: --abort), and prints one JSON object:
 * counts, fates, reasons, what the rows said (their own counts, quantiles from due and from sent in
 * ns), CPU time.
 * --no-drain: rows are not drained for the first S seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/hist.h"
#include "base/json.h"
#include "base/log.h"
#include "load/load.h"

#define START_AFTER_NS (10 * NS_PER_MS)
#define DRAIN_EVERY_NS (10 * NS_PER_MS)

struct tally {
    struct hist *due, *sent; /* of complete answers and of timeouts */
    uint64_t rows, sent_rows, fates[FATE_COUNT], reasons[REASON_COUNT];
    uint64_t next_id_sum; /* sum of ids */
    int64_t first_due_ns, last_due_ns, last_sent_ns;
    uint64_t bad_rows; /* clocks in the wrong order */
};

struct options {
    struct arena arena;
    struct plan_load plan;
    struct plan_variant variant;
    double duration_s, no_drain_s;
    uint64_t seed;
    bool abort;
};

static void fail(const char *what, struct err *err)
{
    char text[1024];
    fprintf(stderr, "load_driver: %s: %s\n", what,
            err ? err_text(err, text, sizeof text) : "usage");
    exit(2);
}

static const struct template *compile(struct options *o, const char *text)
{
    struct template *t;
    struct err err = {0};
    if (template_compile(&o->arena, text, &o->plan.vars, &t, &err) < 0)
        fail(text, &err);
    return t;
}

static void add_var(struct options *o, char *text)
{
    char *eq = strchr(text, '=');
    struct template_vars *v = &o->plan.vars;
    if (!eq || v->n == TEMPLATE_VARS)
        fail(text, NULL);
    *eq = 0;
    const struct template *t = compile(o, eq + 1);
    v->names[v->n] = text;
    v->values[v->n++] = t;
}

enum {
    OPT_PORT = 256,
    OPT_PATH,
    OPT_METHOD,
    OPT_BODY,
    OPT_VAR,
    OPT_RATE,
    OPT_POISSON,
    OPT_CLOSED,
    OPT_CONNECTIONS,
    OPT_WORKERS,
    OPT_REQUESTS,
    OPT_DURATION,
    OPT_TIMEOUT,
    OPT_CONNECT_TIMEOUT,
    OPT_SEED,
    OPT_NO_KEEP_ALIVE,
    OPT_ABORT,
    OPT_NO_DRAIN
};

static const struct option longs[] = {
    {"port", 1, NULL, OPT_PORT},
    {"path", 1, NULL, OPT_PATH},
    {"method", 1, NULL, OPT_METHOD},
    {"body", 1, NULL, OPT_BODY},
    {"var", 1, NULL, OPT_VAR},
    {"rate", 1, NULL, OPT_RATE},
    {"poisson", 0, NULL, OPT_POISSON},
    {"closed", 0, NULL, OPT_CLOSED},
    {"connections", 1, NULL, OPT_CONNECTIONS},
    {"workers", 1, NULL, OPT_WORKERS},
    {"requests", 1, NULL, OPT_REQUESTS},
    {"duration", 1, NULL, OPT_DURATION},
    {"timeout", 1, NULL, OPT_TIMEOUT},
    {"connect-timeout", 1, NULL, OPT_CONNECT_TIMEOUT},
    {"seed", 1, NULL, OPT_SEED},
    {"no-keep-alive", 0, NULL, OPT_NO_KEEP_ALIVE},
    {"abort", 0, NULL, OPT_ABORT},
    {"no-drain", 1, NULL, OPT_NO_DRAIN},
    {0},
};

static void parse(struct options *o, int argc, char **argv)
{
    static int accepted[] = {2}, refused[] = {429, 503};
    const char *path = "/ok", *body = NULL;
    struct plan_load *p = &o->plan;
    arena_init(&o->arena);
    *p = (struct plan_load){.name = "driven",
                            .method = "GET",
                            .scheme = "http",
                            .host = "127.0.0.1",
                            .port = 0,
                            .model = PLAN_OPEN,
                            .rate_per_s = 100,
                            .concurrency = 64,
                            .workers = 1,
                            .keep_alive = true,
                            .timeout_ns = 5 * NS_PER_S,
                            .connect_timeout_ns = 2 * NS_PER_S,
                            .accepted = {accepted, 1},
                            .refused = {refused, 2}};
    o->duration_s = 1;
    o->seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case OPT_PORT: p->port = (uint16_t)atoi(optarg); break;
        case OPT_PATH: path = optarg; break;
        case OPT_METHOD: p->method = optarg; break;
        case OPT_BODY: body = optarg; break;
        case OPT_VAR: add_var(o, optarg); break;
        case OPT_RATE: p->rate_per_s = atof(optarg); break;
        case OPT_POISSON: p->poisson = true; break;
        case OPT_CLOSED: p->model = PLAN_CLOSED; break;
        case OPT_CONNECTIONS: p->concurrency = atoi(optarg); break;
        case OPT_WORKERS: p->workers = atoi(optarg); break;
        case OPT_REQUESTS: p->requests = atoll(optarg); break;
        case OPT_DURATION: o->duration_s = atof(optarg); break;
        case OPT_TIMEOUT: p->timeout_ns = (int64_t)(atof(optarg) * NS_PER_S); break;
        case OPT_CONNECT_TIMEOUT: p->connect_timeout_ns = (int64_t)(atof(optarg) * NS_PER_S); break;
        case OPT_SEED: o->seed = strtoull(optarg, NULL, 10); break;
        case OPT_NO_KEEP_ALIVE: p->keep_alive = false; break;
        case OPT_ABORT: o->abort = true; break;
        case OPT_NO_DRAIN: o->no_drain_s = atof(optarg); break;
        default: fail("options", NULL);
        }
    }
    p->path_text = path;
    p->path = compile(o, path);
    o->variant = (struct plan_variant){.weight = 1, .body_text = body};
    o->variant.body = body ? compile(o, body) : NULL;
    p->variants = &o->variant;
    p->variants_n = 1;
}

static void on_row(void *ctx, const struct ledger_row *row)
{
    struct tally *t = ctx;
    t->first_due_ns = t->rows == 0 ? row->due_ns : t->first_due_ns;
    t->rows++;
    t->next_id_sum += row->id;
    t->fates[row->fate]++;
    t->reasons[row->reason]++;
    if (row->sent_ns > 0)
        t->sent_rows++;
    if (row->answered_ns < row->due_ns || (row->sent_ns > 0 && row->sent_ns < row->due_ns) ||
        (row->sent_ns > 0 && row->answered_ns < row->sent_ns))
        t->bad_rows++;
    if (row->due_ns > t->last_due_ns)
        t->last_due_ns = row->due_ns;
    if (row->sent_ns > t->last_sent_ns)
        t->last_sent_ns = row->sent_ns;
    if (row->status || row->reason == REASON_TIMEOUT) {
        hist_record(t->due, row->answered_ns - row->due_ns);
        hist_record(t->sent, row->answered_ns - row->sent_ns);
    }
}

static void print_quantiles(struct json *j, const char *name, const struct hist *h)
{
    json_key(j, name);
    json_object(j);
    json_key(j, "count"), json_int(j, (int64_t)h->count);
    json_key(j, "p50"), json_int(j, hist_quantile(h, 0.5));
    json_key(j, "p90"), json_int(j, hist_quantile(h, 0.9));
    json_key(j, "p95"), json_int(j, hist_quantile(h, 0.95));
    json_key(j, "p99"), json_int(j, hist_quantile(h, 0.99));
    json_key(j, "p999"), json_int(j, hist_quantile(h, 0.999));
    json_key(j, "max"), json_int(j, h->max);
    json_end_object(j);
}

static void print_fates(struct json *j, const char *prefix, const uint64_t *fates,
                        const uint64_t *reasons)
{
    char key[64];
    snprintf(key, sizeof key, "%sfates", prefix);
    json_key(j, key);
    json_object(j);
    for (int i = 0; i < FATE_COUNT; i++)
        json_key(j, fate_names[i]), json_int(j, (int64_t)fates[i]);
    json_end_object(j);
    snprintf(key, sizeof key, "%sreasons", prefix);
    json_key(j, key);
    json_object(j);
    for (int i = 0; i < REASON_COUNT; i++)
        json_key(j, fate_reason_names[i]), json_int(j, (int64_t)reasons[i]);
    json_end_object(j);
}

static void print(const struct tally *t, const struct load_counts *c, const struct hist *lateness,
                  int64_t ran_ns)
{
    struct buf out = {0};
    struct json j;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    json_init(&j, &out, 1);
    json_object(&j);
    json_key(&j, "due"), json_int(&j, (int64_t)c->due);
    json_key(&j, "sent"), json_int(&j, (int64_t)c->sent);
    json_key(&j, "open"), json_int(&j, (int64_t)c->open);
    json_key(&j, "late"), json_int(&j, (int64_t)c->late);
    json_key(&j, "connects"), json_int(&j, (int64_t)c->connects);
    json_key(&j, "bytes_in"), json_int(&j, (int64_t)c->bytes_in);
    json_key(&j, "bytes_out"), json_int(&j, (int64_t)c->bytes_out);
    json_key(&j, "rows"), json_int(&j, (int64_t)t->rows);
    json_key(&j, "sent_rows"), json_int(&j, (int64_t)t->sent_rows);
    json_key(&j, "bad_rows"), json_int(&j, (int64_t)t->bad_rows);
    json_key(&j, "id_sum"), json_int(&j, (int64_t)t->next_id_sum);
    json_key(&j, "first_due_ns"), json_int(&j, t->first_due_ns);
    json_key(&j, "last_due_ns"), json_int(&j, t->last_due_ns);
    json_key(&j, "last_sent_ns"), json_int(&j, t->last_sent_ns);
    json_key(&j, "ran_ns"), json_int(&j, ran_ns);
    json_key(&j, "cpu_user_ns");
    json_int(&j, ru.ru_utime.tv_sec * NS_PER_S + ru.ru_utime.tv_usec * 1000);
    json_key(&j, "cpu_system_ns");
    json_int(&j, ru.ru_stime.tv_sec * NS_PER_S + ru.ru_stime.tv_usec * 1000);
    json_key(&j, "maxrss_kib"), json_int(&j, ru.ru_maxrss);
    print_fates(&j, "", c->fates, c->reasons);
    print_fates(&j, "row_", t->fates, t->reasons);
    print_quantiles(&j, "from_due_ns", t->due);
    print_quantiles(&j, "from_sent_ns", t->sent);
    print_quantiles(&j, "lateness_ns", lateness);
    json_end_object(&j);
    puts(buf_str(&out));
    buf_done(&out);
}

static void drain(struct load *l, struct tally *t, int64_t no_drain_until_ns)
{
    struct timespec pause = {0, DRAIN_EVERY_NS};
    while (load_running(l)) {
        if (clock_now_ns() >= no_drain_until_ns)
            load_drain(l, 1 << 16, on_row, t);
        nanosleep(&pause, NULL);
    }
    while (load_drain(l, 1 << 16, on_row, t) > 0)
        ;
}

int main(int argc, char **argv)
{
    static struct options o;
    struct load *load;
    struct err err = {0};
    struct load_counts counts;
    struct tally t = {.due = hist_new(), .sent = hist_new()};
    struct hist *lateness = hist_new();
    parse(&o, argc, argv);
    int64_t start_ns = clock_now_ns() + START_AFTER_NS;
    struct load_config config = {.plan = &o.plan, .seed = o.seed, .run_start_ns = start_ns};
    addr_from_ip("127.0.0.1", o.plan.port, &config.target);
    if (load_new(&config, &load, &err) < 0 || load_start(load, start_ns, &err) < 0)
        fail("load", &err);
    int64_t stop_ns = start_ns + (int64_t)(o.duration_s * NS_PER_S);
    if (o.abort) {
        struct timespec at = {stop_ns / NS_PER_S, stop_ns % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        load_abort(load);
    } else {
        load_stop(load, stop_ns);
    }
    drain(load, &t, start_ns + (int64_t)(o.no_drain_s * NS_PER_S));
    load_counts(load, &counts);
    load_lateness(load, lateness);
    print(&t, &counts, lateness, clock_now_ns() - start_ns);
    load_free(load);
    hist_free(t.due);
    hist_free(t.sent);
    hist_free(lateness);
    arena_done(&o.arena);
    return 0;
}
