/* What is wrong with a plan beyond one key, and how mistakes look when they are printed. */
#include "plan/plan.h"

#include "support.h"

#define HEAD  "squall: 1\nname: t\n"
#define LAB   HEAD "lab: {services: {web: {run: x, ready: {tcp: 80}}, db: {run: y}}}\n"
#define GET   LAB "load: {l: {get: http://web/, arrive: {rate: 1/s}}}\n"
#define STORM GET "storm: [{baseline: 1s}, {fault: f, manifest: x}]\n"

TEST(the_text_has_line_and_caret)
{
    struct loaded l = load_text("squall: 1\n"
                                "name: t\n"
                                "load:\n"
                                "  l:\n"
                                "    get: http://127.0.0.1/\n"
                                "    arrive:\n"
                                "      rate: 1/s\n"
                                "\tx: 1\n");
    ASSERT_CONTAINS(buf_str(&l.errors.text), "plan.yaml:8:");
    loaded_done(&l);
    l = load_text("squall: 2\n"
                  "name: t\n"
                  "load:\n"
                  "  l:\n"
                  "    get: http://127.0.0.1/\n"
                  "    arrive: {conncurrency: 5, ratte: 1}\n"
                  "    timeout: 5\n");
    char expected[2048], path[128];
    snprintf(path, sizeof path, "%s/plan.yaml", support_dir);
    snprintf(expected, sizeof expected,
             "%s:1:9: error: \"squall\" must be 1, not 2\n"
             "    squall: 2\n"
             "            ^\n"
             "%s:6:5: error: \"arrive\" needs a rate (open model) or a concurrency (closed model)\n"
             "        arrive: {conncurrency: 5, ratte: 1}\n"
             "        ^\n"
             "%s:6:14: error: unknown key \"conncurrency\", did you mean \"concurrency\"?\n"
             "        arrive: {conncurrency: 5, ratte: 1}\n"
             "                 ^\n"
             "%s:6:31: error: unknown key \"ratte\", did you mean \"rate\"?\n"
             "        arrive: {conncurrency: 5, ratte: 1}\n"
             "                                  ^\n"
             "%s:7:14: error: \"timeout\" needs a duration with its unit, such as 250ms or 1m30s, "
             "not \"5\"\n"
             "        timeout: 5\n"
             "                 ^\n",
             path, path, path, path, path);
    ASSERT_STREQ(buf_str(&l.errors.text), expected);
    ASSERT_EQ(l.errors.n, 5);
    loaded_done(&l);
}

TEST(long_lines_are_cut_and_tabs_kept)
{
    struct buf b = {0};
    buf_add_str(&b, HEAD "load: {\t");
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "l%d: {get: \"http://127.0.0.1/é\", arrive: {rate: 1/s}}, ", i);
    buf_add_str(&b, "}\n");
    struct loaded l = load_text(b.p); /* 64 loads are the most */
    ASSERT_CONTAINS(buf_str(&l.errors.text), "at most 64, not 100");
    ASSERT_CONTAINS(buf_str(&l.errors.text), "...\n          ^\n");
    loaded_done(&l);
    buf_clear(&b);
    buf_add_str(&b, "squall: 1\nname: t\nx\t: ");
    for (int i = 0; i < 300; i++)
        buf_add_str(&b, "é");
    l = load_text(buf_str(&b));
    ASSERT_CONTAINS(buf_str(&l.errors.text), "unknown key \"x\"");
    loaded_done(&l);
    buf_done(&b);
}

TEST(fifty_are_shown)
{
    struct buf b = {0};
    buf_add_str(&b, HEAD);
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "wrong%d: 1\n", i);
    struct loaded l = load_text(b.p);
    ASSERT_EQ(l.errors.n, 50);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "... and 10 more\n");
    loaded_done(&l);
    for (int i = 60; i < 2000; i++)
        buf_printf(&b, "wrong%d: 1\n", i);
    l = load_text(b.p);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "... and 1950 more\n");
    loaded_done(&l);
    buf_done(&b);
}

TEST(what_is_required)
{
    expect_error("name: t\n", 1, 1, "the key \"squall\" is missing");
    expect_error("squall: 1\n", 1, 1, "the key \"name\" is missing");
    expect_error(HEAD "lab: {services: {web: {}}}\n", 3, 18, "\"web\" needs the key \"run\"");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/}}\n", 3, 8, "needs the key \"arrive\"");
    expect_error(HEAD "load: {l: {arrive: {rate: 1/s}}}\n", 3, 8, "needs one of post, get");
    expect_error(HEAD "storm: [baseline]\n", 3, 9, "a phase needs a map of keys, not \"baseline\"");
    expect_error(HEAD "checks: [[]]\n", 3, 10, "a check needs a map of keys, not a list");
    expect_error(HEAD "load: {l: {arrive: {rate: 50}}}\n", 3, 27, "give a unit, 50/s or 50/min");
    expect_error(GET "checks: [{latency: {load: l}}]\n", 5, 11, "needs a limit: one of p50");
    expect_error(GET "checks: [{name: x}]\n", 5, 10, "needs its kind");
    expect_error(GET "storm: [{name: x}]\n", 5, 9, "a phase is one of");
    expect_error(HEAD "lab: {services: {web: {run: x, ready: {within: 1s}}}}\n", 3, 32,
                 "needs one of tcp, http");
    expect_error(HEAD "lab:\n", 3, 5, "nothing is here");
}

TEST(what_cannot_stand_together)
{
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, put: http://127.0.0.1/, "
                      "arrive: {rate: 1/s}}}\n",
                 3, 36, "\"get\" and \"put\" cannot stand together");
    expect_error(HEAD
                 "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, body: a, json: b}}\n",
                 3, 66, "\"body\" and \"json\"");
    expect_error(HEAD "lab: {services: {web: {run: x, ready: {tcp: 80, log: x}}}}\n", 3, 49,
                 "\"tcp\" and \"log\"");
    expect_error(HEAD "storm: [{baseline: 1s, cooldown: 1s}]\n", 3, 24, "cannot stand together");
    expect_error(STORM "checks: [{nothing lost: l, before: fault, after: fault}]\n", 6, 43,
                 "\"before\" and \"after\"");
    expect_error(HEAD "storm: [{baseline: 1s, for: 1s}]\n", 3, 24, "\"for\" goes with a fault");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, arrive: {concurrency: 1, poisson: "
                      "true}}}\n",
                 3, 61, "goes with a rate");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, "
                      "fate: {accepted: [200, 429]}}}\n",
                 3, 57, "status 429 is both");
}

TEST(moments_that_mean_nothing)
{
    expect_error(GET "checks: [{recovers: {load: l, within: 1s}}]\n", 5, 10, "the storm has none");
    expect_error(STORM "checks: [{nothing lost: l, always: run, within: 1s}]\n", 6, 41,
                 "goes with \"during\"");
    expect_error(STORM "checks: [{recovers: {load: l, within: 1s}, within: 1s}]\n", 6, 44,
                 "stands inside it");
}

TEST(names_that_point_somewhere)
{
    expect_error(HEAD "lab: {services: {web: {run: x, needs: [dd]}, db: {run: y}}}\n", 3, 40,
                 "there is no service \"dd\", did you mean \"db\"?");
    expect_error(HEAD "lab: {services: {a: {run: x, needs: b}, b: {run: y, needs: [a]}}}\n", 3, 61,
                 "the other way round");
    expect_error(HEAD "lab: {services: {a: {run: x, needs: a}}}\n", 3, 37, "the other way round");
    expect_error(LAB "load: {l: {get: \"http://wbe:80/\", arrive: {rate: 1/s}}}\n", 4, 25,
                 "host \"wbe\" is neither a service of this plan nor a loopback address, did you "
                 "mean \"web\"?");
    expect_error(LAB "load: {l: {get: http://example.com/, arrive: {rate: 1/s}}}\n", 4, 24,
                 "aims only at its own lab");
    expect_error(LAB "load: {l: {get: http://127.example.com/, arrive: {rate: 1/s}}}\n", 4, 24,
                 "neither a service");
    expect_error(LAB "load: {l: {get: http://web/, arrive: {rate: 1/s}, settle: {from: dbx, list: "
                     "/a, id: $.a}}}\n",
                 4, 66, "there is no service \"dbx\"");
    expect_error(LAB "load: {l: {get: http://web/, arrive: {rate: 1/s}, settle: {from: db, list: "
                     "/a, id: $.a}}}\n",
                 4, 66, "has no ready port");
    expect_error(GET "checks: [{nothing lost: ll}]\n", 5, 25, "there is no load \"ll\"");
    expect_error(GET "checks: [{log: {service: wb, matches: x}}]\n", 5, 26,
                 "did you mean \"web\"?");
    expect_error(STORM "checks: [{nothing lost: l, during: recovery}]\n", 6, 36,
                 "the storm has no phase \"recovery\"");
    expect_error(STORM "checks: [{nothing lost: l, during: baselin}]\n", 6, 36,
                 "did you mean \"baseline\"?");
}

TEST(names_and_places)
{
    expect_error(HEAD "lab: {services: {Web: {run: x}}}\n", 3, 18, "small letters");
    expect_error(HEAD "lab: {services: {-web: {run: x}}}\n", 3, 18, "small letters");
    expect_error(HEAD "lab: {services: {web-: {run: x}}}\n", 3, 18, "small letters");
    expect_error(HEAD "load: {a.b: {get: http://127.0.0.1/, arrive: {rate: 1/s}}}\n", 3, 8,
                 "small letters");
    expect_error(HEAD "lab: {services: {web: {run: x, files: {/etc/x: y}}}}\n", 3, 40, "below");
    expect_error(HEAD "lab: {services: {web: {run: x, files: {a/../../x: y}}}}\n", 3, 40, "below");
    expect_error(HEAD "lab: {services: {web: {run: x, files: {\"\": y}}}}\n", 3, 40, "below");
    expect_error(HEAD "lab: {services: {web: {run: \"\"}}}\n", 3, 29, "needs a command");
    expect_error(HEAD "lab: {services: {web: {run: [x, [y]]}}}\n", 3, 33, "a list in it");
    expect_error(HEAD "storm: [{baseline: 1s, name: a}, {cooldown: 1s, name: a}]\n", 3, 55,
                 "stands above");
    expect_error(HEAD "storm: [{baseline: 1s, name: fault}]\n", 3, 30, "name of a kind");
    expect_error(HEAD "storm: [{baseline: 1s, name: run}]\n", 3, 30, "whole run");
    expect_error(GET "checks: [{nothing lost: l, name: a}, {nothing lost: l, name: a}]\n", 5, 62,
                 "stands above");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, vars: {id: x}}}\n",
                 3, 64, "is not \"id\"");
    expect_error(HEAD
                 "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, headers: {Host: x}}}\n",
                 3, 67, "makes the header");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, headers: {A: "
                      "\"a\\nb\"}}}\n",
                 3, 70, "control characters");
    expect_error(HEAD "load: {l: {get: \"http://127.0.0.1/a b\", arrive: {rate: 1/s}}}\n", 3, 36,
                 "must not hold spaces");
    expect_error(HEAD "load: {l: {get: \"http://{{id}}/\", arrive: {rate: 1/s}}}\n", 3, 25,
                 "no host name");
    expect_error(HEAD "load: {l: {get: https://127.0.0.1/, arrive: {rate: 1/s}}}\n", 3, 17,
                 "only http://");
}

TEST(templates_are_told_where_they_stand)
{
    expect_error(HEAD "load:\n"
                      "  l:\n"
                      "    get: http://127.0.0.1/x/{{idd}}\n"
                      "    arrive: {rate: 1/s}\n"
                      "    headers: {A: \"x {{uid}}\"}\n"
                      "    json:\n"
                      "      a: |\n"
                      "        one\n"
                      "        two {{podd}}\n"
                      "      \"k {{kk}}\": 1\n"
                      "    vars: {pod: \"{{id +}}\"}\n",
                 11, 15, "unknown name \"podd\"");
    expect_error(HEAD "load: {l: {get: \"http://127.0.0.1/x/{{idd}}\", arrive: {rate: 1/s}}}\n", 3,
                 39, "unknown name \"idd\"");
    expect_error(HEAD
                 "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, json: {a: !int x}}}\n",
                 3, 72, "!int needs");
    expect_error(HEAD
                 "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, json: {a: !float 5}}}\n",
                 3, 74, "the tag \"!float\" is not known");
    expect_error(HEAD "load: {l: {get: http://127.0.0.1/, arrive: {rate: 1/s}, vars: {q: 'a\"b'}, "
                      "json: {a: \"{{q}}\"}}}\n",
                 3, 85, "would break the JSON");
    expect_error(GET "checks: [{metric: {service: web, series: a, value: != 1}}]\n", 5, 55,
                 "the tag \"!=\" means nothing here; put quotes");
    expect_error(GET "checks: [{errors: {load: l, count: 3}}]\n", 5, 36, "write \"< 3\"");
}

/* --- files that are no plan ------------------------------------------------------------------- */

static void expect_no_plan(const char *text, size_t n, const char *message)
{
    struct loaded l = {0};
    l.rc = plan_load(write_file("bad.yaml", text, n), NULL, &l.plan, &l.errors);
    ASSERT_LT(l.rc, 0);
    ASSERT(l.plan == NULL && l.errors.n > 0);
    ASSERT_CONTAINS(buf_str(&l.errors.text), message);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "bad.yaml:");
    loaded_done(&l);
}

TEST(files_that_are_no_plan)
{
    struct buf b = {0};
    expect_no_plan("", 0, "the file is empty");
    expect_no_plan("# nothing\n", 10, "the file is empty");
    expect_no_plan("just a text\n", 12, "a plan is a map of keys");
    expect_no_plan("- a\n", 4, "a plan is a map of keys");
    expect_no_plan("squall: 1\n---\nname: t\n", 22, "a second document");
    expect_no_plan("\x7f"
                   "ELF\2\1\1\0\0",
                   9, "control character");
    expect_no_plan("\x89PNG\r\n", 6, "not UTF-8");
    for (int i = 0; i < 500; i++)
        buf_add_str(&b, "{a: ");
    expect_no_plan(b.p, b.n, "nested too deeply");
    buf_clear(&b);
    for (int i = 0; i < 300; i++)
        buf_printf(&b, "%*sa:\n", i, "");
    expect_no_plan(b.p, b.n, "nested too deeply");
    buf_clear(&b);
    for (size_t i = 0; i < (1 << 20) + 10; i++)
        buf_add_char(&b, '#');
    expect_no_plan(b.p, b.n, "bigger than 1 MiB");
    buf_clear(&b);
    buf_add_str(&b, "a: &a [x, x]\n");
    for (char c = 'b'; c < 'z'; c++)
        buf_printf(&b, "%c: &%c [*%c, *%c, *%c, *%c]\n", c, c, c - 1, c - 1, c - 1, c - 1);
    expect_no_plan(b.p, b.n, "too many values");
    buf_done(&b);
}

TEST(files_that_cannot_be_read)
{
    struct loaded l = {0};
    l.rc = plan_load("/nonexistent/plan.yaml", NULL, &l.plan, &l.errors);
    ASSERT_LT(l.rc, 0);
    ASSERT_STREQ(buf_str(&l.errors.text), "/nonexistent/plan.yaml: error: cannot read the plan: "
                                          "No such file or directory\n");
    loaded_done(&l);
    l.rc = plan_load("/tmp", NULL, &l.plan, &l.errors);
    ASSERT_CONTAINS(buf_str(&l.errors.text), "Is a directory");
    loaded_done(&l);
    l.rc = plan_load_resolved("not: [a plan", &l.plan, &l.errors);
    ASSERT_LT(l.rc, 0);
    loaded_done(&l);
}
