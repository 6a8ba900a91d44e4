/*
 * template.h - request text with {{...}} that is a pure function of (run seed, load, request
 * number).
 *
 * Because rendering depends on nothing else, the same seed gives the same requests whatever the
 * timing and however many workers send them. Forms inside {{ }}:
 *   id                   number of the request in its load, from 0
 *   EXPR                 integers, id, + - * / % ( ), e.g. {{id / 4}}; division by zero gives 0
 *   counter FIRST STEP   FIRST + id * STEP
 *   random LOW HIGH      uniform integer in LOW..HIGH
 *   hex N                N random hex digits
 *   uuid                 a random UUID (version 4)
 *   choose A:3 B:1       weighted choice of words ("quoted" where they hold spaces or colons)
 *   "TEXT"               TEXT as it is, e.g. {{"{{"}} for two braces
 *   NAME                 a value of the load's own `vars`, rendered once a request and reusable
 * Integers are 64 bits and wrap. The seed given to template_bind is the load's: mix the load's name
 * into the run's seed.
 * Lifecycle: compiled into an arena; immutable, so shared by threads. Limits: TEMPLATE_PARTS parts,
 * TEMPLATE_VARS vars. template_render never allocates; returns the full length even when it exceeds
 * cap (the output is then cut).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define TEMPLATE_PARTS     1024
#define TEMPLATE_VARS      16
#define TEMPLATE_VAR_BYTES 256

struct template;

/* A load's `vars`, in order; a later one may use an earlier one. */
struct template_vars {
    size_t n;
    const char *names[TEMPLATE_VARS];
    const struct template *values[TEMPLATE_VARS];
};

/* The values for one request: filled once by template_bind, then used by every render of that
 * request. */
struct template_values {
    uint64_t seed, id;
    size_t n;
    struct str v[TEMPLATE_VARS];
    char bytes[TEMPLATE_VARS][TEMPLATE_VAR_BYTES];
};

/* err gets the position inside text: line and column from 1. */
int template_compile(struct arena *a, const char *text, const struct template_vars *vars,
                     struct template **ret, struct err *err);
/* The same for a named place ("path", "headers.X-Id"): equal texts in different places draw
 * different random values. template_compile is the place "". */
int template_compile_for(struct arena *a, const char *text, const char *use,
                         const struct template_vars *vars, struct template **ret, struct err *err);
/* False when a value that t uses holds a quote, a backslash or a control character: inside a JSON
 * text it would end that text. */
bool template_json_safe(const struct template *t, const struct template_vars *vars);
/* `ret` is large (4 KiB): keep one per worker, do not copy it: v points into bytes. */
void template_bind(const struct template_vars *vars, uint64_t seed, uint64_t id,
                   struct template_values *ret);
size_t template_render(const struct template *t, const struct template_values *values, char *out,
                       size_t cap);
/* Upper bound of what render can produce, to size buffers at start. */
size_t template_max_bytes(const struct template *t);
