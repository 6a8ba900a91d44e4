/* What a plan becomes: the structs, the defaults, and the same plan again from its resolved text.
 */
#include "plan/plan.h"

#include <signal.h>

#include "base/clock.h"
#include "support.h"

static struct loaded load_good(const char *text)
{
    struct loaded l = load_text(text);
    if (l.rc != 0)
        TEST_FAIL("%s\n%s", buf_str(&l.errors.text), text);
    ASSERT_EQ(l.errors.n, 0);
    return l;
}

static const char *render(const struct template *t, const struct plan_load *l, uint64_t id)
{
    static char out[2048];
    static struct template_values values;
    template_bind(&l->vars, 1, id, &values);
    size_t n = template_render(t, &values, out, sizeof out - 1);
    ASSERT_LT(n, sizeof out - 1);
    out[n] = '\0';
    return out;
}

static void check_services(const struct plan *p)
{
    ASSERT_EQ(p->services_n, 3);
    const struct plan_service *redis = plan_find_service(p, "redis-master");
    ASSERT_EQ(redis->labels_n, 2);
    ASSERT_STREQ(redis->labels[1].key, "role");
    ASSERT_STREQ(redis->labels[1].value, "master");
    ASSERT_STREQ(redis->argv[0], "redis-server");
    ASSERT_STREQ(redis->argv[6], "");
    ASSERT_STREQ(redis->argv[8], "no");
    ASSERT(redis->argv[9] == NULL);
    ASSERT_EQ(redis->ready.kind, PLAN_READY_TCP);
    ASSERT_EQ(redis->ready.port, 6379);
    ASSERT_EQ(redis->restart, PLAN_RESTART_ALWAYS);
    ASSERT_EQ(redis->backoff_ns, 2 * NS_PER_S);
    ASSERT_EQ(redis->backoff_max_ns, 10 * NS_PER_S);
    ASSERT_EQ(redis->limits.nofile, -1);
    const struct plan_service *kube = plan_find_service(p, "kube");
    ASSERT_EQ(kube->files_n, 1);
    ASSERT_STREQ(kube->files[0].path, "rules.json");
    ASSERT_CONTAINS(kube->files[0].text, "\"every\": 25");
    ASSERT_EQ(kube->restart, PLAN_RESTART_NEVER);
    const struct plan_service *gateway = plan_find_service(p, "gateway");
    ASSERT_EQ(gateway->needs.n, 2);
    ASSERT_EQ(gateway->ready.kind, PLAN_READY_HTTP);
    ASSERT_STREQ(gateway->ready.path, "/ready");
    ASSERT_EQ(gateway->ready.within_ns, 10 * NS_PER_S);
    ASSERT_EQ(gateway->ready.every_ns, 100 * NS_PER_MS);
    ASSERT_EQ(gateway->metrics_port, 9090);
    ASSERT_STREQ(gateway->metrics_path, "/metrics");
    ASSERT_EQ(gateway->metrics_every_ns, 500 * NS_PER_MS);
    ASSERT_EQ(gateway->stop_signal, SIGTERM);
    ASSERT_EQ(gateway->limits.nofile, 1024);
    ASSERT_EQ(gateway->pos.line, 27);
    ASSERT(plan_find_service(p, "nobody") == NULL);
}

static void check_loads(const struct plan *p)
{
    const struct plan_load *l = plan_find_load(p, "alerts");
    ASSERT_STREQ(l->method, "POST");
    ASSERT_STREQ(l->host, "gateway");
    ASSERT_EQ(l->port, 8080);
    ASSERT_STREQ(render(l->path, l, 5), "/v1/webhooks/prometheus");
    ASSERT_EQ(l->variants_n, 1);
    ASSERT_STREQ(
        render(l->variants[0].body, l, 9),
        "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"squall\",\"alerts\":["
        "{\"status\":\"firing\",\"labels\":{\"alertname\":\"PodCrashed\",\"severity\":\"critical\","
        "\"namespace\":\"prod\",\"pod\":\"p-2-a\"}},"
        "{\"status\":\"firing\",\"labels\":{\"alertname\":\"PodCrashed\",\"severity\":\"critical\","
        "\"namespace\":\"prod\",\"pod\":\"p-2-b\"}}]}");
    ASSERT_EQ(l->model, PLAN_OPEN);
    ASSERT_NEAR(l->rate_per_s, 25, 0);
    ASSERT_EQ(l->concurrency, 256);
    ASSERT_EQ(l->workers, 1);
    ASSERT(l->keep_alive && !l->keep_rows && !l->poisson);
    ASSERT_EQ(l->timeout_ns, 5 * NS_PER_S);
    ASSERT_EQ(l->connect_timeout_ns, 3 * NS_PER_S);
    ASSERT_EQ(l->accepted.n, 3);
    ASSERT(plan_codes_match(&l->accepted, 207) && !plan_codes_match(&l->accepted, 200));
    ASSERT(plan_codes_match(&l->refused, 503));
    ASSERT_STREQ(l->settle.from, "kube");
    ASSERT_EQ(l->settle.port, 6443);
    ASSERT_EQ(l->settle.keys_n, 2);
    ASSERT_STREQ(render(l->settle.keys[1], l, 7), "p-1-b");
    ASSERT_EQ(l->settle.stable_ns, 2 * NS_PER_S);
    ASSERT_EQ(l->phases.n, 0);
    const struct plan_load *r = plan_find_load(p, "readiness");
    ASSERT_STREQ(r->method, "GET");
    ASSERT(r->settle.from == NULL);
    ASSERT_EQ(r->variants_n, 1);
    ASSERT(r->variants[0].body == NULL);
}

static void check_storm(const struct plan *p)
{
    static const struct {
        const char *name;
        int64_t duration_s, within_s;
    } rows[] = {{"baseline", 8, 0}, {"fault", 8, 0},        {"recovery", -1, 20},
                {"fault-2", 4, 0},  {"recovery-2", -1, 20}, {"cooldown", 4, 0}};
    ASSERT_EQ(p->phases_n, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct plan_phase *phase = &p->phases[i];
        ASSERT_STREQ(phase->name, rows[i].name);
        ASSERT_EQ(phase->duration_ns, rows[i].duration_s < 0 ? -1 : rows[i].duration_s * NS_PER_S);
        if (phase->kind == PLAN_RECOVERY)
            ASSERT_EQ(phase->within_ns, rows[i].within_s * NS_PER_S);
    }
    ASSERT_CONTAINS(p->phases[1].manifest_file, "faults/redis-failure.yaml");
    ASSERT_CONTAINS(p->phases[1].manifest_text, "pod-failure");
    ASSERT_EQ(plan_find_phase(p, "recovery-2"), 4);
    ASSERT_EQ(plan_find_phase(p, "nope"), -1);
}

static void check_checks(const struct plan *p)
{
    const struct plan_check *c = p->checks;
    ASSERT_EQ(p->checks_n, 9);
    ASSERT_STREQ(c[0].kind, "nothing lost");
    ASSERT_STREQ(c[0].load, "alerts");
    ASSERT_STREQ(c[0].name, "nothing lost: alerts");
    ASSERT_EQ(c[1].when, PLAN_ALWAYS);
    ASSERT(c[1].phase == NULL);
    ASSERT_STREQ(c[1].limits[0].what, "share");
    ASSERT_NEAR(c[1].limits[0].value, 0.01, 1e-12);
    ASSERT_EQ(c[2].when, PLAN_DURING);
    ASSERT_STREQ(c[2].phase, "baseline");
    ASSERT_EQ(c[2].limits[0].op, PLAN_LT);
    ASSERT_NEAR(c[2].limits[0].value, 250e6, 0);
    ASSERT_STREQ(c[2].limits[0].text, "< 250ms");
    ASSERT_STREQ(c[2].name, "latency alerts p99 < 250ms during baseline");
    ASSERT_STREQ(c[5].series, "gateway_circuit_breaker_state{component=\"redis\"}");
    ASSERT_EQ(c[5].limits[0].op, PLAN_EQ);
    ASSERT_EQ(c[5].within_ns, 5 * NS_PER_S);
    ASSERT_CONTAINS(c[5].name, "{component=\"redis\"} == 1 ");
    ASSERT_STREQ(c[6].matches, "falling back");
    ASSERT_STREQ(c[6].limits[0].what, "count");
    ASSERT_EQ(c[6].limits[0].op, PLAN_GE);
    ASSERT_EQ(c[7].when, PLAN_AFTER);
    ASSERT_STREQ(c[7].limits[1].what, "within");
    ASSERT_NEAR(c[7].limits[1].value, 20e9, 0);
    ASSERT_EQ(c[7].within_ns, 0);
}

TEST(the_demo_plan_becomes_structs)
{
    struct loaded l = {0};
    l.rc = plan_load("tests/unit/plan/data/storm.yaml", NULL, &l.plan, &l.errors);
    ASSERT_STREQ(buf_str(&l.errors.text), "");
    ASSERT_OK(l.rc);
    ASSERT_STREQ(l.plan->name, "redis-outage");
    ASSERT_EQ(l.plan->tags.n, 3);
    ASSERT_EQ(l.plan->seed, 0);
    check_services(l.plan);
    check_loads(l.plan);
    check_storm(l.plan);
    check_checks(l.plan);
    loaded_done(&l);
}

/* --- resolved --------------------------------------------------------------------------------- */

static struct loaded reload(const struct plan *plan)
{
    struct loaded l = {0};
    l.rc = plan_load_resolved(plan->resolved, &l.plan, &l.errors);
    if (l.rc != 0)
        TEST_FAIL("%s", buf_str(&l.errors.text));
    ASSERT_STREQ(l.plan->resolved, plan->resolved);
    return l;
}

TEST(resolved_text_is_the_same_plan)
{
    static const char *const files[] = {"tests/unit/plan/data/storm.yaml",
                                        "tests/unit/plan/data/all-keys.yaml"};
    for (int i = 0; i < 2; i++) {
        struct loaded l = {0};
        l.rc = plan_load(files[i], NULL, &l.plan, &l.errors);
        ASSERT_STREQ(buf_str(&l.errors.text), "");
        struct loaded again = reload(l.plan);
        ASSERT_EQ(again.plan->services_n, l.plan->services_n);
        ASSERT_EQ(again.plan->phases_n, l.plan->phases_n);
        for (size_t k = 0; k < l.plan->phases_n; k++)
            if (l.plan->phases[k].kind == PLAN_FAULT)
                ASSERT_STREQ(again.plan->phases[k].manifest_text, l.plan->phases[k].manifest_text);
        for (size_t k = 0; k < l.plan->checks_n; k++)
            ASSERT_STREQ(again.plan->checks[k].name, l.plan->checks[k].name);
        if (i == 0) {
            check_services(l.plan);
            check_loads(again.plan);
            check_storm(again.plan);
            check_checks(again.plan);
        } else {
            const struct plan_load *a = plan_find_load(l.plan, "posts");
            const struct plan_load *b = plan_find_load(again.plan, "posts");
            for (uint64_t id = 0; id < 20; id++) {
                char first[2048];
                strcpy(first, render(a->variants[0].body, a, id));
                ASSERT_STREQ(render(b->variants[0].body, b, id), first);
            }
        }
        loaded_done(&again);
        loaded_done(&l);
    }
}

#define HEAD "squall: 1\nname: t\n"

TEST(odd_texts_survive_being_resolved)
{
    struct loaded l =
        load_good(HEAD "about: True\n"
                       "tags: [\"1\", 2, 3, 'a\"b\\', \"tab\\there\"]\n"
                       "load:\n"
                       "  l:\n"
                       "    post: http://127.0.0.1/\n"
                       "    arrive: {rate: 1/s}\n"
                       "    json: {a: 1, b: \"1\", c: True, d: ~, e: 'x\"y', f: 1e3,\n"
                       "      g: 0x1F, h: !int \"{{id}}\", \"k {{id}}\": -0.5, i: !!str 5,\n"
                       "      j: [], k: {}, l: '{{choose \"a b\":1}}', m: é}\n");
    struct loaded m = load_good(HEAD); /* nothing but a name is a plan */
    loaded_done(&m);
    const struct plan_load *load = &l.plan->loads[0];
    const char *body = "{\"a\":1,\"b\":\"1\",\"c\":true,\"d\":null,\"e\":\"x\\\"y\",\"f\":1e3,"
                       "\"g\":\"0x1F\",\"h\":7,\"k 7\":-0.5,\"i\":\"5\",\"j\":[],\"k\":{},"
                       "\"l\":\"a b\",\"m\":\"é\"}";
    ASSERT_STREQ(render(load->variants[0].body, load, 7), body);
    ASSERT_STREQ(l.plan->about, "True");
    struct loaded again = reload(l.plan);
    load = &again.plan->loads[0];
    ASSERT_STREQ(render(load->variants[0].body, load, 7), body);
    ASSERT_STREQ(again.plan->about, "True");
    ASSERT_STREQ(again.plan->tags.v[3], "a\"b\\");
    ASSERT_STREQ(again.plan->tags.v[4], "tab\there");
    loaded_done(&again);
    loaded_done(&l);
}

/* --- small forms ------------------------------------------------------------------------------ */

TEST(command_lines_are_split_like_a_shell_does)
{
    struct loaded l =
        load_good(HEAD "lab:\n  services:\n    a:\n      run: >-\n"
                       "        prog 'one two' \"a \\\"q\\\" \\\\ \\n\" b\\ c '' x\"y\"'z'\n"
                       "        $HOME *\n"
                       "    b: {run: [prog, \"a b\", \"\"]}\n");
    static const char *const words[] = {
        "prog", "one two", "a \"q\" \\ \\n", "b c", "", "xyz", "$HOME", "*", NULL};
    for (int i = 0; words[i]; i++)
        ASSERT_STREQ(l.plan->services[0].argv[i], words[i]);
    ASSERT(l.plan->services[0].argv[8] == NULL);
    ASSERT_STREQ(l.plan->services[1].argv[1], "a b");
    ASSERT_STREQ(l.plan->services[1].argv[2], "");
    ASSERT(l.plan->services[1].argv[3] == NULL);
    ASSERT_EQ(l.plan->services[0].ready.kind, PLAN_READY_NONE);
    ASSERT_EQ(l.plan->services[0].stop_grace_ns, 5 * NS_PER_S);
    loaded_done(&l);
}

TEST(loads_have_their_models_and_defaults)
{
    struct loaded l = load_good(
        HEAD "load:\n"
             "  closed: {get: \"http://[::1]:81/a?x={{id}}\", arrive: {concurrency: 9}}\n"
             "  open: {get: \"http://localhost\", arrive: {rate: 6/min, concurrency: 3},\n"
             "    record: all, keep-alive: false, headers: {A: \"{{id}}\", B: b}}\n"
             "  mix:\n"
             "    put: http://127.0.0.1/\n"
             "    arrive: {rate: 1/s}\n"
             "    choose: [{weight: 3, body: \"x{{id}}\"}, {json: [1]}]\n"
             "    during: fault\n"
             "storm: [{baseline: 1s}, {manifest: x}, {manifest: \"y: 1\", name: second}]\n");
    const struct plan_load *p = l.plan->loads;
    ASSERT_EQ(p[0].model, PLAN_CLOSED);
    ASSERT_EQ(p[0].concurrency, 9);
    ASSERT_STREQ(p[0].host, "::1");
    ASSERT_EQ(p[0].port, 81);
    ASSERT_STREQ(render(p[0].path, &p[0], 4), "/a?x=4");
    ASSERT(plan_codes_match(&p[0].accepted, 204) && !plan_codes_match(&p[0].accepted, 302));
    ASSERT(plan_codes_match(&p[0].refused, 429) && plan_codes_match(&p[0].refused, 503));
    ASSERT_EQ(p[1].concurrency, 3);
    ASSERT_NEAR(p[1].rate_per_s, 0.1, 1e-12);
    ASSERT(p[1].keep_rows && !p[1].keep_alive);
    ASSERT_STREQ(render(p[1].path, &p[1], 4), "/");
    ASSERT_EQ(p[1].headers_n, 2);
    ASSERT_STREQ(render(p[1].header_values[0], &p[1], 4), "4");
    ASSERT_STREQ(render(p[1].header_values[1], &p[1], 4), "b");
    ASSERT_EQ(p[2].variants_n, 2);
    ASSERT_NEAR(p[2].variants[0].weight, 3, 0);
    ASSERT_NEAR(p[2].variants[1].weight, 1, 0);
    ASSERT_STREQ(render(p[2].variants[1].body, &p[2], 4), "[1]");
    ASSERT_EQ(p[2].phases.n, 2);
    ASSERT_STREQ(p[2].phases.v[0], "fault");
    ASSERT_STREQ(p[2].phases.v[1], "second");
    ASSERT_EQ(l.plan->phases[1].duration_ns, -1);
    ASSERT_CONTAINS(l.plan->phases[1].manifest_file, "plan.yaml (manifest at line 12)");
    loaded_done(&l);
}

TEST(limits_are_read_with_their_units)
{
    static const struct {
        const char *check;
        enum plan_op op;
        double value;
    } rows[] = {
        {"latency: {load: l, p99: < 250ms}", PLAN_LT, 250e6},
        {"latency: {load: l, max: <=1m30s}", PLAN_LE, 90e9},
        {"latency: {load: l, mean: \">  1us\"}", PLAN_GT, 1e3},
        {"errors: {load: l, share: \">= 0.5\"}", PLAN_GE, 0.5},
        {"errors: {load: l, share: < 2.5%}", PLAN_LT, 0.025},
        {"errors: {load: l, count: == 3}", PLAN_EQ, 3},
        {"metric: {service: s, series: x, value: = -1.5}", PLAN_EQ, -1.5},
        {"metric: {service: s, series: x, value: \"!= 1e3\"}", PLAN_NE, 1000},
        {"recovers: {load: l, within: 2s}", PLAN_LE, 2e9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 HEAD "lab: {services: {s: {run: x}}}\n"
                      "load: {l: {get: http://s/, arrive: {rate: 1/s}}}\n"
                      "storm: [{manifest: x}]\nchecks: [{%s}]\n",
                 rows[i].check);
        struct loaded l = load_good(text);
        const struct plan_check *c = &l.plan->checks[0];
        ASSERT_EQ(c->limits_n, 1);
        ASSERT_EQ(c->limits[0].op, rows[i].op);
        ASSERT_NEAR(c->limits[0].value, rows[i].value, 1e-9);
        loaded_done(&l);
    }
}

TEST(comparisons)
{
    ASSERT(plan_compare(PLAN_LT, 1, 2) && !plan_compare(PLAN_LT, 2, 2));
    ASSERT(plan_compare(PLAN_LE, 2, 2) && !plan_compare(PLAN_LE, 3, 2));
    ASSERT(plan_compare(PLAN_GT, 3, 2) && !plan_compare(PLAN_GT, 2, 2));
    ASSERT(plan_compare(PLAN_GE, 2, 2) && !plan_compare(PLAN_GE, 1, 2));
    ASSERT(plan_compare(PLAN_EQ, 2, 2) && !plan_compare(PLAN_EQ, 1, 2));
    ASSERT(plan_compare(PLAN_NE, 1, 2) && !plan_compare(PLAN_NE, 2, 2));
    plan_free(NULL);
}
