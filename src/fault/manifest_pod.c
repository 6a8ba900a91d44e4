/* manifest_pod.c - spec of a PodChaos, newest and legacy fields. */
#include <string.h>

#include "base/clock.h"
#include "fault/manifest_read.h"

#define GRACE_MAX_S 86400

static void read_grace(struct reader *r, struct ynode *node)
{
    int64_t s;
    if (!read_int(r, node, "spec.gracePeriod", &s))
        return;
    if (s < 0 || s > GRACE_MAX_S)
        problems_add(&r->errors, node, "spec.gracePeriod must be 0 to %d seconds", GRACE_MAX_S);
    else
        r->m->grace_ns = s * NS_PER_S;
}

static void read_containers(struct reader *r, struct ynode *node)
{
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
    r->m->containers.v = arena_array(r->a, 1, sizeof *r->m->containers.v);
    r->m->containers.v[0] = text;
    r->m->containers.n = 1;
}

/* What depends on more than one field. */
static void judge(struct reader *r)
{
    struct manifest *m = r->m;
    bool kill = strcmp(m->action, "pod-kill") == 0;
    bool container = strcmp(m->action, "container-kill") == 0;
    const struct ynode *grace = read_given(r->spec, "gracePeriod");
    const struct ynode *containers = read_given(r->spec, "containerNames");
    if (!containers)
        containers = read_given(r->spec, "containerName");
    if (kill || container)
        judge_one_act(r);
    if (!kill && grace)
        problems_add(&r->warnings, grace, "spec.gracePeriod is used by pod-kill only");
    if (container && m->containers.n == 0)
        problems_add(&r->errors, containers ? containers : yaml_get(r->spec, "action"),
                     "container-kill needs spec.containerNames");
    if (!container && containers)
        problems_add(&r->warnings, containers,
                     "containers are chosen by container-kill only; %s takes the whole service",
                     m->action);
}

void manifest_read_pod(struct reader *r, struct ynode *spec)
{
    static const char *const actions[] = {"container-kill", "pod-failure", "pod-kill"};
    static const struct field fields[] = {
        SPEC_FIELDS,
        {"gracePeriod", read_grace},
        {"containerNames", read_containers},
        {"containerName", read_container},
    };
    if (!read_spec(r, spec, fields, ARRAY_SIZE(fields), actions, ARRAY_SIZE(actions)))
        return;
    r->m->fault = r->m->title = r->m->action;
    judge(r);
}
