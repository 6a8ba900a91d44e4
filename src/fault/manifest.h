/*
 * manifest.h - a Chaos Mesh manifest (reference: Chaos Mesh v1alpha1 CRDs) as a validated struct.
 *
 * manifest_parse is pure: text in, struct out; YAML through plan's positioned reader. This issue
 * knows PodChaos; other kinds are refused by name and line. Unknown or unusable fields are errors
 * or warnings by name, line and column, never dropped.
 */
#pragma once
#include "base/buf.h"
#include "base/rng.h"
#include "fault/fault.h"
#include "plan/plan.h"

enum manifest_operator {
    MANIFEST_IN,
    MANIFEST_NOT_IN, /* also when the label is absent, as in Kubernetes */
    MANIFEST_EXISTS,
    MANIFEST_DOES_NOT_EXIST,
    MANIFEST_OPERATOR_COUNT
};

struct manifest_expression {
    const char *key;
    enum manifest_operator op;
    struct plan_strs values;
};

enum manifest_mode {
    MODE_ONE,
    MODE_ALL,
    MODE_FIXED,
    MODE_FIXED_PERCENT,
    MODE_RANDOM_MAX_PERCENT,
    MODE_COUNT
};

struct manifest_selector {
    struct plan_strs namespaces;
    struct plan_kv *labels;
    size_t labels_n;
    struct manifest_expression *expressions; /* expressionSelectors */
    size_t expressions_n;
    const char *name;      /* fieldSelectors metadata.name; NULL = any */
    struct plan_strs pods; /* names; when given all other members are ignored */
    bool has_pods;         /* given, perhaps empty: then nothing matches */
};

/* One side: who may be meant, and how many of them are. */
struct manifest_choice {
    struct manifest_selector selector;
    enum manifest_mode mode;
    double value; /* of the mode */
};

struct manifest {
    const char *kind, *name, *action;
    const char *fault; /* its name in the registry (fault.h) */
    const char *title; /* as people know it: "pod-kill", "NetworkChaos delay" */
    struct manifest_choice source;
    int64_t duration_ns; /* -1 = none */
    int64_t grace_ns;
    struct plan_strs containers;
    struct plan_errors warnings; /* known fields that mean nothing here; plan_errors_done */
    const char *namespace;       /* of the object; "default" when not given */
};

/* 0, or -EINVAL and at least one error; then ret holds nothing (no warnings either). Strings live
 * in the arena. */
int manifest_parse(struct arena *a, const char *file, const char *text, struct manifest *ret,
                   struct plan_errors *errors);
/* Picks targets among the plan's services by selector and mode; returns how many (0 = none: "no
 * target"), ascending indexes in ret, at most cap. Draws from rng only when there is a choice. */
int manifest_pick(const struct manifest_choice *c, const struct plan *plan, struct rng *rng,
                  int32_t *ret, size_t cap);
bool manifest_matches(const struct manifest_choice *c, const struct plan_service *service);

/* What only shows against the plan, one line each: names that no service has, nothing selected,
 * containers that are called otherwise. */
void manifest_notes(const struct manifest *m, const struct plan *plan, struct buf *out);
/* In plain words what will happen, to whom, and how it is undone (for `squall explain`). */
void manifest_explain(const struct manifest *m, const struct plan *plan, struct buf *out);
/* Picks and fills all of a request for guard_apply but ttl_ns, which is left 0. Every draw is from
 * a stream of the seed that begins with `stream` ("fault/<phase>"). Returns how many services it
 * aims at; 0 = nothing to act on, and one sentence in `why` (cleared first) says why; ret then
 * holds nothing. */
int manifest_request(const struct manifest *m, const struct plan *plan, uint64_t seed,
                     const char *stream, struct fault_request *ret, struct buf *why);
