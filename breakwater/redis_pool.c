#include "redis_pool.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker.h"
#include "log.h"

#define KEY_BYTES    96
#define COMMANDS_MAX 3
#define ARGS_MAX     20

struct redis_pool {
    const struct gw_settings *set;
    char host[256];
    int port;
    struct breaker breaker;
    atomic_bool lost; /* a connect or call failed and none has worked since */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    redisContext **idle; /* stack; NULL entries are not connected yet */
    size_t n_idle;

    pthread_t prober;
    bool stopping;
};

struct command {
    const char *argv[ARGS_MAX];
    int argc;
};

static void breaker_moved(void *ctx, enum breaker_state from, enum breaker_state to)
{
    (void)ctx;
    metric_set(gwm.breaker_state[GW_REDIS], to);
    metric_add(gwm.breaker_moves[GW_REDIS][to], 1);
    LOG_LINE(to == BREAKER_OPEN ? LOG_WARN : LOG_INFO, "redis", "circuit breaker changed",
             LF_S("from", breaker_state_name(from)), LF_S("to", breaker_state_name(to)));
}

static struct timeval millis(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static enum redis_error context_error(const redisContext *c, int saved_errno)
{
    if (!c)
        return REDIS_OTHER;
    if (c->err == REDIS_ERR_IO &&
        (saved_errno == EAGAIN || saved_errno == EWOULDBLOCK || saved_errno == ETIMEDOUT))
        return REDIS_TIMEOUT;
    if (strstr(c->errstr, "timed out"))
        return REDIS_TIMEOUT;
    if (c->err == REDIS_ERR_EOF || c->err == REDIS_ERR_IO)
        return REDIS_REFUSED;
    return REDIS_OTHER;
}

static redisContext *connect_now(struct redis_pool *p, int64_t limit_ms, enum redis_error *ret_why)
{
    errno = 0;
    redisContext *c = redisConnectWithTimeout(p->host, p->port, millis(limit_ms));
    if (!c || c->err) {
        *ret_why = context_error(c, errno);
        if (c)
            redisFree(c);
        return NULL;
    }
    redisSetTimeout(c, millis(limit_ms));
    return c;
}

static void note_alive(struct redis_pool *p)
{
    if (atomic_exchange(&p->lost, false)) {
        metric_add(gwm.redis_reconnects, 1);
        LOG_LINE(LOG_INFO, "redis", "connected again");
    }
}

static enum redis_error reply_error(const redisReply *r)
{
    if (r->type != REDIS_REPLY_ERROR)
        return REDIS_FINE;
    if (strncmp(r->str, "OOM", 3) == 0) {
        LOG_LINE(LOG_WARN, "redis", "redis oom", LF_S("error", r->str));
        return REDIS_OOM;
    }
    LOG_LINE(LOG_WARN, "redis", "redis answered with an error", LF_S("error", r->str));
    return REDIS_OTHER;
}

/* Sends all commands in one go and reads all replies; the last one is handed over. */
static enum redis_error exchange(redisContext *c, const struct command *cmd, size_t n,
                                 redisReply **ret_last)
{
    enum redis_error worst = REDIS_FINE;
    errno = 0;
    for (size_t i = 0; i < n; i++)
        redisAppendCommandArgv(c, cmd[i].argc, (const char **)(uintptr_t)cmd[i].argv, NULL);
    for (size_t i = 0; i < n; i++) {
        void *reply = NULL;
        if (redisGetReply(c, &reply) != REDIS_OK)
            return context_error(c, errno);
        enum redis_error e = reply_error(reply);
        if (e != REDIS_FINE)
            worst = e;
        if (i + 1 == n && ret_last && e == REDIS_FINE)
            *ret_last = reply;
        else
            freeReplyObject(reply);
    }
    return worst;
}

/* A free place in the pool, within the call limit. */
static bool acquire(struct redis_pool *p, redisContext **ret_c)
{
    int64_t until = now_ns() + p->set->redis_call_limit_ms * NS_PER_MS;
    struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    while (p->n_idle == 0 && rc == 0)
        rc = pthread_cond_timedwait(&p->wake, &p->lock, &ts);
    bool got = p->n_idle > 0;
    if (got)
        *ret_c = p->idle[--p->n_idle];
    pthread_mutex_unlock(&p->lock);
    if (got)
        metric_add(gwm.redis_active, 1);
    return got;
}

static void release(struct redis_pool *p, redisContext *c)
{
    metric_add(gwm.redis_active, -1);
    pthread_mutex_lock(&p->lock);
    p->idle[p->n_idle++] = c;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static enum redis_error attempt(struct redis_pool *p, redisContext **c, const struct command *cmd,
                                size_t n, redisReply **ret_last)
{
    enum redis_error e = REDIS_OTHER;
    bool reused = *c != NULL;
    for (int round = 0; round < 2; round++) {
        if (!*c)
            *c = connect_now(p, p->set->redis_call_limit_ms, &e);
        if (!*c)
            return e;
        e = exchange(*c, cmd, n, ret_last);
        if (!(*c)->err)
            return e;
        redisFree(*c);
        *c = NULL;
        /* A kept connection may have died with an earlier Redis: that says nothing about now. */
        if (!reused || e == REDIS_TIMEOUT)
            return e;
        reused = false;
    }
    return e;
}

static void account(struct redis_pool *p, enum redis_op op, enum redis_error e)
{
    metric_add(gwm.redis_ops[op][e == REDIS_FINE], 1);
    if (e == REDIS_FINE) {
        note_alive(p);
    } else {
        metric_add(gwm.redis_errors[e], 1);
        if (e != REDIS_OOM)
            atomic_store(&p->lost, true);
        if (e == REDIS_TIMEOUT)
            LOG_LINE(LOG_WARN, "redis", "redis timeout",
                     LF_I("limit_ms", p->set->redis_call_limit_ms));
    }
    breaker_record(&p->breaker, now_ns(), e == REDIS_FINE, 0);
}

static enum redis_error call(struct redis_pool *p, enum redis_op op, const struct command *cmd,
                             size_t n, redisReply **ret_last)
{
    redisContext *c = NULL;
    if (!breaker_allow(&p->breaker, now_ns()))
        return REDIS_NOT_TRIED;
    if (!acquire(p, &c)) {
        breaker_cancel(&p->breaker);
        return REDIS_NOT_TRIED;
    }
    enum redis_error e = attempt(p, &c, cmd, n, ret_last);
    release(p, c);
    account(p, op, e);
    return e;
}

static void key_of(const char *fp, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "gateway:dedup:fingerprint:%.64s", fp);
}

enum redis_error redis_lookup(struct redis_pool *p, const char *fp, char ret_ref[REDIS_REF_BYTES])
{
    char key[KEY_BYTES];
    key_of(fp, key);
    const struct command cmd = {{"HGET", key, "remediationRequestRef"}, 3};
    redisReply *reply = NULL;
    ret_ref[0] = '\0';
    enum redis_error e = call(p, REDIS_LOOKUP, &cmd, 1, &reply);
    if (reply && reply->type == REDIS_REPLY_STRING && reply->len < REDIS_REF_BYTES)
        snprintf(ret_ref, REDIS_REF_BYTES, "%s", reply->str);
    freeReplyObject(reply);
    return e;
}

enum redis_error redis_store(struct redis_pool *p, const struct redis_entry *e)
{
    char key[KEY_BYTES], count[24], ttl[24];
    key_of(e->fingerprint, key);
    snprintf(count, sizeof(count), "%lld", (long long)e->count);
    snprintf(ttl, sizeof(ttl), "%lld", (long long)p->set->dedup_ttl_ms);
    const struct command cmd[] = {
        {{"HSET", key, "fingerprint", e->fingerprint, "alertName", e->alert_name, "namespace",
          e->namespace, "resource", e->resource, "firstSeen", e->first_seen, "lastSeen",
          e->last_seen, "count", count, "remediationRequestRef", e->ref},
         18},
        {{"PEXPIRE", key, ttl}, 3},
    };
    return call(p, REDIS_STORE, cmd, ARRAY_LEN(cmd), NULL);
}

enum redis_error redis_add(struct redis_pool *p, const struct redis_entry *e, int64_t added)
{
    char key[KEY_BYTES], by[24], ttl[24];
    key_of(e->fingerprint, key);
    snprintf(by, sizeof(by), "%lld", (long long)added);
    snprintf(ttl, sizeof(ttl), "%lld", (long long)p->set->dedup_ttl_ms);
    const struct command cmd[] = {
        {{"HINCRBY", key, "count", by}, 4},
        {{"HSET", key, "lastSeen", e->last_seen}, 4},
        {{"PEXPIRE", key, ttl}, 3},
    };
    return call(p, REDIS_STORE, cmd, ARRAY_LEN(cmd), NULL);
}

static enum redis_error ping(struct redis_pool *p, redisContext **c, int64_t limit_ms)
{
    const struct command cmd = {{"PING"}, 1};
    enum redis_error e = REDIS_OTHER;
    if (!*c)
        *c = connect_now(p, limit_ms, &e);
    if (!*c)
        return e;
    e = exchange(*c, &cmd, 1, NULL);
    if ((*c)->err) {
        redisFree(*c);
        *c = NULL;
    }
    return e;
}

bool redis_alive(struct redis_pool *p, int64_t limit_ms)
{
    redisContext *c = NULL;
    enum redis_error e = ping(p, &c, limit_ms);
    if (c)
        redisFree(c);
    return e == REDIS_FINE;
}

static void *prober_main(void *arg)
{
    struct redis_pool *p = arg;
    redisContext *c = NULL;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        int64_t until = now_ns() + p->set->redis_probe_ms * NS_PER_MS;
        struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
        pthread_mutex_unlock(&p->lock);
        if (breaker_allow(&p->breaker, now_ns()))
            account(p, REDIS_PING, ping(p, &c, p->set->redis_call_limit_ms));
        pthread_mutex_lock(&p->lock);
        int rc = 0;
        while (!p->stopping && rc != ETIMEDOUT)
            rc = pthread_cond_timedwait(&p->wake, &p->lock, &ts);
    }
    pthread_mutex_unlock(&p->lock);
    if (c)
        redisFree(c);
    return NULL;
}

static bool take_address(struct redis_pool *p, const char *spec)
{
    const char *colon = strrchr(spec, ':');
    if (!colon || colon == spec || (size_t)(colon - spec) >= sizeof(p->host))
        return false;
    snprintf(p->host, sizeof(p->host), "%.*s", (int)(colon - spec), spec);
    p->port = atoi(colon + 1);
    return p->port > 0 && p->port < 65536;
}

struct redis_pool *redis_pool_new(const struct gw_settings *set, struct buf *err)
{
    struct redis_pool *p = xcalloc(1, sizeof(*p));
    p->set = set;
    if (!take_address(p, set->redis)) {
        buf_printf(err, "redis: '%.80s' is not host:port", set->redis);
        free(p);
        return NULL;
    }
    const struct breaker_limits lim = {
        .window_ns = set->breaker_redis_window_ms * NS_PER_MS,
        .calls_min = set->breaker_redis_calls_min,
        .failed_pct = set->breaker_redis_failed_pct,
        .open_ns = set->breaker_redis_open_ms * NS_PER_MS,
    };
    breaker_init(&p->breaker, &lim, breaker_moved, p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &ca);
    pthread_condattr_destroy(&ca);
    p->n_idle = (size_t)set->redis_pool_size;
    p->idle = xcalloc(p->n_idle, sizeof(redisContext *));
    if (pthread_create(&p->prober, NULL, prober_main, p) != 0)
        abort();
    return p;
}

void redis_pool_free(struct redis_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->prober, NULL);
    for (size_t i = 0; i < p->n_idle; i++)
        if (p->idle[i])
            redisFree(p->idle[i]);
    free(p->idle);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    free(p);
}
