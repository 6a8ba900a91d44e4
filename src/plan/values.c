/* One value of a plan: its node against its row of the table, into the struct of its owner. */
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "plan/walk.h"

/* What the user calls the node. */
const char *walk_label(const struct key *key, const struct ynode *node)
{
    return node->key ? node->key->text : key->name;
}

void walk_store_number(const struct key *key, const struct key_value *value, void *object)
{
    char *at = (char *)object + key->field.offset;
    if (key->type == KEY_NUMBER || key->type == KEY_RATE) {
        assert(key->field.size == sizeof(double));
        memcpy(at, &value->d, sizeof(double));
        return;
    }
    switch (key->field.size) {
    case 1: *(bool *)at = value->i != 0; break;
    case 2: *(uint16_t *)at = (uint16_t)value->i; break;
    case 4: *(int32_t *)at = (int32_t)value->i; break;
    case 8: *(int64_t *)at = value->i; break;
    default: assert(!"a number's size");
    }
}

void walk_wrong_type(struct walk *w, const struct key *key, const struct ynode *node)
{
    char forms[256];
    size_t n = 0;
    /* a key with several forms has its rows one after the other */
    for (const struct key *k = key; k < keys + keys_n && strcmp(k->parent, key->parent) == 0 &&
                                    strcmp(k->name, key->name) == 0 && n < sizeof forms;
         k++) {
        const char *needs = k->type == KEY_CHOICE ? k->choices : key_type_needs(k->type);
        n += (size_t)snprintf(forms + n, sizeof forms - n, "%s%s%s", n ? ", or " : "",
                              k->type == KEY_CHOICE ? "one of " : "", needs);
    }
    char label[100];
    if (node->key || strcmp(key->name, "[]") != 0)
        snprintf(label, sizeof label, "\"%.80s\"", walk_label(key, node));
    else
        key_one(key, label, sizeof label);
    if (yaml_is_null(node) && node->text[0] == '\0')
        problems_add(w->problems, node, "%s needs %s; nothing is here", label, forms);
    else if (node->kind == YAML_SCALAR)
        problems_add(w->problems, node, "%s needs %s, not \"%.80s\"", label, forms, node->text);
    else
        problems_add(w->problems, node, "%s needs %s, not %s", label, forms,
                     yaml_kind_name(node->kind));
}

static void add_out_of_range(struct walk *w, const struct key *key, const struct ynode *node,
                             const char *unit)
{
    char text[160];
    const char *min = key->min, *max = key->max;
    if (min && max && strcmp(min, max) == 0)
        snprintf(text, sizeof text, "must be %s", min);
    else if (min && max)
        snprintf(text, sizeof text, "must be from %s to %s", min, max);
    else
        snprintf(text, sizeof text, "must be at %s %s", min ? "least" : "most", min ? min : max);
    if (*unit)
        problems_add(w->problems, node, "\"%.80s\" %s%s long, not %zu", walk_label(key, node), text,
                     unit, strlen(node->text));
    else
        problems_add(w->problems, node, "\"%.80s\" %s, not %.80s", walk_label(key, node), text,
                     node->text);
}

static void add_wrong_number(struct walk *w, const struct key *key, const struct ynode *node)
{
    double number;
    if (key->type == KEY_RATE && units_number(str_of(node->text), &number) == 0)
        problems_add(w->problems, node, "\"%.80s\" needs %s: give a unit, %.40s/s or %.40s/min",
                     walk_label(key, node), key_type_needs(key->type), node->text, node->text);
    else
        walk_wrong_type(w, key, node);
}

static bool number_value(struct walk *w, const struct key *key, struct ynode *node)
{
    struct key_value value;
    if (key_type_parse(key, str_of(node->text), &value) < 0) {
        add_wrong_number(w, key, node);
        return false;
    }
    if (key_check_range(key, &value) < 0) {
        add_out_of_range(w, key, node, "");
        return false;
    }
    if (key->field.size)
        walk_store_number(key, &value, w->object);
    return true;
}

static bool check_length(struct walk *w, const struct key *key, const struct ynode *node)
{
    size_t n = strlen(node->text);
    int64_t min = 0, max = INT64_MAX;
    if ((key->min && strcmp(key->min, "1") == 0) && n == 0) {
        problems_add(w->problems, node, "\"%.80s\" must not be empty", walk_label(key, node));
        return false;
    }
    if (key->min)
        sscanf(key->min, "%" SCNd64, &min);
    if (key->max)
        sscanf(key->max, "%" SCNd64, &max);
    if ((int64_t)n >= min && (int64_t)n <= max)
        return true;
    add_out_of_range(w, key, node, " bytes");
    return false;
}

bool walk_strings(struct walk *w, const struct key *key, struct ynode *node, struct plan_strs *ret)
{
    size_t n = node->kind == YAML_SEQ ? node->count : 1;
    ret->v = arena_array(&w->plan->arena, n + 1, sizeof *ret->v);
    ret->n = 0;
    if (node->kind == YAML_SCALAR) {
        ret->v[ret->n++] = node->text;
        return true;
    }
    bool ok = true;
    yaml_for_each (child, node) {
        if (child->kind != YAML_SCALAR || yaml_is_null(child)) {
            problems_add(w->problems, child, "\"%.80s\" needs a list of texts, not %s in it",
                         walk_label(key, node),
                         child->kind == YAML_SCALAR ? "nothing" : yaml_kind_name(child->kind));
            ok = false;
            continue;
        }
        ret->v[ret->n++] = child->text;
    }
    return ok;
}

static bool pairs_value(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_kv *pairs = arena_array(&w->plan->arena, node->count, sizeof *pairs);
    size_t n = 0;
    bool ok = true;
    yaml_for_each (child, node) {
        if (child->kind != YAML_SCALAR) {
            problems_add(w->problems, child, "\"%.80s\" needs a text, not %s", child->key->text,
                         yaml_kind_name(child->kind));
            ok = false;
            continue;
        }
        pairs[n++] = (struct plan_kv){child->key->text, child->text};
    }
    assert(key->field.size == sizeof pairs && key->count.size == sizeof n);
    memcpy((char *)w->object + key->field.offset, &pairs, sizeof pairs);
    memcpy((char *)w->object + key->count.offset, &n, sizeof n);
    return ok;
}

static int parse_code(const char *text)
{
    if (text[0] < '1' || text[0] > '5' || strlen(text) != 3)
        return -1;
    if (strcmp(text + 1, "xx") == 0)
        return text[0] - '0';
    if (!isdigit((unsigned char)text[1]) || !isdigit((unsigned char)text[2]))
        return -1;
    return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
}

static bool codes_value(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_strs texts;
    struct plan_codes codes = {0};
    if (!walk_strings(w, key, node, &texts))
        return false;
    codes.v = arena_array(&w->plan->arena, texts.n, sizeof *codes.v);
    bool ok = true;
    const struct ynode *at = node->kind == YAML_SEQ ? node->first : node;
    for (size_t i = 0; i < texts.n; i++, at = at->next) {
        int code = parse_code(texts.v[i]);
        if (code < 0) {
            problems_add(w->problems, at,
                         "\"%.80s\" needs statuses from 100 to 599, or classes such as 2xx, "
                         "not \"%.80s\"",
                         walk_label(key, node), texts.v[i]);
            ok = false;
        }
        codes.v[codes.n++] = code;
    }
    memcpy((char *)w->object + key->field.offset, &codes, sizeof codes);
    return ok;
}

static void add_ref(struct walk *w, enum key_type type, const struct ynode *node)
{
    struct ref *ref = arena_alloc(&w->plan->arena, sizeof *ref);
    *ref = (struct ref){type, node, NULL};
    *w->refs_end = ref;
    w->refs_end = &ref->next;
}

static void add_refs(struct walk *w, const struct key *key, const struct ynode *node)
{
    enum key_type one = key->type == KEY_SERVICES ? KEY_SERVICE
                        : key->type == KEY_PHASES ? KEY_PHASE
                                                  : key->type;
    if (node->kind == YAML_SCALAR)
        add_ref(w, one, node);
    else
        yaml_for_each (child, node)
            add_ref(w, one, child);
}

static bool regex_value(struct walk *w, const struct key *key, const struct ynode *node)
{
    char msg[128];
    size_t offset = 0;
    if (node->text[0] == '\0') {
        problems_add(w->problems, node, "\"%.80s\" must not be empty", walk_label(key, node));
        return false;
    }
    if (regex_check(node->text, msg, sizeof msg, &offset) == 0)
        return true;
    problems_add_inside(w->problems, node, offset, "\"%.80s\" is not a valid pattern: %s",
                        walk_label(key, node), msg);
    return false;
}

/* Texts of one scalar: true when the text is of its type. */
static bool text_value(struct walk *w, const struct key *key, struct ynode *node)
{
    bool ok = check_length(w, key, node);
    if (key->type == KEY_REGEX)
        ok = regex_value(w, key, node);
    if (key->type == KEY_PATH && node->text[0] != '/') {
        problems_add(w->problems, node, "\"%.80s\" needs %s, not \"%.80s\"", walk_label(key, node),
                     key_type_needs(key->type), node->text);
        ok = false;
    }
    if (key->field.size)
        memcpy((char *)w->object + key->field.offset, &node->text, sizeof node->text);
    return ok;
}

bool walk_value(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_strs strs;
    if (key_type_numeric(key->type))
        return number_value(w, key, node);
    switch (key->type) {
    case KEY_PAIRS: return pairs_value(w, key, node);
    case KEY_CODES: return codes_value(w, key, node);
    case KEY_SERVICE:
    case KEY_SERVICE_PORT:
    case KEY_LOAD:
    case KEY_PHASE: add_refs(w, key, node); return text_value(w, key, node);
    case KEY_STRINGS:
    case KEY_SERVICES:
    case KEY_PHASES:
        if (!walk_strings(w, key, node, &strs))
            return false;
        if (key->field.size)
            memcpy((char *)w->object + key->field.offset, &strs, sizeof strs);
        if (key->type != KEY_STRINGS)
            add_refs(w, key, node);
        return true;
    case KEY_WORDS:
    case KEY_JSON:
    case KEY_TEMPLATES: return true; /* by hook, or when the owner is left */
    case KEY_STRING:
    case KEY_ENDPOINT:
    case KEY_URL:
    case KEY_PATH:
    case KEY_TEMPLATE:
    case KEY_REGEX:
    case KEY_JSONPATH:
    case KEY_LIMIT_DURATION:
    case KEY_LIMIT_SHARE:
    case KEY_LIMIT_COUNT:
    case KEY_LIMIT_NUMBER:
    case KEY_NAME: return text_value(w, key, node);
    case KEY_MAP:
    case KEY_NAMED:
    case KEY_LIST:
    case KEY_BOOL:
    case KEY_INT:
    case KEY_NUMBER:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_RATE:
    case KEY_CHOICE:
    case KEY_SIGNAL:
    case KEY_TYPE_COUNT: break;
    }
    assert(!"a leaf");
    return false;
}
