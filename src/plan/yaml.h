/*
 * yaml.h - YAML text as a small tree in which every node knows where it was written.
 *
 * yaml_read is pure: bytes in, documents out, everything in the caller's arena. It knows nothing of
 * plans; manifests are read with it as well. Aliases are expanded into copies, within a budget.
 * Limits, each an error with a position: YAML_BYTES_MAX of text, YAML_NODES_MAX nodes (after
 * expansion), YAML_DEPTH_MAX levels, YAML_ALIASES_MAX aliases; only valid UTF-8 without control
 * characters; keys are scalars and differ within a map. Nothing is ever printed.
 * Positions count from 1, columns in bytes; an alias's copy keeps the position of the original.
 * Thread rule: as its arena. Source: YAML 1.2.2; scanning by libfyaml's events.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define YAML_BYTES_MAX   (1u << 20)
#define YAML_NODES_MAX   50000
#define YAML_DEPTH_MAX   64
#define YAML_ALIASES_MAX 1000

enum ykind { YAML_SCALAR, YAML_MAP, YAML_SEQ, YAML_KIND_COUNT };
enum ystyle { YAML_PLAIN, YAML_SINGLE, YAML_DOUBLE, YAML_LITERAL, YAML_FOLDED };

/* A text that was read, kept for the source line under an error. */
struct ysource {
    const char *name; /* as errors show it */
    struct str text;
    int order; /* errors sort by it; yaml_read leaves 0 */
};

/* A replacement in a scalar's text: `was` bytes at `at` (in the text as read) became `now` bytes.
 */
struct yedit {
    size_t at, was, now;
    struct yedit *next;
};

struct ynode {
    enum ykind kind;
    enum ystyle style; /* scalars */
    const char *file;
    int line, column; /* of the first character, quotes included */
    const struct ysource *source;
    size_t begin;        /* offset in the source of the scalar's own text, behind a quote */
    const char *text;    /* scalars: NUL-terminated, holds no NUL; maps and lists: "" */
    const char *tag;     /* "!int", or NULL */
    size_t count;        /* children */
    struct ynode *first; /* children in order; in a map these are the values */
    struct ynode *next;
    struct ynode *key;   /* of a map's value, else NULL */
    struct yedit *edits; /* made after reading, in order */
    const char *keep;    /* text to write out instead of `text`; NULL = text */
};

/* All documents of one text. */
struct ydocs {
    struct ynode **v;
    size_t n;
    const struct ysource *source;
};

#define yaml_for_each(CHILD, NODE)                                                                 \
    for (struct ynode *CHILD = (NODE)->first; CHILD; CHILD = CHILD->next)

/* 0, or -EINVAL / -E2BIG with err positioned. ret->source is set as soon as the text was copied,
 * also on an error. An empty text has 0 documents. */
int yaml_read(struct arena *a, const char *name, struct str text, struct ydocs *ret,
              struct err *err);

/* The same with other bounds than YAML_BYTES_MAX and YAML_NODES_MAX. */
struct yaml_limits {
    size_t bytes, nodes;
};
int yaml_read_within(struct arena *a, const char *name, struct str text,
                     const struct yaml_limits *limits, struct ydocs *ret, struct err *err);

/* UTF-8 without control characters (tab and line ends excepted), a byte order mark only in front.
 */
int yaml_check_text(const struct ysource *source, struct err *err);

struct ynode *yaml_get(const struct ynode *map, const char *key); /* NULL: no map, or no such key */
/* A map's values by key, equal keys in the order they came; for work on big maps. Freed by the
 * caller. */
struct ynode **yaml_sorted(const struct ynode *map);
struct ynode *yaml_search(struct ynode *const *sorted, size_t n, const char *key);
bool yaml_is_null(const struct ynode *node); /* plain and empty, ~ or null */
const char *yaml_kind_name(enum ykind kind); /* "a text", "a map", "a list" */

/* Where byte `offset` of a scalar's text stands in its source: exact for one-line scalars and block
 * scalars, through replacements, escapes and folded lines. */
void yaml_position(const struct ynode *node, size_t offset, int *ret_line, int *ret_column);

/* Line and column of a byte offset of a source. */
void yaml_source_position(const struct ysource *source, size_t offset, int *ret_line,
                          int *ret_column);
