/* manifest_spec.c - spec of a PodChaos, newest and legacy fields. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "fault/manifest_read.h"

#define GRACE_MAX_S 86400

static void read_action(struct reader *r, struct ynode *node)
{
    static const char *const actions[] = {"container-kill", "pod-failure", "pod-kill"};
    const char *text = read_text(r, node, "spec.action");
    r->action = node;
    for (size_t i = 0; text && i < ARRAY_SIZE(actions); i++)
        if (strcmp(text, actions[i]) == 0)
            r->m->action = r->m->fault = r->m->title = actions[i];
    if (!text || r->m->action)
        return;
    const char *near = str_nearest(text, actions, ARRAY_SIZE(actions));
    problems_add(&r->errors, node, "unknown action '%.60s': %s%s", text,
                 near ? "did you mean " : "pod-kill, pod-failure or container-kill",
                 near ? near : "");
}

static void read_mode(struct reader *r, struct ynode *node)
{
    static const char *const modes[] = {
        [MODE_ONE] = "one",
        [MODE_ALL] = "all",
        [MODE_FIXED] = "fixed",
        [MODE_FIXED_PERCENT] = "fixed-percent",
        [MODE_RANDOM_MAX_PERCENT] = "random-max-percent",
    };
    _Static_assert(ARRAY_SIZE(modes) == MODE_COUNT, "one word a mode");
    const char *text = read_text(r, node, "spec.mode");
    r->mode = node;
    if (!text)
        return;
    if (!*text) {
        problems_add(&r->warnings, node, "spec.mode is empty; taken as one");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (strcmp(text, modes[i]) == 0) {
            r->m->source.mode = (enum manifest_mode)i;
            return;
        }
    const char *near = str_nearest(text, modes, ARRAY_SIZE(modes));
    problems_add(&r->errors, node, "unknown mode '%.60s': %s%s", text,
                 near ? "did you mean " : "one, all, fixed, fixed-percent or random-max-percent",
                 near ? near : "");
}

static void read_value(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "spec.value");
    if (text && *text)
        r->value = node;
}

/* Go's time.ParseDuration; what our own parser takes beyond it (days) is not Go. */
static bool go_duration(const char *text, int64_t *ret_ns)
{
    char copy[64];
    size_t n = strlen(text);
    if (n >= sizeof copy || strchr(text, 'd'))
        return false;
    memcpy(copy, text, n + 1);
    /* Go takes both code points for micro: U+00B5 and U+03BC */
    for (char *p = copy; (p = strstr(p, "\xce\xbc"));)
        memcpy(p, "\xc2\xb5", 2);
    return units_duration(str_of(copy), ret_ns) == 0;
}

static void read_duration(struct reader *r, struct ynode *node)
{
    int64_t ns;
    r->duration = node;
    if (!read_kind(r, node, YAML_SCALAR, "spec.duration"))
        return;
    if (looks_typed(node) && go_duration(node->text, &ns) == false) {
        char seconds[64];
        snprintf(seconds, sizeof seconds, "%.60ss", node->text);
        if (go_duration(seconds, &ns)) {
            problems_add(&r->warnings, node,
                         "spec.duration has no unit; taken as seconds (a cluster refuses it)");
            r->m->duration_ns = ns;
        }
    } else if (!*node->text) {
        problems_add(&r->warnings, node, "spec.duration is empty; taken as no limit");
        return;
    } else if (go_duration(node->text, &ns)) {
        r->m->duration_ns = ns;
    }
    if (r->m->duration_ns == INT64_MIN)
        problems_add(&r->errors, node,
                     "spec.duration '%.60s' is no duration: it needs units ns, us, ms, s, m or h, "
                     "as in 1m30s",
                     node->text);
}

static void read_grace(struct reader *r, struct ynode *node)
{
    int64_t s;
    r->grace = node;
    if (!read_int(r, node, "spec.gracePeriod", &s))
        return;
    if (s < 0 || s > GRACE_MAX_S)
        problems_add(&r->errors, node, "spec.gracePeriod must be 0 to %d seconds", GRACE_MAX_S);
    else
        r->m->grace_ns = s * NS_PER_S;
}

static void read_containers(struct reader *r, struct ynode *node)
{
    r->containers = node;
    r->m->containers = read_texts(r, node, "spec.containerNames");
}

static void read_container(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "spec.containerName");
    problems_add(&r->warnings, node->key,
                 "spec.containerName is the form before Chaos Mesh 2.0; taken as "
                 "containerNames: [%.60s]",
                 text ? text : "");
    if (!text || !*text)
        return;
    r->containers = node;
    r->m->containers.v = arena_array(r->a, 1, sizeof *r->m->containers.v);
    r->m->containers.v[0] = text;
    r->m->containers.n = 1;
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

static void read_scheduler(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"cron", read_cron}};
    read_fields(r, node, "spec.scheduler", fields, ARRAY_SIZE(fields));
}

static void read_paused(struct reader *r, struct ynode *node)
{
    if (str_case_eq(str_of(node->text), STR("true")))
        problems_add(&r->errors, node,
                     "this experiment is paused; remove spec.paused to use it in a storm");
}

/* What depends on more than one field. */
static void judge_value(struct reader *r)
{
    struct manifest *m = r->m;
    int64_t v;
    bool wants = m->source.mode != MODE_ONE && m->source.mode != MODE_ALL;
    if (!wants && r->value)
        problems_add(&r->warnings, r->value, "spec.value is not used by this mode");
    if (!wants)
        return;
    if (!r->value) {
        problems_add(&r->errors, r->mode, "mode %s needs spec.value", r->mode->text);
        return;
    }
    if (units_int(str_of(r->value->text), &v) < 0) {
        problems_add(&r->errors, r->value, "spec.value must be a whole number, not '%.60s'",
                     r->value->text);
        return;
    }
    int64_t min = m->source.mode == MODE_RANDOM_MAX_PERCENT ? 0 : 1;
    int64_t max = m->source.mode == MODE_FIXED ? INT32_MAX : 100;
    if (v < min || v > max)
        problems_add(&r->errors, r->value, "spec.value of mode %s must be %lld to %lld",
                     r->mode->text, (long long)min, (long long)max);
    else if (v == 0)
        problems_add(&r->warnings, r->value, "spec.value is 0: nothing will ever be selected");
    m->source.value = (double)v;
}

static void judge_action(struct reader *r)
{
    struct manifest *m = r->m;
    bool kill = strcmp(m->action, "pod-kill") == 0;
    bool container = strcmp(m->action, "container-kill") == 0;
    if ((kill || container) && r->duration)
        problems_add(&r->warnings, r->duration,
                     "%s is one act and needs no undo; spec.duration only says how long the "
                     "storm's phase lasts when the plan does not",
                     m->action);
    if (m->duration_ns != INT64_MIN && r->duration && m->duration_ns <= 0 && *r->duration->text)
        problems_add(&r->errors, r->duration, "spec.duration must be longer than 0");
    if (!kill && r->grace)
        problems_add(&r->warnings, r->grace, "spec.gracePeriod is used by pod-kill only");
    if (container && m->containers.n == 0)
        problems_add(&r->errors, r->containers ? r->containers : r->action,
                     "container-kill needs spec.containerNames");
    if (!container && r->containers)
        problems_add(&r->warnings, r->containers,
                     "containers are chosen by container-kill only; %s takes the whole service",
                     m->action);
}

void manifest_read_spec(struct reader *r, struct ynode *spec)
{
    static const struct field fields[] = {
        {"action", read_action},
        {"mode", read_mode},
        {"value", read_value},
        {"selector", manifest_read_selector},
        {"duration", read_duration},
        {"gracePeriod", read_grace},
        {"containerNames", read_containers},
        {"containerName", read_container},
        {"scheduler", read_scheduler},
        {"paused", read_paused},
        {"nextStart", NULL, "is state of an old controller; not used"},
        {"nextRecover", NULL, "is state of an old controller; not used"},
        {"remoteCluster", NULL, "there is no other cluster; the fault acts on this lab"},
    };
    r->spec = spec;
    r->m->duration_ns = INT64_MIN; /* given, but not understood */
    read_fields(r, spec, "spec", fields, ARRAY_SIZE(fields));
    if (spec->kind != YAML_MAP)
        return;
    if (!r->duration || !*r->duration->text)
        r->m->duration_ns = -1;
    if (!r->action)
        problems_add(&r->errors, spec,
                     "spec.action is missing: pod-kill, pod-failure or container-kill");
    if (!r->selector)
        problems_add(&r->warnings, spec,
                     "spec.selector is missing; taken as {}: every service of the lab");
    if (!r->mode)
        problems_add(&r->warnings, spec, "spec.mode is missing; taken as one");
    if (!r->mode || !*r->mode->text || r->mode->kind == YAML_SCALAR)
        judge_value(r);
    if (r->m->action)
        judge_action(r);
}
