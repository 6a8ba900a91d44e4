#include <stdio.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/plans.h"
#include "plan/keys.h"

static int print_schema(void)
{
    struct buf text = {0};
    plan_schema(&text);
    fputs(buf_str(&text), stdout);
    buf_done(&text);
    return fflush(stdout) == 0 ? 0 : EXIT_TARGET;
}

static int lint_main(int argc, char **argv)
{
    struct option_list sets = {0}, plans = {0};
    bool schema = false;
    const struct option_row rows[] = {
        {"schema", NULL, "print the JSON Schema of plans, for editors", .flag = &schema},
        {"set", "PATH=VALUE", "override one key, as for run; repeatable", .list = &sets},
    };
    int status;
    if (options_parse(argc, argv, cmd_lint.args,
                      "Reports every mistake of each plan and its manifests at once.", rows,
                      ARRAY_SIZE(rows), &plans, &status) == 0) {
        if (schema) {
            status = print_schema();
        } else if (plans.n == 0) {
            fprintf(stderr, "squall lint: which plan? usage: squall lint %s\n", cmd_lint.args);
            status = EXIT_USAGE;
        }
        for (size_t i = 0; !schema && i < plans.n; i++) {
            struct plans_loaded loaded;
            if (plans_load(plans.v[i], &sets, &loaded) == 0)
                printf("%s: no mistakes\n", plans.v[i]);
            else
                status = EXIT_PLAN;
            plans_unload(&loaded);
        }
    }
    option_list_done(&sets);
    option_list_done(&plans);
    return status;
}

const struct cmd cmd_lint = {"lint", "PLAN... | --schema",
                             "all mistakes at once, with line and column", lint_main};
