/* checks: the kinds, their limits and when they speak. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "plan/walk.h"

/* A kind's default moment, and the key that says what must hold when that is not fixed. */
static const struct check_kind_row {
    const char *name;
    enum plan_when when;
    const char *phase;
    const char *limits; /* at least one of these must stand; NULL = none needed */
} kinds[] = {
    {"nothing lost", PLAN_ALWAYS, NULL, NULL},
    {"latency", PLAN_ALWAYS, NULL, "p50, p90, p95, p99, p99.9, p99.99, mean, max"},
    {"errors", PLAN_ALWAYS, NULL, "share, count"},
    {"recovers", PLAN_AFTER, "fault", "first, within"},
    {"log", PLAN_EVENTUALLY, NULL, NULL},
    {"metric", PLAN_ALWAYS, NULL, NULL},
};

static const char *const when_names[] = {"before", "during", "after",
                                         "always", "never",  "eventually"};
_Static_assert(ARRAY_SIZE(when_names) == PLAN_WHEN_COUNT, "one name a moment");

static const struct check_kind_row *kind_find(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* --- limits ----------------------------------------------------------------------------------- */

static int limit_value(enum key_type type, struct str text, double *ret)
{
    int64_t i;
    int rc;
    switch (type) {
    case KEY_LIMIT_DURATION:
        rc = units_duration(text, &i);
        *ret = (double)i;
        return rc < 0 || i < 0 ? -EINVAL : 0;
    case KEY_LIMIT_COUNT:
        rc = units_int(text, &i);
        *ret = (double)i;
        return rc < 0 || i < 0 ? -EINVAL : 0;
    case KEY_LIMIT_SHARE: rc = units_ratio(text, ret); return rc < 0 ? rc : *ret > 1 ? -ERANGE : 0;
    default: return units_number(text, ret);
    }
}

int limit_parse(enum key_type type, const char *text, struct plan_limit *ret)
{
    static const struct {
        const char *text;
        enum plan_op op;
    } ops[] = {{"<=", PLAN_LE}, {">=", PLAN_GE}, {"==", PLAN_EQ}, {"!=", PLAN_NE},
               {"<", PLAN_LT},  {">", PLAN_GT},  {"=", PLAN_EQ}};
    struct str s = str_trim(str_of(text));
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct str op = str_of(ops[i].text);
        if (!str_prefix(s, op))
            continue;
        ret->op = ops[i].op;
        ret->text = text;
        return limit_value(type, str_trim((struct str){s.p + op.n, s.n - op.n}), &ret->value);
    }
    return -EINVAL;
}

static void add_limit(struct walk *w, const struct plan_limit *limit)
{
    struct plan_check *c = w->object;
    struct plan_limit *limits = arena_array(&w->plan->arena, c->limits_n + 1, sizeof *limits);
    if (c->limits_n)
        memcpy(limits, c->limits, c->limits_n * sizeof *limits);
    limits[c->limits_n] = *limit;
    c->limits = limits;
    c->limits_n++;
}

void check_limit(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_limit limit = {.what = key->name};
    double plain;
    int rc = limit_parse(key->type, node->text, &limit);
    if (rc == -ERANGE && key->type == KEY_LIMIT_SHARE)
        problems_add(w->problems, node, "\"%s\" must be from 0%% to 100%%, not \"%.60s\"",
                     key->name, node->text);
    else if (rc < 0 && limit_value(key->type, str_of(node->text), &plain) == 0)
        problems_add(w->problems, node,
                     "\"%s\" needs a comparison: write \"< %.60s\" or \"> %.60s\"", key->name,
                     node->text, node->text);
    else if (rc < 0)
        problems_add(w->problems, node, "\"%s\" needs %s, not \"%.60s\"", key->name,
                     key_type_needs(key->type), node->text);
    else
        add_limit(w, &limit);
}

/* recovers' own `within`: a limit of the value, not of the moment. */
void check_within(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_limit limit = {.what = key->name, .op = PLAN_LE};
    int64_t ns = 0;
    if (units_duration(str_of(node->text), &ns) < 0)
        return;
    limit.value = (double)ns;
    limit.text = arena_printf(&w->plan->arena, "<= %s", node->text);
    add_limit(w, &limit);
}

/* --- one check -------------------------------------------------------------------------------- */

void *check_enter(struct walk *w, struct ynode *node)
{
    struct plan_check *c = &w->plan->checks[w->plan->checks_n++];
    c->pos = walk_pos(node);
    c->when = PLAN_WHEN_COUNT;
    return c;
}

void check_kind(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_check *c = w->object;
    (void)node;
    c->kind = kind_find(key->name)->name;
}

void check_when(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_check *c = w->object;
    (void)node;
    for (int i = 0; i < PLAN_WHEN_COUNT; i++)
        if (strcmp(when_names[i], key->name) == 0)
            c->when = (enum plan_when)i;
}

/* "latency alerts p99 < 100ms during baseline" */
static void give_name(struct walk *w, struct plan_check *c, bool said)
{
    struct buf b = {0};
    const char *of = c->load ? c->load : c->service;
    buf_printf(&b, "%s%s %s", c->kind, strcmp(c->kind, "nothing lost") == 0 ? ":" : "",
               of ? of : "?");
    if (c->series)
        buf_printf(&b, " %s", c->series);
    if (c->matches)
        buf_printf(&b, " /%s/", c->matches);
    for (size_t i = 0; i < c->limits_n; i++) {
        bool named = strcmp(c->limits[i].what, "value") != 0;
        buf_printf(&b, "%s%s%s%s", i ? ", " : " ", named ? c->limits[i].what : "", named ? " " : "",
                   c->limits[i].text);
    }
    if (said)
        buf_printf(&b, " %s %s", when_names[c->when], c->phase ? c->phase : "run");
    size_t base = b.n;
    for (int i = 2;; i++) {
        bool taken = false;
        for (size_t k = 0; k + 1 < w->plan->checks_n && !taken; k++)
            taken = w->plan->checks[k].name && strcmp(w->plan->checks[k].name, buf_str(&b)) == 0;
        if (!taken)
            break;
        b.n = base;
        buf_printf(&b, " (%d)", i);
    }
    c->name = arena_strdup(&w->plan->arena, buf_str(&b));
    buf_done(&b);
}

static void check_own_name(struct walk *w, const struct plan_check *c, const struct ynode *at)
{
    for (size_t i = 0; i + 1 < w->plan->checks_n; i++)
        if (w->plan->checks[i].name && strcmp(w->plan->checks[i].name, c->name) == 0) {
            problems_add(w->problems, at, "a check named \"%.80s\" stands above; choose another",
                         c->name);
            return;
        }
}

/* Which kind the map means, also when its value was wrong. */
static const struct check_kind_row *kind_meant(const struct ynode *node)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (yaml_get(node, kinds[i].name))
            return &kinds[i];
    return NULL;
}

static void need_limits(struct walk *w, const struct check_kind_row *kind, const struct ynode *node)
{
    const struct ynode *inner = yaml_get(node, kind->name);
    struct str rest = str_of(kind->limits);
    if (!kind->limits || !inner || inner->kind != YAML_MAP)
        return;
    while (rest.n) {
        struct str name = str_trim(str_split(&rest, ','));
        yaml_for_each (child, inner)
            if (str_eq(str_of(child->key->text), name))
                return;
    }
    problems_add(w->problems, inner->key, "\"%s\" needs a limit: one of %s", kind->name,
                 kind->limits);
}

void check_leave(struct walk *w, struct ynode *node)
{
    struct plan_check *c = w->object;
    const struct check_kind_row *kind = kind_meant(node);
    const struct ynode *own = yaml_get(node, "name");
    bool said = c->when != PLAN_WHEN_COUNT;

    if (!kind) {
        problems_add(w->problems, node,
                     "a check needs its kind: one of nothing lost, latency, errors, recovers, log, "
                     "metric");
        return;
    }
    c->kind = kind->name;
    need_limits(w, kind, node);
    if (!said) {
        c->when = kind->when;
        c->phase = kind->phase;
    }
    if (c->phase && strcmp(c->phase, "run") == 0)
        c->phase = NULL;
    const struct ynode *within = yaml_get(node, "within");
    if (within && c->when != PLAN_DURING && c->when != PLAN_EVENTUALLY)
        problems_add(
            w->problems, within->key, "\"within\" goes with \"during\" or \"eventually\"%s",
            strcmp(kind->name, "recovers") == 0 ? "; the limit of recovers stands inside it" : "");
    if (strcmp(kind->name, "log") == 0 && c->limits_n == 0)
        add_limit(w, &(struct plan_limit){"count", PLAN_GE, 1, ">= 1"});
    if (c->name && own)
        check_own_name(w, c, own);
    else
        give_name(w, c, said);
}
