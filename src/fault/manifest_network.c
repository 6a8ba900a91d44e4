/*
 * manifest_network.c - spec of a NetworkChaos.
 *
 * As upstream, the action only says which kind of fault it is, and every block that is there acts.
 * Our own addition is the action `reset`, which destroys connections once.
 */
#include <string.h>

#include "fault/manifest_read.h"

/* the other links of a fault are both ways without a port, one of them in two parts */
#define EXTERNAL_PORTS_MAX (FAULT_LINKS - 3)

static const struct block {
    const char *name;
    bool netem;
} blocks[] = {{"delay", true},   {"loss", true}, {"duplicate", true},
              {"corrupt", true}, {"rate", true}, {"bandwidth", false}};

static void read_direction(struct reader *r, struct ynode *node)
{
    static const char *const words[] = {
        [DIRECTION_TO] = "to", [DIRECTION_FROM] = "from", [DIRECTION_BOTH] = "both"};
    _Static_assert(ARRAY_SIZE(words) == DIRECTION_COUNT, "one word a direction");
    if (node->kind == YAML_SCALAR && !*node->text) {
        problems_add(&r->warnings, node, "spec.direction is empty; taken as to");
        return;
    }
    const char *word = read_word(r, node, "direction", words, DIRECTION_COUNT);
    for (size_t i = 0; word && i < DIRECTION_COUNT; i++)
        if (word == words[i])
            r->network->direction = (enum manifest_direction)i;
}

static void read_target(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {
        {"selector", read_selector}, {"mode", read_mode}, {"value", read_value}};
    r->choice = &r->network->target;
    r->where = "spec.target";
    r->network->has_target = true;
    read_fields(r, node, r->where, fields, ARRAY_SIZE(fields));
    if (node->kind == YAML_MAP)
        judge_choice(r, node);
    r->choice = &r->m->source;
    r->where = "spec";
}

static int other_ports(const struct manifest_network *n)
{
    int ports = 0;
    for (size_t i = 0; i < n->externals_n; i++) {
        size_t k = 0;
        while (k < i && n->externals[k].port != n->externals[i].port)
            k++;
        ports += k == i && n->externals[i].port != 0;
    }
    return ports;
}

static void read_externals(struct reader *r, struct ynode *node)
{
    struct manifest_network *n = r->network;
    if (!read_kind(r, node, YAML_SEQ, "spec.externalTargets"))
        return;
    n->has_externals = node->count > 0;
    n->externals = arena_array(r->a, node->count + 1, sizeof *n->externals);
    yaml_for_each (item, node)
        n->externals_n += read_external(r, item, &n->externals[n->externals_n]);
    if (other_ports(n) > EXTERNAL_PORTS_MAX)
        problems_add(&r->errors, node, "spec.externalTargets name more than %d different ports",
                     EXTERNAL_PORTS_MAX);
}

static void read_device(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "a device");
    size_t n = text ? strcspn(text, "@") : 0; /* eth0@if5, as `ip link` prints it */
    if (text && *text && !(n == 4 && memcmp(text, "eth0", 4) == 0))
        problems_add(&r->warnings, node,
                     "a service has one interface, eth0; '%.60s' is taken to be it", text);
}

/* --- what depends on more than one field ------------------------------------------------------ */

static void judge_unused_blocks(struct reader *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        const struct ynode *node = read_given(r->spec, blocks[i].name);
        if (node)
            problems_add(&r->warnings, node->key, "spec.%s is not used by action %s",
                         blocks[i].name, r->m->action);
    }
    r->network->spec = (struct impair_spec){0};
}

/* Blocks that the action does not name act as well; the action must have at least one of its kind.
 */
static void judge_blocks(struct reader *r)
{
    const char *action = r->m->action;
    bool netem = strcmp(action, "bandwidth") != 0, all = strcmp(action, "netem") == 0;
    bool some = false, own = all;
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        bool named = strcmp(blocks[i].name, action) == 0 || (all && blocks[i].netem);
        if (!read_given(r->spec, blocks[i].name))
            continue;
        some = some || blocks[i].netem == netem;
        own = own || named;
        if (named)
            continue;
        const char *list = r->network->unnamed;
        r->network->unnamed =
            list ? arena_printf(r->a, "%s, %s", list, blocks[i].name) : blocks[i].name;
    }
    const struct ynode *at = yaml_get(r->spec, "action");
    if (!some && all)
        problems_add(&r->errors, at,
                     "action netem needs one of delay, loss, duplicate, corrupt and rate");
    else if (!some)
        problems_add(&r->errors, at, "action %s needs spec.%s", action, action);
    else if (!own)
        problems_add(&r->warnings, at,
                     "action %s has no spec.%s; what there is acts, as in a cluster: %s", action,
                     action, r->network->unnamed);
}

/* The webhook's rules for all but partition. */
static void judge_direction(struct reader *r)
{
    const struct ynode *direction = read_given(r->spec, "direction");
    if (!direction || r->network->direction == DIRECTION_TO)
        return;
    if (!r->network->has_target)
        problems_add(&r->errors, direction, "direction %.10s needs spec.target", direction->text);
    if (r->network->has_externals)
        problems_add(&r->errors, direction,
                     "direction %.10s cannot be combined with spec.externalTargets",
                     direction->text);
}

/* A packet's way back carries the port as its source, which a lab's links do not look at. */
static void judge_ports(struct reader *r)
{
    const struct ynode *list = read_given(r->spec, "externalTargets");
    if (!list || list->kind != YAML_SEQ || list->count != r->network->externals_n)
        return;
    const struct manifest_external *x = r->network->externals;
    yaml_for_each (item, list) {
        if (x->port && r->network->direction == DIRECTION_FROM)
            problems_add(&r->errors, item,
                         "the way back from one port cannot be cut alone: leave the port out, or "
                         "use direction to");
        else if (x->port && r->network->direction == DIRECTION_BOTH)
            problems_add(&r->warnings, item,
                         "with a port only the way to it is cut, which ends what is said both "
                         "ways");
        x++;
    }
}

static void judge(struct reader *r)
{
    struct manifest *m = r->m;
    bool partition = strcmp(m->action, "partition") == 0, reset = strcmp(m->action, "reset") == 0;
    m->fault = reset ? "network-reset" : "network";
    m->title = arena_printf(r->a, "NetworkChaos %s", m->action);
    if (partition || reset)
        judge_unused_blocks(r);
    else
        judge_blocks(r);
    const struct ynode *direction = read_given(r->spec, "direction");
    if (reset && direction)
        problems_add(&r->warnings, direction,
                     "spec.direction is not used by reset: it ends connections whoever opened "
                     "them");
    if (reset)
        judge_one_act(r);
    else if (partition)
        judge_ports(r);
    else
        judge_direction(r);
    r->network->spec.partition = partition;
}

void manifest_read_network(struct reader *r, struct ynode *spec)
{
    static const char *const actions[] = {"netem",   "delay",     "loss",      "duplicate",
                                          "corrupt", "partition", "bandwidth", "reset"};
    static const struct field fields[] = {
        SPEC_FIELDS,
        {"delay", read_block_delay},
        {"loss", read_block_loss},
        {"duplicate", read_block_duplicate},
        {"corrupt", read_block_corrupt},
        {"rate", read_block_rate},
        {"bandwidth", read_block_bandwidth},
        {"direction", read_direction},
        {"target", read_target},
        {"externalTargets", read_externals},
        {"device", read_device},
        {"targetDevice", read_device},
        {"containerNames", NULL, "a network fault takes the whole service"},
        {"containerName", NULL, "a network fault takes the whole service"},
    };
    r->m->network = r->network = arena_alloc(r->a, sizeof *r->network);
    if (read_spec(r, spec, fields, ARRAY_SIZE(fields), actions, ARRAY_SIZE(actions)))
        judge(r);
}
