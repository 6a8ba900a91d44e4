/* load.*: URLs, bodies, headers, settlement: what becomes templates once all of a load was read. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "plan/jsonpath.h"
#include "plan/walk.h"

#define OPEN_CONNECTIONS 256

void *load_enter(struct walk *w, struct ynode *node)
{
    static int accepted[] = {2}, refused[] = {429, 503};
    struct plan_load *l = &w->plan->loads[w->plan->loads_n++];
    l->name = node->key->text;
    walk_host_name(w, node->key);
    l->pos = l->url_pos = walk_pos(node->key);
    l->accepted = (struct plan_codes){accepted, ARRAY_SIZE(accepted)};
    l->refused = (struct plan_codes){refused, ARRAY_SIZE(refused)};
    return l;
}

/* --- URL -------------------------------------------------------------------------------------- */

static bool host_legal(struct str host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!isalnum((unsigned char)host.p[i]) && !strchr("-._:", host.p[i]))
            return false;
    return host.n > 0 && host.n <= 253;
}

void load_url(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_load *l = w->object;
    const char *text = node->text, *authority;
    char method[16] = {0};
    int64_t port = 80;

    for (size_t i = 0; key->name[i] && i < sizeof method - 1; i++)
        method[i] = (char)toupper((unsigned char)key->name[i]);
    l->method = arena_strdup(&w->plan->arena, method);
    l->url_pos = walk_pos(node);
    if (strncmp(text, "https://", 8) == 0) {
        problems_add(w->problems, node, "only http:// URLs can be loaded, not https://");
        return;
    }
    if (strncmp(text, "http://", 7) != 0) {
        problems_add(w->problems, node, "\"%s\" needs %s, not \"%.80s\"", key->name,
                     key_type_needs(key->type), text);
        return;
    }
    authority = text + 7;
    size_t n = strcspn(authority, "/?#");
    struct str host = {authority, n};
    size_t bracket = authority[0] == '[' ? strcspn(authority, "]") : 0;
    const char *colon = memchr(authority + bracket, ':', n - (bracket < n ? bracket : n));
    if (colon) {
        host.n = (size_t)(colon - authority);
        struct str digits = {colon + 1, n - host.n - 1};
        if (units_int(digits, &port) < 0 || port < 1 || port > 65535) {
            problems_add_inside(w->problems, node, (size_t)(colon + 1 - text),
                                "the port must be from 1 to 65535");
            return;
        }
    }
    if (bracket && host.n > 2)
        host = (struct str){host.p + 1, host.n - 2};
    if (!host_legal(host)) {
        problems_add_inside(w->problems, node, (size_t)(authority - text),
                            "this is no host name: a service's name or an address is needed, "
                            "without templates");
        return;
    }
    l->scheme = "http";
    l->host = arena_strndup(&w->plan->arena, host.p, host.n);
    l->port = (uint16_t)port;
    const char *path = authority + n;
    l->path_text = path[0] == '/' ? path : arena_printf(&w->plan->arena, "/%s", path);
}

/* --- templates -------------------------------------------------------------------------------- */

/* Byte offset of a line and column in a text. */
static size_t offset_of(const char *text, int line, int column)
{
    const char *p = text;
    for (; line > 1 && (p = strchr(p, '\n')); line--)
        p++;
    return p ? (size_t)(p - text) + (size_t)(column - 1) : 0;
}

const struct template *load_template(struct walk *w, const struct ynode *node, size_t skip,
                                     const char *text, const char *use)
{
    struct plan_load *l = w->object;
    struct template *t = NULL;
    struct err err = {0};
    if (problems_full(w->problems))
        return NULL;
    if (template_compile_for(&w->plan->arena, text, use, &l->vars, &t, &err) == 0)
        return t;
    problems_add_inside(w->problems, node, skip + offset_of(text, err.line, err.column), "%s",
                        err.msg);
    return NULL;
}

static const struct template *compile(struct walk *w, const struct ynode *node, const char *use)
{
    return load_template(w, node, 0, node->text, use);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool var_name_legal(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > 63 || !(isalpha((unsigned char)name[0]) || name[0] == '_'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return strcmp(name, "id") != 0;
}

static void read_vars(struct walk *w, const struct ynode *vars)
{
    struct plan_load *l = w->object;
    if (!vars || vars->kind != YAML_MAP || vars->count > TEMPLATE_VARS)
        return;
    yaml_for_each (child, vars) {
        char use[96];
        if (child->kind != YAML_SCALAR)
            continue;
        if (!var_name_legal(child->key->text)) {
            problems_add(w->problems, child->key,
                         "a value's name is made of letters, digits and \"_\", and is not \"id\"");
            continue;
        }
        if (has_control(child->text)) {
            problems_add(w->problems, child, "a value must not hold control characters");
            continue;
        }
        snprintf(use, sizeof use, "vars.%s", child->key->text);
        const struct template *t = compile(w, child, use);
        if (!t)
            continue;
        if (template_max_bytes(t) > TEMPLATE_VAR_BYTES) {
            problems_add(w->problems, child, "the value may become too long: %d bytes are the most",
                         TEMPLATE_VAR_BYTES);
            continue;
        }
        l->vars.names[l->vars.n] = child->key->text;
        l->vars.values[l->vars.n++] = t;
    }
}

/* --- headers ---------------------------------------------------------------------------------- */

static bool header_name_legal(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    return *name && strlen(name) <= 100;
}

static void read_headers(struct walk *w, const struct ynode *headers)
{
    static const char *const made[] = {"host", "content-length", "transfer-encoding", "connection"};
    struct plan_load *l = w->object;
    l->header_values = arena_array(&w->plan->arena, l->headers_n + 1, sizeof *l->header_values);
    size_t n = 0;
    if (!headers || headers->kind != YAML_MAP)
        return;
    yaml_for_each (child, headers) {
        char use[128];
        const char *name = child->key->text;
        if (child->kind != YAML_SCALAR)
            continue;
        if (!header_name_legal(name))
            problems_add(w->problems, child->key, "this is not a header's name (RFC 9110)");
        for (size_t i = 0; i < ARRAY_SIZE(made); i++)
            if (str_case_eq(str_of(name), str_of(made[i])))
                problems_add(w->problems, child->key, "squall makes the header \"%s\" itself",
                             name);
        if (has_control(child->text))
            problems_add(w->problems, child, "a header's value must not hold control characters");
        snprintf(use, sizeof use, "headers.%.100s", name);
        if (n < l->headers_n)
            l->header_values[n++] = compile(w, child, use);
    }
}

/* --- settlement ------------------------------------------------------------------------------- */

static void check_jsonpath(struct walk *w, const struct ynode *settle, const char *name)
{
    const struct ynode *node = yaml_get(settle, name);
    struct jsonpath path;
    struct err err = {0};
    if (node && node->kind == YAML_SCALAR &&
        jsonpath_parse(&w->plan->arena, node->text, &path, &err) < 0)
        problems_add_inside(w->problems, node, (size_t)(err.column - 1), "%s", err.msg);
}

static void read_from(struct walk *w, const struct ynode *from)
{
    struct plan_load *l = w->object;
    int64_t port;
    if (!from || from->kind != YAML_SCALAR)
        return;
    size_t n = strcspn(from->text, ":");
    l->settle.from = arena_strndup(&w->plan->arena, from->text, n);
    if (!from->text[n])
        return;
    if (units_int(str_of(from->text + n + 1), &port) < 0 || port < 1 || port > 65535)
        problems_add_inside(w->problems, from, n + 1, "the port must be from 1 to 65535");
    else
        l->settle.port = (uint16_t)port;
}

static void read_keys(struct walk *w, const struct ynode *settle)
{
    struct plan_load *l = w->object;
    const struct ynode *key = yaml_get(settle, "key");
    struct arena *a = &w->plan->arena;
    size_t most = key && key->kind == YAML_SEQ ? key->count : 1;
    l->settle.keys = arena_array(a, most + 1, sizeof *l->settle.keys);
    l->settle.key_texts = arena_array(a, most + 1, sizeof *l->settle.key_texts);
    if (most > 64) {
        problems_add(w->problems, key, "\"key\" may hold at most 64 templates");
        return;
    }
    if (!key) {
        struct err err = {0};
        struct template *t = NULL;
        (void)template_compile_for(a, "{{id}}", "keys.0", &l->vars, &t, &err);
        l->settle.keys[0] = t;
        l->settle.key_texts[0] = "{{id}}";
        l->settle.keys_n = 1;
        return;
    }
    if (key->kind == YAML_SEQ && key->count == 0)
        problems_add(w->problems, key, "\"key\" needs at least one template");
    const struct ynode *at = key->kind == YAML_SEQ ? key->first : key;
    for (; at; at = key->kind == YAML_SEQ ? at->next : NULL) {
        char use[32];
        if (at->kind != YAML_SCALAR) {
            problems_add(w->problems, at, "\"key\" needs a list of texts, not %s in it",
                         yaml_kind_name(at->kind));
            continue;
        }
        snprintf(use, sizeof use, "keys.%zu", l->settle.keys_n);
        l->settle.keys[l->settle.keys_n] = compile(w, at, use);
        l->settle.key_texts[l->settle.keys_n++] = at->text;
    }
}

static void read_settle(struct walk *w, const struct ynode *settle)
{
    struct plan_load *l = w->object;
    if (!settle || settle->kind != YAML_MAP)
        return;
    l->settle.pos = walk_pos(settle->key);
    read_from(w, yaml_get(settle, "from"));
    check_jsonpath(w, settle, "id");
    check_jsonpath(w, settle, "count");
    read_keys(w, settle);
}

/* --- the load --------------------------------------------------------------------------------- */

static void read_path(struct walk *w, const struct ynode *load)
{
    struct plan_load *l = w->object;
    if (!l->path_text)
        return;
    yaml_for_each (child, load) {
        const struct key *key = key_find("load.*", child->key->text);
        if (!key || key->type != KEY_URL || child->kind != YAML_SCALAR)
            continue;
        /* http://authority is in front; a path without its first / got one */
        size_t skip = 7 + strcspn(child->text + 7, "/?#");
        skip -= child->text[skip] != '/';
        /* outside of {{...}} a path has no spaces and no fragment */
        bool inside = false;
        for (const char *p = l->path_text; *p; p++) {
            if (strncmp(p, "{{", 2) == 0 || strncmp(p, "}}", 2) == 0)
                inside = *p == '{';
            if (inside || ((unsigned char)*p > 0x20 && *p != 0x7f && *p != '#'))
                continue;
            problems_add_inside(w->problems, child, skip + (size_t)(p - l->path_text),
                                "a path must not hold spaces, control characters or \"#\"; write "
                                "them as %%20 and the like");
            return;
        }
        l->path = load_template(w, child, skip, l->path_text, "path");
        return;
    }
}

static void read_model(struct walk *w, const struct ynode *load)
{
    struct plan_load *l = w->object;
    const struct ynode *arrive = yaml_get(load, "arrive");
    if (!arrive || arrive->kind != YAML_MAP)
        return;
    const struct ynode *rate = yaml_get(arrive, "rate");
    const struct ynode *concurrency = yaml_get(arrive, "concurrency");
    const struct ynode *poisson = yaml_get(arrive, "poisson");
    l->model = rate ? PLAN_OPEN : PLAN_CLOSED;
    if (!rate && !concurrency)
        problems_add(w->problems, arrive->key,
                     "\"arrive\" needs a rate (open model) or a concurrency (closed model)");
    if (poisson && !rate)
        problems_add(w->problems, poisson->key, "\"poisson\" goes with a rate");
    if (rate && !concurrency)
        l->concurrency = OPEN_CONNECTIONS;
}

static void check_fates(struct walk *w, const struct ynode *load)
{
    const struct plan_load *l = w->object;
    const struct ynode *fate = yaml_get(load, "fate");
    for (size_t i = 0; fate && fate->kind == YAML_MAP && i < l->refused.n; i++)
        for (size_t k = 0; k < l->accepted.n; k++)
            if (l->refused.v[i] == l->accepted.v[k] && l->refused.v[i] > 0) {
                problems_add(w->problems, fate->key, "status %d%s is both accepted and refused",
                             l->refused.v[i], l->refused.v[i] < 10 ? "xx" : "");
                return;
            }
}

void load_leave(struct walk *w, struct ynode *node)
{
    struct plan_load *l = w->object;
    bool has_method = false;
    yaml_for_each (child, node) {
        const struct key *key = key_find("load.*", child->key->text);
        has_method |= key && key->type == KEY_URL;
    }
    if (!has_method)
        problems_add(w->problems, node->key,
                     "\"%.80s\" needs one of post, get, put, patch, delete, head, options with a "
                     "URL",
                     l->name);
    read_vars(w, yaml_get(node, "vars"));
    read_path(w, node);
    read_headers(w, yaml_get(node, "headers"));
    load_bodies(w, node);
    read_settle(w, yaml_get(node, "settle"));
    read_model(w, node);
    check_fates(w, node);
}
