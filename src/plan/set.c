/* --set path=value: overrides, written into the tree before anything is checked. */
#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "plan/keys.h"
#include "plan/sources.h"
#include "plan/walk.h"

#define SEGMENTS_MAX 32
#define NAMES_MAX    256

struct set {
    struct sources *s;
    const struct ysource *source;
    struct ynode *value;
    const char *path; /* without the value */
};

/* A node for errors at `offset` of the override. */
static struct ynode *place(struct set *set, size_t offset, const char *text)
{
    struct ynode *node = arena_alloc(set->s->arena, sizeof *node);
    *node = (struct ynode){.kind = YAML_SCALAR,
                           .style = YAML_PLAIN,
                           .file = set->source->name,
                           .line = 1,
                           .column = (int)offset + 1,
                           .source = set->source,
                           .begin = offset,
                           .text = text};
    return node;
}

static void move_nodes(struct ynode *node, const struct ysource *source, size_t by)
{
    if (node->line == 1)
        node->column += (int)by;
    node->begin += by;
    node->source = source;
    if (node->key)
        move_nodes(node->key, source, by);
    yaml_for_each (child, node)
        move_nodes(child, source, by);
}

/* Collections and quoted texts are YAML; everything else is taken as it stands, so that `> 60%` and
 * `a: b` need no quotes of their own. */
static struct ynode *read_value(struct set *set, const char *text, size_t at)
{
    const char *value = text + at;
    if (!value[0] || !strchr("{[\"'", value[0]))
        return place(set, at, arena_strdup(set->s->arena, value));
    struct ydocs docs;
    struct err err = {0};
    int rc = yaml_read(set->s->arena, set->source->name, str_of(value), &docs, &err);
    if (rc < 0) {
        if (err.line == 1)
            err.column += (int)at;
        problems_add_err(set->s->problems, set->source, &err);
        return NULL;
    }
    if (docs.n != 1) {
        problems_add(set->s->problems, place(set, at, ""), "the value is not one YAML value");
        return NULL;
    }
    move_nodes(docs.v[0], set->source, at);
    return docs.v[0];
}

/* Below labels, env, headers and files all of the rest is one name, dots included. */
static bool names_end_here(const char *pattern)
{
    char path[128];
    for (size_t i = 0; i < keys_n; i++)
        if (keys[i].type == KEY_PAIRS &&
            strcmp(key_path(&keys[i], path, sizeof path), pattern) == 0)
            return true;
    return strcmp(pattern, "lab.services.*.files") == 0;
}

/* How much of the path is the next key: the longest key of the map that ends at a dot or at the
 * end, else up to the first dot. */
static size_t segment_bytes(const struct ynode *at, const char *pattern, const char *path)
{
    size_t best = 0;
    if (names_end_here(pattern))
        return strlen(path);
    if (at && at->kind == YAML_MAP)
        yaml_for_each (child, at) {
            size_t n = strlen(child->key->text);
            if (n > best && strncmp(path, child->key->text, n) == 0 && (!path[n] || path[n] == '.'))
                best = n;
        }
    return best ? best : strcspn(path, ".");
}

/* Names below these are the plan's own: an override of one that is not there is a slip. */
static bool must_exist(const char *pattern)
{
    return strcmp(pattern, "vars") == 0 || strcmp(pattern, "lab.services") == 0 ||
           strcmp(pattern, "load") == 0;
}

static void add_no_name(struct set *set, const struct ynode *map, const struct ynode *at)
{
    const char *names[NAMES_MAX];
    char near[160];
    size_t n = 0;
    if (map)
        yaml_for_each (child, map)
            if (n < NAMES_MAX)
                names[n++] = child->key->text;
    walk_nearest(at->text, names, n, near, sizeof near);
    problems_add(set->s->problems, at, "the plan has no \"%.80s\" here%s", at->text, near);
}

static void step_pattern(char *pattern, size_t cap, const char *segment)
{
    char next[128];
    const char *dot = pattern[0] ? "." : "";
    if (key_find(pattern, "[]"))
        snprintf(next, sizeof next, "%s[]", pattern);
    else if (key_find(pattern, segment))
        snprintf(next, sizeof next, "%s%s%s", pattern, dot, segment);
    else
        snprintf(next, sizeof next, "%s%s*", pattern, dot);
    snprintf(pattern, cap, "%s", next);
}

static struct ynode **list_element(struct set *set, struct ynode *list, const struct ynode *at)
{
    int64_t index;
    struct ynode **link = &list->first;
    if (units_int(str_of(at->text), &index) < 0 || index < 0 || (uint64_t)index >= list->count) {
        problems_add(set->s->problems, at,
                     "\"%.80s\" is no element of this list: it has %zu, counted from 0", at->text,
                     list->count);
        return NULL;
    }
    while (index-- > 0)
        link = &(*link)->next;
    return link;
}

/* The place of a key in its map; made when it is not there yet. */
static struct ynode **map_entry(struct set *set, struct ynode *map, struct ynode *at,
                                const char *pattern)
{
    if (!yaml_get(map, at->text)) {
        if (must_exist(pattern)) {
            add_no_name(set, map, at);
            return NULL;
        }
        node_append(map, at, node_map(set->s->arena, at));
    }
    struct ynode **link = &map->first;
    while (strcmp((*link)->key->text, at->text) != 0)
        link = &(*link)->next;
    return link;
}

static void put_value(struct set *set, struct ynode **link, struct ynode *at)
{
    struct ynode *old = *link;
    set->value->key = old->key ? at : NULL; /* errors about the key point at the override too */
    set->value->next = old->next;
    *link = set->value;
}

static void apply(struct set *set, struct ynode *root)
{
    char pattern[128] = "";
    struct ynode *node = root;
    const char *path = set->path;
    for (int depth = 0; depth < SEGMENTS_MAX; depth++) {
        size_t offset = (size_t)(path - set->path), n = segment_bytes(node, pattern, path);
        struct ynode *at = place(set, offset, arena_strndup(set->s->arena, path, n));
        struct ynode **link = node->kind == YAML_SEQ   ? list_element(set, node, at)
                              : node->kind == YAML_MAP ? map_entry(set, node, at, pattern)
                                                       : NULL;
        if (!link) {
            if (node->kind == YAML_SCALAR)
                problems_add(set->s->problems, at, "\"%.80s\": there is nothing below a text",
                             at->text);
            return;
        }
        step_pattern(pattern, sizeof pattern, at->text);
        path += n;
        if (!*path) {
            put_value(set, link, at);
            return;
        }
        path++;
        bool form = (*link)->kind == YAML_SCALAR && yaml_is_null(*link);
        if (form) { /* `limits:` without a value, or a short form, becomes a map */
            struct ynode *map = node_map(set->s->arena, at);
            map->key = (*link)->key;
            map->next = (*link)->next;
            *link = map;
        }
        node = *link;
    }
    problems_add(set->s->problems, place(set, 0, ""), "the path is too long");
}

void sources_set(struct sources *s, struct ynode *root, const char *const *sets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ysource *source = arena_alloc(s->arena, sizeof *source);
        source->name = "--set";
        source->text = str_of(arena_strdup(s->arena, sets[i]));
        source->order = (int)(SOURCES_MAX + 1 + i);
        struct set set = {.s = s, .source = source};
        size_t eq = strcspn(sets[i], "=");
        if (strncmp(sets[i], "include", eq) == 0 && eq == strlen("include")) {
            problems_add(s->problems, place(&set, 0, ""),
                         "files are included before overrides are read; write it into the plan");
            continue;
        }
        if (!sets[i][eq] || eq == 0) {
            problems_add(s->problems, place(&set, eq, ""),
                         "write PATH=VALUE, such as load.alerts.arrive.rate=50/s");
            continue;
        }
        struct err err = {0};
        if (yaml_check_text(source, &err) < 0) {
            problems_add_err(s->problems, source, &err);
            continue;
        }
        set.path = arena_strndup(s->arena, sets[i], eq);
        set.value = read_value(&set, source->text.p, eq + 1);
        if (set.value)
            apply(&set, root);
    }
}
