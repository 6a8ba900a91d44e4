/*
 * For every key of the demo plan, and of a plan that has each key of the table: a misspelt name, a
 * wrong type and a value out of range are each told at the exact line and column. The cases are
 * generated: the plan is read, each key is found in its text, and that text is changed.
 */
#include "plan/keys.h"

#include <ctype.h>
#include <jansson.h>

#include "base/buf.h"
#include "plan/plan.h"
#include "plan/walk.h"
#include "support.h"

struct cases {
    struct arena arena;
    struct buf text;  /* of the plan */
    const char *name; /* file name for the changed plan */
    bool seen[256];   /* rows of the table met */
    int misspelt, wrong_type, out_of_range;
};

/* --- changing the text ------------------------------------------------------------------------ */

struct span {
    size_t begin, end;
    bool below; /* the value stands in the lines below its key */
};

static size_t match_flow(const char *p, size_t i)
{
    int depth = 0;
    char quote = '\0';
    for (;; i++) {
        if (quote) {
            if (p[i] == '\\' && quote == '"')
                i++;
            else if (p[i] == quote)
                quote = '\0';
        } else if (p[i] == '"' || p[i] == '\'') {
            quote = p[i];
        } else if (strchr("[{", p[i])) {
            depth++;
        } else if (strchr("]}", p[i])) {
            depth--;
        }
        if (depth == 0 && !quote)
            return i + 1;
    }
}

static size_t line_indent(const char *p, size_t i)
{
    size_t n = 0;
    while (p[i + n] == ' ')
        n++;
    return n;
}

/* Through the lines that are blank or deeper than `indent`. */
static size_t end_of_block(const char *p, size_t i, size_t indent)
{
    size_t end = i;
    while (p[i]) {
        size_t n = line_indent(p, i);
        size_t eol = i + strcspn(p + i, "\n");
        if (p[i + n] != '\n' && p[i + n] != '\0') {
            if (n <= indent)
                break;
            end = eol;
        }
        i = p[eol] ? eol + 1 : eol;
    }
    return end;
}

/* Where the value behind a key stands in the text. */
static struct span value_span(const char *p, const struct ynode *map, const struct ynode *key)
{
    bool flow = p[map->begin] == '{';
    size_t i = key->begin + strlen(key->text);
    while (p[i] != ':')
        i++;
    i++;
    size_t start = i + strspn(p + i, " ");
    if (p[start] == '\n' || p[start] == '#') { /* a block map or list below */
        size_t eol = start + strcspn(p + start, "\n");
        return (struct span){start, end_of_block(p, eol + 1, (size_t)key->column - 1), true};
    }
    if (p[start] == '|' || p[start] == '>') {
        size_t eol = start + strcspn(p + start, "\n");
        return (struct span){start, end_of_block(p, eol + 1, (size_t)key->column - 1), false};
    }
    if (strncmp(p + start, "!int ", 5) == 0)
        return (struct span){start, match_flow(p, start + 5), false};
    if (strchr("[{\"'", p[start]))
        return (struct span){start, match_flow(p, start), false};
    size_t end = start + strcspn(p + start, flow ? ",}\n" : "\n");
    for (size_t k = start; k < end; k++)
        if (p[k] == ' ' && p[k + 1] == '#')
            end = k;
    while (end > start && p[end - 1] == ' ')
        end--;
    return (struct span){start, end, false};
}

static void changed_text(const struct cases *c, size_t begin, size_t end, const char *now,
                         struct buf *out)
{
    buf_clear(out);
    buf_add(out, c->text.p, begin);
    buf_add_str(out, now);
    buf_add_str(out, c->text.p + end);
}

static void expect_at(const struct cases *c, const struct buf *text, int line, int column,
                      const char *message, const char *what)
{
    struct plan *plan = NULL;
    struct plan_errors errors;
    int rc = plan_load(write_file(c->name, text->p, text->n), NULL, &plan, &errors);
    struct loaded l = {rc, plan, errors};
    const struct err *e = error_at(&l, line, column);
    if (!e || !strstr(e->msg, message))
        TEST_FAIL("%s: no error at %d:%d with \"%s\"; there is:\n%s", what, line, column, message,
                  buf_str(&errors.text));
    loaded_done(&l);
}

/* --- the three mistakes ----------------------------------------------------------------------- */

static void misspell(struct cases *c, const struct ynode *key, const char *what)
{
    struct buf text = {0};
    char message[128];
    size_t middle = strlen(key->text) / 2;
    changed_text(c, key->begin + middle, key->begin + middle, "q", &text);
    snprintf(message, sizeof message, "unknown key \"%.*sq%s\", did you mean", (int)middle,
             key->text, key->text + middle);
    expect_at(c, &text, key->line, key->column, message, what);
    c->misspelt++;
    buf_done(&text);
}

static bool accepts(const struct key *key, enum ykind kind)
{
    const struct key *first = key;
    for (; key < keys + keys_n && strcmp(key->parent, first->parent) == 0 &&
           strcmp(key->name, first->name) == 0;
         key++)
        if (key_type_accepts(key->type, kind))
            return true;
    return false;
}

/* A value of a form that no row of the key takes; NULL = all forms are right. */
static const char *wrong_form(const struct key *key)
{
    if (!accepts(key, YAML_MAP))
        return "{oops: 1}";
    if (!accepts(key, YAML_SEQ))
        return "[oops]";
    return accepts(key, YAML_SCALAR) ? NULL : "oops";
}

static void place_value(struct cases *c, const struct ynode *key, const struct span *span,
                        const char *now, size_t inside, const char *message, const char *what)
{
    struct buf text = {0};
    char spaced[256];
    bool gap = c->text.p[span->begin - 1] == ':';
    snprintf(spaced, sizeof spaced, "%s%s", gap ? " " : "", now);
    changed_text(c, span->begin, span->end, spaced, &text);
    int column = key->column + (int)(span->begin - key->begin) + gap;
    if (c->text.p[key->begin - (key->begin > 0)] == '"')
        column++;
    expect_at(c, &text, key->line, column + (int)inside, message, what);
    buf_done(&text);
}

/* A text of the right form that says something impossible; NULL = any text is right. `inside`:
 * where in it the mistake is. */
static const char *bad_value(const struct key *key, size_t *inside, const char **message)
{
    static char text[2200];
    *inside = 0;
    *message = "";
    switch (key->type) {
    case KEY_INT:
    case KEY_NUMBER:
    case KEY_SIZE:
    case KEY_DURATION:
    case KEY_RATE: {
        struct key_value v;
        *message = "must be";
        static const char *const above[] = {"9999999999999", "9000000000", "8000000GiB", "99999h",
                                            "9000000000/s"};
        static const enum key_type types[] = {KEY_INT, KEY_NUMBER, KEY_SIZE, KEY_DURATION,
                                              KEY_RATE};
        for (int i = 0; i < 5; i++)
            if (types[i] == key->type && key_type_parse(key, str_of(above[i]), &v) == 0 &&
                key_check_range(key, &v) < 0)
                return above[i];
        return key->type == KEY_INT ? "-1" : NULL;
    }
    case KEY_STRING:
        if (key->max && strcmp(key->max, "2000") != 0) {
            memset(text, 'x', 201);
            text[201] = '\0';
            return text;
        }
        return key->min ? "\"\"" : NULL;
    case KEY_CHOICE: *message = "one of"; return "sometimes";
    case KEY_BOOL: return "maybe";
    case KEY_SIGNAL: return "NOPE";
    case KEY_CODES: *message = "statuses"; return "999";
    case KEY_ENDPOINT: return "\":99999/x\"";
    case KEY_URL:
        *inside = 11;
        *message = "port";
        return "http://web:99999/x";
    case KEY_PATH: return "x/y";
    case KEY_TEMPLATE:
    case KEY_TEMPLATES:
        *inside = 5;
        *message = "unknown name";
        return "\"a {{idd}}\"";
    case KEY_REGEX:
        *inside = 3;
        *message = "pattern";
        return "\"a(\"";
    case KEY_JSONPATH:
        *inside = 5;
        *message = "JSON path";
        return "\"$.a[\"";
    case KEY_LIMIT_DURATION: return "< -5s";
    case KEY_LIMIT_SHARE: *message = "0% to 100%"; return "< 160%";
    case KEY_LIMIT_COUNT: return "< 1.5";
    case KEY_LIMIT_NUMBER: return "== many";
    case KEY_NAME: return "\"no name\"";
    case KEY_SERVICE:
    case KEY_SERVICES:
    case KEY_SERVICE_PORT: *message = "there is no service"; return "nobody-here";
    case KEY_LOAD: *message = "there is no load"; return "nothing-here";
    case KEY_PHASE:
    case KEY_PHASES: *message = "no phase"; return "nowhere";
    case KEY_WORDS: /* in quotes, or YAML itself would complain */
        *inside = 3;
        *message = "quote";
        return "'a \"b'";
    case KEY_MAP:
    case KEY_NAMED:
    case KEY_LIST:
    case KEY_STRINGS:
    case KEY_PAIRS:
    case KEY_JSON:
    case KEY_TYPE_COUNT: break;
    }
    return NULL;
}

static const struct key *scalar_form(const struct key *key)
{
    const struct key *k = key;
    while (k < keys + keys_n && strcmp(k->name, key->name) == 0 &&
           strcmp(k->parent, key->parent) == 0) {
        if (key_type_accepts(k->type, YAML_SCALAR))
            return k;
        k++;
    }
    return NULL;
}

static void try_key(struct cases *c, const struct key *key, const struct ynode *map,
                    const struct ynode *value)
{
    char what[160];
    const struct ynode *name = value->key;
    struct span span = value_span(c->text.p, map, name);
    size_t inside = 0;
    const char *message = "", *form = wrong_form(key);
    bool own = strcmp(key->name, "*") == 0; /* the user's name */

    snprintf(what, sizeof what, "%s.%s in line %d", key->parent, name->text, name->line);
    if (!own) {
        misspell(c, name, what);
    }
    if (form && key->type != KEY_JSON) {
        place_value(c, name, &span, form, 0, "needs", what);
        c->wrong_type++;
    }
    const struct key *scalar = scalar_form(key);
    const char *bad = scalar ? bad_value(scalar, &inside, &message) : NULL;
    if (bad) {
        place_value(c, name, &span, bad, inside, message, what);
        c->out_of_range++;
    }
}

/* --- walking the plan along the table --------------------------------------------------------- */

static void walk_cases(struct cases *c, const char *pattern, const struct ynode *node)
{
    yaml_for_each (child, node) {
        char path[128];
        const char *name = node->kind == YAML_SEQ ? "[]" : child->key->text;
        const struct key *key = key_find(pattern, name);
        if (!key && node->kind == YAML_MAP)
            key = key_find(pattern, "*");
        if (!key)
            continue;
        for (const struct key *k = key; k < keys + keys_n && strcmp(k->name, key->name) == 0 &&
                                        strcmp(k->parent, key->parent) == 0;
             k++)
            if (key_type_accepts(k->type, child->kind))
                c->seen[k - keys] = true;
        if (node->kind == YAML_MAP && strcmp(key->name, "include") != 0 &&
            strcmp(key->name, "manifest") != 0 && strcmp(key->parent, "vars") != 0)
            try_key(c, key, node, child);
        key_path(key, path, sizeof path);
        walk_cases(c, path, child);
    }
}

static void run_cases(struct cases *c, const char *file)
{
    struct ydocs docs;
    struct err err = {0};
    ASSERT_LT(keys_n, sizeof c->seen);
    ASSERT_OK(buf_read_file(&c->text, file, 1 << 20));
    ASSERT_OK(yaml_read(&c->arena, file, (struct str){c->text.p, c->text.n}, &docs, &err));
    walk_cases(c, "", docs.v[0]);
    buf_done(&c->text);
}

static void copy_beside(const char *from, const char *name)
{
    struct buf text = {0};
    char folder[300];
    ASSERT_OK(buf_read_file(&text, from, 1 << 20));
    (void)write_file("empty.yaml", "", 0);
    snprintf(folder, sizeof folder, "%s/faults", support_dir);
    (void)mkdir(folder, 0700);
    (void)write_file(name, text.p, text.n);
    buf_done(&text);
}

TEST(each_mistake_in_each_key_is_told_at_its_place)
{
    struct cases demo = {.name = "storm.yaml"}, all = {.name = "all-keys.yaml"};
    copy_beside("packs/demo/faults/redis-failure.yaml", "faults/redis-failure.yaml");
    copy_beside("packs/demo/faults/redis-kill.yaml", "faults/redis-kill.yaml");
    copy_beside("tests/unit/plan/data/empty.yaml", "empty.yaml");
    run_cases(&demo, "packs/demo/storm.yaml");
    printf("  demo: %d misspelt, %d of a wrong type, %d out of range\n", demo.misspelt,
           demo.wrong_type, demo.out_of_range);
    ASSERT_LT(90, demo.misspelt);
    ASSERT_LT(90, demo.wrong_type);
    ASSERT_LT(50, demo.out_of_range);
    run_cases(&all, "tests/unit/plan/data/all-keys.yaml");
    printf("  all keys: %d misspelt, %d of a wrong type, %d out of range\n", all.misspelt,
           all.wrong_type, all.out_of_range);
    for (size_t i = 0; i < keys_n; i++)
        if (!all.seen[i])
            TEST_FAIL("all-keys.yaml lacks %s . %s (%s)", keys[i].parent, keys[i].name,
                      key_type_word(keys[i].type));
    arena_done(&demo.arena);
    arena_done(&all.arena);
}

/* --- the table itself ------------------------------------------------------------------------- */

TEST(rows_are_sound)
{
    for (size_t i = 0; i < keys_n; i++) {
        const struct key *key = &keys[i];
        struct key_value v;
        size_t n = strlen(key->help);
        ASSERT(n > 3 && key->help[n - 1] != '.');
        ASSERT(key->type != KEY_CHOICE || key->choices);
        ASSERT(strcmp(key->name, "[]") != 0 || strncmp(key->help, "one ", 4) == 0);
        if (!key_type_numeric(key->type))
            continue;
        const char *const texts[] = {key->min, key->max, key->def};
        for (int k = 0; k < 3; k++) {
            if (!texts[k])
                continue;
            ASSERT_OK(key_type_parse(key, str_of(texts[k]), &v));
            ASSERT_OK(key_check_range(key, &v));
        }
    }
}

/* The schema of a plan's node, by way of properties, additionalProperties and items. */
static const json_t *schema_of(const json_t *schema, const char *name, bool list)
{
    const json_t *forms = json_object_get(schema, "anyOf");
    for (size_t i = 0; i < (forms ? json_array_size(forms) : 1); i++) {
        const json_t *form = forms ? json_array_get(forms, i) : schema;
        const json_t *inner = list ? json_object_get(form, "items")
                                   : json_object_get(json_object_get(form, "properties"), name);
        if (!inner && !list && json_is_object(json_object_get(form, "additionalProperties")))
            inner = json_object_get(form, "additionalProperties");
        if (inner)
            return inner;
    }
    return NULL;
}

static int find_in_schema(const json_t *schema, const struct ynode *node, const char *pattern)
{
    int n = 0;
    yaml_for_each (child, node) {
        char path[128];
        const char *name = node->kind == YAML_SEQ ? "[]" : child->key->text;
        const struct key *key = key_find(pattern, name);
        if (!key && node->kind == YAML_MAP)
            key = key_find(pattern, "*");
        if (!key)
            continue;
        const json_t *inner = schema_of(schema, name, node->kind == YAML_SEQ);
        if (!inner)
            TEST_FAIL("%s.%s is not in the schema", pattern, name);
        ASSERT(json_object_get(inner, "description") != NULL);
        key_path(key, path, sizeof path);
        n += 1 + find_in_schema(inner, child, path);
    }
    return n;
}

TEST(the_schema_is_json_and_has_each_key)
{
    struct buf text = {0}, plan = {0};
    json_error_t bad;
    plan_schema(&text);
    json_t *schema = json_loadb(text.p, text.n, 0, &bad);
    if (!schema)
        TEST_FAIL("%d:%d %s", bad.line, bad.column, bad.text);
    struct arena arena = {0};
    struct ydocs docs;
    struct err err = {0};
    ASSERT_OK(buf_read_file(&plan, "packs/demo/storm.yaml", 1 << 20));
    ASSERT_OK(yaml_read(&arena, "storm.yaml", (struct str){plan.p, plan.n}, &docs, &err));
    ASSERT_LT(120, find_in_schema(schema, docs.v[0], ""));
    json_decref(schema);
    arena_done(&arena);
    buf_done(&plan);
    buf_done(&text);
}

TEST(the_reference_page_is_fresh)
{
    struct buf page = {0}, kept = {0};
    plan_reference(&page);
    if (getenv("UPDATE_GOLDEN")) {
        FILE *f = fopen("docs/plan.md", "w");
        ASSERT(f != NULL);
        ASSERT_EQ(fwrite(page.p, 1, page.n, f), page.n);
        ASSERT_OK(fclose(f));
    }
    ASSERT_OK(buf_read_file(&kept, "docs/plan.md", 1 << 20));
    if (strcmp(buf_str(&kept), buf_str(&page)) != 0)
        TEST_FAIL("docs/plan.md is stale: run this test with UPDATE_GOLDEN=1");
    buf_done(&page);
    buf_done(&kept);
}

TEST(help_finds_each_key)
{
    struct buf out = {0};
    ASSERT_OK(plan_help(&out, ""));
    ASSERT_CONTAINS(buf_str(&out), "storm: list");
    buf_clear(&out);
    ASSERT_OK(plan_help(&out, NULL));
    ASSERT_CONTAINS(buf_str(&out), "storm: list");
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"load.alerts.arrive.rate", "load.NAME.arrive.rate\n  rate: rate, 0.0001/s to 1000000/s"},
        {"load.alerts.arrive", "inside:\n  rate: rate"},
        {"lab.services.*.restart", "never, on-failure, always, default never"},
        {"lab.services.web.restart.backoff", "default 500ms"},
        {"storm.0.baseline", "storm[].baseline"},
        {"storm[].baseline", "storm[].baseline"},
        {"storm", "inside a phase:\n  baseline: duration, 1ms to 24h"},
        {"storm[]", "storm[]\n  a phase: map\n"},
        {"checks", "inside a check:\n  nothing lost: load"},
        {"load.x.choose", "inside a body:\n  weight: number"},
        {"checks.latency.p99.9", "99.9th percentile"},
        {"checks.nothing lost", "every accepted request"},
        {"vars.x", "the value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        ASSERT_OK(plan_help(&out, rows[i].path));
        ASSERT_CONTAINS(buf_str(&out), rows[i].says);
    }
    static const struct {
        const char *path, *says;
    } wrong[] = {{"lod", "did you mean load?"},
                 {"load.alerts.arive", "did you mean load.alerts.arrive?"},
                 {"load.alerts.arive.rate", "did you mean load.alerts.arrive?"},
                 {"storm.0.baselin", "did you mean storm.0.baseline?"},
                 {"checks.latancy", "did you mean checks.latency?"},
                 {"elephant", ""},
                 {"name.x", ""}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        buf_clear(&out);
        ASSERT_EQ(plan_help(&out, wrong[i].path), -ENOENT);
        ASSERT_STREQ(buf_str(&out), wrong[i].says);
    }
    for (size_t i = 0; i < keys_n; i++) {
        char path[128];
        ASSERT_OK(plan_help(&out, key_path(&keys[i], path, sizeof path)));
    }
    buf_done(&out);
}
