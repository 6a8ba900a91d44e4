/*
 * manifest_read.h - inside of the manifest reader: tables of fields, and scalars with their typing.
 *
 * A map is read by a table that names every field it may have: one that is not there is an error
 * with the nearest name, one that means nothing in a lab is a warning that says what happens
 * instead. Kubernetes types scalars strictly; a wrong type that leaves no doubt is taken with a
 * warning. Nothing stops at the first mistake.
 */
#pragma once
#include "fault/manifest.h"
#include "plan/problems.h"
#include "plan/yaml.h"

struct reader {
    struct arena *a;
    struct manifest *m;
    struct problems errors, warnings;
    /* nodes that are judged when all of the spec is known */
    struct ynode *spec, *selector, *mode, *value, *action, *duration, *grace, *containers;
};

typedef void field_fn(struct reader *r, struct ynode *node);

struct field {
    const char *name;
    field_fn *read;      /* NULL: not read */
    const char *instead; /* not read: what is done instead; NULL = passed over without a word */
};

/* where: "spec", "spec.selector": for messages. */
void read_fields(struct reader *r, struct ynode *map, const char *where, const struct field *fields,
                 size_t n);
bool read_kind(struct reader *r, const struct ynode *node, enum ykind kind, const char *what);
const char *read_text(struct reader *r, const struct ynode *node, const char *what);
bool read_int(struct reader *r, const struct ynode *node, const char *what, int64_t *ret);
/* A list of texts, or nothing when it is not one. */
struct plan_strs read_texts(struct reader *r, const struct ynode *node, const char *what);
bool looks_typed(const struct ynode *node); /* plain, and YAML 1.1 reads it as no text */

void manifest_read_selector(struct reader *r, struct ynode *node);
void manifest_read_spec(struct reader *r, struct ynode *spec);
