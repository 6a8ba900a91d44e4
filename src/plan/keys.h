/*
 * keys.h - the one table that declares every key of a plan: parent, name, type, place in the
 * structs of plan.h, range, default, choices and a sentence of help.
 *
 * Made from it: reading into structs (walk.h), unknown-key, type and range errors, help texts, the
 * JSON Schema and docs/plan.md. A new key is one row. Where one key has several forms (a word or a
 * map) it has several rows in a row; the form of the node picks one.
 * Rows are constant; every function here is pure but for its output.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "plan/yaml.h"

enum key_type {
    KEY_MAP,   /* fixed keys: the rows whose parent is this one */
    KEY_NAMED, /* entries named by the user: the row ".*" */
    KEY_LIST,  /* elements: the row "[]" */
    KEY_STRING,
    KEY_BOOL,
    KEY_INT,
    KEY_NUMBER,
    KEY_DURATION,
    KEY_SIZE,
    KEY_RATE,
    KEY_CHOICE,
    KEY_SIGNAL,
    KEY_STRINGS,
    KEY_PAIRS,
    KEY_CODES,
    KEY_WORDS,
    KEY_ENDPOINT,
    KEY_URL,
    KEY_PATH,
    KEY_TEMPLATE,
    KEY_TEMPLATES,
    KEY_JSON,
    KEY_REGEX,
    KEY_JSONPATH,
    KEY_LIMIT_DURATION,
    KEY_LIMIT_SHARE,
    KEY_LIMIT_COUNT,
    KEY_LIMIT_NUMBER,
    KEY_NAME,
    KEY_SERVICE,
    KEY_SERVICES,
    KEY_SERVICE_PORT,
    KEY_LOAD,
    KEY_PHASE,
    KEY_PHASES,
    KEY_TYPE_COUNT
};

struct key_field { /* size 0 = the value has no place of its own */
    uint16_t offset, size;
};

struct walk;
struct key;
typedef void key_hook(struct walk *w, const struct key *key, struct ynode *node);

struct key {
    const char *parent; /* pattern: "lab.services.*.ready"; "" = top level */
    const char *name;   /* "*" = any name, "[]" = element */
    enum key_type type;
    const char *help; /* one sentence, starts small, no full stop */
    struct key_field field;
    struct key_field count; /* of KEY_PAIRS: where their number goes */
    const char *min, *max;  /* as written in a plan; of strings: bytes */
    const char *def;        /* as written in a plan; NULL = none */
    const char *choices;    /* words by a space; the index is the value */
    const char *one_of;     /* of the rows of one parent with the same word at most one may stand */
    bool required;
    key_hook *hook; /* after the value was stored */
};

extern const struct key keys[];
extern const size_t keys_n;

/* "parent.name" or "parent[]" into buf; returns buf. */
const char *key_path(const struct key *key, char *buf, size_t cap);
/* "a phase": one element of a list, from the help of its row "[]", which begins with "one ". */
const char *key_one(const struct key *key, char *buf, size_t cap);
/* First row of that parent and name, NULL = none; the next rows may be other forms of it. */
const struct key *key_find(const char *parent, const char *name);
/* The names below a parent, each once; at most cap; returns how many. */
size_t key_names(const char *parent, const char **ret, size_t cap);

/* What a type is. */
struct key_value { /* of numeric types */
    int64_t i;
    double d;
};
bool key_type_numeric(enum key_type type);
bool key_type_accepts(enum key_type type, enum ykind kind);
const char *key_type_needs(enum key_type type);  /* "a duration such as 250ms or 1m30s" */
const char *key_type_word(enum key_type type);   /* "duration" */
const char *key_type_schema(enum key_type type); /* JSON Schema of a scalar of the type */
/* 0, -EINVAL or -ERANGE; of numeric types only. choices as in struct key. */
int key_type_parse(const struct key *key, struct str text, struct key_value *ret);
/* 0 when within min and max. */
int key_check_range(const struct key *key, const struct key_value *value);

/* Text for people about the key at path ("" or NULL = all of the plan; user-given names count as
 * `*`): what it is, type, range, default, and what stands below it. -ENOENT: there is no such key,
 * and `out` has "did you mean load.alerts.arrive?" or nothing. */
int plan_help(struct buf *out, const char *path);
/* JSON Schema (draft 2020-12) of a plan, for editors. */
void plan_schema(struct buf *out);
/* docs/plan.md. */
void plan_reference(struct buf *out);
