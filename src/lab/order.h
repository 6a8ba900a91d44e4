/*
 * order.h - who needs whom among the services, by index, and the order that follows.
 *
 * Pure. order_make resolves the names of `needs`; -ENOENT for an unknown name and -ELOOP for a
 * cycle (the plan refuses both with a position; here they are caught once more so that a plan made
 * by hand cannot hang a lab). Lifecycle: order_make/order_done. Limit: services of one plan.
 */
#pragma once
#include "plan/plan.h"

struct order {
    size_t n;
    bool *needs; /* n * n: row i needs column j */
    size_t *seq; /* a start order: every service after all it needs */
};

int order_make(struct order *o, const struct plan_service *services, size_t n, struct err *err);
void order_done(struct order *o);
static inline bool order_needs(const struct order *o, size_t service, size_t other)
{
    return o->needs[service * o->n + other];
}
