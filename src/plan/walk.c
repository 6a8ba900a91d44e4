#include "plan/walk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_BYTES 128
#define NAMES_MAX  64

static void walk_node(struct walk *w, const char *parent, const char *name, struct ynode *node);

struct plan_pos walk_pos(const struct ynode *node)
{
    return (struct plan_pos){node->file, node->line, node->column};
}

const char *walk_nearest(const char *wrong, const char *const *names, size_t n, char *buf,
                         size_t cap)
{
    const char *near = str_nearest(wrong, names, n);
    buf[0] = '\0';
    if (near)
        snprintf(buf, cap, ", did you mean \"%s\"?", near);
    return buf;
}

void walk_host_name(struct walk *w, const struct ynode *key)
{
    const char *p = key->text;
    size_t n = strlen(p), legal = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || n > 63 || legal != n || p[0] == '-' || p[n - 1] == '-')
        problems_add(w->problems, key,
                     "\"%.80s\" is no name here: small letters, digits and hyphens inside, at most "
                     "63, as in a host name",
                     p);
}

/* --- maps and lists --------------------------------------------------------------------------- */

static void add_unknown(struct walk *w, const char *parent, const struct ynode *key)
{
    const char *names[NAMES_MAX];
    char near[160];
    size_t n = key_names(parent, names, NAMES_MAX);
    if (problems_full(w->problems)) {
        problems_add(w->problems, key, "unknown key");
        return;
    }
    walk_nearest(key->text, names, n, near, sizeof near);
    if (near[0])
        problems_add(w->problems, key, "unknown key \"%.80s\"%s", key->text, near);
    else {
        char list[300];
        size_t used = 0;
        for (size_t i = 0; i < n && used < sizeof list; i++)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        problems_add(w->problems, key, "unknown key \"%.80s\": known here are %s", key->text, list);
    }
}

/* Of a group's rows only one may stand in the map; the later one in the file is the mistake. */
static void check_groups(struct walk *w, const char *pattern, struct ynode *map)
{
    yaml_for_each (child, map) {
        const struct key *key = key_find(pattern, child->key->text);
        if (!key || !key->one_of)
            continue;
        for (struct ynode *before = map->first; before != child; before = before->next) {
            const struct key *other = key_find(pattern, before->key->text);
            if (!other || !other->one_of || strcmp(other->one_of, key->one_of) != 0)
                continue;
            problems_add(w->problems, child->key,
                         "\"%s\" and \"%s\" cannot stand together: choose one", before->key->text,
                         child->key->text);
            break;
        }
    }
}

static void check_required(struct walk *w, const char *pattern, struct ynode *map)
{
    for (size_t i = 0; i < keys_n; i++) {
        const struct key *key = &keys[i];
        if (!key->required || strcmp(key->parent, pattern) != 0 || yaml_get(map, key->name))
            continue;
        const struct ynode *at = map->key ? map->key : map;
        if (map->key)
            problems_add(w->problems, at, "\"%.80s\" needs the key \"%s\": %s", map->key->text,
                         key->name, key->help);
        else
            problems_add(w->problems, at, "the key \"%s\" is missing: %s", key->name, key->help);
    }
}

static void walk_map(struct walk *w, const char *pattern, struct ynode *node)
{
    yaml_for_each (child, node) {
        if (key_find(pattern, child->key->text) && strcmp(child->key->text, "*") != 0)
            walk_node(w, pattern, child->key->text, child);
        else
            add_unknown(w, pattern, child->key);
    }
    check_groups(w, pattern, node);
    check_required(w, pattern, node);
}

static const struct owner *owner_find(const char *path)
{
    for (size_t i = 0; i < owners_n; i++)
        if (strcmp(owners[i].path, path) == 0)
            return &owners[i];
    return NULL;
}

/* The owner that a row's field belongs to: the longest owner path that its parent starts with. */
static const struct owner *owner_of(const struct key *key)
{
    const struct owner *best = NULL;
    for (size_t i = 0; i < owners_n; i++) {
        size_t n = strlen(owners[i].path);
        if (strncmp(key->parent, owners[i].path, n) != 0)
            continue;
        if (n && key->parent[n] && key->parent[n] != '.' && key->parent[n] != '[')
            continue;
        if (!best || n > strlen(best->path))
            best = &owners[i];
    }
    return best;
}

static void set_defaults(struct walk *w, const struct owner *owner)
{
    for (size_t i = 0; i < keys_n; i++) {
        const struct key *key = &keys[i];
        struct key_value value;
        if (!key->def || !key->field.size || owner_of(key) != owner)
            continue;
        if (key_type_numeric(key->type)) {
            int rc = key_type_parse(key, str_of(key->def), &value);
            assert(rc == 0);
            (void)rc;
            walk_store_number(key, &value, w->object);
        } else if (key->type != KEY_CODES) { /* codes: load_enter */
            memcpy((char *)w->object + key->field.offset, &key->def, sizeof key->def);
        }
    }
}

static void walk_children(struct walk *w, const struct key *key, const char *pattern,
                          struct ynode *node)
{
    switch (key->type) {
    case KEY_MAP: walk_map(w, pattern, node); break;
    case KEY_NAMED:
        yaml_for_each (child, node)
            walk_node(w, pattern, "*", child);
        break;
    case KEY_LIST:
        yaml_for_each (child, node)
            walk_node(w, pattern, "[]", child);
        break;
    default: assert(!"a map or list");
    }
}

static void walk_inner(struct walk *w, const struct key *key, struct ynode *node)
{
    char pattern[PATH_BYTES];
    key_path(key, pattern, sizeof pattern);
    const struct owner *owner = owner_find(pattern);
    void *outer = w->object;
    const struct ynode *outer_node = w->object_node;

    size_t most = key->max ? (size_t)strtoul(key->max, NULL, 10) : SIZE_MAX;
    if (node->count > most) {
        problems_add(w->problems, node, "\"%.80s\" may hold at most %zu, not %zu",
                     walk_label(key, node), most, node->count);
        return;
    }
    if (key->hook)
        key->hook(w, key, node);
    if (owner) {
        w->object = owner->enter(w, node);
        w->object_node = node;
        set_defaults(w, owner);
    }
    walk_children(w, key, pattern, node);
    if (owner) {
        owner->leave(w, node);
        w->object = outer;
        w->object_node = outer_node;
    }
}

/* Picks the row whose type accepts the node's form. */
static const struct key *pick_form(const struct key *key, const struct ynode *node)
{
    const char *parent = key->parent, *name = key->name;
    for (; key < keys + keys_n; key++) {
        if (strcmp(key->parent, parent) != 0 || strcmp(key->name, name) != 0)
            return NULL;
        if (key_type_accepts(key->type, node->kind))
            return key;
    }
    return NULL;
}

static bool check_tag(struct walk *w, const struct ynode *node)
{
    if (!node->tag || strcmp(node->tag, "tag:yaml.org,2002:str") == 0)
        return true;
    problems_add(w->problems, node,
                 "the tag \"%.60s\" means nothing here; put quotes around a text that starts "
                 "with \"!\"",
                 node->tag);
    return false;
}

static void walk_node(struct walk *w, const char *parent, const char *name, struct ynode *node)
{
    const struct key *first = key_find(parent, name), *key = pick_form(first, node);
    if (first->type != KEY_JSON && !check_tag(w, node))
        return;
    if (!key) {
        walk_wrong_type(w, first, node);
        return;
    }
    if (key->type == KEY_MAP || key->type == KEY_NAMED || key->type == KEY_LIST)
        walk_inner(w, key, node);
    else if (walk_value(w, key, node) && key->hook)
        key->hook(w, key, node);
}

void walk_plan(struct walk *w, struct ynode *root)
{
    w->refs_end = &w->refs;
    w->object = w->plan;
    w->object_node = root;
    set_defaults(w, &owners[0]);
    walk_map(w, "", root);
}
