#include "load/load.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "load/load_impl.h"
#include "load/worker.h"

#define SPARE_DESCRIPTORS 64 /* of the process, for all that is not a connection */

static int check_plan(const struct plan_load *p, struct err *err)
{
    if (p->model == PLAN_OPEN && !(p->rate_per_s > 0 && isfinite(p->rate_per_s)))
        return err_set(err, -EINVAL, "the rate must be above 0");
    if (p->concurrency < 1 || p->workers < 1)
        return err_set(err, -EINVAL, "concurrency and workers must be at least 1");
    if (p->timeout_ns <= 0 || p->connect_timeout_ns <= 0)
        return err_set(err, -EINVAL, "timeouts must be above 0");
    return 0;
}

/* Each worker has a table of its own. Raises the soft limit when the hard one allows it. */
static int check_descriptors(const struct plan_load *p, struct err *err)
{
    struct rlimit lim;
    rlim_t want = (rlim_t)(p->concurrency / p->workers) + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
        return 0;
    if (lim.rlim_max >= want) {
        lim.rlim_cur = want;
        if (setrlimit(RLIMIT_NOFILE, &lim) == 0)
            return 0;
    }
    return err_set(
        err, -EMFILE,
        "%d connections need %llu descriptors a worker, the limit is %llu: more workers, "
        "or raise it (ulimit -n)",
        p->concurrency, (unsigned long long)want, (unsigned long long)lim.rlim_max);
}

static enum fate classify(const struct plan_load *p, int status)
{
    if (plan_codes_match(&p->accepted, status) || (p->accepted.n == 0 && status / 100 == 2))
        return FATE_ACCEPTED;
    return plan_codes_match(&p->refused, status) ? FATE_REFUSED : FATE_FAILED;
}

int load_new(const struct load_config *config, struct load **ret, struct err *err)
{
    const struct plan_load *p = config->plan;
    int r = check_plan(p, err);
    if (r == 0)
        r = check_descriptors(p, err);
    if (r < 0)
        return r;
    struct load *l = xmalloc(sizeof *l);
    sem_init(&l->entered, 0, 0);
    l->plan = p;
    l->target = config->target;
    l->seed = config->seed;
    l->run_start_ns = config->run_start_ns;
    l->enter = config->enter;
    l->enter_ctx = config->enter_ctx;
    l->ledger_rows = config->ledger_rows;
    l->head_request = strcmp(p->method, "HEAD") == 0;
    l->workers_n = (unsigned)(p->workers < p->concurrency ? p->workers : p->concurrency);
    for (int status = 0; status < STATUSES; status++)
        l->fate_of[status] = (uint8_t)classify(p, status);
    r = requests_new(p, load_template_seed(config->seed, p->name), &l->requests, err);
    if (r < 0)
        goto out;
    l->workers = xcalloc(l->workers_n, sizeof *l->workers);
    for (unsigned i = 0; i < l->workers_n; i++)
        l->workers[i].wake_fd = l->workers[i].loop.epoll_fd = -1;
    for (unsigned i = 0; i < l->workers_n && r == 0; i++)
        r = worker_init(&l->workers[i], l, i);
    if (r < 0) {
        err_set(err, r, "load worker: %s", strerror(-r));
        goto out;
    }
    *ret = l;
    return 0;
out:
    load_free(l);
    return r;
}

static void join(struct load *l)
{
    for (unsigned i = 0; i < l->workers_n; i++)
        if (l->workers[i].started) {
            pthread_join(l->workers[i].thread, NULL);
            l->workers[i].started = false;
        }
}

int load_start(struct load *l, int64_t start_ns, struct err *err)
{
    unsigned started = 0;
    int code = 0;
    while (started < l->workers_n && code == 0) {
        code = worker_start(&l->workers[started], start_ns);
        started += code == 0;
    }
    for (unsigned i = 0; i < started; i++)
        while (sem_wait(&l->entered) < 0 && errno == EINTR)
            ;
    if (code < 0)
        err_set(err, code, "load '%s': cannot start a thread: %s", l->plan->name, strerror(-code));
    for (unsigned i = 0; i < started && code == 0; i++) {
        code = l->workers[i].start_code;
        if (code < 0)
            err_set(err, code, "load '%s': a worker could not start: %s", l->plan->name,
                    strerror(-code));
    }
    if (code < 0) {
        load_abort(l);
        join(l);
    }
    return code;
}

void load_stop(struct load *l, int64_t at_ns)
{
    for (unsigned i = 0; i < l->workers_n; i++) {
        atomic_store(&l->workers[i].stop_at_ns, at_ns);
        worker_wake(&l->workers[i]);
    }
}

void load_abort(struct load *l)
{
    for (unsigned i = 0; i < l->workers_n; i++) {
        atomic_store(&l->workers[i].abort, true);
        worker_wake(&l->workers[i]);
    }
}

bool load_running(const struct load *l)
{
    for (unsigned i = 0; i < l->workers_n; i++)
        if (atomic_load_explicit(&l->workers[i].running, memory_order_acquire))
            return true;
    return false;
}

static uint64_t get(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_acquire);
}

/* Fates before due: a request is counted as due first, so open never comes out negative. */
static void add_counts(const struct worker_counts *c, struct load_counts *to)
{
    for (int i = 0; i < FATE_COUNT; i++)
        to->fates[i] += get(&c->fates[i]);
    for (int i = 0; i < REASON_COUNT; i++)
        to->reasons[i] += get(&c->reasons[i]);
    to->sent += get(&c->sent);
    to->due += get(&c->due);
    to->late += get(&c->late);
    to->connects += get(&c->connects);
    to->bytes_in += get(&c->bytes_in);
    to->bytes_out += get(&c->bytes_out);
    int64_t lateness = atomic_load_explicit(&c->lateness_max_ns, memory_order_relaxed);
    if (lateness > to->lateness_max_ns)
        to->lateness_max_ns = lateness;
}

void load_counts(const struct load *l, struct load_counts *ret)
{
    uint64_t closed = 0;
    *ret = (struct load_counts){0};
    for (unsigned i = 0; i < l->workers_n; i++)
        add_counts(&l->workers[i].counts, ret);
    for (int i = 0; i < FATE_COUNT; i++)
        closed += ret->fates[i];
    ret->open = ret->due - closed;
}

void load_lateness(const struct load *l, struct hist *into)
{
    assert(!load_running(l));
    for (unsigned i = 0; i < l->workers_n; i++)
        hist_merge(into, l->workers[i].lateness);
}

size_t load_drain(struct load *l, size_t max, ledger_fn *fn, void *ctx)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->workers_n && n < max; i++)
        n += ledger_drain(l->workers[i].ledger, max - n, fn, ctx);
    return n;
}

void load_free(struct load *l)
{
    if (!l)
        return;
    if (l->workers)
        load_abort(l);
    join(l);
    for (unsigned i = 0; l->workers && i < l->workers_n; i++)
        worker_done(&l->workers[i]);
    free(l->workers);
    requests_free(l->requests);
    sem_destroy(&l->entered);
    free(l);
}
