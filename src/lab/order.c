#include "lab/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fill_row(struct order *o, const struct plan_service *services, size_t i, struct err *err)
{
    for (size_t k = 0; k < services[i].needs.n; k++) {
        const char *name = services[i].needs.v[k];
        size_t j = 0;
        while (j < o->n && strcmp(services[j].name, name) != 0)
            j++;
        if (j == o->n)
            return err_set(err, -ENOENT, "service '%s' needs '%s', which is no service",
                           services[i].name, name);
        o->needs[i * o->n + j] = true;
    }
    return 0;
}

static bool all_placed(const struct order *o, size_t i, const bool *placed)
{
    for (size_t j = 0; j < o->n; j++)
        if (order_needs(o, i, j) && !placed[j])
            return false;
    return true;
}

/* Takes the first service, in plan order, whose needs are all placed: stable, O(n^3) for few. */
static int place(struct order *o, const struct plan_service *services, struct err *err)
{
    bool *placed = xcalloc(o->n, sizeof *placed);
    int r = 0;
    for (size_t at = 0; at < o->n; at++) {
        size_t i = 0;
        while (i < o->n && (placed[i] || !all_placed(o, i, placed)))
            i++;
        if (i == o->n) {
            for (i = 0; placed[i];)
                i++;
            r = err_set(err, -ELOOP, "service '%s' needs itself, directly or through others",
                        services[i].name);
            break;
        }
        placed[i] = true;
        o->seq[at] = i;
    }
    free(placed);
    return r;
}

int order_make(struct order *o, const struct plan_service *services, size_t n, struct err *err)
{
    int r = 0;
    *o = (struct order){.n = n};
    o->needs = xcalloc(n * n + 1, sizeof *o->needs);
    o->seq = xcalloc(n + 1, sizeof *o->seq);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = fill_row(o, services, i, err);
    if (r == 0)
        r = place(o, services, err);
    if (r < 0)
        order_done(o);
    return r;
}

void order_done(struct order *o)
{
    free(o->needs);
    free(o->seq);
    *o = (struct order){0};
}
