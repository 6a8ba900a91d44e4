/*
 * plan.h - a plan as validated structs: what the engines read. Made by plan_load, immutable
 * afterwards.
 *
 * Lifecycle: plan_load/plan_free; everything hangs in the plan's arena. Pointers that may be NULL
 * say so; arrays have their count beside them. Times are ns, sizes bytes, rates per second, shares
 * ratios. Every value that a user can get wrong later (a name, a port) carries the position of its
 * node.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/template.h"

struct plan_pos {
    const char *file;
    int line, column;
};

struct plan_kv {
    const char *key, *value;
};

struct plan_strs {
    const char **v;
    size_t n;
};

enum plan_ready_kind {
    PLAN_READY_NONE,
    PLAN_READY_TCP,
    PLAN_READY_HTTP,
    PLAN_READY_COMMAND,
    PLAN_READY_LOG
};

struct plan_ready {
    enum plan_ready_kind kind;
    uint16_t port;       /* tcp, http */
    const char *path;    /* http */
    const char *command; /* command: run in the service's namespaces, ready when it exits 0 */
    const char *matches; /* log: PCRE2 pattern a line of output must match */
    int64_t within_ns, every_ns, timeout_ns;
};

enum plan_restart { PLAN_RESTART_NEVER, PLAN_RESTART_ON_FAILURE, PLAN_RESTART_ALWAYS };

/* Soft limits; -1 = not set. */
struct plan_limits {
    int64_t memory_bytes; /* RLIMIT_DATA */
    int64_t nofile, nproc, stack_bytes, fsize_bytes, core_bytes;
};

struct plan_file {
    const char *path; /* relative to the service's working folder */
    const char *text; /* contents, variables already replaced */
    struct plan_pos pos;
};

struct plan_service {
    const char *name; /* also its host name: [a-z0-9-], at most 63 */
    struct plan_kv *labels;
    size_t labels_n;
    const char **argv; /* NULL-terminated; no shell */
    struct plan_strs needs;
    struct plan_ready ready;
    enum plan_restart restart;
    int64_t backoff_ns, backoff_max_ns;
    int stop_signal;
    int64_t stop_grace_ns;
    struct plan_limits limits;
    struct plan_kv *env;
    size_t env_n;
    struct plan_file *files;
    size_t files_n;
    const char *user;      /* NULL = as squall itself */
    uint16_t metrics_port; /* 0 = not scraped */
    const char *metrics_path;
    int64_t metrics_every_ns;
    struct plan_pos pos, run_pos;
};

/* Statuses that mean something: codes[] holds single codes or classes (2 = 2xx). */
struct plan_codes {
    int *v;
    size_t n;
};

enum plan_model { PLAN_OPEN, PLAN_CLOSED };

struct plan_settle {
    const char *from; /* service; NULL = no settlement */
    uint16_t port;
    const char *list;  /* path */
    const char *id;    /* JSON path to each object's key */
    const char *count; /* JSON path to each object's occurrence count; NULL = an object is one */
    const struct template **keys; /* what one request must be found as; several for a batch */
    size_t keys_n;
    const char **key_texts;
    int64_t stable_ns; /* the list must not change for so long */
    int64_t within_ns; /* limit for becoming stable */
    struct plan_pos pos;
};

struct plan_variant {
    double weight;
    const struct template *body; /* NULL = none */
    const char *body_text;
};

struct plan_load {
    const char *name;
    const char *method;
    const char *scheme, *host; /* host: a service, or an address */
    uint16_t port;
    const struct template *path;
    const char *path_text;
    struct plan_kv *headers; /* values may hold templates; Host, Content-Length are made */
    const struct template **header_values;
    size_t headers_n;
    struct plan_variant *variants; /* at least one; drawn by weight from the load's stream */
    size_t variants_n;
    struct template_vars vars;
    enum plan_model model;
    double rate_per_s; /* open */
    bool poisson;      /* open: Poisson arrivals, else constant */
    int concurrency;   /* closed: requests in flight; open: most connections at once */
    int workers;       /* threads */
    int64_t requests;  /* stop after so many; 0 = no limit */
    bool keep_alive;
    bool keep_rows; /* write every request to the run file, not only those that were not accepted */
    int64_t timeout_ns, connect_timeout_ns;
    struct plan_codes accepted, refused;
    struct plan_settle settle;
    struct plan_strs phases; /* names; empty = all phases */
    struct plan_pos pos, url_pos;
};

enum plan_phase_kind { PLAN_BASELINE, PLAN_FAULT, PLAN_RECOVERY, PLAN_COOLDOWN, PLAN_PHASE_COUNT };

struct plan_phase {
    enum plan_phase_kind kind;
    const char *name; /* unique in the plan: baseline, fault, recovery, ...; a second one gets -2 */
    int64_t duration_ns;       /* baseline, cooldown, fault; -1 = the manifest's own duration */
    int64_t within_ns;         /* recovery: at most */
    const char *manifest_file; /* fault: path as opened */
    const char *manifest_text; /* fault: its YAML, for the run file */
    struct plan_pos pos;
};

enum plan_when {
    PLAN_BEFORE,
    PLAN_DURING,
    PLAN_AFTER,
    PLAN_ALWAYS,
    PLAN_NEVER,
    PLAN_EVENTUALLY,
    PLAN_WHEN_COUNT
};

enum plan_op { PLAN_LT, PLAN_LE, PLAN_GT, PLAN_GE, PLAN_EQ, PLAN_NE, PLAN_OP_COUNT };

struct plan_limit {
    const char *what; /* "p99", "mean", "max", "share", "count", "value", "within", "first" as the
                         kind knows it */
    enum plan_op op;
    double value;     /* ns for durations */
    const char *text; /* as written: "< 100ms" */
};

struct plan_check {
    const char *kind;    /* "nothing lost", "latency", "errors", "recovers", "log", "metric" */
    const char *name;    /* for people, unique in the plan */
    const char *load;    /* NULL where the kind has none */
    const char *service; /* NULL where the kind has none */
    const char *series;  /* metric: name{label="value",...} */
    const char *matches; /* log: PCRE2 */
    struct plan_limit *limits;
    size_t limits_n;
    enum plan_when when;
    const char *phase; /* NULL = the whole run */
    int64_t within_ns; /* eventually, during: from the phase's start; 0 = none */
    struct plan_pos pos;
};

struct plan {
    struct arena arena;
    const char *file, *name, *about;
    const char *dir; /* absolute folder of `file`; NULL when read from a run file */
    struct plan_strs tags;
    uint64_t seed; /* 0 = draw one */
    struct plan_service *services;
    size_t services_n;
    bool lab_ipv6, lab_dns;
    struct plan_load *loads;
    size_t loads_n;
    struct plan_phase *phases;
    size_t phases_n;
    struct plan_check *checks;
    size_t checks_n;
    const char *resolved; /* the whole plan as YAML/JSON text with includes, variables, --set and
                             manifests in it */
};

/* All mistakes of one plan, in source order, each with its position. */
struct plan_errors {
    struct err *v;
    size_t n, cap;
    struct buf text; /* as printed: message, source line, caret */
};

struct plan_options {
    const char *const *sets; /* "path.to.key=value" */
    size_t sets_n;
};

/* 0 and a plan, or -errno and at least one error. Reads the file, its includes and its manifests.
 */
int plan_load(const char *path, const struct plan_options *options, struct plan **ret,
              struct plan_errors *errors);
/* The same from the text kept in a run file: no file is read. */
int plan_load_resolved(const char *text, struct plan **ret, struct plan_errors *errors);
void plan_free(struct plan *plan);
void plan_errors_done(struct plan_errors *errors);

const struct plan_service *plan_find_service(const struct plan *plan,
                                             const char *name); /* NULL = none */
const struct plan_load *plan_find_load(const struct plan *plan, const char *name);
int plan_find_phase(const struct plan *plan, const char *name); /* index or -1 */
bool plan_codes_match(const struct plan_codes *codes, int status);
bool plan_compare(enum plan_op op, double value, double limit);
