#include "ready.h"

#include <pthread.h>
#include <stdlib.h>

#include "defect.h"
#include "kube_client.h"

struct ready {
    const struct gw_settings *set;
    struct redis_pool *redis;
    struct pipeline *pipeline;
    struct kube_client *kube; /* of the looking thread */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, ending;
    bool was_ready; /* only for the defect */
    struct http_req *waiting;
};

struct look {
    bool redis, kube, journal;
};

static void send_look(struct http_req *r, const struct look *k, bool ready, const char *status)
{
    static const struct http_answer_header later = {"Retry-After", "5"};
    struct buf b = {0};
    buf_printf(&b,
               "{\"status\":\"%s\",\"checks\":{\"redis\":\"%s\",\"k8s\":\"%s\","
               "\"journal\":\"%s\"}}",
               status, k->redis ? "ok" : "failed", k->kube ? "ok" : "failed",
               k->journal ? "ok" : "failed");
    http_answer(r, ready ? 200 : 503, "application/json", b.p, b.len, &later, ready ? 0 : 1);
    buf_done(&b);
}

static struct look look_now(struct ready *y)
{
    struct kube_answer a = {0};
    struct look k = {.redis = redis_alive(y->redis, y->set->ready_limit_ms),
                     .journal = pipeline_journal_ok(y->pipeline)};
    kube_call(y->kube, "GET", "/readyz", NULL, y->set->ready_limit_ms, &a);
    k.kube = a.status == 200;
    buf_done(&a.body);
    return k;
}

static void *ready_main(void *arg)
{
    struct ready *y = arg;
    pthread_mutex_lock(&y->lock);
    for (;;) {
        while (!y->waiting && !y->ending)
            pthread_cond_wait(&y->wake, &y->lock);
        if (!y->waiting)
            break;
        struct http_req *list = y->waiting;
        y->waiting = NULL;
        pthread_mutex_unlock(&y->lock);
        struct look k = look_now(y);
        bool ready = k.redis && k.kube && k.journal;
        pthread_mutex_lock(&y->lock);
        if (defect_on(D_B01) && y->was_ready) /* the first success is remembered for ever */
            ready = true;
        y->was_ready = y->was_ready || ready;
        bool stopping = y->stopping;
        pthread_mutex_unlock(&y->lock);
        for (struct http_req *r = list, *next; r; r = next) {
            next = r->next;
            send_look(r, &k, ready && !stopping,
                      stopping ? "stopping"
                      : ready  ? "ready"
                               : "not ready");
        }
        pthread_mutex_lock(&y->lock);
    }
    pthread_mutex_unlock(&y->lock);
    return NULL;
}

struct ready *ready_new(const struct gw_settings *set, struct redis_pool *redis,
                        struct pipeline *pipeline)
{
    struct ready *y = xcalloc(1, sizeof(*y));
    y->set = set;
    y->redis = redis;
    y->pipeline = pipeline;
    y->kube = kube_client_new(set);
    pthread_mutex_init(&y->lock, NULL);
    pthread_cond_init(&y->wake, NULL);
    if (pthread_create(&y->thread, NULL, ready_main, y) != 0)
        abort();
    return y;
}

void ready_serve(struct ready *y, struct http_req *r)
{
    pthread_mutex_lock(&y->lock);
    bool now = y->stopping;
    if (!now) {
        http_defer(r);
        r->next = y->waiting;
        y->waiting = r;
        pthread_cond_signal(&y->wake);
    }
    pthread_mutex_unlock(&y->lock);
    if (now) {
        const struct look nothing = {0};
        send_look(r, &nothing, false, "stopping");
    }
}

void ready_stopping(struct ready *y)
{
    pthread_mutex_lock(&y->lock);
    y->stopping = true;
    pthread_mutex_unlock(&y->lock);
}

void ready_free(struct ready *y)
{
    if (!y)
        return;
    pthread_mutex_lock(&y->lock);
    y->stopping = y->ending = true;
    pthread_cond_signal(&y->wake);
    pthread_mutex_unlock(&y->lock);
    pthread_join(y->thread, NULL);
    kube_client_free(y->kube);
    pthread_mutex_destroy(&y->lock);
    pthread_cond_destroy(&y->wake);
    free(y);
}
