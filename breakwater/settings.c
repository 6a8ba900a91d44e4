#include "settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_factor {
    const char *unit, *suffix;
    int64_t factor;
};

static const struct unit_factor factors[] = {
    {"ms", "ms", 1},        {"ms", "s", 1000},        {"ms", "m", 60000},
    {"ms", "h", 3600000},   {"bytes", "B", 1},        {"bytes", "KB", 1000},
    {"bytes", "KiB", 1024}, {"bytes", "MB", 1000000}, {"bytes", "MiB", 1048576},
    {"pct", "%", 1},
};

int settings_number(const char *text, const char *unit, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno)
        return -EINVAL;
    while (*end == ' ')
        end++;
    if (*end == '\0') {
        *ret_value = n;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(factors); i++) {
        if (strcmp(factors[i].unit, unit) != 0 || strcmp(factors[i].suffix, end) != 0)
            continue;
        if (n > INT64_MAX / factors[i].factor || n < INT64_MIN / factors[i].factor)
            return -EINVAL;
        *ret_value = n * factors[i].factor;
        return 0;
    }
    return -EINVAL;
}

static void *place(const struct setting *s, void *target)
{
    return (char *)target + s->offset;
}

/* "redis-call-limit-ms" and "redis_call_limit_ms" are the same key. */
static bool key_equal(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
            return false;
    return *a == *b;
}

static const struct setting *find(const struct settings_table *t, const char *key)
{
    for (size_t i = 0; i < t->n; i++)
        if (key_equal(t->rows[i].name, key))
            return &t->rows[i];
    return NULL;
}

static int assign(const struct setting *s, void *target, const char *value, struct buf *err)
{
    if (s->type == SETTING_STR) {
        char **p = place(s, target);
        char *copy = xstrdup(value);
        free(*p);
        *p = copy;
        return 0;
    }
    int64_t n;
    if (settings_number(value, s->unit, &n) < 0) {
        buf_printf(err, "%s: '%.60s' is not a number%s%s", s->name, value, s->unit[0] ? " in " : "",
                   s->unit);
        return -EINVAL;
    }
    if (n < s->min || n > s->max) {
        buf_printf(err, "%s: %lld is outside %lld..%lld %s", s->name, (long long)n,
                   (long long)s->min, (long long)s->max, s->unit);
        return -ERANGE;
    }
    *(int64_t *)place(s, target) = n;
    return 0;
}

int settings_set(const struct settings_table *t, void *target, const char *key, const char *value,
                 struct buf *err)
{
    const struct setting *s = find(t, key);
    if (!s) {
        buf_printf(err, "unknown setting '%.60s' (see --help)", key);
        return -ENOENT;
    }
    return assign(s, target, value, err);
}

void settings_defaults(const struct settings_table *t, void *target)
{
    struct buf err = {0};
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].def && assign(&t->rows[i], target, t->rows[i].def, &err) < 0) {
            fprintf(stderr, "breakwater: default of %s\n", err.p);
            abort(); /* a wrong row is a programmer error */
        }
    buf_done(&err);
}

static int set_json_value(const struct settings_table *t, void *target, const char *key,
                          const json_t *v, struct buf *err)
{
    char num[32];
    if (json_is_string(v))
        return settings_set(t, target, key, json_string_value(v), err);
    if (json_is_integer(v)) {
        snprintf(num, sizeof(num), "%lld", (long long)json_integer_value(v));
        return settings_set(t, target, key, num, err);
    }
    buf_printf(err, "%.60s: must be a string or a whole number", key);
    return -EINVAL;
}

int settings_json(const struct settings_table *t, void *target, const char *file, struct buf *err)
{
    json_error_t je;
    json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &je);
    if (!root) {
        buf_printf(err, "config %s:%d:%d: %s", file, je.line, je.column, je.text);
        return -EINVAL;
    }
    int rc = 0;
    if (!json_is_object(root)) {
        buf_printf(err, "config %s: must be a JSON object", file);
        rc = -EINVAL;
    }
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v)
    {
        rc = set_json_value(t, target, key, v, err);
        if (rc < 0)
            break;
    }
    json_decref(root);
    return rc;
}

static int set_pair(const struct settings_table *t, void *target, const char *pair, struct buf *err)
{
    const char *eq = strchr(pair, '=');
    if (!eq) {
        buf_printf(err, "--set %.60s: expected key=value", pair);
        return -EINVAL;
    }
    char *key = xstrndup(pair, (size_t)(eq - pair));
    int rc = settings_set(t, target, key, eq + 1, err);
    free(key);
    return rc;
}

/* The config file comes first wherever it stands, so that the command line wins. */
static int config_first(const struct settings_table *t, void *target, int argc, char **argv,
                        struct buf *err)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            return settings_json(t, target, argv[i + 1], err);
        if (strncmp(argv[i], "--config=", 9) == 0)
            return settings_json(t, target, argv[i] + 9, err);
        if (strncmp(argv[i], "--", 2) == 0 && !strchr(argv[i], '='))
            i++;
    }
    return 0;
}

static int one_option(const struct settings_table *t, void *target, const char *name,
                      const char *value, struct buf *err)
{
    if (strcmp(name, "config") == 0)
        return 0;
    if (strcmp(name, "set") == 0)
        return set_pair(t, target, value, err);
    if (!find(t, name)) {
        buf_printf(err, "unknown option '--%.60s' (see --help)", name);
        return -ENOENT;
    }
    return settings_set(t, target, name, value, err);
}

enum settings_outcome settings_args(const struct settings_table *t, void *target, int argc,
                                    char **argv, struct buf *err)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return SETTINGS_HELP;
    if (config_first(t, target, argc, argv, err) < 0)
        return SETTINGS_BAD;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            buf_printf(err, "unexpected argument '%.60s'", argv[i]);
            return SETTINGS_BAD;
        }
        const char *eq = strchr(argv[i], '=');
        const char *value = eq ? eq + 1 : (i + 1 < argc ? argv[i + 1] : NULL);
        if (!value) {
            buf_printf(err, "option '%.60s' needs a value", argv[i]);
            return SETTINGS_BAD;
        }
        char *name = eq ? xstrndup(argv[i] + 2, (size_t)(eq - argv[i] - 2)) : xstrdup(argv[i] + 2);
        int rc = one_option(t, target, name, value, err);
        free(name);
        if (rc < 0)
            return SETTINGS_BAD;
        if (!eq)
            i++;
    }
    return SETTINGS_OK;
}

void settings_help(const struct settings_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct setting *s = &t->rows[i];
        buf_printf(out, "  %-30s %s", s->name, s->help);
        if (s->type == SETTING_INT)
            buf_printf(out, " [%lld..%lld%s%s, default %s]", (long long)s->min, (long long)s->max,
                       s->unit[0] ? " " : "", s->unit, s->def);
        else if (s->def && s->def[0])
            buf_printf(out, " [default %s]", s->def);
        buf_puts(out, "\n");
    }
}

void settings_done(const struct settings_table *t, void *target)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].type != SETTING_STR)
            continue;
        char **p = place(&t->rows[i], target);
        free(*p);
        *p = NULL;
    }
}
