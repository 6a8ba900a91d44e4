/* storm: the phases, their names and their manifests. */
#include <errno.h>
#include <stdio.h>

#include "plan/json_text.h"
#include "plan/walk.h"

const char *const phase_names[PLAN_PHASE_COUNT] = {
    [PLAN_BASELINE] = "baseline",
    [PLAN_FAULT] = "fault",
    [PLAN_RECOVERY] = "recovery",
    [PLAN_COOLDOWN] = "cooldown",
};

void *phase_enter(struct walk *w, struct ynode *node)
{
    struct plan_phase *p = &w->plan->phases[w->plan->phases_n++];
    p->pos = walk_pos(node);
    p->duration_ns = -1;
    p->kind = PLAN_PHASE_COUNT;
    return p;
}

void phase_kind(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_phase *p = w->object;
    (void)node;
    for (int i = 0; i < PLAN_PHASE_COUNT; i++)
        if (strcmp(phase_names[i], key->name) == 0)
            p->kind = (enum plan_phase_kind)i;
}

static bool name_taken(const struct plan *plan, const char *name, const struct plan_phase *but)
{
    for (size_t i = 0; i < plan->phases_n; i++)
        if (&plan->phases[i] != but && plan->phases[i].name &&
            strcmp(plan->phases[i].name, name) == 0)
            return true;
    return false;
}

static void check_own_name(struct walk *w, struct plan_phase *p, const struct ynode *at)
{
    bool legal = p->name[0] && strlen(p->name) <= 63 &&
                 p->name[strspn(p->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_")] == '\0';
    if (!legal)
        problems_add(w->problems, at,
                     "a phase's name is made of letters, digits, \"-\" and \"_\", at most 63");
    for (int i = 0; i < PLAN_PHASE_COUNT; i++)
        if (strcmp(p->name, phase_names[i]) == 0 && p->kind != (enum plan_phase_kind)i)
            problems_add(w->problems, at, "\"%s\" is the name of a kind of phase; choose another",
                         p->name);
    if (strcmp(p->name, "run") == 0)
        problems_add(w->problems, at, "\"run\" stands for the whole run; choose another name");
    if (name_taken(w->plan, p->name, p))
        problems_add(w->problems, at, "a phase named \"%s\" stands above; choose another name",
                     p->name);
}

static void give_name(struct walk *w, struct plan_phase *p, const struct ynode *own)
{
    if (p->name && own && own->kind == YAML_SCALAR) {
        check_own_name(w, p, own);
        return;
    }
    p->name = phase_names[p->kind];
    for (int i = 2; name_taken(w->plan, p->name, p); i++)
        p->name = arena_printf(&w->plan->arena, "%s-%d", phase_names[p->kind], i);
}

void phase_leave(struct walk *w, struct ynode *node)
{
    struct plan_phase *p = w->object;
    const struct ynode *fault = yaml_get(node, "fault"), *manifest = yaml_get(node, "manifest");
    const struct ynode *lasts = yaml_get(node, "for");

    if (!yaml_get(node, "baseline") && !fault && !manifest && !yaml_get(node, "recovery") &&
        !yaml_get(node, "cooldown"))
        problems_add(w->problems, node,
                     "a phase is one of baseline, fault, manifest, recovery, cooldown");
    if (p->kind == PLAN_PHASE_COUNT)
        p->kind = fault || manifest ? PLAN_FAULT : PLAN_BASELINE;
    if (lasts && !fault && !manifest)
        problems_add(w->problems, lasts->key, "\"for\" goes with a fault; write \"%s: %.40s\"",
                     phase_names[p->kind], lasts->text);
    if (manifest &&
        (yaml_get(node, "baseline") || yaml_get(node, "recovery") || yaml_get(node, "cooldown")))
        problems_add(w->problems, manifest->key, "\"manifest\" goes with a fault");
    if (fault && fault->kind == YAML_SCALAR)
        p->manifest_file = fault->text;
    if (manifest && manifest->kind == YAML_SCALAR) {
        p->manifest_text = manifest->text;
        if (manifest->text[0] == '\0')
            problems_add(w->problems, manifest, "\"manifest\" must not be empty");
    }
    if (manifest && manifest->kind != YAML_SCALAR) {
        buf_clear(w->scratch);
        json_text_plan(w->scratch, manifest);
        p->manifest_text = arena_strdup(&w->plan->arena, buf_str(w->scratch));
    }
    if (manifest && !p->manifest_file)
        p->manifest_file =
            arena_printf(&w->plan->arena, "%s (manifest at line %d)", node->file, manifest->line);
    give_name(w, p, yaml_get(node, "name"));
}
