/* Names that point to other parts of the plan, checked once all of it was read. */
#include <stdio.h>

#include "plan/walk.h"

#define NAMES_MAX 256

struct names {
    const char *v[NAMES_MAX];
    size_t n;
};

static void add_name(struct names *names, const char *name)
{
    if (names->n < NAMES_MAX)
        names->v[names->n++] = name;
}

static const struct ynode *services_of(const struct ynode *root)
{
    return yaml_get(yaml_get(root, "lab"), "services");
}

static bool phase_known(const struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->plan->phases_n; i++)
        if (strcmp(phase_names[w->plan->phases[i].kind], name) == 0)
            return true;
    return strcmp(name, "run") == 0 || plan_find_phase(w->plan, name) >= 0;
}

static void suggest(const struct ynode *map, const char *wrong, char *buf, size_t cap)
{
    struct names names = {0};
    if (map && map->kind == YAML_MAP)
        yaml_for_each (child, map)
            add_name(&names, child->key->text);
    walk_nearest(wrong, names.v, names.n, buf, cap);
}

static void check_ref(struct walk *w, const struct ynode *root, const struct ref *ref)
{
    char near[160], name[80];
    const struct ynode *map = ref->type == KEY_LOAD ? yaml_get(root, "load") : services_of(root);
    size_t n =
        ref->type == KEY_SERVICE_PORT ? strcspn(ref->node->text, ":") : strlen(ref->node->text);
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name - 1,
             ref->node->text);
    if (ref->type == KEY_PHASE) {
        struct names names = {0};
        if (phase_known(w, ref->node->text))
            return;
        for (size_t i = 0; i < w->plan->phases_n; i++)
            add_name(&names, w->plan->phases[i].name);
        add_name(&names, "run");
        walk_nearest(name, names.v, names.n, near, sizeof near);
        problems_add(w->problems, ref->node, "the storm has no phase \"%s\"%s", name, near);
        return;
    }
    if (yaml_get(map, name))
        return;
    if (problems_full(w->problems)) {
        problems_add(w->problems, ref->node, "unknown name");
        return;
    }
    suggest(map, name, near, sizeof near);
    problems_add(w->problems, ref->node, "there is no %s \"%s\"%s",
                 ref->type == KEY_LOAD ? "load" : "service", name, near);
}

/* Depth first over `needs`; state 1 = on the way, 2 = done. A service that closes a ring is told
 * once, at the entry that closes it. */
static void visit_needs(struct walk *w, const struct ynode *services, const struct ynode *service,
                        char *state, int depth)
{
    size_t index = 0;
    for (const struct ynode *s = services->first; s != service; s = s->next)
        index++;
    if (state[index] || depth > 200)
        return;
    state[index] = 1;
    const struct ynode *needs = yaml_get(service, "needs");
    const struct ynode *at = !needs ? NULL : needs->kind == YAML_SEQ ? needs->first : needs;
    for (; at; at = needs->kind == YAML_SEQ ? at->next : NULL) {
        if (at->kind != YAML_SCALAR)
            continue;
        const struct ynode *other = yaml_get(services, at->text);
        if (!other)
            continue;
        size_t i = 0;
        for (const struct ynode *s = services->first; s != other; s = s->next)
            i++;
        if (state[i] == 1)
            problems_add(w->problems, at,
                         "\"%.60s\" needs \"%.60s\" and the other way round: neither can start "
                         "first",
                         service->key->text, other->key->text);
        visit_needs(w, services, other, state, depth + 1);
    }
    state[index] = 2;
}

static void check_needs(struct walk *w, const struct ynode *root)
{
    const struct ynode *services = services_of(root);
    if (!services || services->kind != YAML_MAP)
        return;
    char *state = arena_alloc(&w->plan->arena, services->count + 1);
    yaml_for_each (service, services)
        visit_needs(w, services, service, state, 0);
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.")] == '\0');
}

static void check_host(struct walk *w, const struct ynode *root, const struct plan_load *load)
{
    const struct ynode *services = services_of(root), *url = NULL;
    char near[160];
    if (!load->host || yaml_get(services, load->host) || is_loopback(load->host))
        return;
    yaml_for_each (child, yaml_get(yaml_get(root, "load"), load->name)) {
        const struct key *key = key_find("load.*", child->key->text);
        if (key && key->type == KEY_URL)
            url = child;
    }
    if (!url)
        return;
    suggest(services, load->host, near, sizeof near);
    problems_add_inside(
        w->problems, url, (size_t)(strstr(url->text, "://") + 3 - url->text),
        "host \"%.80s\" is neither a service of this plan nor a loopback address%s%s", load->host,
        near, near[0] ? "" : "; squall aims only at its own lab and at this machine");
}

/* A kind's own phase, when the check does not say one, must be in the storm as well. */
static void check_default_phases(struct walk *w, const struct ynode *root)
{
    const struct ynode *checks = yaml_get(root, "checks");
    if (!checks || checks->kind != YAML_SEQ)
        return;
    yaml_for_each (node, checks) {
        if (yaml_get(node, "recovers") && !phase_known(w, "fault") && !yaml_get(node, "after") &&
            !yaml_get(node, "during") && !yaml_get(node, "before") && !yaml_get(node, "always") &&
            !yaml_get(node, "never") && !yaml_get(node, "eventually"))
            problems_add(w->problems, node,
                         "\"recovers\" speaks about what follows a fault, and the storm has none");
    }
}

/* Kinds of phases become the names of all phases of that kind. */
static void expand_phases(struct walk *w, struct plan_load *load)
{
    const struct plan *plan = w->plan;
    struct plan_strs all = {arena_array(&w->plan->arena, plan->phases_n + 1, sizeof *all.v), 0};
    bool run = false;
    for (size_t p = 0; p < plan->phases_n; p++)
        for (size_t i = 0; i < load->phases.n; i++) {
            const char *name = load->phases.v[i];
            run |= strcmp(name, "run") == 0;
            if (strcmp(name, plan->phases[p].name) != 0 &&
                strcmp(name, phase_names[plan->phases[p].kind]) != 0)
                continue;
            all.v[all.n++] = plan->phases[p].name;
            break;
        }
    load->phases = run ? (struct plan_strs){0} : all;
}

/* Where the service of settle.from listens, when the plan does not say. */
static void settle_port(struct walk *w, const struct ynode *root, struct plan_load *load)
{
    if (!load->settle.from || load->settle.port)
        return;
    const struct plan_service *s = plan_find_service(w->plan, load->settle.from);
    const struct ynode *from =
        yaml_get(yaml_get(yaml_get(yaml_get(root, "load"), load->name), "settle"), "from");
    if (s && s->ready.port)
        load->settle.port = s->ready.port;
    else if (s && from)
        problems_add(w->problems, from,
                     "service \"%.60s\" has no ready port to ask; write \"%.60s:PORT\"", s->name,
                     s->name);
}

void links_check(struct walk *w, struct ynode *root)
{
    for (const struct ref *ref = w->refs; ref; ref = ref->next)
        check_ref(w, root, ref);
    check_needs(w, root);
    check_default_phases(w, root);
    for (size_t i = 0; i < w->plan->loads_n; i++) {
        check_host(w, root, &w->plan->loads[i]);
        settle_port(w, root, &w->plan->loads[i]);
        expand_phases(w, &w->plan->loads[i]);
    }
}
