/*
 * JUnit XML, as GitLab, Jenkins and the others read it: one test case a check, and one for the run
 * itself, so that an empty or broken run is never a green page.
 *
 * GitLab shows classname and name only, drops doubles of that pair, and reads the element's text,
 * not its message attribute: so names are made unique and messages are repeated in the text. fail
 * is a <failure>; inconclusive is an <error type="inconclusive">, because a skipped test looks like
 * a passed one and no data is not a pass.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/escape.h"
#include "report/gather.h"
#include "report/report.h"
#include "report/verdicts.h"

#define RUN_CASE "the run reached its end"

static void attribute(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, " %s=\"", name);
    escape_xml(out, value, strlen(value));
    buf_add_char(out, '"');
}

static void text(struct buf *out, const char *s)
{
    escape_xml(out, s, strlen(s));
}

static void property(struct buf *out, const char *name, const char *value)
{
    buf_add_str(out, "      <property");
    attribute(out, "name", name);
    attribute(out, "value", value);
    buf_add_str(out, "/>\n");
}

static void properties(struct buf *out, const struct gather_run *run)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->meta.seed);
    buf_add_str(out, "    <properties>\n");
    property(out, "run_id", run->meta.run_id);
    property(out, "run_file", run->path);
    property(out, "seed", seed);
    property(out, "squall_version", run->meta.squall_version);
    property(out, "tier", run->meta.tier);
    property(out, "machine", run->meta.machine);
    buf_add_str(out, "    </properties>\n");
}

static void case_open(struct buf *out, const struct gather_run *run, const char *name, int twin)
{
    char *unique CLEANUP(free_p) = twin > 1 ? xasprintf("%s (%d)", name, twin) : xstrdup(name);
    buf_add_str(out, "    <testcase");
    attribute(out, "classname", run->meta.plan_name);
    attribute(out, "name", unique);
    attribute(out, "file", run->meta.plan_file);
    buf_add_str(out, " time=\"0\"");
}

static void problem_open(struct buf *out, const char *element, const char *type,
                         const char *message)
{
    buf_printf(out, ">\n      <%s", element);
    attribute(out, "type", type);
    attribute(out, "message", message);
    buf_add_char(out, '>');
    text(out, message);
    buf_add_char(out, '\n');
}

static void problem_close(struct buf *out, const char *element)
{
    buf_printf(out, "</%s>\n    </testcase>\n", element);
}

static void line(struct buf *out, const char *label, const char *value)
{
    if (!value || !value[0])
        return;
    text(out, label);
    text(out, value);
    buf_add_char(out, '\n');
}

static void check_case(struct buf *out, const struct gather_run *run,
                       const struct check_results *checks, size_t i)
{
    const struct check_result *c = &checks->v[i];
    const char *reason = c->reason ? c->reason : "";
    const char *element = c->verdict == VERDICT_FAIL ? "failure" : "error";
    int twin = 1 + (strcmp(c->name, RUN_CASE) == 0);
    for (size_t k = 0; k < i; k++)
        twin += strcmp(checks->v[k].name, c->name) == 0;
    case_open(out, run, c->name, twin);
    if (c->verdict == VERDICT_PASS) {
        buf_add_str(out, "/>\n");
        return;
    }
    problem_open(out, element, c->verdict == VERDICT_FAIL ? c->kind : "inconclusive", reason);
    line(out, "value: ", c->value);
    line(out, "limit: ", c->limit);
    for (size_t k = 0; k < c->details_n; k++)
        line(out, "- ", c->details[k]);
    if (c->details_all > c->details_n)
        buf_printf(out, "and %zu more\n", c->details_all - c->details_n);
    problem_close(out, element);
}

static void run_case(struct buf *out, const struct gather_run *run,
                     const struct check_results *checks, bool *ret_error)
{
    const char *problem = verdict_run_problem(run->meta.how);
    if (!problem && checks->n == 0)
        problem = "the plan has no checks: nothing was proved";
    case_open(out, run, RUN_CASE, 1);
    *ret_error = problem != NULL;
    if (!problem) {
        buf_add_str(out, "/>\n");
        return;
    }
    problem_open(out, "error", "inconclusive", problem);
    problem_close(out, "error");
}

static void counts(struct buf *out, const struct check_results *checks, bool run_error,
                   const struct gather_run *run)
{
    size_t failures = 0, errors = run_error;
    for (size_t i = 0; i < checks->n; i++) {
        failures += checks->v[i].verdict == VERDICT_FAIL;
        errors += checks->v[i].verdict == VERDICT_INCONCLUSIVE;
    }
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" time=\"%.3f\"",
               checks->n + 1, failures, errors, (double)run->meta.ended_ns / (double)NS_PER_S);
}

static void document(struct buf *out, const struct gather_run *run,
                     const struct check_results *checks)
{
    char when[40] = "";
    time_t wall = (time_t)(run->meta.started_wall_ns / NS_PER_S);
    struct tm tm;
    struct buf cases = {0};
    bool run_error;
    if (gmtime_r(&wall, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    run_case(&cases, run, checks, &run_error);
    for (size_t i = 0; i < checks->n; i++)
        check_case(&cases, run, checks, i);
    buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"squall\"");
    counts(out, checks, run_error, run);
    buf_add_str(out, ">\n  <testsuite");
    attribute(out, "name", run->meta.plan_name);
    counts(out, checks, run_error, run);
    attribute(out, "timestamp", when);
    buf_add_str(out, ">\n");
    properties(out, run);
    buf_add(out, buf_str(&cases), cases.n);
    buf_add_str(out, "  </testsuite>\n</testsuites>\n");
    buf_done(&cases);
}

static int write_junit(FILE *out, struct record *r, const struct check_results *checks, bool colour)
{
    struct gather_run run;
    struct buf xml = {0};
    (void)colour;
    int rc = gather_run(r, &run);
    if (rc < 0)
        return rc;
    document(&xml, &run, checks);
    rc = fwrite(buf_str(&xml), 1, xml.n, out) == xml.n ? 0 : -EIO;
    buf_done(&xml);
    gather_done(&run);
    return rc;
}

const struct report_format report_junit = {
    "junit", "JUnit XML for CI systems: one test case a check", write_junit};
