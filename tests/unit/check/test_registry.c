/* Walks the table of checks: what each row must have; and the way from a plan's text to a verdict.
 */
#include <unistd.h>

#include "base/buf.h"
#include "check/check.h"
#include "record/reader.h"
#include "tests.h"

TEST(names_are_sorted_and_unique)
{
    for (size_t i = 1; i < check_count(); i++)
        ASSERT_LT(strcmp(check_at(i - 1)->name, check_at(i)->name), 0);
}

TEST(each_has_help_a_function_and_its_name_finds_it)
{
    ASSERT_LT(0, check_count());
    for (size_t i = 0; i < check_count(); i++) {
        const struct check_kind *k = check_at(i);
        ASSERT(k->help && strlen(k->help) > 10 && k->run);
        ASSERT(check_find(k->name) == k);
    }
    ASSERT(!check_find("nothing"));
}

TEST(each_has_a_section_in_the_docs)
{
    struct buf b = {0};
    ASSERT_OK(buf_read_file(&b, SQUALL_DOCS "/checks.md", 1 << 20));
    for (size_t i = 0; i < check_count(); i++) {
        char heading[80];
        snprintf(heading, sizeof heading, "\n## `%s`\n", check_at(i)->name);
        ASSERT_CONTAINS(buf_str(&b), heading);
        ASSERT_CONTAINS(buf_str(&b), check_at(i)->help);
    }
    buf_done(&b);
}

static const char plan_head[] =
    "squall: 1\n"
    "name: examples\n"
    "lab:\n"
    "  services:\n"
    "    gateway: {run: /bin/true, ready: {tcp: 80}, metrics: \":9090/metrics\"}\n"
    "load:\n"
    "  alerts:\n"
    "    get: http://gateway:80/\n"
    "    arrive: {rate: 5/s}\n"
    "    settle: {from: gateway, list: /list, id: \"$.items[*].id\"}\n"
    "  readiness:\n"
    "    get: http://gateway:80/ready\n"
    "    arrive: {rate: 5/s}\n"
    "storm:\n"
    "  - baseline: 1s\n"
    "  - fault: fault.yaml\n"
    "    for: 1s\n"
    "  - recovery: {within: 1s}\n"
    "checks:\n";
static const char manifest[] = "apiVersion: chaos-mesh.org/v1alpha1\n"
                               "kind: PodChaos\n"
                               "metadata: {name: f}\n"
                               "spec: {action: pod-kill, mode: all}\n";

/* Every yaml block of the page, as one list. */
static void add_examples(struct buf *plan)
{
    struct buf page = {0};
    ASSERT_OK(buf_read_file(&page, SQUALL_DOCS "/checks.md", 1 << 20));
    const char *at = buf_str(&page);
    while ((at = strstr(at, "```yaml\n"))) {
        const char *end = strstr(at + 8, "```");
        ASSERT(end);
        buf_add(plan, at + 8, (size_t)(end - at) - 8);
        at = end + 3;
    }
    buf_done(&page);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ASSERT(f && fputs(text, f) >= 0);
    fclose(f);
}

/* Each example of the page is a valid check of a kind that there is; and a run of that plan in
 * which nothing happened gives as many results, none of them a pass. */
TEST(the_examples_of_the_docs_are_evaluated_from_a_run_file)
{
    char dir[] = "/tmp/squall-check-XXXXXX", plan_path[64], fault_path[64], run_path[64];
    ASSERT(mkdtemp(dir));
    snprintf(plan_path, sizeof plan_path, "%s/plan.yaml", dir);
    snprintf(fault_path, sizeof fault_path, "%s/fault.yaml", dir);
    snprintf(run_path, sizeof run_path, "%s/run.db", dir);
    struct buf text = {0};
    buf_add_str(&text, plan_head);
    add_examples(&text);
    write_text(plan_path, buf_str(&text));
    write_text(fault_path, manifest);
    struct plan *plan;
    struct plan_errors errors = {0};
    if (plan_load(plan_path, &(struct plan_options){0}, &plan, &errors))
        TEST_FAIL("%s", buf_str(&errors.text));
    ASSERT_LT(8, plan->checks_n);

    struct record *r;
    struct err err = {0};
    struct record_meta meta = {.run_id = "x"};
    if (record_create(run_path, plan, &meta, &r, &err))
        TEST_FAIL("%s", err.msg);
    ASSERT_OK(record_finish(r, 1, "interrupted"));
    record_close(r);
    ASSERT_OK(record_open(run_path, &r, &err));
    struct check_results results;
    if (check_run(r, &results, &err))
        TEST_FAIL("%s", err.msg);
    ASSERT_EQ(results.n, plan->checks_n);
    for (size_t i = 0; i < results.n; i++) {
        ASSERT(check_find(results.v[i].kind));
        ASSERT_STREQ(results.v[i].name, plan->checks[i].name);
        ASSERT_EQ(results.v[i].verdict, VERDICT_INCONCLUSIVE);
        ASSERT(results.v[i].reason[0]);
    }
    check_results_done(&results);
    record_close(r);
    plan_free(plan);
    plan_errors_done(&errors);
    buf_done(&text);
    unlink(plan_path);
    unlink(fault_path);
    unlink(run_path);
    rmdir(dir);
}

/* A run file whose plan cannot be read any more gives an error, not a verdict. */
TEST(a_run_without_a_valid_plan_is_an_error)
{
    char dir[] = "/tmp/squall-check-XXXXXX", run_path[64];
    ASSERT(mkdtemp(dir));
    snprintf(run_path, sizeof run_path, "%s/run.db", dir);
    struct plan plan = {.file = "f", .name = "n", .resolved = "squall: [1\n"};
    struct record *r;
    struct err err = {0};
    struct record_meta meta = {0};
    ASSERT_OK(record_create(run_path, &plan, &meta, &r, &err));
    struct check_results results;
    ASSERT_LT(check_run(r, &results, &err), 0);
    ASSERT_CONTAINS(err.msg, "is not valid");
    record_close(r);
    unlink(run_path);
    rmdir(dir);
}
