/* manifest_explain.c - a manifest in plain words, against the plan it is used in. */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "fault/manifest.h"

static size_t matches(const struct manifest *m, const struct plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->services_n; i++)
        n += manifest_matches(&m->source, &plan->services[i]);
    return n;
}

static bool names_selected(const struct manifest *m, const struct plan *plan, const char *name)
{
    const struct plan_service *s = plan_find_service(plan, name);
    return s && manifest_matches(&m->source, s);
}

void manifest_notes(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    for (size_t i = 0; i < m->source.selector.pods.n; i++)
        if (!plan_find_service(plan, m->source.selector.pods.v[i]))
            buf_printf(out, "pod '%s' is no service of this plan; skipped\n",
                       m->source.selector.pods.v[i]);
    if (matches(m, plan) == 0)
        buf_printf(out, "no service of this plan is selected: the fault will have no target; "
                        "compare its selector with the labels of the services\n");
    if (strcmp(m->action, "container-kill") != 0)
        return;
    for (size_t i = 0; i < m->containers.n; i++)
        if (!names_selected(m, plan, m->containers.v[i]))
            buf_printf(out,
                       "container '%s' is called otherwise here: a service is its own only "
                       "container, so the selected service itself is killed\n",
                       m->containers.v[i]);
}

static void add_targets(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < plan->services_n; i++) {
        if (!manifest_matches(&m->source, &plan->services[i]))
            continue;
        buf_printf(out, "%s%s", first ? "" : ", ", plan->services[i].name);
        first = false;
    }
}

static void add_mode(const struct manifest *m, size_t n, struct buf *out)
{
    int value = (int)m->source.value;
    switch (m->source.mode) {
    case MODE_ONE: buf_printf(out, n == 1 ? "" : "one, drawn by the run's seed, of "); break;
    case MODE_ALL: buf_printf(out, n == 1 ? "" : "all of "); break;
    case MODE_FIXED: buf_printf(out, "%d, drawn by the run's seed, of ", value); break;
    case MODE_FIXED_PERCENT:
        buf_printf(out, "%d%%, rounded up and drawn by the run's seed, of ", value);
        break;
    case MODE_RANDOM_MAX_PERCENT:
        buf_printf(out, "0%% to %d%%, drawn by the run's seed, of ", value);
        break;
    case MODE_COUNT: break;
    }
}

void manifest_explain(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    const struct fault *fault = fault_find(m->fault);
    char text[32];
    size_t n = matches(m, plan);
    buf_printf(out, "%s %s, action %s\n", m->kind, m->name, m->action);
    buf_printf(out, "  what:  %s\n", fault->help);
    if (strcmp(m->action, "pod-kill") == 0 && m->grace_ns > 0)
        buf_printf(out, "         SIGTERM first, SIGKILL after %s.\n",
                   units_format_duration(m->grace_ns, text, sizeof text));
    buf_printf(out, "  whom:  ");
    if (n == 0)
        buf_printf(out, "nobody");
    else
        add_mode(m, n, out);
    add_targets(m, plan, out);
    if (fault->one_shot)
        buf_printf(out, "\n  long:  one act, at the start of the phase\n");
    else if (m->duration_ns >= 0)
        buf_printf(out, "\n  long:  as the plan's `for:` says, else %s\n",
                   units_format_duration(m->duration_ns, text, sizeof text));
    else
        buf_printf(out, "\n  long:  as the plan's `for:` says\n");
    buf_printf(out, "  undo:  %s\n", fault->undo);
    struct buf notes = {0};
    manifest_notes(m, plan, &notes);
    for (struct str rest = {buf_str(&notes), notes.n}, line; rest.n;) {
        line = str_split(&rest, '\n');
        buf_printf(out, "  note:  %.*s\n", (int)line.n, line.p);
    }
    buf_done(&notes);
}
