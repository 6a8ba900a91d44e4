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
    struct ynode *spec;
    struct manifest_network *network; /* NetworkChaos: being filled */
    struct manifest_dns *dns;         /* DNSChaos: being filled */
    /* the choice that is being read, and what messages call the map that it stands in */
    struct manifest_choice *choice;
    const char *where; /* "spec", "spec.target" */
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

/* A text out of a few; NULL and an error that names them, or the nearest. what: "action". */
const char *read_word(struct reader *r, const struct ynode *node, const char *what,
                      const char *const *words, size_t n);
const char *words_listed(struct arena *a, const char *const *words, size_t n); /* "a, b or c" */
/* A text as a number of percent, 0 to 100, to a share; a % sign is taken with a warning. */
bool read_percent(struct reader *r, const struct ynode *node, const char *what, double *ret_share);
/* Digits, a fraction, one unit (Chaos Mesh since 2.8); any other duration of Go's with a warning.
 * 0 to an hour. */
bool read_delay(struct reader *r, const struct ynode *node, const char *what, int64_t *ret_ns);
/* A whole number and a unit: bit, bps (bytes a second), with k, m, g or t. */
bool read_rate(struct reader *r, const struct ynode *node, const char *what, uint64_t *ret_bits);
/* Go's time.ParseDuration; what our own parser takes beyond it (days) is not Go. */
bool go_duration(const char *text, int64_t *ret_ns);
/* The value of a key that is there and not null, else NULL. */
struct ynode *read_given(const struct ynode *map, const char *key);

void read_selector(struct reader *r, struct ynode *node);
void read_mode(struct reader *r, struct ynode *node);
void read_value(struct reader *r, struct ynode *node);
/* After the fields of the map (spec, spec.target) that holds selector, mode and value. */
void judge_choice(struct reader *r, const struct ynode *map);

/* Fields that every kind has. */
void read_duration(struct reader *r, struct ynode *node);
void read_scheduler(struct reader *r, struct ynode *node);
void read_paused(struct reader *r, struct ynode *node);
/* clang-format off */
#define SPEC_FIELDS                                                                                \
    {"action"}, {"mode", read_mode}, {"value", read_value}, {"selector", read_selector},           \
    {"duration", read_duration}, {"scheduler", read_scheduler}, {"paused", read_paused},           \
    {"nextStart", NULL, "is state of an old controller; not used"},                                \
    {"nextRecover", NULL, "is state of an old controller; not used"},                              \
    {"remoteCluster", NULL, "there is no other cluster; the fault acts on this lab"}
/* clang-format on */
/* The fields of a kind, with SPEC_FIELDS among them, and its action, which the kind itself judges
 * further; false when there is nothing to judge. */
bool read_spec(struct reader *r, struct ynode *spec, const struct field *fields, size_t n,
               const char *const *actions, size_t actions_n);
/* For a fault that is over when it is made. */
void judge_one_act(struct reader *r);

/* One a kind. */
void manifest_read_pod(struct reader *r, struct ynode *spec);
void manifest_read_network(struct reader *r, struct ynode *spec);
void manifest_read_dns(struct reader *r, struct ynode *spec);

/* The blocks of a NetworkChaos. */
field_fn read_block_delay, read_block_loss, read_block_duplicate, read_block_corrupt,
    read_block_rate, read_block_bandwidth;
/* One of spec.externalTargets; false and an error when it is no such thing. */
bool read_external(struct reader *r, const struct ynode *node, struct manifest_external *ret);
