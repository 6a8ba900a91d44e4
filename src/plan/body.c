/* load.*.json, body and choose: what a request carries. */
#include <stdio.h>

#include "base/units.h"
#include "plan/json_text.h"
#include "plan/walk.h"

/* Each text of the tree by itself, so that a mistake has its own place. */
static bool check_json(struct walk *w, const struct ynode *node)
{
    struct plan_load *l = w->object;
    bool ok = true;
    if (node->tag && !json_text_is_int_tag(node->tag) &&
        strcmp(node->tag, "tag:yaml.org,2002:str") != 0) {
        problems_add(w->problems, node,
                     "the tag \"%.60s\" is not known: !int makes a number of a template",
                     node->tag);
        ok = false;
    }
    if (json_text_is_int_tag(node->tag) &&
        (node->kind != YAML_SCALAR || !json_text_is_int(node->text))) {
        problems_add(w->problems, node, "!int needs a whole number or exactly one {{...}}");
        ok = false;
    }
    if (node->kind == YAML_SCALAR && strstr(node->text, "{{")) {
        const struct template *t = load_template(w, node, 0, node->text, "");
        ok &= t != NULL;
        if (t && !template_json_safe(t, &l->vars)) {
            problems_add(w->problems, node,
                         "a value used here holds a quote or a backslash, which would break the "
                         "JSON");
            ok = false;
        }
    }
    yaml_for_each (child, node) {
        if (child->key && strstr(child->key->text, "{{"))
            ok &= load_template(w, child->key, 0, child->key->text, "") != NULL;
        ok &= check_json(w, child);
    }
    return ok;
}

static void read_body(struct walk *w, const struct ynode *node, const char *use,
                      struct plan_variant *ret)
{
    if (node->kind == YAML_SCALAR && strcmp(node->key->text, "body") == 0) {
        ret->body_text = node->text;
        ret->body = load_template(w, node, 0, node->text, use);
        return;
    }
    if (strcmp(node->key->text, "json") != 0 || !check_json(w, node))
        return;
    buf_clear(w->scratch);
    json_text_body(w->scratch, node);
    ret->body_text = arena_strdup(&w->plan->arena, buf_str(w->scratch));
    ret->body = load_template(w, node, 0, ret->body_text, use);
}

static const struct ynode *body_of(const struct ynode *map)
{
    const struct ynode *json = yaml_get(map, "json");
    return json ? json : yaml_get(map, "body");
}

static void read_choose(struct walk *w, const struct ynode *choose)
{
    struct plan_load *l = w->object;
    double sum = 0;
    l->variants = arena_array(&w->plan->arena, choose->count + 1, sizeof *l->variants);
    yaml_for_each (child, choose) {
        char use[32];
        const struct ynode *body = body_of(child), *weight = yaml_get(child, "weight");
        struct plan_variant *v = &l->variants[l->variants_n];
        snprintf(use, sizeof use, "body.%zu", l->variants_n++);
        v->weight = 1;
        if (weight && weight->kind == YAML_SCALAR)
            (void)units_number(str_of(weight->text), &v->weight);
        sum += v->weight;
        if (body)
            read_body(w, body, use, v);
        else if (child->kind == YAML_MAP)
            problems_add(w->problems, child, "an element of \"choose\" needs json or body");
    }
    if (l->variants_n == 0)
        problems_add(w->problems, choose, "\"choose\" needs at least one body");
    else if (sum <= 0)
        problems_add(w->problems, choose, "the weights of \"choose\" are all 0");
}

void load_bodies(struct walk *w, const struct ynode *load)
{
    struct plan_load *l = w->object;
    const struct ynode *choose = yaml_get(load, "choose"), *body = body_of(load);
    if (choose && choose->kind == YAML_SEQ && !body) {
        if (choose->count <= 100)
            read_choose(w, choose);
        return;
    }
    l->variants = arena_array(&w->plan->arena, 1, sizeof *l->variants);
    l->variants_n = 1;
    l->variants[0].weight = 1;
    if (body)
        read_body(w, body, "body", &l->variants[0]);
}
