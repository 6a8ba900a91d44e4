/*
 * settings - one row declares one setting of a role; everything else comes from the rows.
 *
 * Sources, later wins: the default of the row, a JSON config file (--config, one flat object),
 * then the command line: `--set key=value` or `--key-with-dashes value`. --help is printed from
 * the rows. Values of unit ms also take "10ms", "2s", "5m"; values of unit bytes take "100KB",
 * "1MiB". Unknown keys, wrong types and values out of range are errors that name the key.
 * Lifecycle: settings_defaults(), settings_args(), use, settings_done(). Strings are owned by the
 * target struct. Threads: start only; read-only after.
 */
#ifndef BREAKWATER_SETTINGS_H
#define BREAKWATER_SETTINGS_H

#include "util.h"

enum setting_type { SETTING_STR, SETTING_INT };

struct setting {
    const char *name;
    enum setting_type type;
    const char *unit; /* "ms", "bytes", "pct", "" */
    int64_t min, max; /* SETTING_INT only */
    const char *def;  /* as text; NULL: unset */
    size_t offset;    /* of a char * or an int64_t in the role's struct */
    const char *help;
};

struct settings_table {
    const struct setting *rows;
    size_t n;
};

enum settings_outcome {
    SETTINGS_OK,
    SETTINGS_HELP, /* --help was asked for */
    SETTINGS_BAD   /* message is in err */
};

/* A number with an optional unit suffix that fits `unit`. 0 or -EINVAL. */
int settings_number(const char *text, const char *unit, int64_t *ret_value);
void settings_defaults(const struct settings_table *t, void *target);
enum settings_outcome settings_args(const struct settings_table *t, void *target, int argc,
                                    char **argv, struct buf *err);
int settings_json(const struct settings_table *t, void *target, const char *file, struct buf *err);
int settings_set(const struct settings_table *t, void *target, const char *key, const char *value,
                 struct buf *err);
void settings_help(const struct settings_table *t, struct buf *out);
void settings_done(const struct settings_table *t, void *target);

#endif
