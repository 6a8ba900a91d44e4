/*
 * sources.h - how a plan's tree comes together before it is walked: files and includes, overrides,
 * variables, manifests. For the plan room alone.
 *
 * Order: sources_load (file, then its includes below it) -> sources_set (--set) -> sources_vars
 * ({{name}}) -> sources_manifests (fault files as text). Each step adds its mistakes to the
 * problems and leaves a tree that the next one can work on. Everything lives in the arena. Limits:
 * SOURCES_MAX files, SOURCES_DEPTH levels of includes, SOURCES_GROWN_BYTES that variables and
 * manifests may add.
 */
#pragma once
#include "plan/plan.h"
#include "plan/problems.h"
#include "plan/yaml.h"

#define SOURCES_MAX         32
#define SOURCES_DEPTH       8
#define SOURCES_GROWN_BYTES (8u << 20)

struct sources {
    struct arena *arena;
    struct problems *problems;
    const char *dir; /* of the plan's file, absolute; NULL = not known */
    bool resolved;  /* read from a run file: opens nothing, asks the environment for secrets only */
    size_t files_n; /* read so far */
    size_t grown_bytes;
    const char *open[SOURCES_DEPTH]; /* real paths of the files being included */
    int depth;
};

/* NULL when there is no tree to go on with; then there is a problem. */
struct ynode *sources_load(struct sources *s, const char *path);
struct ynode *sources_parse(struct sources *s, const char *name, struct str text);
void sources_set(struct sources *s, struct ynode *root, const char *const *sets, size_t n);
void sources_vars(struct sources *s, struct ynode *root);
void sources_manifests(struct sources *s, struct ynode *root);

/* Nodes that nobody wrote: they stand where `at` stands. */
struct ynode *node_text(struct arena *a, const struct ynode *at, const char *text);
struct ynode *node_map(struct arena *a, const struct ynode *at);
void node_append(struct ynode *parent, struct ynode *key, struct ynode *child);
void node_remove(struct ynode *parent, const char *key);
/* `path` as seen from the file that holds `at`. */
const char *node_relative(struct arena *a, const struct ynode *at, const char *path);
/* False, and a problem, when the plan grew beyond its bound. */
bool sources_grow(struct sources *s, const struct ynode *at, size_t bytes);
