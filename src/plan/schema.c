/* JSON Schema (draft 2020-12) from the key table. */
#include <stdio.h>

#include "base/json.h"
#include "plan/keys.h"

#define PATH_BYTES 128
#define NAMES_MAX  64

#define VARIABLE "{\"type\":\"string\",\"pattern\":\"\\\\{\\\\{\"}"

static void add_rows(struct json *j, const char *parent, const char *name);

static void add_required(struct json *j, const char *parent)
{
    bool any = false;
    for (size_t i = 0; i < keys_n; i++)
        any |= keys[i].required && strcmp(keys[i].parent, parent) == 0;
    if (!any)
        return;
    json_key(j, "required");
    json_array(j);
    for (size_t i = 0; i < keys_n; i++)
        if (keys[i].required && strcmp(keys[i].parent, parent) == 0)
            json_str(j, keys[i].name);
    json_end_array(j);
}

static void add_map(struct json *j, const char *parent)
{
    const char *names[NAMES_MAX];
    size_t n = key_names(parent, names, NAMES_MAX);
    json_key(j, "type");
    json_str(j, "object");
    json_key(j, "properties");
    json_object(j);
    for (size_t i = 0; i < n; i++) {
        json_key(j, names[i]);
        add_rows(j, parent, names[i]);
    }
    json_end_object(j);
    json_key(j, "additionalProperties");
    json_bool(j, false);
    add_required(j, parent);
}

static void add_range(struct json *j, const struct key *key, const char *type)
{
    json_object(j);
    json_key(j, "type");
    json_str(j, type);
    if (key->min) {
        json_key(j, "minimum");
        json_raw(j, key->min);
    }
    if (key->max) {
        json_key(j, "maximum");
        json_raw(j, key->max);
    }
    json_end_object(j);
    json_raw(j, VARIABLE);
}

static void add_choices(struct json *j, const struct key *key)
{
    struct str rest = str_of(key->choices);
    json_object(j);
    json_key(j, "enum");
    json_array(j);
    while (rest.n) {
        struct str word = str_split(&rest, ' ');
        json_strn(j, word.p, word.n);
    }
    json_end_array(j);
    json_end_object(j);
    json_raw(j, VARIABLE);
}

static void add_container(struct json *j, const char *type, const char *inside, const char *schema)
{
    json_object(j);
    json_key(j, "type");
    json_str(j, type);
    json_key(j, inside);
    json_raw(j, schema);
    json_end_object(j);
}

/* What stands inside "anyOf" for one form of a key. */
static void add_leaf(struct json *j, const struct key *key)
{
    if (key->type == KEY_PAIRS) {
        add_container(j, "object", "additionalProperties", key_type_schema(key->type));
    } else if (key->type == KEY_INT || key->type == KEY_NUMBER) {
        add_range(j, key, key->type == KEY_INT ? "integer" : "number");
    } else if (key->type == KEY_CHOICE) {
        add_choices(j, key);
    } else {
        json_raw(j, key_type_schema(key->type));
        if (key_type_accepts(key->type, YAML_SEQ) && key->type != KEY_JSON)
            add_container(j, "array", "items", key_type_schema(key->type));
    }
}

static void add_inner(struct json *j, const struct key *key)
{
    char path[PATH_BYTES];
    key_path(key, path, sizeof path);
    json_object(j);
    if (key->type == KEY_MAP) {
        add_map(j, path);
    } else {
        bool list = key->type == KEY_LIST;
        json_key(j, "type");
        json_str(j, list ? "array" : "object");
        json_key(j, list ? "items" : "additionalProperties");
        add_rows(j, path, list ? "[]" : "*");
    }
    json_end_object(j);
}

/* All forms of a key, as one schema. */
static void add_rows(struct json *j, const char *parent, const char *name)
{
    const struct key *key = key_find(parent, name);
    json_object(j);
    json_key(j, "description");
    json_str(j, key->help);
    if (key->def) {
        json_key(j, "default");
        json_str(j, key->def);
    }
    json_key(j, "anyOf");
    json_array(j);
    for (; key < keys + keys_n && strcmp(key->parent, parent) == 0 && strcmp(key->name, name) == 0;
         key++)
        if (key->type == KEY_MAP || key->type == KEY_NAMED || key->type == KEY_LIST)
            add_inner(j, key);
        else
            add_leaf(j, key);
    json_end_array(j);
    json_end_object(j);
}

void plan_schema(struct buf *out)
{
    struct json j;
    json_init(&j, out, 2);
    json_object(&j);
    json_key(&j, "$schema");
    json_str(&j, "https://json-schema.org/draft/2020-12/schema");
    json_key(&j, "title");
    json_str(&j, "squall plan");
    add_map(&j, "");
    json_end_object(&j);
    buf_add_char(out, '\n');
}
