/*
 * manifest_pick.c - selector and mode against the services of a plan.
 *
 * Mode arithmetic as Chaos Mesh's selector: fixed takes min(value, n), fixed-percent
 * ceil(n * value / 100), random-max-percent the same with a percentage drawn from 0 to value
 * inclusive, so that it may take none.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fault/manifest.h"

static const char *label_of(const struct plan_service *s, const char *key)
{
    for (size_t i = 0; i < s->labels_n; i++)
        if (strcmp(s->labels[i].key, key) == 0)
            return s->labels[i].value;
    return NULL;
}

static bool holds(const struct plan_strs *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], text) == 0)
            return true;
    return false;
}

static bool expression_matches(const struct manifest_expression *e, const struct plan_service *s)
{
    const char *value = label_of(s, e->key);
    switch (e->op) {
    case MANIFEST_IN: return value && holds(&e->values, value);
    case MANIFEST_NOT_IN: return !value || !holds(&e->values, value);
    case MANIFEST_EXISTS: return value;
    case MANIFEST_DOES_NOT_EXIST: return !value;
    case MANIFEST_OPERATOR_COUNT: break;
    }
    assert(!"an operator");
    return false;
}

bool manifest_matches(const struct manifest_choice *c, const struct plan_service *service)
{
    const struct manifest_selector *s = &c->selector;
    if (s->has_pods)
        return holds(&s->pods, service->name);
    if (s->name && strcmp(s->name, service->name) != 0)
        return false;
    for (size_t i = 0; i < s->labels_n; i++) {
        const char *value = label_of(service, s->labels[i].key);
        if (!value || strcmp(value, s->labels[i].value) != 0)
            return false;
    }
    for (size_t i = 0; i < s->expressions_n; i++)
        if (!expression_matches(&s->expressions[i], service))
            return false;
    return true;
}

static size_t percent_of(size_t n, uint64_t percent)
{
    return (n * percent + 99) / 100;
}

/* How many of n; draws only for random-max-percent. */
static size_t how_many(const struct manifest_choice *c, size_t n, struct rng *rng)
{
    uint64_t value = (uint64_t)c->value;
    if (n == 0)
        return 0;
    switch (c->mode) {
    case MODE_ONE: return 1;
    case MODE_ALL: return n;
    case MODE_FIXED: return value < n ? value : n;
    case MODE_FIXED_PERCENT: return percent_of(n, value);
    case MODE_RANDOM_MAX_PERCENT: return percent_of(n, rng_below(rng, value + 1));
    case MODE_COUNT: break;
    }
    assert(!"a mode");
    return 0;
}

static int by_index(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

int manifest_pick(const struct manifest_choice *c, const struct plan *plan, struct rng *rng,
                  int32_t *ret, size_t cap)
{
    int32_t *all = xcalloc(plan->services_n, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < plan->services_n; i++)
        if (manifest_matches(c, &plan->services[i]))
            all[n++] = (int32_t)i;
    size_t take = how_many(c, n, rng);
    take = take < cap ? take : cap;
    /* the first `take` steps of a Fisher-Yates shuffle; without a choice nothing is drawn */
    for (size_t i = 0; i < take && take < n; i++) {
        size_t k = i + rng_below(rng, n - i);
        int32_t swap = all[i];
        all[i] = all[k];
        all[k] = swap;
    }
    qsort(all, take, sizeof *all, by_index);
    memcpy(ret, all, take * sizeof *all);
    free(all);
    return (int)take;
}
