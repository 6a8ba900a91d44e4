/* Files, includes, overrides, variables: what they make, and where their mistakes are told. */
#include "plan/plan.h"

#include "base/clock.h"
#include "support.h"

#define HEAD "squall: 1\nname: t\n"

static struct loaded load_good(const char *text, const char *const *sets, size_t n)
{
    struct loaded l = load_with(text, sets, n);
    if (l.rc != 0)
        TEST_FAIL("%s\n%s", buf_str(&l.errors.text), text);
    return l;
}

static void expect_set_error(const char *set, int column, const char *message)
{
    static const char plan[] = HEAD "vars: {defects: \"\"}\n"
                                    "lab: {services: {web: {run: web}}}\n"
                                    "load: {alerts: {get: http://web/, arrive: {rate: 1/s}}}\n"
                                    "storm: [{baseline: 1s}]\n"
                                    "checks: [{latency: {load: alerts, p99: < 1s, p99.9: < 2s}}]\n";
    struct loaded l = load_with(plan, &set, 1);
    const struct err *e = error_at(&l, 1, column);
    if (!e || !strstr(e->msg, message) || strcmp(e->file, "--set") != 0)
        TEST_FAIL("%s: no error at %d with \"%s\":\n%s", set, column, message,
                  buf_str(&l.errors.text));
    loaded_done(&l);
}

/* --- the plan's folder ------------------------------------------------------------------------ */

TEST(the_plan_s_own_folder_is_a_variable)
{
    static const char text[] =
        HEAD "vars: {server: \"{{plan.dir}}/server.py\"}\n"
             "lab:\n"
             "  services:\n"
             "    a: {run: \"{{plan.dir}}/a b\", env: {HERE: \"{{plan.dir}}\"}}\n"
             "    b: {run: [\"{{server}}\", x]}\n";
    struct loaded l = load_good(text, NULL, 0);
    char want[128];
    snprintf(want, sizeof want, "%s/a", support_dir);
    ASSERT_STREQ(l.plan->dir, support_dir);
    ASSERT_STREQ(l.plan->services[0].argv[0], want);
    ASSERT_STREQ(l.plan->services[0].env[0].value, support_dir);
    snprintf(want, sizeof want, "%s/server.py", support_dir);
    ASSERT_STREQ(l.plan->services[1].argv[0], want);
    ASSERT_CONTAINS(l.plan->resolved, want); /* as it was, whoever reads it where */
    ASSERT(strstr(l.plan->resolved, "plan.dir") == NULL);
    loaded_done(&l);
    expect_error(HEAD "vars: {plan.dir: /}\n", 3, 8, "built in");
    expect_error(HEAD "lab: {services: {a: {run: \"{{plan.dri}}/x\"}}}\n", 3, 27,
                 "did you mean \"plan.dir\"?");
}

TEST(a_program_s_relative_path_counts_from_the_plan)
{
    static const char text[] =
        HEAD "lab: {services: {\n"
             "  a: {run: ./server.py --port 1}, b: {run: [bin/x, ./y]},\n"
             "  c: {run: python3 ./z}, d: {run: /bin/true}, e: {run: ../up}}}\n";
    static const char *const want[] = {"%s/server.py", "%s/bin/x", "python3", "/bin/true",
                                       "%s/../up"};
    struct loaded l = load_good(text, NULL, 0);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char *path =
            strchr(want[i], '%') ? xasprintf("%s%s", support_dir, want[i] + 2) : xstrdup(want[i]);
        ASSERT_STREQ(l.plan->services[i].argv[0], path);
        free(path);
    }
    ASSERT_STREQ(l.plan->services[1].argv[1],
                 "./y"); /* an argument is the program's own business */
    struct plan *again = NULL;
    ASSERT_OK(plan_load_resolved(l.plan->resolved, &again, &l.errors));
    ASSERT(again->dir == NULL);
    plan_free(again);
    loaded_done(&l);
}

/* --- --set ------------------------------------------------------------------------------------ */

TEST(overrides)
{
    static const char *const sets[] = {"vars.defects=B40",
                                       "load.alerts.arrive.rate=50/s",
                                       "storm.0.baseline=2s",
                                       "storm.1.recovery.within=7s",
                                       "checks.0.latency.p99.9=< 3s",
                                       "checks.1.errors.share=> 60%",
                                       "lab.services.web.limits.nofile=64",
                                       "lab.services.web.labels={app: web, tier: \"1\"}",
                                       "lab.services.web.env.A.B=c: d # e",
                                       "lab.services.web.files.a.json=[1]",
                                       "about="};
    struct loaded l = load_good(HEAD "about: old\n"
                                     "vars: {defects: \"\"}\n"
                                     "lab: {services: {web: {run: \"web --defects '{{defects}}'\", "
                                     "files: {a.json: x}}}}\n"
                                     "load: {alerts: {get: http://web/, arrive: {rate: 1/s}}}\n"
                                     "storm: [{baseline: 1s}, {recovery: }]\n"
                                     "checks: [{latency: {load: alerts, p99: < 1s, p99.9: < 2s}}, "
                                     "{errors: {load: alerts, share: < 1%}}]\n",
                                sets, 9);
    ASSERT_STREQ(l.plan->services[0].argv[2], "B40");
    ASSERT_NEAR(l.plan->loads[0].rate_per_s, 50, 0);
    ASSERT_EQ(l.plan->phases[0].duration_ns, 2 * NS_PER_S);
    ASSERT_EQ(l.plan->phases[1].within_ns, 7 * NS_PER_S);
    ASSERT_NEAR(l.plan->checks[0].limits[1].value, 3e9, 0);
    ASSERT_EQ(l.plan->checks[1].limits[0].op, PLAN_GT);
    ASSERT_EQ(l.plan->services[0].limits.nofile, 64);
    ASSERT_EQ(l.plan->services[0].labels_n, 2);
    ASSERT_STREQ(l.plan->services[0].env[0].value, "c: d # e");
    ASSERT_STREQ(l.plan->about, "old");
    loaded_done(&l);
    l = load_good(HEAD "about: old\nvars: {v: x}\n", &sets[10], 1);
    ASSERT_STREQ(l.plan->about, "");
    loaded_done(&l);
}

TEST(mistakes_in_overrides)
{
    expect_set_error("vars.defect=B40", 6, "did you mean \"defects\"");
    expect_set_error("load.alrets.arrive.rate=5", 6, "did you mean \"alerts\"");
    expect_set_error("load.alerts.arive.rate=5", 13, "did you mean \"arrive\"");
    expect_set_error("load.alerts.arrive.rat=5", 20, "did you mean \"rate\"");
    expect_set_error("lab.servces.web.run=x", 5, "did you mean \"services\"");
    expect_set_error("load.alerts.arrive.rate=fast", 25, "needs a rate");
    expect_set_error("load.alerts.arrive={rate: 5/s, poison: true}", 32, "did you mean");
    expect_set_error("load.alerts.arrive={rate: [}", 28, "not valid YAML");
    expect_set_error("storm.1.baseline=1s", 7, "has 1, counted from 0");
    expect_set_error("storm.x.baseline=1s", 7, "no element");
    expect_set_error("name.x=1", 6, "nothing below a text");
    expect_set_error("name", 5, "PATH=VALUE");
    expect_set_error("=x", 1, "PATH=VALUE");
    expect_set_error("name=\xff", 6, "UTF-8");
    expect_set_error("include=x", 1, "before overrides");
    expect_set_error("nmae=x", 1, "did you mean \"name\"");
    expect_set_error("load.alerts.get=http://nobody/", 24, "neither a service");
}

/* --- variables -------------------------------------------------------------------------------- */

static const char with_variables[] =
    HEAD "vars:\n"
         "  n: 25\n"
         "  unit: s\n"
         "  wait: \"{{n}}{{unit}}\"\n"
         "  host: {env: SQUALL_TEST_HOST, default: \"3\"}\n"
         "  none: {env: SQUALL_TEST_NOT_SET, default: \"4\"}\n"
         "  pod: plan\n"
         "about: '{{ n }} {{\"{{\"}}n}} {{host}} {{none}} {{.Go}} {{ $x }}'\n"
         "lab: {services: {web: {run: web, limits: {nofile: \"{{n}}\"}}}}\n"
         "load:\n"
         "  l:\n"
         "    get: http://web/{{n}}/{{id}}/{{pod}}\n"
         "    timeout: \"{{wait}}\"\n"
         "    arrive: {rate: \"{{n}}/s\"}\n"
         "    vars: {pod: \"own\"}\n"
         "storm: [{baseline: \"{{wait}}\"}]\n";

TEST(variables_are_replaced_everywhere)
{
    setenv("SQUALL_TEST_HOST", "10", 1);
    struct loaded l = load_good(with_variables, NULL, 0);
    for (int round = 0; round < 2; round++) {
        ASSERT_STREQ(l.plan->about, "25 {{n}} 10 4 {{.Go}} {{ $x }}");
        ASSERT_EQ(l.plan->services[0].limits.nofile, 25);
        ASSERT_EQ(l.plan->loads[0].timeout_ns, 25 * NS_PER_S);
        ASSERT_NEAR(l.plan->loads[0].rate_per_s, 25, 0);
        ASSERT_EQ(l.plan->phases[0].duration_ns, 25 * NS_PER_S);
        ASSERT_STREQ(l.plan->loads[0].path_text, "/25/{{id}}/{{pod}}");
        ASSERT(!strstr(l.plan->resolved, "SQUALL_TEST_HOST"));
        struct loaded again = {0};
        setenv("SQUALL_TEST_HOST", "11", 1); /* a run file keeps the value of its run */
        again.rc = plan_load_resolved(l.plan->resolved, &again.plan, &again.errors);
        ASSERT_STREQ(buf_str(&again.errors.text), "");
        loaded_done(&l);
        l = again;
    }
    loaded_done(&l);
}

TEST(a_secret_stays_out_of_the_resolved_text)
{
    setenv("SQUALL_TEST_TOKEN", "hush-4711", 1);
    struct loaded l = load_good(
        HEAD "vars: {token: {env: SQUALL_TEST_TOKEN, secret: true}, auth: \"Bearer {{token}}\"}\n"
             "lab: {services: {web: {run: \"web --key {{token}}\", env: {T: \"{{auth}}!\"}}}}\n",
        NULL, 0);
    ASSERT_STREQ(l.plan->services[0].argv[2], "hush-4711");
    ASSERT_STREQ(l.plan->services[0].env[0].value, "Bearer hush-4711!");
    ASSERT(!strstr(l.plan->resolved, "hush"));
    ASSERT_CONTAINS(l.plan->resolved, "web --key {{token}}");
    unsetenv("SQUALL_TEST_TOKEN");
    struct loaded again = {0};
    again.rc = plan_load_resolved(l.plan->resolved, &again.plan, &again.errors);
    ASSERT_STREQ(buf_str(&again.errors.text), "");
    ASSERT_STREQ(again.plan->resolved, l.plan->resolved);
    ASSERT(again.plan->services[0].argv[2] == NULL);
    loaded_done(&again);
    loaded_done(&l);
}

TEST(a_secret_is_never_shown)
{
    setenv("SQUALL_TEST_TOKEN", "hush-4711", 1);
    struct loaded l = load_text(
        HEAD "vars: {token: {env: SQUALL_TEST_TOKEN, secret: true}}\n"
             "lab: {services: {web: {run: x, limits: {nofile: \"{{token}}\"}, user: nobody}}}\n");
    ASSERT_CONTAINS(buf_str(&l.errors.text), "needs a whole number, not \"***\"");
    loaded_done(&l);
    expect_error(HEAD "vars: {token: {env: SQUALL_TEST_TOKEN, secret: true}}\n"
                      "about: \"a {{token}}\"\n",
                 4, 11, "is a secret");
    expect_error(
        HEAD "vars: {token: {env: SQUALL_TEST_TOKEN, secret: true}}\n"
             "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, json: {\"{{token}}\": 1}}}\n",
        4, 64, "is a secret");
    unsetenv("SQUALL_TEST_TOKEN");
}

TEST(mistakes_in_variables)
{
    expect_error(HEAD "vars: {\"a b\": x}\n", 3, 8, "a variable's name");
    expect_error(HEAD "vars: {n: web}\nlab: {services: {web: {run: x}, \"{{n}}\": {run: y}}}\n", 4,
                 33, "duplicate key \"web\"");
    expect_error(HEAD "vars: {defects: x}\nabout: \"a {{defect}}\"\n", 4, 11,
                 "unknown variable \"defect\", did you mean \"defects\"?");
    expect_error(HEAD "about: a {{b}}\n", 3, 10, "declare it");
    expect_error(HEAD "vars: {a: \"{{b}}\", b: x}\n", 3, 11, "declared below");
    expect_error(HEAD "vars: {a: {env: SQUALL_TEST_NOT_SET}}\n", 3, 17, "is not set");
    expect_error(HEAD "vars: {a: 5q}\nstorm: [{baseline: \"{{a}}\"}]\n", 4, 20,
                 "needs a duration with its unit, such as 250ms or 1m30s, not \"5q\"");
    expect_error(HEAD "vars: {a: {evn: X}}\n", 3, 12, "did you mean \"env\"");
    expect_error(HEAD "vars: {a: aaaaaaaaaaaaaaaaaaaa}\n"
                      "lab: {services: {s: {run: x, ready: {log: \"{{a}}{{a}}(x\"}}}}\n",
                 4, 56, "pattern");
    expect_error(HEAD "load: {l: {get: \"http://127.0.0.1/{{nme}}\", arrive: {rate: 1/s}}}\n", 3,
                 37, "unknown name \"nme\"");
}

TEST(variables_cannot_blow_up_the_plan)
{
    struct buf b = {0};
    buf_add_str(&b, HEAD "vars:\n  a: ");
    for (int i = 0; i < 1000; i++)
        buf_add_char(&b, 'x');
    for (char c = 'b'; c < 'j'; c++) {
        buf_printf(&b, "\n  %c: ", c);
        for (int i = 0; i < 20; i++)
            buf_printf(&b, "{{%c}}", c - 1);
    }
    buf_add_char(&b, '\n');
    char *p = b.p; /* `b: {{a}}` would open a map */
    struct buf quoted = {0};
    for (char *line = strtok(p, "\n"); line; line = strtok(NULL, "\n")) {
        char *open = strstr(line, ": {{");
        if (open)
            buf_printf(&quoted, "%.*s: \"%s\"\n", (int)(open - line), line, open + 2);
        else
            buf_printf(&quoted, "%s\n", line);
    }
    struct loaded l = load_text(quoted.p);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "too big");
    loaded_done(&l);
    buf_done(&b);
    buf_done(&quoted);
}

/* --- includes --------------------------------------------------------------------------------- */

static void put(const char *name, const char *text)
{
    (void)write_file(name, text, strlen(text));
}

TEST(includes_lie_below)
{
    put("base.yaml", "name: base\nseed: 7\ntags: [a, b]\nlab: {services: {web: {run: web, "
                     "user: \"{{who}}\", limits: {nofile: 9, nproc: 8}}}}\n");
    put("more.yaml", "include: deep/deep.yaml\nseed: 8\nabout: more\n");
    (void)mkdir(strcat(strcpy((char[300]){0}, support_dir), "/deep"), 0700);
    put("deep/deep.yaml", "about: deep\nstorm: [{fault: f.yaml}]\n");
    put("deep/f.yaml", "kind: X\n");
    struct loaded l = load_good("squall: 1\nname: top\ninclude: [base.yaml, more.yaml]\n"
                                "vars: {who: me}\ntags: [c]\n"
                                "lab: {services: {web: {limits: {nofile: 10}}}}\n",
                                NULL, 0);
    ASSERT_STREQ(l.plan->name, "top");
    ASSERT_EQ(l.plan->seed, 8); /* the later include lies above */
    ASSERT_STREQ(l.plan->about, "more");
    ASSERT_EQ(l.plan->tags.n, 1);
    ASSERT_STREQ(l.plan->services[0].user, "me");
    ASSERT_EQ(l.plan->services[0].limits.nofile, 10);
    ASSERT_EQ(l.plan->services[0].limits.nproc, 8);
    ASSERT_CONTAINS(l.plan->phases[0].manifest_file, "/deep/f.yaml");
    ASSERT_STREQ(l.plan->phases[0].manifest_text, "kind: X\n");
    ASSERT(!strstr(l.plan->resolved, "include"));
    loaded_done(&l);
}

/* Work on big maps must not grow with the square of their keys: this would take minutes. */
TEST(big_maps_merge_fast)
{
    struct buf b = {0}, top = {0};
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "a-rather-long-name-of-a-key-%d: 1\n", i);
    put("big.yaml", b.p);
    buf_add_str(&top, HEAD "include: big.yaml\n");
    for (int i = 0; i < 20000; i++)
        buf_printf(&top, "another-rather-long-name-%d: 1\n", i);
    struct loaded l = load_text(top.p);
    ASSERT_EQ(l.errors.n, 50);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "... and 39950 more");
    loaded_done(&l);
    buf_done(&b);
    buf_done(&top);
}

static void expect_in_file(const char *text, const char *file, int line, int column,
                           const char *message)
{
    struct loaded l = load_text(text);
    for (size_t i = 0; i < l.errors.n; i++) {
        const struct err *e = &l.errors.v[i];
        size_t n = strlen(e->file), m = strlen(file);
        if (e->line == line && e->column == column && strstr(e->msg, message) && n >= m &&
            strcmp(e->file + n - m, file) == 0) {
            loaded_done(&l);
            return;
        }
    }
    TEST_FAIL("no error in %s:%d:%d with \"%s\":\n%s", file, line, column, message,
              buf_str(&l.errors.text));
}

TEST(mistakes_keep_their_file)
{
    char name[32], text[64];
    put("bad.yaml", "about: x\nlab: {servces: {}}\n");
    expect_in_file(HEAD "include: bad.yaml\n", "/bad.yaml", 2, 7, "did you mean \"services\"");
    put("broken.yaml", "a: [\n");
    expect_in_file(HEAD "include: [broken.yaml]\n", "/broken.yaml", 2, 1, "not valid YAML");
    put("var.yaml", "about: \"{{nope}}\"\n");
    expect_in_file(HEAD "include: [var.yaml]\n", "/var.yaml", 1, 8, "unknown variable");
    expect_in_file(HEAD "include: [none.yaml]\n", "/plan.yaml", 3, 11, "No such file");
    put("self.yaml", "include: self.yaml\n");
    expect_in_file(HEAD "include: [self.yaml]\n", "/self.yaml", 1, 10, "includes itself");
    expect_in_file(HEAD "include: [plan.yaml]\n", "/plan.yaml", 3, 11, "includes itself");
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "n%d.yaml", i);
        snprintf(text, sizeof text, "include: n%d.yaml\n", i + 1);
        put(name, text);
    }
    expect_in_file(HEAD "include: n0.yaml\n", "/n6.yaml", 1, 10, "too many includes");
    expect_in_file(HEAD "storm: [{fault: none.yaml}]\n", "/plan.yaml", 3, 17, "No such file");
    expect_in_file(HEAD "storm: [{fault: .}]\n", "/plan.yaml", 3, 17, "cannot read");
}
