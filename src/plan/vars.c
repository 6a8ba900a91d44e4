/* {{name}} in any text of the plan: values declared under `vars`, or in the environment by way of
 * it. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "plan/sources.h"
#include "plan/walk.h"

#define VARS_MAX  500
#define NAMES_MAX (VARS_MAX + 1)
#define BUILT_IN  "plan.dir"

struct var {
    const char *name, *value;
    bool secret;
};

struct scope {
    struct sources *s;
    struct var vars[NAMES_MAX]; /* one is built in */
    size_t n;
    const struct ynode *load;   /* inside a load: its node; unknown names are the template's */
    const struct ynode *values; /* while reading `vars`: the map */
    bool open;                  /* what is read here is shown in reports: no secrets */
};

/* {{ name }} or {{"text"}} at p. Returns its length, 0 when it is something else. */
static size_t take_reference(const char *p, struct str *ret_name, bool *ret_literal)
{
    const char *q = p + 2;
    while (*q == ' ')
        q++;
    const char *from = q;
    *ret_literal = *q == '"';
    if (*ret_literal) {
        from = ++q;
        while (*q && *q != '"' && *q != '\n')
            q++;
        *ret_name = (struct str){from, (size_t)(q - from)};
        if (*q++ != '"')
            return 0;
    } else {
        while (isalnum((unsigned char)*q) || *q == '_' || (q > from && (*q == '-' || *q == '.')))
            q++;
        *ret_name = (struct str){from, (size_t)(q - from)};
        if (q == from || isdigit((unsigned char)*from))
            return 0;
    }
    while (*q == ' ')
        q++;
    return q[0] == '}' && q[1] == '}' ? (size_t)(q + 2 - p) : 0;
}

static const struct var *var_find(const struct scope *scope, struct str name)
{
    const struct ynode *own = yaml_get(scope->load, "vars");
    if (own && own->kind == YAML_MAP)
        yaml_for_each (child, own)
            if (str_eq(str_of(child->key->text), name))
                return NULL; /* the load's own value hides the plan's */
    for (size_t i = 0; i < scope->n; i++)
        if (str_eq(str_of(scope->vars[i].name), name))
            return &scope->vars[i];
    return NULL;
}

static void add_unknown(struct scope *scope, const struct ynode *node, size_t offset,
                        struct str name)
{
    const char *names[NAMES_MAX];
    char wrong[80], near[160];
    size_t n = 0;
    snprintf(wrong, sizeof wrong, "%.*s", name.n < sizeof wrong ? (int)name.n : 79, name.p);
    if (scope->values && yaml_get(scope->values, wrong)) {
        problems_add_inside(scope->s->problems, node, offset,
                            "variable \"%s\" is declared below; move it up", wrong);
        return;
    }
    for (size_t i = 0; i < scope->n && !problems_full(scope->s->problems); i++)
        names[n++] = scope->vars[i].name;
    walk_nearest(wrong, names, n, near, sizeof near);
    problems_add_inside(scope->s->problems, node, offset, "unknown variable \"%s\"%s", wrong,
                        near[0] ? near : "; declare it under \"vars\"");
}

static void add_edit(struct scope *scope, struct yedit ***end, size_t at, size_t was, size_t now)
{
    struct yedit *edit = arena_alloc(scope->s->arena, sizeof *edit);
    *edit = (struct yedit){at, was, now, NULL};
    **end = edit;
    *end = &edit->next;
}

/* Replaces in one scalar; `keep` gets the text with secrets and quoted braces as they were. */
static void expand(struct scope *scope, struct ynode *node)
{
    struct buf text = {0}, keep = {0};
    struct yedit **end = &node->edits;
    const char *p = node->text;
    bool kept = false;
    for (const char *open; (open = strstr(p, "{{"));) {
        struct str name;
        bool literal;
        size_t n = take_reference(open, &name, &literal);
        const struct var *var = n && !literal ? var_find(scope, name) : NULL;
        bool replace = n && (var || (literal && !scope->load));
        if (n && !replace && !scope->load)
            add_unknown(scope, node, (size_t)(open - node->text), name);
        if (!replace) {
            buf_add(&text, p, (size_t)(open + 2 - p));
            buf_add(&keep, p, (size_t)(open + 2 - p));
            p = open + 2;
            continue;
        }
        struct str now = var ? str_of(var->value) : name;
        if (var && var->secret && scope->open)
            problems_add_inside(scope->s->problems, node, (size_t)(open - node->text),
                                "\"%s\" is a secret, and this is shown in reports; secrets go into "
                                "texts under lab and load",
                                var->name);
        buf_add(&text, p, (size_t)(open - p));
        buf_add(&keep, p, (size_t)(open - p));
        add_edit(scope, &end, (size_t)(open - node->text), n, now.n);
        if (!sources_grow(scope->s, node, now.n))
            break;
        buf_add(&text, now.p, now.n);
        bool hide = !var || var->secret;
        buf_add(&keep, hide ? open : now.p, hide ? n : now.n);
        kept |= hide;
        p = open + n;
    }
    if (node->edits) {
        buf_add_str(&text, p);
        buf_add_str(&keep, p);
        node->text = arena_strdup(scope->s->arena, buf_str(&text));
        if (kept)
            node->keep = arena_strdup(scope->s->arena, buf_str(&keep));
    }
    buf_done(&text);
    buf_done(&keep);
}

/* A null is an empty text from here on, however it was written. */
static void settle_null(struct ynode *node)
{
    static const char *const nulls[] = {"~", "null", "Null", "NULL"};
    for (size_t i = 0; i < ARRAY_SIZE(nulls) && node->style == YAML_PLAIN && !node->tag; i++)
        if (strcmp(node->text, nulls[i]) == 0)
            node->text = "";
}

/* Names are shown everywhere: no secrets. */
static bool expand_key(struct scope *scope, struct ynode *key)
{
    bool open = scope->open;
    if (!strstr(key->text, "{{"))
        return false;
    scope->open = true;
    expand(scope, key);
    scope->open = open;
    return key->edits != NULL;
}

/* After replacements the keys of a map must still differ. */
static void check_keys(struct scope *scope, const struct ynode *map)
{
    struct ynode **sorted = yaml_sorted(map);
    for (size_t i = 1; i < map->count; i++)
        if (strcmp(sorted[i - 1]->key->text, sorted[i]->key->text) == 0)
            problems_add(scope->s->problems, sorted[i]->key, "duplicate key \"%.100s\"",
                         sorted[i]->key->text);
    free(sorted);
}

static void expand_tree(struct scope *scope, struct ynode *node)
{
    if (node->kind == YAML_SCALAR) {
        settle_null(node);
        expand(scope, node);
    }
    bool changed = false;
    yaml_for_each (child, node) {
        if (child->key)
            changed |= expand_key(scope, child->key);
        expand_tree(scope, child);
    }
    if (changed)
        check_keys(scope, node);
}

static bool name_legal(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    return n > 0 && !name[n] && !isdigit((unsigned char)name[0]) && name[0] != '-' &&
           name[0] != '.';
}

/* --- declarations ----------------------------------------------------------------------------- */

static const char *text_of(const struct ynode *map, const char *key)
{
    const struct ynode *node = yaml_get(map, key);
    return node && node->kind == YAML_SCALAR ? node->text : NULL;
}

/* What is not right must stay, so that the walk tells it. */
static bool well_formed(const struct ynode *map)
{
    yaml_for_each (child, map) {
        const char *key = child->key->text;
        bool known = strcmp(key, "env") == 0 || strcmp(key, "default") == 0 ||
                     (strcmp(key, "secret") == 0 && strcmp(child->text, "false") == 0);
        if (!known || child->kind != YAML_SCALAR || child->tag)
            return false;
    }
    const char *env = text_of(map, "env");
    return env && env[0];
}

/* {env: NAME, default: ..., secret: ...}: a secret stays a declaration in the resolved plan, other
 * values are written into it. */
static void declare_env(struct scope *scope, struct ynode **link, struct var *var)
{
    struct ynode *node = *link;
    const char *env = text_of(node, "env"), *fallback = text_of(node, "default");
    const char *secret = text_of(node, "secret");
    var->secret = secret && strcmp(secret, "true") == 0;
    const char *value = env && env[0] ? getenv(env) : NULL;
    if (!value)
        value = fallback;
    if (!value && env && !scope->s->resolved)
        problems_add(scope->s->problems, yaml_get(node, "env"),
                     "environment variable \"%.80s\" is not set: set it, or give a default", env);
    var->value = arena_strdup(scope->s->arena, value ? value : "");
    struct err err = {0};
    struct ysource check = {.name = "", .text = str_of(var->value)};
    if (yaml_check_text(&check, &err) < 0) {
        problems_add(scope->s->problems, yaml_get(node, "env"),
                     "environment variable \"%.80s\" holds bytes that are not text", env);
        var->value = "";
    }
    if (var->secret || !well_formed(node))
        return;
    struct ynode *text = node_text(scope->s->arena, node, var->value);
    text->key = node->key;
    text->next = node->next;
    *link = text;
}

static void expand_rest(struct scope *scope, struct ynode *root, const struct ynode *vars)
{
    yaml_for_each (child, root) {
        const char *key = child->key->text;
        bool load = strcmp(key, "load") == 0 && child->kind == YAML_MAP;
        scope->open = !load && strcmp(key, "lab") != 0;
        if (child == vars || strcmp(key, "include") == 0)
            continue;
        if (!load) {
            expand_tree(scope, child);
            continue;
        }
        bool changed = false;
        yaml_for_each (one, child) {
            changed |= expand_key(scope, one->key);
            scope->load = one;
            expand_tree(scope, one);
            scope->load = NULL;
        }
        if (changed)
            check_keys(scope, child);
    }
}

void sources_vars(struct sources *s, struct ynode *root)
{
    struct scope *scope = xmalloc(sizeof *scope);
    struct ynode *vars = yaml_get(root, "vars");
    scope->s = s;
    if (s->dir)
        scope->vars[scope->n++] = (struct var){BUILT_IN, s->dir, false};
    if (vars && vars->kind == YAML_MAP) {
        scope->values = vars;
        for (struct ynode **link = &vars->first; *link && scope->n < NAMES_MAX;
             link = &(*link)->next) {
            struct var var = {(*link)->key->text, "", false};
            if (strcmp(var.name, BUILT_IN) == 0)
                problems_add(s->problems, (*link)->key,
                             "\"" BUILT_IN
                             "\" is built in: the plan's folder; choose another name");
            if (!name_legal(var.name))
                problems_add(
                    s->problems, (*link)->key,
                    "a variable's name is made of letters, digits, \"_\", \"-\" and \".\", and "
                    "starts with a letter or \"_\"");
            if ((*link)->kind == YAML_SCALAR) {
                expand_tree(scope, *link);
                var.value = (*link)->text;
                var.secret = (*link)->keep != NULL; /* made of a secret */
            } else if ((*link)->kind == YAML_MAP) {
                declare_env(scope, link, &var);
            }
            if (var.secret)
                problems_hide(s->problems, var.value);
            scope->vars[scope->n++] = var;
        }
        scope->values = NULL;
    }
    expand_rest(scope, root, vars);
    free(scope);
}
