/* Manifests: every form that is known, each mistake with its place, and who is picked. */
#include "fault/manifest.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "unit/tests.h"

#define HEAD                                                                                       \
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: m, namespace: ns}\n"    \
    "spec:\n"
#define KILL      HEAD "  selector: {}\n  mode: one\n  action: pod-kill\n"    /* 7 lines */
#define FAIL      HEAD "  selector: {}\n  mode: one\n  action: pod-failure\n" /* 7 lines */
#define CONTAINER HEAD "  selector: {}\n  mode: one\n  action: container-kill\n"
#define SELECT    HEAD "  mode: one\n  action: pod-kill\n  selector:\n" /* 7 lines */

struct parsed {
    struct arena arena;
    struct manifest m;
    struct plan_errors errors;
    int result;
};

static void parse(struct parsed *p, const char *text)
{
    *p = (struct parsed){0};
    arena_init(&p->arena);
    p->result = manifest_parse(&p->arena, "m.yaml", text, &p->m, &p->errors);
    ASSERT_EQ(p->result<0, p->errors.n> 0);
}

static void done(struct parsed *p)
{
    plan_errors_done(&p->errors);
    plan_errors_done(&p->m.warnings);
    arena_done(&p->arena);
}

/* Each must be accepted; `says` (if any) must be among the warnings, and nothing may warn when it
 * is NULL. */
static const struct accepted {
    const char *text, *says;
} accepted[] = {
    {KILL, NULL},
    {FAIL "  duration: 8s\n", NULL},
    {FAIL "  duration: \"1m30s\"\n", NULL},
    {FAIL "  duration: 1.5h\n", NULL},
    {FAIL "  duration: 100µs\n", NULL},
    {FAIL "  duration: 100μs\n", NULL},
    {KILL "  gracePeriod: 0\n", NULL},
    {KILL "  gracePeriod: 30\n", NULL},
    {KILL "  duration: null\n", NULL},
    {CONTAINER "  containerNames: [app]\n", NULL},
    {CONTAINER "  containerNames: [\"app\", 'sidecar']\n", NULL},
    {KILL "status: {experiment: {phase: Running}}\n", NULL},
    /* shapes of a file */
    {"---\n" KILL "---\n", NULL},
    {"# a comment\n---\n---\n" KILL "...\n", NULL},
    {"\xef\xbb\xbf" KILL, NULL},
    {"{\"apiVersion\": \"chaos-mesh.org/v1alpha1\", \"kind\": \"PodChaos\", \"metadata\": "
     "{\"name\": \"m\"}, \"spec\": {\"action\": \"pod-kill\", \"mode\": \"all\", \"selector\": "
     "{}}}",
     NULL},
    {"apiVersion: chaos-mesh.org/v1alpha1\r\nkind: PodChaos\r\nmetadata: {name: m}\r\nspec: "
     "{action: "
     "pod-kill, mode: one, selector: {}}\r\n",
     NULL},
    {KILL "---\napiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n",
     "m.yaml:9:1: warning: an object of kind ConfigMap is no Chaos Mesh object; skipped"},
    {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: chaos-mesh.org/v1alpha1\n  kind: PodChaos\n"
     "  metadata: {name: m}\n  spec: {action: pod-kill, mode: one, selector: {}}\n",
     NULL},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata:\n  name: m\n  uid: 5f\n  "
     "resourceVersion: \"12\"\n  generation: 2\n  creationTimestamp: null\n  finalizers: [a]\n  "
     "managedFields: []\n  annotations: {experiment.chaos-mesh.org/pause: \"false\"}\n"
     "spec: {action: pod-kill, mode: one, selector: {}}\n",
     NULL},
    /* legacy */
    {KILL "  scheduler:\n    cron: \"@every 5m\"\n",
     "m.yaml:9:11: warning: spec.scheduler is the form before Chaos Mesh 2.0; within a plan the "
     "storm decides the time, so '@every 5m' is not used"},
    {CONTAINER "  containerName: app\n", "m.yaml:8:3: warning: spec.containerName is the form"},
    {"apiVersion: pingcap.com/v1alpha1\nkind: PodChaos\nmetadata: {name: m}\nspec: {action: "
     "pod-kill, mode: one, selector: {}}\n",
     "m.yaml:1:13: warning: pingcap.com/v1alpha1"},
    {KILL "  paused: false\n", NULL},
    {KILL "  nextStart: \"2020-01-01\"\n", "spec.nextStart: is state of an old controller"},
    {KILL "  nextRecover: \"2020-01-01\"\n", "spec.nextRecover: is state of an old controller"},
    {HEAD "  selector: {}\n  action: pod-kill\n  mode: \"\"\n", "m.yaml:7:9: warning: spec.mode is "
                                                                "empty; taken as one"},
    {HEAD "  selector: {}\n  action: pod-kill\n", "spec.mode is missing; taken as one"},
    {HEAD "  mode: one\n  action: pod-kill\n", "spec.selector is missing"},
    /* typing */
    {HEAD "  selector: {}\n  action: pod-kill\n  mode: fixed\n  value: \"2\"\n", NULL},
    {HEAD "  selector: {}\n  action: pod-kill\n  mode: fixed\n  value: 2\n",
     "m.yaml:8:10: warning: spec.value must be a text"},
    {HEAD "  selector: {}\n  action: pod-kill\n  mode: fixed-percent\n  value: '100'\n", NULL},
    {HEAD "  selector: {}\n  action: pod-kill\n  mode: random-max-percent\n  value: '0'\n",
     "nothing will ever be selected"},
    {KILL "  value: \"5\"\n", "m.yaml:8:10: warning: spec.value is not used by this mode"},
    {KILL "  value: \"\"\n", NULL},
    {KILL "  gracePeriod: \"5\"\n", "m.yaml:8:16: warning: spec.gracePeriod must be a number"},
    {FAIL "  duration: 30\n", "m.yaml:8:13: warning: spec.duration has no unit; taken as seconds"},
    {FAIL "  duration: \"\"\n", "spec.duration is empty; taken as no limit"},
    {SELECT "    labelSelectors: {app: 5}\n",
     "m.yaml:8:27: warning: a label's value must be a text"},
    {SELECT "    labelSelectors: {app: yes}\n", "a label's value must be a text"},
    /* known, and of no meaning in a lab */
    {KILL "  duration: 10s\n", "m.yaml:8:13: warning: pod-kill is one act"},
    {FAIL "  gracePeriod: 5\n", "spec.gracePeriod is used by pod-kill only"},
    {KILL "  containerNames: [a]\n", "containers are chosen by container-kill only"},
    {KILL "  remoteCluster: other\n", "m.yaml:8:3: warning: spec.remoteCluster: there is no other"},
    {SELECT "    namespaces: [default, ns]\n", NULL},
    {SELECT "    namespaces: [default, prod]\n",
     "m.yaml:8:27: warning: a lab is one namespace: 'prod' is taken to be the whole lab"},
    {SELECT "    nodes: [n1]\n", "m.yaml:8:5: warning: spec.selector.nodes: a lab is one machine"},
    {SELECT "    nodeSelectors: {disk: ssd}\n",
     "spec.selector.nodeSelectors: a lab is one machine"},
    {SELECT "    podPhaseSelectors: [Running]\n", "count as Running"},
    {SELECT "    podPhaseSelectors: ['!Pending']\n", "count as Running"},
    {SELECT "    fieldSelectors: {spec.nodeName: n1}\n", "a lab is one machine"},
    {SELECT "    fieldSelectors: {status.phase: Running, metadata.name: a}\n", NULL},
    {SELECT "    fieldSelectors: {metadata.namespace: ns}\n", "a lab is one namespace"},
    {SELECT "    pods: {default: [a, b], ns: [c]}\n", NULL},
    {SELECT "    pods: {default: [a]}\n    labelSelectors: {app: b}\n",
     "m.yaml:9:5: warning: selector.labelSelectors is not used, because pods names the targets"},
    {SELECT "    annotationSelectors: {}\n", NULL},
    {SELECT "    expressionSelectors:\n    - {key: app, operator: In, values: [a, b]}\n"
            "    - {key: app, operator: NotIn, values: [c]}\n    - {key: app, operator: Exists}\n"
            "    - {key: gone, operator: DoesNotExist}\n",
     NULL},
};

TEST(what_chaos_mesh_takes_is_taken)
{
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        struct parsed p;
        parse(&p, accepted[i].text);
        if (p.result < 0)
            TEST_FAIL("row %zu refused:\n%s\n%s", i, accepted[i].text, buf_str(&p.errors.text));
        if (accepted[i].says)
            ASSERT_CONTAINS(buf_str(&p.m.warnings.text), accepted[i].says);
        else if (p.m.warnings.n)
            TEST_FAIL("row %zu warned:\n%s\n%s", i, accepted[i].text, buf_str(&p.m.warnings.text));
        done(&p);
    }
}

static const struct refused {
    const char *text, *says;
} refused[] = {
    {"", "m.yaml:1:1: error: no Chaos Mesh object in this file"},
    {"# nothing\n", "no Chaos Mesh object"},
    {"just text\n", "m.yaml:1:1: error: a manifest must be a map"},
    {"apiVersion: v1\nkind: Pod\n", "no Chaos Mesh object in this file"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: StressChaos\nmetadata: {name: m}\nspec: {}\n",
     "m.yaml:2:7: error: kind StressChaos is not supported by this version"},
    {"apiVersion: pingcap.com/v1alpha1\nkind: IoChaos\n",
     "m.yaml:2:7: error: kind IoChaos is not supported by this version"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: Schedule\n", "kind Schedule is not supported"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChoas\n",
     "m.yaml:2:7: error: unknown kind 'PodChoas'; did you mean PodChaos"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nmetadata: {name: m}\n", "kind is missing"},
    {"apiVersion: chaos-mesh.org/v2\nkind: PodChaos\nmetadata: {name: m}\nspec: {action: pod-kill, "
     "mode: one, selector: {}}\n",
     "m.yaml:1:13: error: apiVersion 'chaos-mesh.org/v2' is not known"},
    {KILL "---\n" KILL, "m.yaml:9:1: error: a second chaos object"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nspec: {action: pod-kill, mode: one, "
     "selector: {}}\n",
     "metadata.name is missing"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: m}\n",
     "spec is missing"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {nam: m}\nspec: {action: "
     "pod-kill, mode: one, selector: {}}\n",
     "m.yaml:3:12: error: unknown key 'nam' in metadata; did you mean 'name'?"},
    {KILL "extra: 1\n", "m.yaml:8:1: error: unknown key 'extra' in the object"},
    {KILL "  gracePeriodd: 5\n",
     "m.yaml:8:3: error: unknown key 'gracePeriodd' in spec; did you mean 'gracePeriod'?"},
    {KILL "  direction: to\n", "m.yaml:8:3: error: unknown key 'direction' in spec"},
    {KILL "  scheduler: {corn: x}\n", "unknown key 'corn' in spec.scheduler; did you mean 'cron'?"},
    {KILL "  scheduler: \"@every 5m\"\n", "spec.scheduler must be a map"},
    {KILL "  paused: true\n", "m.yaml:8:11: error: this experiment is paused"},
    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata:\n  name: m\n  annotations: "
     "{experiment.chaos-mesh.org/pause: \"true\"}\nspec: {action: pod-kill, mode: one, selector: "
     "{}}\n",
     "this experiment is paused; remove the annotation"},
    {KILL "  gracePeriod: -1\n", "m.yaml:8:16: error: spec.gracePeriod must be 0 to 86400 seconds"},
    {KILL "  gracePeriod: 5s\n", "spec.gracePeriod must be a whole number, not '5s'"},
    {KILL "  gracePeriod: [5]\n", "spec.gracePeriod must be a text, not a list"},
    {HEAD "  mode: one\n  selector: {}\n", "m.yaml:5:3: error: spec.action is missing"},
    {HEAD "  mode: one\n  selector: {}\n  action: pod-kil\n",
     "m.yaml:7:11: error: unknown action 'pod-kil': did you mean pod-kill"},
    {HEAD "  mode: some\n  selector: {}\n  action: pod-kill\n", "m.yaml:5:9: error: unknown mode"},
    {HEAD "  mode: fixed\n  selector: {}\n  action: pod-kill\n", "mode fixed needs spec.value"},
    {HEAD "  mode: fixed\n  value: \"0\"\n  selector: {}\n  action: pod-kill\n",
     "m.yaml:6:10: error: spec.value of mode fixed must be 1 to"},
    {HEAD "  mode: fixed-percent\n  value: \"101\"\n  selector: {}\n  action: pod-kill\n",
     "must be 1 to 100"},
    {HEAD "  mode: fixed-percent\n  value: \"50%\"\n  selector: {}\n  action: pod-kill\n",
     "spec.value must be a whole number, not '50%'"},
    {HEAD "  mode: random-max-percent\n  value: \"-1\"\n  selector: {}\n  action: pod-kill\n",
     "must be 0 to 100"},
    {FAIL "  duration: \"30\"\n", "m.yaml:8:13: error: spec.duration '30' is no duration"},
    {FAIL "  duration: 1d\n", "spec.duration '1d' is no duration"},
    {FAIL "  duration: 5 s\n", "is no duration"},
    {FAIL "  duration: -5s\n", "spec.duration must be longer than 0"},
    {FAIL "  duration: \"0\"\n", "spec.duration must be longer than 0"},
    {CONTAINER, "m.yaml:7:11: error: container-kill needs spec.containerNames"},
    {CONTAINER "  containerNames: []\n", "container-kill needs spec.containerNames"},
    {CONTAINER "  containerNames: app\n", "spec.containerNames must be a list, not a text"},
    {SELECT "    labelSelector: {app: a}\n",
     "m.yaml:8:5: error: unknown key 'labelSelector' in spec.selector; did you mean "
     "'labelSelectors'?"},
    {SELECT "    labelSelectors: [a]\n", "selector.labelSelectors must be a map, not a list"},
    {SELECT "    labelSelectors: {app: '{{ .Values.app }}'}\n", "unrendered template"},
    {SELECT "    labelSelectors: {app: {{ app }}}\n", "m.yaml:8:"},
    {SELECT "    annotationSelectors: {a: b}\n", "services have no annotations"},
    {SELECT "    physicalMachines: {ns: [m]}\n", "physical machines cannot be selected"},
    {SELECT "    podPhaseSelectors: [Pending]\n", "selects none of them"},
    {SELECT "    podPhaseSelectors: ['!Running']\n", "selects none of them"},
    {SELECT "    fieldSelectors: {status.phase: Pending}\n", "selects none of them"},
    {SELECT "    fieldSelectors: {metadata.nam: a}\n", "did you mean 'metadata.name'?"},
    {SELECT "    expressionSelectors: [{key: app, operator: in, values: [a]}]\n",
     "unknown operator 'in': In, NotIn, Exists or DoesNotExist; did you mean In"},
    {SELECT "    expressionSelectors: [{key: app, operator: In}]\n", "In needs values"},
    {SELECT "    expressionSelectors: [{key: app, operator: Exists, values: [a]}]\n",
     "Exists takes no values"},
    {SELECT "    expressionSelectors: [{key: app}]\n", "an expression needs key and operator"},
    {SELECT "    expressionSelectors: [app]\n", "an expression must be a map, not a text"},
    {KILL "  action: pod-kill\n", "m.yaml:8:3"}, /* a key twice */
    {HEAD "  *a\n", "m.yaml:5:3"},
};

TEST(mistakes_are_told_with_their_place)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct parsed p;
        parse(&p, refused[i].text);
        if (p.result != -EINVAL)
            TEST_FAIL("row %zu accepted:\n%s", i, refused[i].text);
        ASSERT_CONTAINS(buf_str(&p.errors.text), refused[i].says);
        done(&p);
    }
}

TEST(all_mistakes_in_one_pass)
{
    struct parsed p;
    parse(&p, HEAD "  acton: pod-kill\n  mode: on\n  gracePeriod: -1\n  selector: {nods: []}\n");
    ASSERT_EQ(p.errors.n, 5);
    ASSERT_EQ(p.errors.v[1].line, 5);
    ASSERT_EQ(p.errors.v[1].column, 3);
    done(&p);
}

TEST(the_sources_own_manifest_is_read_as_it_is)
{
    struct parsed p;
    parse(&p, "# test/chaos/gateway/redis-master-failure.yaml\n"
              "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata:\n"
              "  name: redis-master-failure\n  namespace: default\nspec:\n  action: pod-failure\n"
              "  mode: one\n  duration: \"60s\"\n  selector:\n    namespaces:\n      - default\n"
              "    labelSelectors:\n      app: redis\n      role: master\n"
              "  scheduler:\n    cron: \"@every 5m\"\n");
    ASSERT_OK(p.result);
    ASSERT_STREQ(p.m.name, "redis-master-failure");
    ASSERT_STREQ(p.m.action, "pod-failure");
    ASSERT_EQ(p.m.source.mode, MODE_ONE);
    ASSERT_EQ(p.m.duration_ns, 60 * NS_PER_S);
    ASSERT_EQ(p.m.source.selector.labels_n, 2);
    ASSERT_STREQ(p.m.source.selector.labels[1].value, "master");
    ASSERT_EQ(p.m.warnings.n, 1);
    done(&p);
}

TEST(values_arrive)
{
    struct parsed p;
    parse(&p, KILL "  gracePeriod: 5\n");
    ASSERT_EQ(p.m.grace_ns, 5 * NS_PER_S);
    ASSERT_EQ(p.m.duration_ns, -1);
    done(&p);
    parse(&p, FAIL "  duration: 30\n");
    ASSERT_EQ(p.m.duration_ns, 30 * NS_PER_S);
    done(&p);
    parse(&p, FAIL "  duration: \"\"\n");
    ASSERT_EQ(p.m.duration_ns, -1);
    done(&p);
    parse(&p, CONTAINER "  containerName: app\n");
    ASSERT_EQ(p.m.containers.n, 1);
    ASSERT_STREQ(p.m.containers.v[0], "app");
    done(&p);
    parse(&p, HEAD "  selector: {}\n  action: pod-kill\n  mode: fixed\n  value: 3\n");
    ASSERT_EQ(p.m.source.mode, MODE_FIXED);
    ASSERT_NEAR(p.m.source.value, 3, 0);
    done(&p);
}

static struct plan_kv web[] = {{"app", "web"}}, db[] = {{"app", "db"}, {"role", "master"}};
static struct plan_service services[] = {
    {.name = "web-0", .labels = web, .labels_n = 1},
    {.name = "web-1", .labels = web, .labels_n = 1},
    {.name = "web-2", .labels = web, .labels_n = 1},
    {.name = "db", .labels = db, .labels_n = 2},
    {.name = "bare"},
};
static const struct plan plan = {.services = services, .services_n = ARRAY_SIZE(services)};

static unsigned picked(const char *selector, const char *mode, uint64_t seed)
{
    struct parsed p;
    struct rng rng;
    int32_t targets[8];
    char text[1024];
    unsigned set = 0;
    snprintf(text, sizeof text, HEAD "  action: pod-kill\n  mode: %s\n  selector: %s\n", mode,
             selector);
    parse(&p, text);
    if (p.result < 0)
        TEST_FAIL("%s", buf_str(&p.errors.text));
    rng_init(&rng, seed, "pick");
    int n = manifest_pick(&p.m.source, &plan, &rng, targets, ARRAY_SIZE(targets));
    for (int i = 0; i < n; i++) {
        ASSERT(i == 0 || targets[i] > targets[i - 1]);
        set |= 1u << targets[i];
    }
    done(&p);
    return set;
}

TEST(selectors_select)
{
    ASSERT_EQ(picked("{}", "all", 1), 31);
    ASSERT_EQ(picked("{labelSelectors: {app: web}}", "all", 1), 7);
    ASSERT_EQ(picked("{labelSelectors: {app: db, role: master}}", "all", 1), 8);
    ASSERT_EQ(picked("{labelSelectors: {app: db, role: slave}}", "all", 1), 0);
    ASSERT_EQ(picked("{namespaces: [elsewhere], labelSelectors: {app: db}}", "all", 1), 8);
    ASSERT_EQ(picked("{fieldSelectors: {metadata.name: web-1}}", "all", 1), 2);
    ASSERT_EQ(picked("{pods: {default: [web-2, ghost], ns: [bare]}}", "all", 1), 4 + 16);
    ASSERT_EQ(picked("{pods: {default: [web-2]}, labelSelectors: {app: db}}", "all", 1), 4);
    ASSERT_EQ(picked("{pods: {}}", "all", 1), 0);
    ASSERT_EQ(
        picked("{expressionSelectors: [{key: app, operator: In, values: [web, x]}]}", "all", 1), 7);
    /* an absent label is not in any list */
    ASSERT_EQ(
        picked("{expressionSelectors: [{key: app, operator: NotIn, values: [web]}]}", "all", 1),
        8 + 16);
    ASSERT_EQ(picked("{expressionSelectors: [{key: role, operator: Exists}]}", "all", 1), 8);
    ASSERT_EQ(picked("{expressionSelectors: [{key: app, operator: DoesNotExist}]}", "all", 1), 16);
    ASSERT_EQ(picked("{labelSelectors: {app: web}, expressionSelectors: [{key: app, operator: "
                     "DoesNotExist}]}",
                     "all", 1),
              0);
}

static int count(unsigned set)
{
    return __builtin_popcount(set);
}

TEST(modes_take_so_many)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        ASSERT_EQ(count(picked("{}", "one", seed)), 1);
        ASSERT_EQ(count(picked("{}", "fixed\n  value: '2'", seed)), 2);
        ASSERT_EQ(count(picked("{}", "fixed\n  value: '9'", seed)), 5);
        ASSERT_EQ(count(picked("{}", "fixed-percent\n  value: '1'", seed)), 1);
        ASSERT_EQ(count(picked("{}", "fixed-percent\n  value: '40'", seed)), 2);
        ASSERT_EQ(count(picked("{}", "fixed-percent\n  value: '41'", seed)), 3);
        ASSERT_EQ(count(picked("{}", "fixed-percent\n  value: '100'", seed)), 5);
        ASSERT_LE(count(picked("{}", "random-max-percent\n  value: '60'", seed)), 3);
    }
}

TEST(random_max_percent_may_take_none_and_may_take_the_most)
{
    int seen[6] = {0};
    for (uint64_t seed = 0; seed < 600; seed++)
        seen[count(picked("{}", "random-max-percent\n  value: '60'", seed))]++;
    ASSERT(seen[0] > 0 && seen[0] < 40); /* one in 61 */
    ASSERT(seen[1] > 130 && seen[2] > 130 && seen[3] > 130);
    ASSERT_EQ(seen[4] + seen[5], 0);
    /* 0 and the value itself are both among the draws */
    memset(seen, 0, sizeof seen);
    for (uint64_t seed = 0; seed < 200; seed++)
        seen[count(picked("{}", "random-max-percent\n  value: '1'", seed))]++;
    ASSERT(seen[0] > 60 && seen[1] > 60);
}

TEST(every_target_has_its_chance_and_the_seed_decides)
{
    int seen[5] = {0};
    for (uint64_t seed = 0; seed < 500; seed++) {
        unsigned set = picked("{}", "one", seed);
        ASSERT_EQ(set, picked("{}", "one", seed));
        seen[__builtin_ctz(set)]++;
    }
    for (int i = 0; i < 5; i++)
        ASSERT(seen[i] > 60 && seen[i] < 140);
}

TEST(the_request_names_its_targets)
{
    struct parsed p;
    struct fault_request q, again;
    struct buf why = {0};
    parse(&p, SELECT "    pods: {default: [db, web-1]}\n  gracePeriod: 5\n");
    ASSERT_EQ(manifest_request(&p.m, &plan, 1, "fault/fault", &q, &why), 1);
    ASSERT_STREQ(q.kind, "pod-kill");
    ASSERT_EQ(q.targets_n, 1);
    ASSERT_STREQ(q.target_names[0], plan.services[q.targets[0]].name);
    ASSERT_EQ(q.grace_ns, 5 * NS_PER_S);
    ASSERT_EQ(q.ttl_ns, 0);
    ASSERT_EQ(manifest_request(&p.m, &plan, 1, "fault/fault", &again, &why), 1);
    ASSERT_EQ(memcmp(&q, &again, sizeof q), 0);
    ASSERT_EQ(why.n, 0);
    done(&p);
    parse(&p, SELECT "    labelSelectors: {app: none}\n");
    ASSERT_EQ(manifest_request(&p.m, &plan, 1, "fault/fault", &q, &why), 0);
    ASSERT_CONTAINS(buf_str(&why), "no service matches its selector");
    buf_done(&why);
    done(&p);
}

static void assert_explained(const char *text, const char *says)
{
    struct parsed p;
    struct buf out = {0};
    parse(&p, text);
    ASSERT_OK(p.result);
    manifest_explain(&p.m, &plan, &out);
    ASSERT_CONTAINS(buf_str(&out), says);
    buf_done(&out);
    done(&p);
}

TEST(explained_in_plain_words)
{
    assert_explained(FAIL "  duration: 8s\n", "whom:  one, drawn by the run's seed, of web-0, ");
    assert_explained(FAIL "  duration: 8s\n", "long:  as the plan's `for:` says, else 8s");
    assert_explained(FAIL, "undo:  The lab starts the service again; confirmed when it is ready.");
    assert_explained(KILL "  gracePeriod: 5\n", "SIGTERM first, SIGKILL after 5s.");
    assert_explained(SELECT "    labelSelectors: {app: none}\n", "note:  no service of this plan");
    assert_explained(SELECT "    labelSelectors: {app: db}\n", "whom:  db\n");
    assert_explained(SELECT "    pods: {default: [db, ghost]}\n", "pod 'ghost' is no service");
    assert_explained(CONTAINER "  containerNames: [app]\n", "container 'app' is called otherwise");
}
