/* manifest_selector.c - spec.selector of a pod-like kind, as far as a lab has what it asks for. */
#include <string.h>

#include "fault/manifest_read.h"

static void read_namespaces(struct reader *r, struct ynode *node)
{
    struct plan_strs list = read_texts(r, node, "selector.namespaces");
    r->choice->selector.namespaces = list;
    /* a lab is one namespace: `default`, and what the manifest itself lives in, need no word */
    yaml_for_each (item, node) {
        if (item->kind == YAML_SCALAR && *item->text && strcmp(item->text, "default") != 0 &&
            strcmp(item->text, r->m->namespace) != 0)
            problems_add(&r->warnings, item,
                         "a lab is one namespace: '%.60s' is taken to be the whole lab",
                         item->text);
    }
}

static void read_labels(struct reader *r, struct ynode *node)
{
    struct manifest_selector *s = &r->choice->selector;
    if (!read_kind(r, node, YAML_MAP, "selector.labelSelectors"))
        return;
    s->labels = arena_array(r->a, node->count + 1, sizeof *s->labels);
    yaml_for_each (child, node) {
        const char *value = read_text(r, child, "a label's value");
        if (value)
            s->labels[s->labels_n++] = (struct plan_kv){child->key->text, value};
    }
}

static const char *const operators[] = {
    [MANIFEST_IN] = "In",
    [MANIFEST_NOT_IN] = "NotIn",
    [MANIFEST_EXISTS] = "Exists",
    [MANIFEST_DOES_NOT_EXIST] = "DoesNotExist",
};
_Static_assert(ARRAY_SIZE(operators) == MANIFEST_OPERATOR_COUNT, "one word an operator");

static bool read_operator(struct reader *r, const struct ynode *node, enum manifest_operator *ret)
{
    const char *text = read_text(r, node, "operator");
    for (size_t i = 0; text && i < ARRAY_SIZE(operators); i++)
        if (strcmp(text, operators[i]) == 0) {
            *ret = (enum manifest_operator)i;
            return true;
        }
    if (text) {
        const char *near = str_nearest(text, operators, ARRAY_SIZE(operators));
        problems_add(&r->errors, node,
                     "unknown operator '%.60s': In, NotIn, Exists or DoesNotExist%s%s", text,
                     near ? "; did you mean " : "", near ? near : "");
    }
    return false;
}

static void read_expression(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {{"key"}, {"operator"}, {"values"}};
    struct manifest_selector *s = &r->choice->selector;
    struct manifest_expression e = {0};
    read_fields(r, node, "an expression", fields, ARRAY_SIZE(fields));
    const struct ynode *key = yaml_get(node, "key"), *op = yaml_get(node, "operator"),
                       *values = yaml_get(node, "values");
    if (node->kind != YAML_MAP)
        return;
    if (!key || !op) {
        problems_add(&r->errors, node, "an expression needs key and operator");
        return;
    }
    e.key = read_text(r, key, "key");
    if (!e.key || !read_operator(r, op, &e.op))
        return;
    if (values && !yaml_is_null(values))
        e.values = read_texts(r, values, "values");
    bool wants = e.op == MANIFEST_IN || e.op == MANIFEST_NOT_IN;
    if (wants != (e.values.n > 0))
        problems_add(&r->errors, op, wants ? "%s needs values" : "%s takes no values",
                     operators[e.op]);
    s->expressions[s->expressions_n++] = e;
}

static void read_expressions(struct reader *r, struct ynode *node)
{
    if (!read_kind(r, node, YAML_SEQ, "selector.expressionSelectors"))
        return;
    r->choice->selector.expressions =
        arena_array(r->a, node->count + 1, sizeof *r->choice->selector.expressions);
    yaml_for_each (item, node)
        read_expression(r, item);
}

static void read_field_name(struct reader *r, struct ynode *node)
{
    r->choice->selector.name = read_text(r, node, "metadata.name");
}

static void read_field_phase(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "status.phase");
    if (text && strcmp(text, "Running") != 0)
        problems_add(&r->errors, node, "a lab's services are Running: this selects none of them");
}

static void read_field_selectors(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {
        {"metadata.name", read_field_name},
        {"metadata.namespace", NULL, "a lab is one namespace; every service is in it"},
        {"spec.nodeName", NULL, "a lab is one machine; every service is on it"},
        {"status.phase", read_field_phase},
    };
    read_fields(r, node, "selector.fieldSelectors", fields, ARRAY_SIZE(fields));
}

static void read_pods(struct reader *r, struct ynode *node)
{
    struct plan_strs *pods = &r->choice->selector.pods;
    size_t all = 0;
    if (!read_kind(r, node, YAML_MAP, "selector.pods"))
        return;
    r->choice->selector.has_pods = true;
    yaml_for_each (ns, node)
        all += ns->count;
    pods->v = arena_array(r->a, all + 1, sizeof *pods->v);
    yaml_for_each (ns, node) {
        if (yaml_is_null(ns))
            continue;
        struct plan_strs names = read_texts(r, ns, "the names of pods");
        for (size_t i = 0; i < names.n; i++)
            pods->v[pods->n++] = names.v[i];
    }
}

/* Phases are "Running", or "!Pending": all but that one (Chaos Mesh's selector). */
static void read_phases(struct reader *r, struct ynode *node)
{
    struct plan_strs list = read_texts(r, node, "selector.podPhaseSelectors");
    bool running = false, only_excluded = true;
    for (size_t i = 0; i < list.n; i++) {
        bool excluded = list.v[i][0] == '!';
        only_excluded = only_excluded && excluded;
        running = running || str_case_eq(str_of(list.v[i]), STR("Running"));
        if (str_case_eq(str_of(list.v[i]), STR("!Running"))) {
            running = only_excluded = false;
            break;
        }
    }
    if (running || only_excluded)
        problems_add(&r->warnings, node, "a lab's services count as Running; all of them pass");
    else
        problems_add(&r->errors, node, "a lab's services are Running: this selects none of them");
}

static void refuse_annotations(struct reader *r, struct ynode *node)
{
    if (node->count)
        problems_add(&r->errors, node,
                     "services have no annotations, so this would select nothing; use "
                     "labelSelectors");
}

static void refuse_machines(struct reader *r, struct ynode *node)
{
    problems_add(&r->errors, node, "physical machines cannot be selected: a lab has services");
}

void read_selector(struct reader *r, struct ynode *node)
{
    static const struct field fields[] = {
        {"namespaces", read_namespaces},
        {"labelSelectors", read_labels},
        {"expressionSelectors", read_expressions},
        {"fieldSelectors", read_field_selectors},
        {"annotationSelectors", refuse_annotations},
        {"pods", read_pods},
        {"nodes", NULL, "a lab is one machine; every service is on it"},
        {"nodeSelectors", NULL, "a lab is one machine; every service is on it"},
        {"podPhaseSelectors", read_phases},
        {"physicalMachines", refuse_machines},
    };
    read_fields(r, node, arena_printf(r->a, "%s.selector", r->where), fields, ARRAY_SIZE(fields));
    if (!r->choice->selector.has_pods)
        return;
    yaml_for_each (child, node) {
        if (strcmp(child->key->text, "pods") != 0 && strcmp(child->key->text, "namespaces") != 0 &&
            !yaml_is_null(child))
            problems_add(&r->warnings, child->key,
                         "selector.%.60s is not used, because pods names the targets",
                         child->key->text);
    }
}
