/*
 * walk.h - walks a plan's tree along the key table and fills the structs; for the plan room alone.
 *
 * An owner is a map or element that has a struct of its own (the plan, a service, a load, a phase,
 * a check): entering one makes the struct and sets the defaults of its rows, leaving one checks
 * what takes several keys. Names that point elsewhere are kept as refs and checked after the walk,
 * when everything has been read.
 */
#pragma once
#include "plan/keys.h"
#include "plan/plan.h"
#include "plan/problems.h"

struct ref { /* a name that must exist */
    enum key_type type;
    const struct ynode *node;
    struct ref *next;
};

struct walk {
    struct plan *plan;
    struct problems *problems;
    void *object; /* of the innermost owner */
    const struct ynode *object_node;
    struct ref *refs, **refs_end;
    bool resolved; /* read from a run file: nothing else is opened */
    struct buf *scratch;
};

struct owner {
    const char *path;
    /* returns the new object; node->key names it where it is named */
    void *(*enter)(struct walk *w, struct ynode *node);
    void (*leave)(struct walk *w, struct ynode *node);
};
extern const struct owner owners[];
extern const size_t owners_n;

/* Reads the whole tree into w->plan; mistakes go to w->problems. */
void walk_plan(struct walk *w, struct ynode *root);

struct plan_pos walk_pos(const struct ynode *node);
/* A list's or a single scalar's texts. False (and a problem) when an element is not a text. */
bool walk_strings(struct walk *w, const struct key *key, struct ynode *node, struct plan_strs *ret);
/* The name of a service or load, which is a host name too. */
void walk_host_name(struct walk *w, const struct ynode *key);
const char *walk_nearest(const char *wrong, const char *const *names, size_t n, char *buf,
                         size_t cap); /* ", did you mean "x"?" or "" */

/* values.c: reads one value that is no container into w->object; false, and a problem, when it is
 * not of its type. Some types are only checked here and read by a hook or when the owner is left.
 */
bool walk_value(struct walk *w, const struct key *key, struct ynode *node);
void walk_store_number(const struct key *key, const struct key_value *value, void *object);
void walk_wrong_type(struct walk *w, const struct key *key, const struct ynode *node);
const char *walk_label(const struct key *key, const struct ynode *node);

/* service.c, traffic.c, storm.c, checks.c: owners and hooks, named in the tables */
void *service_enter(struct walk *w, struct ynode *node);
void service_leave(struct walk *w, struct ynode *node);
key_hook service_run, service_ready, service_file, service_metrics;
void *load_enter(struct walk *w, struct ynode *node);
void load_leave(struct walk *w, struct ynode *node);
key_hook load_url;
/* traffic.c: compiles `text`, which is the node's text from `skip` on, for the load being read;
 * NULL, and a problem, when it is wrong. body.c: json, body, choose. */
const struct template *load_template(struct walk *w, const struct ynode *node, size_t skip,
                                     const char *text, const char *use);
void load_bodies(struct walk *w, const struct ynode *load);
void *phase_enter(struct walk *w, struct ynode *node);
void phase_leave(struct walk *w, struct ynode *node);
key_hook phase_kind;
void *check_enter(struct walk *w, struct ynode *node);
void check_leave(struct walk *w, struct ynode *node);
key_hook check_kind, check_when, check_limit, check_within;
/* links.c: everything that needs the whole plan */
void links_check(struct walk *w, struct ynode *root);
/* ":8080/path"; the path defaults to "/". */
int endpoint_parse(struct arena *a, const char *text, uint16_t *ret_port, const char **ret_path);
/* A shell's words: spaces, '...', "...", \x; nothing is expanded. -EINVAL: a quote is left open
 * (ret_bad = its offset). */
int words_split(struct arena *a, const char *text, struct plan_strs *ret, size_t *ret_bad);
/* storm.c: "baseline", "fault", ... */
extern const char *const phase_names[PLAN_PHASE_COUNT];
/* checks.c: `< 100ms` of the given type */
int limit_parse(enum key_type type, const char *text, struct plan_limit *ret);
/* Compiles a pattern (PCRE2, UTF); on error the message and the offset. */
int regex_check(const char *pattern, char *ret_msg, size_t cap, size_t *ret_offset);
