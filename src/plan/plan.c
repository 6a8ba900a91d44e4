#include "plan/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/json_text.h"
#include "plan/sources.h"
#include "plan/walk.h"

/* --- loading ---------------------------------------------------------------------------------- */

static size_t count_of(const struct ynode *node)
{
    return node ? node->count : 0;
}

static void read_tree(struct plan *plan, struct problems *problems, struct ynode *root)
{
    struct arena *a = &plan->arena;
    struct buf scratch = {0};
    struct walk w = {.plan = plan, .problems = problems, .scratch = &scratch};
    plan->services = arena_array(a, count_of(yaml_get(yaml_get(root, "lab"), "services")) + 1,
                                 sizeof *plan->services);
    plan->loads = arena_array(a, count_of(yaml_get(root, "load")) + 1, sizeof *plan->loads);
    plan->phases = arena_array(a, count_of(yaml_get(root, "storm")) + 1, sizeof *plan->phases);
    plan->checks = arena_array(a, count_of(yaml_get(root, "checks")) + 1, sizeof *plan->checks);
    walk_plan(&w, root);
    links_check(&w, root);
    buf_done(&scratch);
}

static void write_resolved(struct plan *plan, struct ynode *root)
{
    struct buf text = {0};
    node_remove(root, "include");
    json_text_plan(&text, root);
    plan->resolved = arena_strdup(&plan->arena, buf_str(&text));
    buf_done(&text);
}

static int finish(struct plan *plan, struct problems *problems, struct ynode *root,
                  struct plan **ret, struct plan_errors *errors)
{
    if (root)
        read_tree(plan, problems, root);
    int rc = problems_finish(problems, errors);
    assert(root || rc < 0);
    if (rc < 0) {
        plan_free(plan);
        return rc;
    }
    write_resolved(plan, root);
    *ret = plan;
    return 0;
}

static struct plan *plan_new(const char *file)
{
    struct plan *plan = xmalloc(sizeof *plan);
    arena_init(&plan->arena);
    plan->file = arena_strdup(&plan->arena, file);
    return plan;
}

/* As the links in it lead, without those of the file itself: as its includes are found. */
static const char *folder_of(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder CLEANUP(free_p) =
        slash ? xstrndup(path, (size_t)(slash - path + 1)) : xstrdup(".");
    char *real CLEANUP(free_p) = realpath(folder, NULL);
    return real ? arena_strdup(a, real) : NULL;
}

int plan_load(const char *path, const struct plan_options *options, struct plan **ret,
              struct plan_errors *errors)
{
    struct plan *plan = plan_new(path);
    struct problems problems;
    problems_init(&problems);
    plan->dir = folder_of(&plan->arena, path);
    struct sources s = {.arena = &plan->arena, .problems = &problems, .dir = plan->dir};
    struct ynode *root = sources_load(&s, path);
    if (root) {
        if (options)
            sources_set(&s, root, options->sets, options->sets_n);
        sources_vars(&s, root);
        sources_manifests(&s, root);
    }
    return finish(plan, &problems, root, ret, errors);
}

int plan_load_resolved(const char *text, struct plan **ret, struct plan_errors *errors)
{
    struct plan *plan = plan_new("plan");
    struct problems problems;
    problems_init(&problems);
    struct sources s = {.arena = &plan->arena, .problems = &problems, .resolved = true};
    struct ynode *root = sources_parse(&s, plan->file, str_of(text));
    if (root)
        sources_vars(&s, root);
    return finish(plan, &problems, root, ret, errors);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    arena_done(&plan->arena);
    free(plan);
}

/* --- asking ----------------------------------------------------------------------------------- */

const struct plan_service *plan_find_service(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->services_n; i++)
        if (strcmp(plan->services[i].name, name) == 0)
            return &plan->services[i];
    return NULL;
}

const struct plan_load *plan_find_load(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->loads_n; i++)
        if (strcmp(plan->loads[i].name, name) == 0)
            return &plan->loads[i];
    return NULL;
}

int plan_find_phase(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->phases_n; i++)
        if (plan->phases[i].name && strcmp(plan->phases[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool plan_codes_match(const struct plan_codes *codes, int status)
{
    for (size_t i = 0; i < codes->n; i++)
        if (codes->v[i] == status || codes->v[i] == status / 100)
            return true;
    return false;
}

bool plan_compare(enum plan_op op, double value, double limit)
{
    switch (op) {
    case PLAN_LT: return value < limit;
    case PLAN_LE: return value <= limit;
    case PLAN_GT: return value > limit;
    case PLAN_GE: return value >= limit;
    case PLAN_EQ: return value == limit;
    case PLAN_NE: return value != limit;
    case PLAN_OP_COUNT: break;
    }
    assert(!"a comparison");
    return false;
}
