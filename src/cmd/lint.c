#include <stdio.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/pack.h"
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

static int lint_all(const struct option_list *plans, const struct option_list *sets)
{
    struct option_list all;
    pack_expand(plans, &all);
    int status = all.n ? 0 : EXIT_PLAN;
    for (size_t i = 0; i < all.n; i++) {
        struct plans_loaded loaded;
        if (plans_load(all.v[i], sets, &loaded) == 0)
            printf("%s: no mistakes\n", all.v[i]);
        else
            status = EXIT_PLAN;
        plans_unload(&loaded);
    }
    pack_done(&all);
    return status;
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
            status = options_no_words("lint --schema", &plans);
            status = status ? status : print_schema();
        } else if (plans.n == 0) {
            fprintf(stderr, "squall lint: which plan? usage: squall lint %s\n", cmd_lint.args);
            status = EXIT_USAGE;
        }
        if (!schema && plans.n)
            status = lint_all(&plans, &sets);
    }
    option_list_done(&sets);
    option_list_done(&plans);
    return status;
}

const struct cmd cmd_lint = {"lint", "PLAN|PACK... | --schema",
                             "all mistakes at once, with line and column", lint_main};
