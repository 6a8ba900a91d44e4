/*
 * manifest.h - a Chaos Mesh manifest (reference: Chaos Mesh v1alpha1 CRDs) as a validated struct.
 *
 * manifest_parse is pure: text in, struct out; YAML through plan's positioned reader. This issue
 * knows PodChaos; other kinds are refused by name and line. Unknown or unusable fields are errors
 * or warnings by name, line and column, never dropped.
 */
#pragma once
#include "base/rng.h"
#include "fault/fault.h"
#include "plan/plan.h"

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
    struct plan_strs pods; /* names; when given all other members are ignored */
};

struct manifest {
    const char *kind, *name, *action;
    struct manifest_selector selector;
    enum manifest_mode mode;
    double mode_value;
    int64_t duration_ns; /* -1 = none */
    int64_t grace_ns;
    struct plan_strs containers;
    struct plan_errors warnings; /* known fields that mean nothing here */
};

int manifest_parse(struct arena *a, const char *file, const char *text, struct manifest *ret,
                   struct plan_errors *errors);
/* Picks targets among the plan's services by selector and mode; returns how many (0 = none: "no
 * target"), indexes in ret. */
int manifest_pick(const struct manifest *m, const struct plan *plan, struct rng *rng, int32_t *ret,
                  size_t cap);
