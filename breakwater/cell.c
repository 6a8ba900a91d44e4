#include "cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "defect.h"
#include "log.h"

#define ROUNDS_MAX      4 /* surprises (object vanished, name taken) settled within one run */
#define REFUSED_WAIT_NS (16 * NS_PER_S)
#define WAIT_MIN_NS     (50 * NS_PER_MS)

/* One step's result inside a run. */
enum step {
    STEP_OK,
    STEP_AGAIN, /* read again and start over */
    STEP_OVER   /* the verdict is in the result */
};

struct run {
    struct runner *r;
    struct cell *c;
    struct job *const *jobs;
    size_t n;
    struct run_result *res;
    uint64_t applied; /* alerts up to this number are in some object already */
};

static const struct alert *alert_of(const struct run *u)
{
    return &u->jobs[0]->alert;
}

static void object_set(struct cell *c, json_t *obj)
{
    json_decref(c->object);
    c->object = obj;
}

static void read_next(struct cell *c, enum query_reason why)
{
    object_set(c, NULL);
    c->must_read = true;
    c->read_reason = why;
}

static void count_api_error(int status)
{
    char labels[40];
    if (status)
        snprintf(labels, sizeof(labels), "status=\"%d\"", status);
    else
        snprintf(labels, sizeof(labels), "status=\"none\"");
    metric_add(metric_get(METRIC_COUNTER, "gateway_k8s_api_errors_total", labels,
                          "Failed Kubernetes calls."),
               1);
}

static int64_t api_backoff(const struct run *u, int64_t attempt)
{
    const struct gw_settings *set = u->r->env->set;
    int64_t wait = backoff_ns(set->backoff_base_ms * NS_PER_MS, set->backoff_cap_ms * NS_PER_MS,
                              set->backoff_jitter_pct, attempt, rand64());
    int64_t asked = u->r->answer.retry_after_ns;
    return asked > wait ? asked : wait;
}

/* The API failed: feeds the breaker and sets the verdict. */
static void trouble(struct run *u, bool write)
{
    struct breaker *b = &u->r->env->kube_breaker;
    const struct kube_answer *a = &u->r->answer;
    int64_t wait = api_backoff(u, u->c->troubles);
    u->c->troubles++;
    count_api_error(a->status);
    metric_observe_ns(gwm.kube_backoff, wait);
    LOG_LINE(LOG_WARN, "k8s_api", "kubernetes api failed, retry backoff", LF_I("status", a->status),
             LF_S("error", a->error), LF_I("attempt", u->c->troubles),
             LF_I("backoff_ms", wait / NS_PER_MS), LF_S("fingerprint", u->c->fp));
    breaker_record(b, now_ns(), false, api_backoff(u, breaker_attempt(b)));
    read_next(u->c, QUERY_RECOVERY);
    u->res->verdict = RUN_TROUBLE;
    u->res->wait_ns = wait;
    if (write && a->status != 429)
        u->res->ambiguous = true;
}

static void refused(struct run *u, const char *what)
{
    LOG_LINE(LOG_ERROR, "k8s_api", "kubernetes does not take the object", LF_S("operation", what),
             LF_I("status", u->r->answer.status), LF_S("fingerprint", u->c->fp),
             LF_S("namespace", alert_of(u)->namespace));
    count_api_error(u->r->answer.status);
    read_next(u->c, QUERY_RECOVERY);
    u->res->verdict = RUN_REFUSED;
    u->res->wait_ns = REFUSED_WAIT_NS;
}

/* One call through the breaker; false with a verdict when the API is in trouble. */
static bool api(struct run *u, const char *method, const char *path, const char *body)
{
    struct breaker *b = &u->r->env->kube_breaker;
    if (!breaker_allow(b, now_ns())) {
        int64_t wait = breaker_wait_ns(b, now_ns());
        read_next(u->c, QUERY_RECOVERY);
        u->res->verdict = RUN_TROUBLE;
        u->res->wait_ns = (wait < WAIT_MIN_NS ? WAIT_MIN_NS : wait);
        return false;
    }
    kube_call(u->r->kube, method, path, body, 0, &u->r->answer);
    if (kube_failed(&u->r->answer)) {
        trouble(u, strcmp(method, "GET") != 0);
        return false;
    }
    breaker_record(b, now_ns(), true, 0);
    return true;
}

static void collection_path(const struct run *u, struct buf *out)
{
    buf_printf(out, CRD_LIST_PATH, alert_of(u)->namespace);
}

static json_t *answer_json(const struct run *u)
{
    return json_loadb(u->r->answer.body.p ? u->r->answer.body.p : "", u->r->answer.body.len, 0,
                      NULL);
}

static bool same_fingerprint(const json_t *obj, const char *fp)
{
    const json_t *spec = json_object_get(obj, "spec");
    const char *v = json_string_value(json_object_get(spec, "signalFingerprint"));
    return v && strcmp(v, fp) == 0;
}

static void create_settled(struct run *u)
{
    u->c->create_name[0] = '\0';
    if (u->r->env->journal)
        journal_settled(u->r->env->journal, u->c->fp);
}

/* From a list: the oldest open object, and what this gateway has already put into any of them. */
static void take_items(struct run *u, const json_t *items)
{
    json_t *chosen = NULL;
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *obj = json_array_get(items, i);
        if (!same_fingerprint(obj, u->c->fp))
            continue;
        uint64_t applied = crd_applied(obj, u->r->env->gateway);
        if (applied > u->applied)
            u->applied = applied;
        if (u->c->create_name[0] && strcmp(crd_name(obj), u->c->create_name) == 0) {
            /* the creation whose answer was lost did happen, maybe for our first job */
            u->res->created = applied >= u->jobs[0]->seq;
            create_settled(u);
        }
        if (!crd_finished(obj) && !chosen)
            chosen = obj;
    }
    object_set(u->c, chosen ? json_incref(chosen) : NULL);
}

static enum step read_list(struct run *u, enum query_reason why)
{
    struct buf path = {0};
    metric_add(gwm.queries[why], 1);
    collection_path(u, &path);
    buf_printf(&path, "?labelSelector=kubernaut.io%%2Fsignal-fingerprint%%3D%.*s",
               CRD_LABEL_FP_BYTES, u->c->fp);
    bool ok = api(u, "GET", path.p, NULL);
    buf_done(&path);
    if (!ok)
        return STEP_OVER;
    json_t *list = u->r->answer.status == 200 ? answer_json(u) : NULL;
    const json_t *items = json_object_get(list, "items");
    if (!json_is_array(items)) {
        /* A cut or strange answer is trouble too: to take it for "none" would make a second one. */
        snprintf(u->r->answer.error, sizeof(u->r->answer.error), "list without items");
        trouble(u, false);
        json_decref(list);
        return STEP_OVER;
    }
    take_items(u, items);
    u->c->must_read = false;
    json_decref(list);
    return STEP_OK;
}

/* Redis knows the object: by name, unless it is the one already at hand. */
static enum step read_known(struct run *u, const char *ref)
{
    const char *name = strchr(ref, '/');
    name = name ? name + 1 : ref;
    if (u->c->object && strcmp(crd_name(u->c->object), name) == 0)
        return STEP_OK;
    struct buf path = {0};
    collection_path(u, &path);
    buf_printf(&path, "/%s", name);
    metric_add(gwm.queries[QUERY_REFERENCE], 1);
    bool ok = api(u, "GET", path.p, NULL);
    buf_done(&path);
    if (!ok)
        return STEP_OVER;
    json_t *obj = u->r->answer.status == 200 ? answer_json(u) : NULL;
    if (!obj || !same_fingerprint(obj, u->c->fp) || crd_finished(obj)) {
        json_decref(obj);
        return read_list(u, QUERY_STALE);
    }
    object_set(u->c, obj);
    return STEP_OK;
}

static enum query_reason fallback_reason(enum redis_error e)
{
    switch (e) {
    case REDIS_TIMEOUT: return QUERY_TIMEOUT;
    case REDIS_OOM: return QUERY_OOM;
    case REDIS_FINE:
    case REDIS_REFUSED:
    case REDIS_OTHER:
    case REDIS_NOT_TRIED:
    case REDIS_ERRORS: return QUERY_UNAVAILABLE;
    }
    return QUERY_UNAVAILABLE;
}

static const char *fallback_message(enum query_reason why)
{
    if (why == QUERY_TIMEOUT)
        return "redis timeout, falling back to kubernetes";
    return why == QUERY_OOM ? "redis oom, falling back to kubernetes"
                            : "redis unavailable, falling back to kubernetes";
}

/* Finds out which object, if any, this fingerprint has: Redis first. */
static enum step find_object(struct run *u)
{
    char ref[REDIS_REF_BYTES];
    if (u->c->must_read)
        return read_list(u, u->c->read_reason);
    enum redis_error e = redis_lookup(u->r->env->redis, u->c->fp, ref);
    if (e != REDIS_FINE) {
        if (defect_on(D_B40)) { /* the failed state write is ignored: answered as if stored */
            u->res->verdict = RUN_DONE;
            return STEP_OVER;
        }
        enum query_reason why = fallback_reason(e);
        metric_add(gwm.fallback[why], 1);
        LOG_LINE(LOG_WARN, "dedup", fallback_message(why), LF_S("fingerprint", u->c->fp),
                 LF_S("namespace", alert_of(u)->namespace));
        return read_list(u, why);
    }
    u->res->redis_hit = ref[0] != '\0';
    if (u->res->redis_hit)
        return read_known(u, ref);
    /* An empty Redis proves nothing (it may just have come back): the object at hand, or a list. */
    return u->c->object ? STEP_OK : read_list(u, QUERY_MISS);
}

/* The jobs that are not in the object yet: a tail of the run, since numbers rise. */
static size_t first_new(const struct run *u)
{
    uint64_t applied = u->applied;
    if (u->c->object) {
        uint64_t here = crd_applied(u->c->object, u->r->env->gateway);
        applied = here > applied ? here : applied;
    }
    size_t i = 0;
    while (i < u->n && u->jobs[i]->seq <= applied)
        i++;
    return i;
}

static void done(struct run *u, int64_t added)
{
    u->res->verdict = RUN_DONE;
    u->res->added = added;
    if (u->c->object) {
        u->res->count = crd_occurrences(u->c->object);
        snprintf(u->res->object, sizeof(u->res->object), "%s", crd_name(u->c->object));
    }
    u->c->troubles = u->c->conflicts = 0;
}

static enum step create(struct run *u, size_t from)
{
    struct cell *c = u->c;
    const struct job *last = u->jobs[u->n - 1];
    if (!c->create_name[0]) {
        crd_make_name(c->fp, wall_ms(), last->seq & 0xffffffff, c->create_name);
        if (u->r->env->journal)
            journal_intent(u->r->env->journal, c->fp, c->create_name);
    }
    json_t *obj = crd_new(&u->jobs[from]->alert, c->create_name, u->jobs[from]->received_ms,
                          last->received_ms, (int64_t)(u->n - from), u->r->env->gateway, last->seq);
    char *text = json_dumps(obj, JSON_COMPACT);
    struct buf path = {0};
    collection_path(u, &path);
    bool ok = api(u, "POST", path.p, text);
    buf_done(&path);
    free(text);
    json_decref(obj);
    if (!ok) {
        metric_add(gwm.crd_failures, 1);
        return STEP_OVER;
    }
    if (u->r->answer.status == 409) {
        read_next(c, QUERY_RECOVERY);
        return STEP_AGAIN;
    }
    if (u->r->answer.status != 201 && u->r->answer.status != 200) {
        metric_add(gwm.crd_failures, 1);
        refused(u, "create");
        return STEP_OVER;
    }
    snprintf(u->res->object, sizeof(u->res->object), "%s", c->create_name);
    create_settled(u);
    u->res->created = true;
    object_set(c, answer_json(u));
    done(u, (int64_t)(u->n - from));
    return STEP_OVER;
}

static enum step conflict(struct run *u)
{
    const struct gw_settings *set = u->r->env->set;
    struct cell *c = u->c;
    metric_add(gwm.conflicts, 1);
    read_next(c, QUERY_CONFLICT);
    if (defect_on(D_B11)) { /* the failed update is swallowed: no retry, no journal */
        done(u, 0);
        return STEP_OVER;
    }
    int64_t wait = backoff_ns(set->conflict_base_ms * NS_PER_MS, INT64_MAX / 200, 20,
                              c->conflicts % (set->conflict_retries + 1), rand64());
    bool spent = ++c->conflicts % (set->conflict_retries + 1) == 0;
    if (spent) /* the journal takes over; go on in the background, more slowly */
        wait = backoff_ns(set->backoff_base_ms * NS_PER_MS, set->backoff_cap_ms * NS_PER_MS,
                          set->backoff_jitter_pct, c->troubles++, rand64());
    LOG_LINE(LOG_WARN, "k8s_api", "update conflict resourceVersion, retry backoff",
             LF_S("fingerprint", c->fp), LF_I("attempt", c->conflicts),
             LF_I("backoff_ms", wait / NS_PER_MS));
    u->res->verdict = spent ? RUN_TROUBLE : RUN_CONFLICT;
    u->res->wait_ns = wait;
    return STEP_OVER;
}

static enum step count_on(struct run *u, size_t from)
{
    struct cell *c = u->c;
    const struct job *last = u->jobs[u->n - 1];
    int64_t overcome = c->conflicts, added = (int64_t)(u->n - from);
    struct buf path = {0};
    collection_path(u, &path);
    buf_printf(&path, "/%s", crd_name(c->object));
    crd_count(c->object, added, last->received_ms, u->r->env->gateway, last->seq);
    char *text = json_dumps(c->object, JSON_COMPACT);
    bool ok = api(u, "PUT", path.p, text);
    buf_done(&path);
    free(text);
    if (!ok)
        return STEP_OVER;
    if (u->r->answer.status == 409)
        return conflict(u);
    if (u->r->answer.status == 404) {
        read_next(c, QUERY_STALE);
        return STEP_AGAIN;
    }
    if (u->r->answer.status != 200) {
        refused(u, "update");
        return STEP_OVER;
    }
    json_t *now = answer_json(u);
    done(u, added); /* with the object as sent: the answer may be cut */
    object_set(c, now);
    if (!now)
        read_next(c, QUERY_RECOVERY);
    metric_add(gwm.retry_success, overcome);
    return STEP_OVER;
}

void cell_run(struct runner *r, struct cell *c, struct job *const *jobs, size_t n,
              struct run_result *ret)
{
    struct run u = {.r = r, .c = c, .jobs = jobs, .n = n, .res = ret};
    *ret = (struct run_result){.verdict = RUN_TROUBLE, .wait_ns = WAIT_MIN_NS};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (find_object(&u) == STEP_OVER)
            return;
        size_t from = first_new(&u);
        if (from == n) {
            done(&u, 0);
            return;
        }
        if (c->object && crd_finished(c->object))
            object_set(c, NULL);
        if ((c->object ? count_on(&u, from) : create(&u, from)) == STEP_OVER)
            return;
    }
}

void cell_remember(struct runner *r, struct cell *c, const struct alert *a,
                   const struct run_result *res)
{
    char ref[REDIS_REF_BYTES], now[RFC3339_BYTES];
    if (!res->object[0])
        return;
    snprintf(ref, sizeof(ref), "%s/%s", a->namespace, res->object);
    rfc3339(wall_ms(), now);
    const char *first = c->object ? crd_first_seen(c->object) : now;
    const struct redis_entry e = {.fingerprint = c->fp,
                                  .alert_name = a->name,
                                  .namespace = a->namespace,
                                  .resource = a->resource,
                                  .first_seen = first[0] ? first : now,
                                  .last_seen = now,
                                  .ref = ref,
                                  .count = res->count};
    /* Only a cache: the object is safe, and a lookup that misses asks Kubernetes. */
    if (res->redis_hit)
        redis_add(r->env->redis, &e, res->added);
    else
        redis_store(r->env->redis, &e);
}
