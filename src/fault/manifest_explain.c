/* manifest_explain.c - a manifest in plain words, against the plan it is used in. */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "fault/manifest.h"
#include "fault/network_words.h"

static size_t matches(const struct manifest_choice *c, const struct plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->services_n; i++)
        n += manifest_matches(c, &plan->services[i]);
    return n;
}

static bool names_selected(const struct manifest *m, const struct plan *plan, const char *name)
{
    const struct plan_service *s = plan_find_service(plan, name);
    return s && manifest_matches(&m->source, s);
}

/* --- notes ------------------------------------------------------------------------------------ */

static void note_choice(const struct manifest_choice *c, const struct plan *plan, const char *whose,
                        struct buf *out)
{
    for (size_t i = 0; i < c->selector.pods.n; i++)
        if (!plan_find_service(plan, c->selector.pods.v[i]))
            buf_printf(out, "pod '%s' is no service of this plan; skipped\n",
                       c->selector.pods.v[i]);
    if (matches(c, plan) == 0)
        buf_printf(out,
                   "no service of this plan is selected%s: the fault will have no target; "
                   "compare its selector with the labels of the services\n",
                   whose);
}

static void note_containers(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    for (size_t i = 0; i < m->containers.n; i++)
        if (!names_selected(m, plan, m->containers.v[i]))
            buf_printf(out,
                       "container '%s' is called otherwise here: a service is its own only "
                       "container, so the selected service itself is killed\n",
                       m->containers.v[i]);
}

static void note_externals(const struct manifest_network *n, const struct plan *plan,
                           struct buf *out)
{
    bool any = n->has_target;
    for (size_t i = 0; i < n->externals_n; i++) {
        const struct manifest_external *x = &n->externals[i];
        struct port_set who;
        bool found = manifest_external_ports(x, plan, &who) > 0;
        any = any || found;
        if (!found && !x->outside)
            buf_printf(out,
                       "line %d: '%s' is no service of this plan, and cannot be reached from a "
                       "lab; left out\n",
                       x->line, x->text);
    }
    if (n->has_externals && !any)
        buf_add_str(out, "none of its externalTargets is in the lab: the fault will have no "
                         "target\n");
}

void manifest_notes(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    note_choice(&m->source, plan, "", out);
    if (strcmp(m->action, "container-kill") == 0)
        note_containers(m, plan, out);
    if (!m->network)
        return;
    if (m->network->has_target)
        note_choice(&m->network->target, plan, " by its target", out);
    note_externals(m->network, plan, out);
    if (m->network->unnamed)
        buf_printf(out, "action %s does not name %s, which acts all the same, as in a cluster\n",
                   m->action, m->network->unnamed);
}

/* --- explain ---------------------------------------------------------------------------------- */

static void add_mode(const struct manifest_choice *c, size_t n, struct buf *out)
{
    int value = (int)c->value;
    switch (c->mode) {
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

static void add_choice(const struct manifest_choice *c, const struct plan *plan, struct buf *out)
{
    size_t n = matches(c, plan);
    bool first = true;
    if (n == 0)
        buf_add_str(out, "nobody");
    else
        add_mode(c, n, out);
    for (size_t i = 0; i < plan->services_n; i++) {
        if (!manifest_matches(c, &plan->services[i]))
            continue;
        buf_printf(out, "%s%s", first ? "" : ", ", plan->services[i].name);
        first = false;
    }
    buf_add_char(out, '\n');
}

static void explain_network(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    static const char *const ways[] = {
        [DIRECTION_TO] = "packets from the first to the second",
        [DIRECTION_FROM] = "packets from the second to the first",
        [DIRECTION_BOTH] = "packets both ways",
    };
    _Static_assert(ARRAY_SIZE(ways) == DIRECTION_COUNT, "words for each direction");
    const struct manifest_network *n = m->network;
    if (n->has_target) {
        buf_add_str(out, "  with:  ");
        add_choice(&n->target, plan, out);
    }
    for (size_t i = 0; i < n->externals_n; i++)
        if (!n->externals[i].outside)
            buf_printf(out, "  with:  %s\n", n->externals[i].text);
    if (!n->has_target && !n->has_externals)
        buf_add_str(out, "  with:  everybody, the load generator included\n");
    if (strcmp(m->fault, "network-reset") != 0)
        buf_printf(out, "  way:   %s\n", ways[n->direction]);
}

static void explain_what(const struct manifest *m, const struct fault *fault, struct buf *out)
{
    char text[32];
    buf_printf(out, "  what:  %s\n", fault->help);
    if (strcmp(m->action, "pod-kill") == 0 && m->grace_ns > 0)
        buf_printf(out, "         SIGTERM first, SIGKILL after %s.\n",
                   units_format_duration(m->grace_ns, text, sizeof text));
    if (m->network && strcmp(m->fault, "network") == 0) {
        buf_add_str(out, "         Asked: ");
        network_words(&m->network->spec, out);
        buf_add_str(out, ".\n");
    }
    if (!m->dns)
        return;
    struct fault_names names;
    manifest_names(m->dns, &names);
    buf_printf(out, "         Asked: %s.\n", names.text);
}

void manifest_explain(const struct manifest *m, const struct plan *plan, struct buf *out)
{
    const struct fault *fault = fault_find(m->fault);
    char text[32];
    buf_printf(out, "%s %s, action %s\n", m->kind, m->name, m->action);
    explain_what(m, fault, out);
    buf_printf(out, "  whom:  ");
    add_choice(&m->source, plan, out);
    if (m->network)
        explain_network(m, plan, out);
    if (fault->one_shot)
        buf_printf(out, "  long:  one act, at the start of the phase\n");
    else if (m->duration_ns >= 0)
        buf_printf(out, "  long:  as the plan's `for:` says, else %s\n",
                   units_format_duration(m->duration_ns, text, sizeof text));
    else
        buf_printf(out, "  long:  as the plan's `for:` says\n");
    if (fault->measures_at_end)
        buf_add_str(out,
                    "  proof: what met it is counted to its end; nothing at all is no effect\n");
    buf_printf(out, "  undo:  %s\n", fault->undo);
    struct buf notes = {0};
    manifest_notes(m, plan, &notes);
    for (struct str rest = {buf_str(&notes), notes.n}, line; rest.n;) {
        line = str_split(&rest, '\n');
        buf_printf(out, "  note:  %.*s\n", (int)line.n, line.p);
    }
    buf_done(&notes);
}
