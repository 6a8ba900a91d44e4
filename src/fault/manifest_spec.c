/* manifest_spec.c - what the specs of all kinds share: action, duration and legacy fields. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "fault/manifest_read.h"

void read_duration(struct reader *r, struct ynode *node)
{
    int64_t ns;
    if (!read_kind(r, node, YAML_SCALAR, "spec.duration"))
        return;
    if (!*node->text) {
        problems_add(&r->warnings, node, "spec.duration is empty; taken as no limit");
        return;
    }
    bool known = go_duration(node->text, &ns);
    if (!known && looks_typed(node)) {
        char seconds[64];
        snprintf(seconds, sizeof seconds, "%.60ss", node->text);
        known = go_duration(seconds, &ns);
        if (known)
            problems_add(&r->warnings, node,
                         "spec.duration has no unit; taken as seconds (a cluster refuses it)");
    }
    if (!known)
        problems_add(&r->errors, node,
                     "spec.duration '%.60s' is no duration: it needs units ns, us, ms, s, m or h, "
                     "as in 1m30s",
                     node->text);
    else if (ns <= 0)
        problems_add(&r->errors, node, "spec.duration must be longer than 0");
    else
        r->m->duration_ns = ns;
}

static void read_cron(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "spec.scheduler.cron");
    if (text)
        problems_add(&r->warnings, node,
                     "spec.scheduler is the form before Chaos Mesh 2.0; within a plan the storm "
                     "decides the time, so '%.60s' is not used",
                     text);
}

void read_scheduler(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"cron", read_cron}};
    read_fields(r, node, "spec.scheduler", fields, ARRAY_SIZE(fields));
}

void read_paused(struct reader *r, struct ynode *node)
{
    if (str_case_eq(str_of(node->text), STR("true")))
        problems_add(&r->errors, node,
                     "this experiment is paused; remove spec.paused to use it in a storm");
}

bool read_spec(struct reader *r, struct ynode *spec, const struct field *fields, size_t n,
               const char *const *actions, size_t actions_n)
{
    r->spec = spec;
    r->choice = &r->m->source;
    r->where = "spec";
    read_fields(r, spec, "spec", fields, n);
    if (spec->kind != YAML_MAP)
        return false;
    const struct ynode *action = read_given(spec, "action");
    if (action)
        r->m->action = read_word(r, action, "action", actions, actions_n);
    else
        problems_add(&r->errors, spec, "spec.action is missing: %s",
                     words_listed(r->a, actions, actions_n));
    judge_choice(r, spec);
    return r->m->action;
}

void judge_one_act(struct reader *r)
{
    const struct ynode *duration = read_given(r->spec, "duration");
    if (duration)
        problems_add(&r->warnings, duration,
                     "%s is one act and needs no undo; spec.duration only says how long the "
                     "storm's phase lasts when the plan does not",
                     r->m->action);
}
