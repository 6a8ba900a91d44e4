/*
 * selector - Kubernetes label selectors: parse and match. Pure.
 *
 * Forms, joined by commas that mean "and": key, !key, key=v, key==v, key!=v, key in (a,b),
 * key notin (a,b). As in Kubernetes, != and notin also hold when the key is absent.
 * Lifecycle: selector_parse() .. selector_done(). Limits: SELECTOR_MAX requirements of at most
 * SELECTOR_VALUES_MAX values. Source: kubernetes.io, Labels and Selectors.
 */
#ifndef BREAKWATER_SELECTOR_H
#define BREAKWATER_SELECTOR_H

#include "util.h"

#define SELECTOR_MAX        32
#define SELECTOR_VALUES_MAX 64

enum selector_op { SEL_EXISTS, SEL_ABSENT, SEL_IN, SEL_NOT_IN };

struct selector_req {
    enum selector_op op;
    char *key;
    char **values;
    size_t n_values;
};

struct selector {
    struct selector_req req[SELECTOR_MAX];
    size_t n;
};

/* The value of a label, or NULL when the object has no such label. */
typedef const char *selector_label_fn(void *ctx, const char *key);

/* 0, or -EINVAL with a message. The selector is valid for selector_done() in both cases. */
int selector_parse(const char *text, struct selector *ret_sel, struct buf *err);
bool selector_match(const struct selector *s, selector_label_fn *label, void *ctx);
void selector_done(struct selector *s);

#endif
