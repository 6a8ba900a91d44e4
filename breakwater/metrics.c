#include "metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Upper bounds in microseconds: 0.5 ms .. 20 s holds both answers and back-offs. */
static const int64_t bounds_us[] = {500,     1000,    2500,    5000,     10000,   25000,
                                    50000,   100000,  200000,  400000,   800000,  1000000,
                                    2000000, 4000000, 8000000, 16000000, 20000000};
#define BOUNDS ARRAY_LEN(bounds_us)

struct metric {
    enum metric_type type;
    const char *name, *help;
    char labels[160];
    atomic_int_fast64_t value; /* counter, gauge, or histogram sum in ns */
    atomic_int_fast64_t buckets[BOUNDS + 1];
    double (*fn)(void *ctx);
    void *ctx;
};

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
_Static_assert(ARRAY_LEN(type_names) == METRIC_TYPES, "one name per type");

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *table[METRICS_MAX];
static size_t table_used;
static struct metric overflow_series;
static int64_t start_wall_ms;

static struct metric *find_locked(const char *name, const char *labels)
{
    for (size_t i = 0; i < table_used; i++)
        if (strcmp(table[i]->name, name) == 0 && strcmp(table[i]->labels, labels) == 0)
            return table[i];
    return NULL;
}

struct metric *metric_get(enum metric_type type, const char *name, const char *labels,
                          const char *help)
{
    pthread_mutex_lock(&table_lock);
    struct metric *m = find_locked(name, labels);
    if (!m && table_used < METRICS_MAX) {
        m = xcalloc(1, sizeof(*m));
        m->type = type;
        m->name = name;
        m->help = help;
        snprintf(m->labels, sizeof(m->labels), "%s", labels);
        table[table_used++] = m;
    }
    pthread_mutex_unlock(&table_lock);
    return m ? m : &overflow_series;
}

struct metric *metric_new(enum metric_type type, const char *name, const char *labels,
                          const char *help)
{
    return metric_get(type, name, labels, help);
}

void metric_gauge_fn(const char *name, const char *help, double (*fn)(void *ctx), void *ctx)
{
    struct metric *m = metric_new(METRIC_GAUGE, name, "", help);
    m->ctx = ctx;
    m->fn = fn;
}

void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t value)
{
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void metric_observe_ns(struct metric *m, int64_t ns)
{
    size_t i = 0;
    while (i < BOUNDS && ns > bounds_us[i] * 1000)
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    metric_add(m, ns);
}

static void render_histogram(struct buf *out, const struct metric *m)
{
    const char *comma = m->labels[0] ? "," : "";
    long long total = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        total += (long long)atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"", m->name, m->labels, comma);
        if (i < BOUNDS)
            buf_printf(out, "%g", (double)bounds_us[i] / 1e6);
        else
            buf_puts(out, "+Inf");
        buf_printf(out, "\"} %lld\n", total);
    }
    const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.9f\n", m->name, open, m->labels, close,
               (double)metric_value(m) / 1e9);
    buf_printf(out, "%s_count%s%s%s %lld\n", m->name, open, m->labels, close, total);
}

static void render_one(struct buf *out, const struct metric *m)
{
    if (m->type == METRIC_HISTOGRAM) {
        render_histogram(out, m);
        return;
    }
    buf_puts(out, m->name);
    if (m->labels[0])
        buf_printf(out, "{%s}", m->labels);
    if (m->fn)
        buf_printf(out, " %.15g\n", m->fn(m->ctx));
    else
        buf_printf(out, " %lld\n", (long long)metric_value(m));
}

static bool named_before(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(table[j]->name, table[i]->name) == 0)
            return true;
    return false;
}

void metrics_render(struct buf *out)
{
    pthread_mutex_lock(&table_lock);
    for (size_t i = 0; i < table_used; i++) {
        if (named_before(i))
            continue;
        const struct metric *m = table[i];
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
                   type_names[m->type]);
        for (size_t j = i; j < table_used; j++)
            if (strcmp(table[j]->name, m->name) == 0)
                render_one(out, table[j]);
    }
    pthread_mutex_unlock(&table_lock);
}

static double resident_bytes(void *ctx)
{
    (void)ctx;
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%*s %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void *ctx)
{
    (void)ctx;
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n - 1; /* not the folder handle itself */
}

static double cpu_seconds(void *ctx)
{
    (void)ctx;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double start_seconds(void *ctx)
{
    (void)ctx;
    return (double)start_wall_ms / 1e3;
}

void metrics_process_init(void)
{
    start_wall_ms = wall_ms();
    metric_gauge_fn("process_resident_memory_bytes", "Resident memory.", resident_bytes, NULL);
    metric_gauge_fn("process_open_fds", "Open file descriptors.", open_fds, NULL);
    metric_gauge_fn("process_cpu_seconds_total", "User and system time.", cpu_seconds, NULL);
    metric_gauge_fn("process_start_time_seconds", "Unix time of the start.", start_seconds, NULL);
}
