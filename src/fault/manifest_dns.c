/*
 * manifest_dns.c - spec of a DNSChaos, about the names that services ask for inside the lab.
 *
 * Our own addition is the action `delay`: the right answer, late.
 */
#include <string.h>

#include "fault/manifest_read.h"

/* '?' is one character, '*' stands at the end only. */
static void check_pattern(struct reader *r, const struct ynode *node, const char *pattern)
{
    const char *star = strchr(pattern, '*');
    if (star && star[1])
        problems_add_inside(&r->errors, node, (size_t)(star - pattern),
                            "a '*' stands at the end of a pattern only");
    if (strlen(pattern) >= LAB_NAME_BYTES)
        problems_add(&r->errors, node, "a pattern has at most %d characters", LAB_NAME_BYTES - 1);
}

static void read_patterns(struct reader *r, struct ynode *node)
{
    struct plan_strs list = read_texts(r, node, "spec.patterns");
    r->dns->patterns = list;
    if (node->kind == YAML_SEQ && node->count > LAB_NAME_PATTERNS)
        problems_add(&r->errors, node, "spec.patterns holds at most %d patterns",
                     LAB_NAME_PATTERNS);
    yaml_for_each (item, node)
        if (item->kind == YAML_SCALAR)
            check_pattern(r, item, item->text);
}

static void read_answer_delay(struct reader *r, struct ynode *node)
{
    (void)read_delay(r, node, "spec.delay", &r->dns->delay_ns);
}

static void judge(struct reader *r, const char *const *actions)
{
    struct manifest_dns *d = r->dns;
    const struct ynode *delay = read_given(r->spec, "delay");
    r->m->fault = "dns";
    r->m->title = arena_printf(r->a, "DNSChaos %s", r->m->action);
    for (int i = 0; i < LAB_NAMES_ACTION_COUNT; i++)
        if (r->m->action == actions[i])
            d->action = (enum lab_names_action)i;
    if (d->action == LAB_NAMES_DELAY && !delay)
        problems_add(&r->errors, yaml_get(r->spec, "action"),
                     "action delay needs spec.delay, as in delay: 500ms");
    else if (d->action == LAB_NAMES_DELAY && d->delay_ns == 0)
        problems_add(&r->warnings, delay, "spec.delay is 0: it does nothing");
    else if (d->action != LAB_NAMES_DELAY && delay)
        problems_add(&r->warnings, delay, "spec.delay is used by action delay only");
}

void manifest_read_dns(struct reader *r, struct ynode *spec)
{
    static const char *const actions[] = {
        [LAB_NAMES_ERROR] = "error", [LAB_NAMES_RANDOM] = "random", [LAB_NAMES_DELAY] = "delay"};
    _Static_assert(ARRAY_SIZE(actions) == LAB_NAMES_ACTION_COUNT, "one word an action");
    static const struct field fields[] = {
        SPEC_FIELDS,
        {"patterns", read_patterns},
        {"delay", read_answer_delay},
        {"containerNames", NULL, "a service is its own only container; the whole service is meant"},
        {"containerName", NULL, "a service is its own only container; the whole service is meant"},
        {"scope", NULL, "is the form before Chaos Mesh 1.2; patterns say which names are meant"},
    };
    r->m->dns = r->dns = arena_alloc(r->a, sizeof *r->dns);
    if (read_spec(r, spec, fields, ARRAY_SIZE(fields), actions, ARRAY_SIZE(actions)))
        judge(r, actions);
}
