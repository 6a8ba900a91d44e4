/*
 * plans.h - a plan with its manifests, as run, lint and explain need it: loaded, checked, every
 * mistake printed.
 */
#pragma once
#include "cmd/options.h"
#include "fault/manifest.h"
#include "plan/plan.h"

struct plans_loaded {
    struct plan *plan;
    struct manifest *manifests; /* one a phase; kind NULL where the phase has none */
    struct arena arena;
};

/* Prints mistakes and warnings to standard error. 0 or -EINVAL; plans_unload in both cases. */
int plans_load(const char *path, const struct option_list *sets, struct plans_loaded *ret);
void plans_unload(struct plans_loaded *l);
/* The seed of a run or lab: `asked` (of --seed) when not NULL, else the plan's, else a new one. */
int plans_seed(const struct plan *plan, const char *asked, uint64_t *ret, struct err *err);
/* How long the fault of this phase lasts: the plan's word, else the manifest's. */
int64_t plans_fault_duration(const struct plans_loaded *l, size_t phase);
