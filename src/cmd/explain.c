#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/plans.h"
#include "plan/keys.h"

static void explain_services(const struct plan *plan, struct buf *out)
{
    if (plan->services_n == 0) {
        buf_add_str(out, "Lab: none; the load goes to what listens on loopback already.\n");
        return;
    }
    buf_printf(out, "Lab: %zu service%s, each in a network of its own.\n", plan->services_n,
               plan->services_n == 1 ? "" : "s");
    for (size_t i = 0; i < plan->services_n; i++) {
        const struct plan_service *s = &plan->services[i];
        buf_printf(out, "  %s runs", s->name);
        for (size_t k = 0; s->argv[k]; k++)
            buf_printf(out, " %s", s->argv[k]);
        for (size_t k = 0; k < s->needs.n; k++)
            buf_printf(out, "%s%s", k ? ", " : "; after ", s->needs.v[k]);
        buf_add_str(out, "\n");
    }
}

static void explain_load(const struct plan_load *l, struct buf *out)
{
    char limit[32];
    buf_printf(out, "  %s: %s %s://%s:%u%s, ", l->name, l->method, l->scheme, l->host, l->port,
               l->path_text);
    if (l->model == PLAN_OPEN)
        buf_printf(out, "%g requests a second (%s), whatever the server does", l->rate_per_s,
                   l->poisson ? "Poisson" : "evenly spaced");
    else
        buf_printf(out, "%d in flight, the next as soon as one is answered", l->concurrency);
    buf_printf(out, "; each has %s to be answered\n",
               units_human_duration(l->timeout_ns, limit, sizeof limit));
    if (l->settle.from)
        buf_printf(out, "    afterwards every accepted request must be found in %s%s\n",
                   l->settle.from, l->settle.list);
}

static void explain_fault(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    struct buf text = {0};
    manifest_explain(m, plan, &text);
    for (struct str rest = str_of(buf_str(&text)); rest.n;) {
        struct str line = str_split(&rest, '\n');
        buf_printf(out, "       %.*s\n", (int)line.n, line.p);
    }
    buf_done(&text);
}

static void explain_phase(const struct plans_loaded *l, size_t i, struct buf *out)
{
    static const char *const words[] = {"a healthy system", "a fault",
                                        "until answers are steady, at most", "load goes on"};
    _Static_assert(ARRAY_SIZE(words) == PLAN_PHASE_COUNT, "words for each kind");
    const struct plan_phase *phase = &l->plan->phases[i];
    int64_t ns = phase->kind == PLAN_RECOVERY ? phase->within_ns
                 : phase->kind == PLAN_FAULT  ? plans_fault_duration(l, i)
                                              : phase->duration_ns;
    char span[32];
    buf_printf(out, "  %zu. %s, %s: %s\n", i + 1, phase->name,
               units_human_duration(ns, span, sizeof span), words[phase->kind]);
    if (phase->kind == PLAN_FAULT)
        explain_fault(&l->manifests[i], l->plan, out);
}

static void explain_check(const struct plan_check *c, struct buf *out)
{
    static const char *const when[] = {"before",    "during",   "after",
                                       "always in", "never in", "eventually in"};
    _Static_assert(ARRAY_SIZE(when) == PLAN_WHEN_COUNT, "words for each");
    buf_printf(out, "  %s", c->name);
    for (size_t i = 0; i < c->limits_n; i++)
        buf_printf(out, "%s %s %s", i ? "," : ":", c->limits[i].what, c->limits[i].text);
    buf_printf(out, " (%s %s)\n", when[c->when], c->phase ? c->phase : "the whole run");
}

static void explain_plan(const struct plans_loaded *l, struct buf *out)
{
    const struct plan *plan = l->plan;
    buf_printf(out, "%s%s%s\n\n", plan->name, plan->about ? ": " : "",
               plan->about ? plan->about : "");
    explain_services(plan, out);
    buf_add_str(out, "Load:\n");
    for (size_t i = 0; i < plan->loads_n; i++)
        explain_load(&plan->loads[i], out);
    buf_add_str(out, "Storm:\n");
    for (size_t i = 0; i < plan->phases_n; i++)
        explain_phase(l, i, out);
    buf_add_str(out, "Checks:\n");
    for (size_t i = 0; i < plan->checks_n; i++)
        explain_check(&plan->checks[i], out);
    buf_add_str(
        out,
        "Afterwards the lab is gone with all that ran in it; nothing outside it is touched.\n");
}

static int explain_main(int argc, char **argv)
{
    struct option_list sets = {0}, args = {0};
    bool about_keys = false;
    const struct option_row rows[] = {
        {"keys", NULL,
         "explain the keys of a plan instead, all or those below a path: --keys load.NAME.arrive",
         .flag = &about_keys},
        {"set", "PATH=VALUE", "override one key, as for run; repeatable", .list = &sets},
    };
    struct buf text = {0};
    int status;
    if (options_parse(argc, argv, cmd_explain.args,
                      "Says in plain words what a plan will do, to whom, and how it is undone.",
                      rows, ARRAY_SIZE(rows), &args, &status) == 0) {
        if (about_keys) {
            status = plan_help(&text, args.n ? args.v[0] : NULL) < 0 ? EXIT_USAGE : 0;
            if (status) {
                fprintf(stderr, "squall explain: no key \"%s\"; %s\n", args.v[0],
                        text.n ? buf_str(&text) : "squall explain --keys lists all");
                buf_clear(&text);
            }
        } else if (args.n != 1) {
            fprintf(stderr, "squall explain: one plan is needed; usage: squall explain %s\n",
                    cmd_explain.args);
            status = EXIT_USAGE;
        } else {
            struct plans_loaded loaded;
            status = plans_load(args.v[0], &sets, &loaded) < 0 ? EXIT_PLAN : 0;
            if (status == 0)
                explain_plan(&loaded, &text);
            plans_unload(&loaded);
        }
    }
    fputs(buf_str(&text), stdout);
    buf_done(&text);
    option_list_done(&sets);
    option_list_done(&args);
    return status;
}

const struct cmd cmd_explain = {"explain", "PLAN | --keys [PATH]",
                                "in plain words: what will happen, and how it is undone",
                                explain_main};
