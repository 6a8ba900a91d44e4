/* NetworkChaos and DNSChaos: every field, each mistake with its place, who is meant, and the
 * request that comes of it. */
#include "fault/manifest.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "unit/tests.h"

#define HEAD                                                                                       \
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: m}\nspec:\n"        \
    "  selector: {}\n  mode: one\n"                                                                \
    "  action: " /* 7 lines with the action's */
#define DELAY     HEAD "delay\n  delay: {latency: 500ms, jitter: 100ms}\n" /* 8 lines */
#define PARTITION HEAD "partition\n"                                       /* 7 lines */
#define LOSS      HEAD "loss\n  loss: "                                    /* 8 lines */
#define BANDWIDTH HEAD "bandwidth\n  bandwidth: "                          /* 8 lines */
#define TARGET    "  target: {mode: all, selector: {labelSelectors: {app: web}}}\n"
#define DNS                                                                                        \
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: DNSChaos\nmetadata: {name: m}\nspec:\n"            \
    "  selector: {}\n  mode: all\n  action: "

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

/* `says` NULL: nothing may warn. */
static const struct accepted {
    const char *text, *says;
} accepted[] = {
    {DELAY, NULL},
    {HEAD "delay\n  delay: {latency: 1.5s}\n", NULL},
    {HEAD "delay\n  delay: {latency: 500us, jitter: 0ms, correlation: \"0\"}\n", NULL},
    {HEAD "netem\n  delay: {latency: 10ms}\n  loss: {loss: \"1\"}\n", NULL},
    {HEAD "delay\n  delay: {latency: 10ms, reorder: {reorder: \"5.5\", correlation: \"50\", gap: "
          "5}}\n",
     NULL},
    {LOSS "{loss: \"25.5\", correlation: \"25\"}\n", NULL},
    {HEAD "duplicate\n  duplicate: {duplicate: \"100\", correlation: ''}\n", NULL},
    {HEAD "corrupt\n  corrupt: {corrupt: \"0.1\"}\n", NULL},
    {HEAD "netem\n  rate: {rate: 1mbit}\n", NULL},
    {BANDWIDTH "{rate: 1mbps, limit: 20971520, buffer: 10000}\n", NULL},
    {BANDWIDTH "{rate: ' 10 MBIT ', limit: 20971520, buffer: 10000}\n", NULL},
    {BANDWIDTH "{rate: 10mbit, limit: 1, buffer: 10000, peakrate: 2000000, minburst: 1500}\n",
     NULL},
    {PARTITION, NULL},
    {PARTITION "  direction: both\n" TARGET, NULL},
    {PARTITION "  direction: from\n  externalTargets: [10.213.0.10]\n", NULL},
    {DELAY "  direction: both\n" TARGET, NULL},
    {DELAY "  target: null\n  direction: null\n  externalTargets: null\n", NULL},
    {DELAY "  externalTargets: [web-0, 'web-1:80', 10.213.0.10, 0.0.0.0/0, '10.213.0.0/24:443',\n"
           "    'fd73:7175:616c::b', '[fd73:7175:616c::a]:80', '::/0']\n",
     NULL},
    {DELAY "  device: eth0\n  targetDevice: eth0@if5\n", NULL},
    {DELAY "  duration: 90s\n", NULL},
    {HEAD "reset\n" TARGET, NULL},
    /* legacy, and of the wrong type */
    {DELAY "  scheduler: {cron: '@every 2m'}\n", "the form before Chaos Mesh 2.0"},
    {DELAY "  direction: \"\"\n", "m.yaml:9:14: warning: spec.direction is empty; taken as to"},
    {DELAY "  target: {mode: '', selector: {}}\n",
     "m.yaml:9:18: warning: spec.target.mode is empty; taken as one"},
    {DELAY "  target: {selector: {}}\n", "m.yaml:9:11: warning: spec.target.mode is missing"},
    {DELAY "  target: {mode: all}\n", "spec.target.selector is missing; taken as {}"},
    {DELAY "  target: {mode: fixed, value: 2, selector: {}}\n",
     "m.yaml:9:32: warning: spec.target.value must be a text"},
    {DELAY "  target: {mode: all, selector: {nodes: [a]}}\n",
     "spec.target.selector.nodes: a lab is"},
    {HEAD "delay\n  delay: {latency: 1m30s}\n",
     "m.yaml:8:20: warning: spec.delay.latency '1m30s' is refused by Chaos Mesh since 2.8"},
    {HEAD "delay\n  delay: {latency: 10ms, jitter: 100ms}\n",
     "m.yaml:8:34: warning: spec.delay.jitter is more than the latency"},
    {HEAD "delay\n  delay: {latency: 0ms}\n", "m.yaml:8:20: warning: spec.delay.latency is 0"},
    {HEAD "delay\n  delay: {latency: 10ms, correlation: 25}\n",
     "m.yaml:8:39: warning: spec.delay.correlation must be a text"},
    {HEAD "delay\n  delay: {latency: 10ms, reorder: {reorder: \"5\"}}\n",
     "m.yaml:8:35: warning: spec.delay.reorder.gap is missing"},
    {HEAD "delay\n  delay: {latency: 10ms, reorder: {reorder: \"5\", gap: \"3\"}}\n",
     "spec.delay.reorder.gap must be a number"},
    {HEAD "delay\n  delay: {latency: 0s, jitter: 1ms, reorder: {reorder: \"5\", gap: 3}}\n",
     "spec.delay.reorder does nothing without a latency"},
    {LOSS "{loss: 25}\n", "m.yaml:8:16: warning: spec.loss.loss must be a text"},
    {LOSS "{loss: 25%}\n", "m.yaml:8:16: warning: spec.loss.loss takes no % sign"},
    {LOSS "{loss: '0'}\n", "m.yaml:8:16: warning: spec.loss.loss is 0: it does nothing"},
    {BANDWIDTH "{rate: 10 Mbps, limit: 20971520, buffer: 10000}\n",
     "m.yaml:8:21: warning: spec.bandwidth.rate: bps is BYTES a second, here and in Chaos Mesh; "
     "for bits write 10 mbit"},
    {BANDWIDTH "{rate: 1mbit, buffer: 10000}\n",
     "spec.bandwidth.limit is missing, which a cluster insists on; taken as 22500 bytes"},
    {BANDWIDTH "{rate: 1mbit, limit: 10000}\n",
     "spec.bandwidth.buffer is missing, which a cluster insists on; taken as 10000 bytes"},
    {BANDWIDTH "{rate: 1mbit, limit: 10000, buffer: 100}\n",
     "m.yaml:8:50: warning: spec.bandwidth.buffer is smaller than a packet"},
    {BANDWIDTH "{rate: 1mbit, limit: 10000, buffer: 2000, peakrate: 200000}\n",
     "m.yaml:8:66: warning: spec.bandwidth.peakrate is not used without minburst"},
    {BANDWIDTH "{rate: 1mbit, limit: 10000, buffer: 2000, minburst: 1500}\n",
     "spec.bandwidth.minburst is not used without peakrate"},
    {BANDWIDTH "{rate: 1mbit, limit: '10000', buffer: 2000}\n",
     "spec.bandwidth.limit must be a number"},
    /* of no meaning here */
    {DELAY "  device: eth1\n", "m.yaml:9:11: warning: a service has one interface, eth0; 'eth1'"},
    {DELAY "  targetDevice: br0@x\n", "'br0@x' is taken to be it"},
    {DELAY "  containerNames: [a]\n", "m.yaml:9:3: warning: spec.containerNames: a network fault"},
    {DELAY "  containerName: a\n", "a network fault takes the whole service"},
    {DELAY "  externalTargets: [8.8.8.8]\n",
     "m.yaml:9:21: warning: '8.8.8.8' cannot be reached from a lab"},
    {DELAY "  externalTargets:\n    - web-0\n    - '10.0.0.0/16:80'\n",
     "m.yaml:11:7: warning: '10.0.0.0/16:80' cannot be reached"},
    {DELAY "  externalTargets: ['::1', '[2001:db8::1]:443']\n", "'[2001:db8::1]:443' cannot be"},
    {DELAY "  externalTargets: [127.0.0.1]\n", "cannot be reached from a lab"},
    {PARTITION "  delay: {latency: 5ms}\n",
     "m.yaml:8:3: warning: spec.delay is not used by action partition"},
    {HEAD "reset\n  loss: {loss: '5'}\n", "spec.loss is not used by action reset"},
    {HEAD "reset\n  direction: both\n",
     "m.yaml:8:14: warning: spec.direction is not used by reset"},
    {HEAD "reset\n  duration: 5s\n", "reset is one act"},
    {HEAD "delay\n  loss: {loss: \"5\"}\n",
     "m.yaml:7:11: warning: action delay has no spec.delay; what there is acts, as in a cluster: "
     "loss"},
    {PARTITION "  direction: both\n  externalTargets: ['web-0:80']\n",
     "m.yaml:9:21: warning: with a port only the way to it is cut"},
    /* names */
    {DNS "error\n", NULL},
    {DNS "random\n  patterns: [redis, 'a?c.*']\n", NULL},
    {DNS "delay\n  delay: 500ms\n", NULL},
    {DNS "delay\n  delay: 0s\n", "m.yaml:8:10: warning: spec.delay is 0"},
    {DNS "error\n  delay: 5s\n", "spec.delay is used by action delay only"},
    {DNS "error\n  containerNames: [a]\n", "a service is its own only container"},
    {DNS "error\n  scope: outer\n", "m.yaml:8:3: warning: spec.scope: is the form before"},
    {DNS "error\n  scheduler: {cron: '@every 2m'}\n  duration: 30s\n", "before Chaos Mesh 2.0"},
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
    {HEAD "dealy\n", "m.yaml:7:11: error: unknown action 'dealy': did you mean delay"},
    {HEAD "netem\n",
     "m.yaml:7:11: error: action netem needs one of delay, loss, duplicate, corrupt and rate"},
    {HEAD "netem\n  bandwidth: {rate: 1mbit, limit: 1, buffer: 2000}\n",
     "action netem needs one of"},
    {HEAD "delay\n", "m.yaml:7:11: error: action delay needs spec.delay"},
    {HEAD "bandwidth\n  delay: {latency: 5ms}\n", "action bandwidth needs spec.bandwidth"},
    {DELAY "  directoin: to\n", "m.yaml:9:3: error: unknown key 'directoin' in spec; did you mean "
                                "'direction'?"},
    {DELAY "  direction: up\n", "m.yaml:9:14: error: unknown direction 'up': to, from or both"},
    {DELAY "  direction: both\n", "m.yaml:9:14: error: direction both needs spec.target"},
    {DELAY "  direction: from\n  externalTargets: [web-0]\n" TARGET,
     "m.yaml:9:14: error: direction from cannot be combined with spec.externalTargets"},
    {HEAD "delay\n  delay: {}\n", "m.yaml:8:10: error: spec.delay.latency is missing"},
    {HEAD "delay\n  delay: 500ms\n", "m.yaml:8:10: error: spec.delay must be a map, not a text"},
    {HEAD "delay\n  delay: {latency: 500}\n", "m.yaml:8:20: error: spec.delay.latency '500' is no"},
    {HEAD "delay\n  delay: {latency: -5ms}\n",
     "m.yaml:8:20: error: spec.delay.latency must be 0 to"},
    {HEAD "delay\n  delay: {latency: 2h}\n", "spec.delay.latency must be 0 to 1h, not 2h"},
    {HEAD "delay\n  delay: {latency: 5ms, jitter: fast}\n",
     "m.yaml:8:33: error: spec.delay.jitter 'fast' is no duration"},
    {HEAD "delay\n  delay: {latency: 5ms, correlation: '101'}\n",
     "m.yaml:8:38: error: spec.delay.correlation must be 0 to 100 percent, not 101"},
    {HEAD "delay\n  delay: {latency: 5ms, latencyy: 1}\n",
     "m.yaml:8:25: error: unknown key 'latencyy' in spec.delay; did you mean 'latency'?"},
    {HEAD "delay\n  delay: {latency: 5ms, reorder: {gap: 2}}\n",
     "m.yaml:8:34: error: spec.delay.reorder.reorder is missing"},
    {HEAD "delay\n  delay: {latency: 5ms, reorder: {reorder: '5', gap: -1}}\n",
     "m.yaml:8:54: error: spec.delay.reorder.gap must be 0 or more"},
    {LOSS "{}\n", "m.yaml:8:9: error: spec.loss.loss is missing"},
    {LOSS "{loss: much}\n", "m.yaml:8:16: error: spec.loss.loss must be a number of percent"},
    {LOSS "{loss: '100.1'}\n", "m.yaml:8:16: error: spec.loss.loss must be 0 to 100 percent"},
    {LOSS "{loss: '-1'}\n", "spec.loss.loss must be 0 to 100 percent, not -1"},
    {LOSS "{loss: nan}\n", "spec.loss.loss must be a number of percent"},
    {LOSS "{loss: '5', gap: 2}\n", "unknown key 'gap' in spec.loss"},
    {HEAD "corrupt\n  corrupt: {corrupt: '5', correlation: x}\n",
     "m.yaml:8:40: error: spec.corrupt.correlation must be a number of percent"},
    {HEAD "duplicate\n  duplicate: {duplicat: '5'}\n", "did you mean 'duplicate'?"},
    {HEAD "netem\n  rate: {}\n", "m.yaml:8:9: error: spec.rate.rate is missing"},
    {HEAD "netem\n  rate: {rate: fast}\n", "m.yaml:8:16: error: spec.rate.rate 'fast' is no rate"},
    {HEAD "netem\n  rate: {rate: 1.5mbit}\n", "spec.rate.rate '1.5mbit' is no rate"},
    {HEAD "netem\n  rate: {rate: 10}\n", "spec.rate.rate '10' is no rate"},
    {HEAD "netem\n  rate: {rate: 0mbit}\n", "spec.rate.rate must be more than 0"},
    {HEAD "netem\n  rate: {rate: 99999999999tbps}\n", "is too much"},
    {HEAD "netem\n  rate: {rate: 1pbit}\n", "is no rate"},
    {BANDWIDTH "{limit: 1, buffer: 2000}\n", "m.yaml:8:14: error: spec.bandwidth.rate is missing"},
    {BANDWIDTH "{rate: 7bit, limit: 1, buffer: 2000}\n", "must be at least one byte a second"},
    {BANDWIDTH "{rate: 1mbit, limit: 0, buffer: 2000}\n",
     "m.yaml:8:35: error: spec.bandwidth.limit must be 1 to 4294967295 bytes"},
    {BANDWIDTH "{rate: 1mbit, limit: 4294967296, buffer: 2000}\n",
     "spec.bandwidth.limit must be 1"},
    {BANDWIDTH "{rate: 1mbit, limit: 1, buffer: 1kb}\n",
     "spec.bandwidth.buffer must be a whole number, not '1kb'"},
    {BANDWIDTH "{rate: 1mbit, limit: 1, buffer: 2000, peakrate: 100000, minburst: 1500}\n",
     "m.yaml:8:62: error: spec.bandwidth.peakrate (bytes a second) must be more than the rate"},
    {DELAY "  target: all\n", "m.yaml:9:11: error: spec.target must be a map, not a text"},
    {DELAY "  target: {mode: fixed, selector: {}}\n", "mode fixed needs spec.target.value"},
    {DELAY "  target: {mode: fixed, value: '0', selector: {}}\n",
     "m.yaml:9:32: error: spec.target.value of mode fixed must be 1 to"},
    {DELAY "  target: {mode: all, selector: {}, action: delay}\n",
     "unknown key 'action' in spec.target"},
    {DELAY "  target: {mode: all, selector: {labelSelector: {}}}\n",
     "unknown key 'labelSelector' in spec.target.selector; did you mean 'labelSelectors'?"},
    {DELAY "  externalTargets: web-0\n", "spec.externalTargets must be a list, not a text"},
    {DELAY "  externalTargets: ['web-0:0']\n",
     "m.yaml:9:21: error: 'web-0:0' is no external target"},
    {DELAY "  externalTargets: ['web-0:65536']\n", "is no external target"},
    {DELAY "  externalTargets: ['a b']\n", "is no external target"},
    {DELAY "  externalTargets: [10.0.0]\n", "'10.0.0' is no external target"},
    {DELAY "  externalTargets: [10.0.0.0/33]\n", "is no external target"},
    {DELAY "  externalTargets: ['[::1']\n", "is no external target"},
    {DELAY "  externalTargets: ['[]:80', ':80', '', 'x:']\n", "':80' is no external target"},
    {DELAY "  externalTargets: ['http://web-0/']\n", "is no external target"},
    {DELAY "  externalTargets: ['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'a:6', 'a:7', 'a:8', 'a:9',\n"
           "    'a:10', 'a:11', 'a:12', 'a:13', 'a:14']\n",
     "name more than 13 different ports"},
    {PARTITION "  direction: from\n  externalTargets: ['web-0:80']\n",
     "m.yaml:9:21: error: the way back from one port cannot be cut alone"},
    {HEAD "delay\n  delay: [a]\n  loss: 5\n", "spec.loss must be a map, not a text"},
    {DELAY "  gracePeriod: 5\n", "unknown key 'gracePeriod' in spec"},
    /* names */
    {DNS "delay\n", "m.yaml:7:11: error: action delay needs spec.delay, as in delay: 500ms"},
    {DNS "eror\n", "unknown action 'eror': did you mean error"},
    {DNS "error\n  patterns: ['a*b']\n",
     "m.yaml:8:16: error: a '*' stands at the end of a pattern only"},
    {DNS "error\n  patterns: redis\n", "spec.patterns must be a list, not a text"},
    {DNS "error\n  patterns: ['']\n", "spec.patterns holds an empty name"},
    {DNS "error\n  patterns: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]\n",
     "m.yaml:8:13: error: spec.patterns holds at most 16 patterns"},
    {DNS "error\n  patterns: "
         "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
     "a pattern has at most 63 characters"},
    {DNS "error\n  pattern: [a]\n", "unknown key 'pattern' in spec; did you mean 'patterns'?"},
    {DNS "delay\n  delay: {latency: 5s}\n", "spec.delay must be a text, not a map"},
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

/* --- values ----------------------------------------------------------------------------------- */

static struct impair_spec spec_of(const char *text)
{
    struct parsed p;
    parse(&p, text);
    if (p.result < 0)
        TEST_FAIL("%s", buf_str(&p.errors.text));
    struct impair_spec s = p.m.network->spec;
    done(&p);
    return s;
}

TEST(all_blocks_are_merged_whatever_the_action_says)
{
    struct impair_spec s = spec_of(
        HEAD "loss\n  delay: {latency: 500ms, jitter: 100ms, correlation: '25', reorder: "
             "{reorder: '5.5', correlation: '50', gap: 5}}\n"
             "  loss: {loss: '30', correlation: '10'}\n  duplicate: {duplicate: '1'}\n"
             "  corrupt: {corrupt: '0.1', correlation: '100'}\n  rate: {rate: 10mbit}\n"
             "  bandwidth: {rate: 1mbps, limit: 20971520, buffer: 10000, peakrate: 2000000, "
             "minburst: 1500}\n");
    ASSERT_EQ(s.latency_ns, 500 * NS_PER_MS);
    ASSERT_EQ(s.jitter_ns, 100 * NS_PER_MS);
    ASSERT_NEAR(s.latency_correlation, 0.25, 1e-12);
    ASSERT_NEAR(s.reorder.share, 0.055, 1e-12);
    ASSERT_NEAR(s.reorder.correlation, 0.5, 1e-12);
    ASSERT_EQ(s.reorder_gap, 5);
    ASSERT_NEAR(s.loss.share, 0.3, 1e-12);
    ASSERT_NEAR(s.loss.correlation, 0.1, 1e-12);
    ASSERT_NEAR(s.duplicate.share, 0.01, 1e-12);
    ASSERT_NEAR(s.corrupt.share, 0.001, 1e-12);
    ASSERT_NEAR(s.corrupt.correlation, 1, 0);
    ASSERT_EQ(s.rate_bits_per_s, 10000000);
    ASSERT_EQ(s.bandwidth.rate_bytes_per_s, 1000000);
    ASSERT_EQ(s.bandwidth.limit_bytes, 20971520);
    ASSERT_EQ(s.bandwidth.buffer_bytes, 10000);
    ASSERT_EQ(s.bandwidth.peakrate_bytes_per_s, 2000000);
    ASSERT_EQ(s.bandwidth.minburst_bytes, 1500);
    ASSERT(!s.partition);
}

TEST(units_of_rates)
{
    static const struct {
        const char *text;
        uint64_t bits;
    } rows[] = {{"8bit", 8},
                {"1bps", 8},
                {"1kbit", 1000},
                {"100kbps", 800000},
                {"1mbit", 1000000},
                {"1mbps", 8000000},
                {"2gbit", 2000000000},
                {"2gbps", 16000000000},
                {"1tbit", 1000000000000},
                {"1tbps", 8000000000000},
                {"10 Mbit", 10000000},
                {"' 10  MBIT '", 10000000},
                {"1KBPS", 8000}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[400];
        snprintf(text, sizeof text, HEAD "netem\n  rate: {rate: %s}\n", rows[i].text);
        ASSERT_EQ(spec_of(text).rate_bits_per_s, rows[i].bits);
    }
}

TEST(a_partition_does_nothing_else)
{
    struct impair_spec s = spec_of(PARTITION "  loss: {loss: '5'}\n");
    ASSERT(s.partition);
    ASSERT_NEAR(s.loss.share, 0, 0);
}

TEST(the_sources_own_manifest_is_read_as_it_is)
{
    struct parsed p;
    struct buf text = {0};
    ASSERT_OK(buf_read_file(&text, SOURCE_MANIFEST, 1 << 16));
    parse(&p, buf_str(&text));
    if (p.result < 0)
        TEST_FAIL("%s", buf_str(&p.errors.text));
    ASSERT_EQ(p.m.warnings.n, 0);
    ASSERT_STREQ(p.m.name, "redis-network-partition");
    ASSERT_STREQ(p.m.fault, "network");
    ASSERT_STREQ(p.m.title, "NetworkChaos partition");
    ASSERT_EQ(p.m.duration_ns, 90 * NS_PER_S);
    ASSERT(p.m.network->spec.partition && p.m.network->has_target);
    ASSERT_EQ(p.m.network->direction, DIRECTION_BOTH);
    ASSERT_EQ(p.m.network->target.mode, MODE_ALL);
    ASSERT_STREQ(p.m.network->target.selector.labels[0].value, "gateway");
    buf_done(&text);
    done(&p);
}

/* --- links ------------------------------------------------------------------------------------ */

static struct plan_kv web[] = {{"app", "web"}}, db[] = {{"app", "db"}};
static struct plan_service services[] = {
    {.name = "web-0", .labels = web, .labels_n = 1}, /* port 1, 10.213.0.10 */
    {.name = "web-1", .labels = web, .labels_n = 1}, /* port 2 */
    {.name = "db", .labels = db, .labels_n = 1},     /* port 3, 10.213.0.12 */
};
static const struct plan plan = {.services = services, .services_n = ARRAY_SIZE(services)};

#define FROM(SELECTOR)                                                                             \
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: m}\nspec:\n"        \
    "  mode: all\n  selector: {labelSelectors: {" SELECTOR "}}\n"
#define SLOW "  action: delay\n  delay: {latency: 5ms}\n"
#define CUT  "  action: partition\n"

/* All pairs that packets of are impaired, as from-to[:port], sorted by part and number. */
static void links(const char *text, uint64_t seed, struct buf *out, struct buf *where)
{
    static struct fault_request q;
    struct parsed p;
    struct buf why = {0};
    buf_clear(out);
    parse(&p, text);
    if (p.result < 0)
        TEST_FAIL("%s", buf_str(&p.errors.text));
    int n = manifest_request(&p.m, &plan, seed, "fault/x", &q, &why);
    ASSERT_EQ(n == 0, why.n > 0);
    ASSERT_OK(fault_check_request(&q));
    unsigned pairs = 0;
    for (uint32_t i = 0; i < q.network.links_n; i++)
        for (unsigned a = 0; a < 8; a++)
            for (unsigned b = 0; b < 8; b++) {
                const struct fault_link *l = &q.network.links[i];
                if (a == b || !port_set_has(&l->from, a) || !port_set_has(&l->to, b))
                    continue;
                pairs++;
                buf_printf(out, "%s%u-%u", out->n ? " " : "", a, b);
                if (l->dst_port)
                    buf_printf(out, ":%u", l->dst_port);
            }
    ASSERT_EQ(pairs, q.network.pairs_n);
    if (n == 0)
        buf_add_str(out, buf_str(&why));
    buf_clear(where);
    buf_add_str(where, n ? q.network.where : "");
    buf_done(&why);
    done(&p);
}

static void assert_links(const char *text, const char *pairs, const char *words)
{
    struct buf out = {0}, where = {0};
    links(text, 1, &out, &where);
    ASSERT_STREQ(buf_str(&out), pairs);
    ASSERT_STREQ(buf_str(&where), words);
    buf_done(&out);
    buf_done(&where);
}

TEST(directions)
{
    assert_links(FROM("app: db") SLOW TARGET, "3-1 3-2", "db -> web-0, web-1");
    assert_links(FROM("app: db") SLOW TARGET "  direction: from\n", "1-3 2-3",
                 "web-0, web-1 -> db");
    assert_links(FROM("app: db") SLOW TARGET "  direction: both\n", "3-1 3-2 1-3 2-3",
                 "db -> web-0, web-1, both ways");
}

TEST(without_another_side_it_is_everybody)
{
    assert_links(FROM("app: db") SLOW, "3-0 3-1 3-2", "db -> everybody");
    assert_links(FROM("app: db") CUT "  direction: from\n", "0-3 1-3 2-3", "everybody -> db");
    assert_links(FROM("app: db") CUT "  direction: both\n", "3-0 3-1 3-2 0-3 1-3 2-3",
                 "db -> everybody, both ways");
}

TEST(no_pair_is_impaired_twice)
{
    assert_links(FROM("app: web") CUT TARGET "  direction: both\n", "1-2 2-1",
                 "web-0, web-1 -> web-0, web-1, both ways");
    assert_links(FROM("") CUT TARGET "  direction: both\n", "1-2 2-1 3-1 3-2 1-3 2-3",
                 "web-0, web-1, db -> web-0, web-1, both ways");
    assert_links(FROM("app: web") CUT "  direction: both\n  target: {mode: all, selector: {}}\n",
                 "1-2 1-3 2-1 2-3 3-1 3-2", "web-0, web-1 -> web-0, web-1, db, both ways");
}

TEST(external_targets_are_services_by_name_and_by_address)
{
    assert_links(FROM("app: db") SLOW "  externalTargets: [web-1]\n", "3-2", "db -> web-1");
    assert_links(FROM("app: db") SLOW "  externalTargets: [web-1.default.svc.cluster.local]\n",
                 "3-2", "db -> web-1");
    assert_links(FROM("app: db") SLOW "  externalTargets: [web-1.default]\n", "3-2", "db -> web-1");
    assert_links(FROM("app: db") SLOW "  externalTargets: [10.213.0.10]\n", "3-1", "db -> web-0");
    assert_links(FROM("app: db") SLOW "  externalTargets: [10.213.0.10/31]\n", "3-1 3-2",
                 "db -> web-0, web-1");
    assert_links(FROM("app: db") SLOW "  externalTargets: [10.213.0.2]\n", "3-0",
                 "db -> the load generator");
    assert_links(FROM("app: db") SLOW "  externalTargets: [0.0.0.0/0]\n", "3-0 3-1 3-2",
                 "db -> everybody");
    assert_links(FROM("app: db") SLOW "  externalTargets: ['fd73:7175:616c::b']\n", "3-2",
                 "db -> web-1");
    assert_links(FROM("app: db") SLOW "  externalTargets: [8.8.8.8, 'web-0:80']\n", "3-1:80",
                 "db -> web-0:80");
    assert_links(FROM("app: db") SLOW "  externalTargets: ['web-0:80', 'web-1:80', 'web-1:443']\n",
                 "3-1:80 3-2:80 3-2:443", "db -> web-0:80, web-1:80, web-1:443");
    /* what is meant on all ports is not meant again on one */
    assert_links(FROM("app: db") SLOW "  externalTargets: ['web-0:80', web-0]\n", "3-1",
                 "db -> web-0");
    assert_links(FROM("app: db") SLOW TARGET "  externalTargets: ['web-0:80', 10.213.0.2]\n",
                 "3-0 3-1 3-2", "db -> everybody");
}

TEST(nobody_there_is_said)
{
    assert_links(FROM("app: db") SLOW "  externalTargets: [8.8.8.8, example.com]\n",
                 "none of its externalTargets is in the lab", "");
    assert_links(FROM("app: db") SLOW
                 "  target: {mode: all, selector: {labelSelectors: {app: none}}}\n",
                 "no service matches the selector of its target, or its mode drew none", "");
    assert_links(FROM("app: none") SLOW, "no service matches its selector, or its mode drew none",
                 "");
    assert_links(FROM("app: db") SLOW
                 "  target: {mode: all, selector: {labelSelectors: {app: db}}}\n",
                 "both of its sides are the same one service", "");
}

TEST(both_sides_draw_by_the_seed_and_each_for_itself)
{
    struct buf first = {0}, again = {0}, where = {0};
    int same = 0, differ = 0;
    const char *one = "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\n"
                      "metadata: {name: m}\nspec:\n  mode: one\n  selector: {labelSelectors: {app: "
                      "web}}\n" SLOW "  target: {mode: one, selector: {labelSelectors: {app: "
                      "web}}}\n";
    for (uint64_t seed = 0; seed < 200; seed++) {
        links(one, seed, &first, &where);
        links(one, seed, &again, &where);
        ASSERT_STREQ(buf_str(&first), buf_str(&again));
        if (strncmp(buf_str(&first), "both of its sides", 17) == 0)
            same++;
        else
            differ++;
    }
    /* streams of their own: source and target agree by chance only */
    ASSERT(same > 60 && differ > 60);
    buf_done(&first);
    buf_done(&again);
    buf_done(&where);
}

TEST(each_part_has_a_seed_of_its_own)
{
    static struct fault_request q;
    struct parsed p;
    struct buf why = {0};
    parse(&p, FROM("app: db") CUT "  direction: both\n");
    ASSERT_EQ(manifest_request(&p.m, &plan, 5, "fault/x", &q, &why), 1);
    ASSERT_EQ(q.network.links_n, 2);
    ASSERT(q.network.links[0].seed != q.network.links[1].seed);
    uint64_t seed = q.network.links[0].seed;
    ASSERT_EQ(manifest_request(&p.m, &plan, 5, "fault/y", &q, &why), 1);
    ASSERT(q.network.links[0].seed != seed);
    ASSERT_STREQ(q.name, "m");
    ASSERT_STREQ(q.kind, "network");
    ASSERT_STREQ(q.network.text, "nothing passes");
    done(&p);
}

TEST(a_reset_names_its_connections)
{
    static struct fault_request q;
    struct parsed p;
    struct buf why = {0};
    parse(&p, FROM("app: db") "  action: reset\n  externalTargets: ['web-0:80', web-1]\n");
    ASSERT_EQ(manifest_request(&p.m, &plan, 5, "fault/x", &q, &why), 1);
    ASSERT_STREQ(q.kind, "network-reset");
    ASSERT_EQ(q.network.links_n, 2);
    ASSERT_EQ(q.network.links[1].dst_port, 80);
    ASSERT(fault_find(p.m.fault)->one_shot);
    done(&p);
}

TEST(names_arrive)
{
    static struct fault_request q;
    struct parsed p;
    struct buf why = {0};
    parse(&p, DNS "delay\n  delay: 1.5s\n  patterns: [redis, 'a?c.*']\n");
    ASSERT_EQ(manifest_request(&p.m, &plan, 5, "fault/x", &q, &why), 3);
    ASSERT_OK(fault_check_request(&q));
    ASSERT_STREQ(q.kind, "dns");
    ASSERT_STREQ(p.m.title, "DNSChaos delay");
    ASSERT_EQ(q.names.rule.action, LAB_NAMES_DELAY);
    ASSERT_EQ(q.names.rule.delay_ns, 1500 * NS_PER_MS);
    ASSERT_EQ(q.names.rule.patterns_n, 2);
    ASSERT_STREQ(q.names.rule.patterns[1], "a?c.*");
    ASSERT(!port_set_has(&q.names.rule.who, 0) && port_set_has(&q.names.rule.who, 3));
    ASSERT(q.names.rule.seed != 0);
    ASSERT_STREQ(q.names.text, "redis, a?c.*: answered late by 1.5s");
    done(&p);
}

/* --- explain ---------------------------------------------------------------------------------- */

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
    assert_explained(DELAY, "NetworkChaos m, action delay\n");
    assert_explained(DELAY, "Asked: delay 500ms +-100ms.\n");
    assert_explained(DELAY, "  whom:  one, drawn by the run's seed, of web-0, web-1, db\n");
    assert_explained(DELAY, "  with:  everybody, the load generator included\n");
    assert_explained(DELAY TARGET, "  with:  all of web-0, web-1\n");
    assert_explained(DELAY TARGET "  direction: both\n", "  way:   packets both ways\n");
    assert_explained(DELAY, "  proof: what met it is counted to its end");
    assert_explained(DELAY, "  undo:  The lab's switch lets packets pass as before");
    assert_explained(PARTITION, "Asked: nothing passes.\n");
    assert_explained(DELAY "  loss: {loss: '5'}\n",
                     "note:  action delay does not name loss, which acts all the same");
    assert_explained(DELAY "  externalTargets:\n    - web-0\n    - example.com:80\n",
                     "note:  line 11: 'example.com:80' is no service of this plan");
    assert_explained(DELAY "  externalTargets: [8.8.8.8]\n",
                     "note:  none of its externalTargets is in the lab");
    assert_explained(DELAY "  target: {mode: all, selector: {labelSelectors: {app: x}}}\n",
                     "note:  no service of this plan is selected by its target");
    assert_explained(HEAD "reset\n", "long:  one act, at the start of the phase");
    assert_explained(DNS "random\n",
                     "Asked: every name: answered with an address that nobody has.");
}
