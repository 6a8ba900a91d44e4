#include "fault/manifest_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define FIELDS_MAX 64

static const struct field *find_field(const struct field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static void unknown_field(struct reader *r, const struct ynode *key, const char *where,
                          const struct field *fields, size_t n)
{
    const char *names[FIELDS_MAX];
    for (size_t i = 0; i < n && i < FIELDS_MAX; i++)
        names[i] = fields[i].name;
    const char *near = str_nearest(key->text, names, n < FIELDS_MAX ? n : FIELDS_MAX);
    if (near)
        problems_add(&r->errors, key, "unknown key '%.100s' in %s; did you mean '%s'?", key->text,
                     where, near);
    else
        problems_add(&r->errors, key, "unknown key '%.100s' in %s", key->text, where);
}

bool read_kind(struct reader *r, const struct ynode *node, enum ykind kind, const char *what)
{
    if (node->kind == kind)
        return true;
    problems_add(&r->errors, node, "%s must be %s, not %s", what, yaml_kind_name(kind),
                 yaml_kind_name(node->kind));
    return false;
}

void read_fields(struct reader *r, struct ynode *map, const char *where, const struct field *fields,
                 size_t n)
{
    if (yaml_is_null(map) || !read_kind(r, map, YAML_MAP, where))
        return;
    yaml_for_each (child, map) {
        const struct field *f = find_field(fields, n, child->key->text);
        if (!f)
            unknown_field(r, child->key, where, fields, n);
        else if (f->read && !yaml_is_null(child)) /* as the API server: null is absent */
            f->read(r, child);
        else if (f->instead && !yaml_is_null(child))
            problems_add(&r->warnings, child->key, "%s.%s: %s", where, f->name, f->instead);
    }
}

bool looks_typed(const struct ynode *node)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "y", "n"};
    double number;
    struct str text = str_of(node->text);
    if (node->kind != YAML_SCALAR || node->style != YAML_PLAIN)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_case_eq(text, str_of(words[i])))
            return true;
    return units_number(text, &number) == 0;
}

const char *read_text(struct reader *r, const struct ynode *node, const char *what)
{
    if (!read_kind(r, node, YAML_SCALAR, what))
        return NULL;
    if (strstr(node->text, "{{")) {
        problems_add(&r->errors, node, "%s holds an unrendered template: render it first", what);
        return NULL;
    }
    if (looks_typed(node))
        problems_add(&r->warnings, node,
                     "%s must be a text, which a cluster insists on; taken as \"%.60s\"", what,
                     node->text);
    return node->text;
}

bool read_int(struct reader *r, const struct ynode *node, const char *what, int64_t *ret)
{
    if (!read_kind(r, node, YAML_SCALAR, what))
        return false;
    if (units_int(str_of(node->text), ret) < 0) {
        problems_add(&r->errors, node, "%s must be a whole number, not '%.60s'", what, node->text);
        return false;
    }
    if (node->style != YAML_PLAIN)
        problems_add(&r->warnings, node,
                     "%s must be a number, which a cluster insists on; taken as %.60s", what,
                     node->text);
    return true;
}

struct plan_strs read_texts(struct reader *r, const struct ynode *node, const char *what)
{
    struct plan_strs list = {0};
    if (!read_kind(r, node, YAML_SEQ, what))
        return list;
    list.v = arena_array(r->a, node->count + 1, sizeof *list.v);
    yaml_for_each (item, node) {
        const char *text = read_text(r, item, what);
        if (text && *text)
            list.v[list.n++] = text;
        else if (text)
            problems_add(&r->errors, item, "%s holds an empty name", what);
    }
    return list;
}

struct ynode *read_given(const struct ynode *map, const char *key)
{
    struct ynode *node = yaml_get(map, key);
    return node && !yaml_is_null(node) ? node : NULL;
}

const char *words_listed(struct arena *a, const char *const *words, size_t n)
{
    const char *list = words[0];
    for (size_t i = 1; i < n; i++)
        list = arena_printf(a, "%s%s%s", list, i + 1 < n ? ", " : " or ", words[i]);
    return list;
}

const char *read_word(struct reader *r, const struct ynode *node, const char *what,
                      const char *const *words, size_t n)
{
    const char *text = read_text(r, node, what);
    for (size_t i = 0; text && i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return words[i];
    if (!text)
        return NULL;
    const char *near = str_nearest(text, words, n);
    problems_add(&r->errors, node, "unknown %s '%.60s': %s%s", what, text,
                 near ? "did you mean " : "", near ? near : words_listed(r->a, words, n));
    return NULL;
}
