/*
 * problems.h - collects every mistake of a text in one pass, then hands them over in source order.
 *
 * Lifecycle: problems_init, problems_add... while reading, problems_finish moves them into a struct
 * plan_errors (sorted by source, line and column; text = message, source line, caret), or
 * problems_done drops them. The sources must live until then. Limits: keeps PROBLEMS_KEPT, shows
 * PROBLEMS_SHOWN and says how many more there are. Thread rule: one thread.
 */
#pragma once
#include "plan/plan.h"
#include "plan/yaml.h"

#define PROBLEMS_KEPT    500
#define PROBLEMS_SHOWN   50
#define PROBLEMS_SECRETS 64

struct problem {
    struct err err;
    const struct ysource *source; /* NULL = no line to show */
    size_t sequence;
};

struct problems {
    struct problem *v;
    size_t n, cap, all; /* all: also those not kept */
    const char *secrets[PROBLEMS_SECRETS];
    size_t secrets_n;
};

void problems_init(struct problems *p);
void problems_done(struct problems *p);
/* At the start of a node. */
void problems_add(struct problems *p, const struct ynode *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* At byte `offset` of a scalar's text. */
void problems_add_inside(struct problems *p, const struct ynode *at, size_t offset, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));
/* An error that carries its position already; source may be NULL. */
void problems_add_err(struct problems *p, const struct ysource *source, const struct err *err);
/* True when further ones are only counted: no need to look for words for them. */
static inline bool problems_full(const struct problems *p)
{
    return p->n == PROBLEMS_KEPT;
}
/* A value that no message may show, wherever it came from; at most PROBLEMS_SECRETS. */
void problems_hide(struct problems *p, const char *secret);
/* 0 when there is none, else -EINVAL; `ret` is initialised either way; p is empty afterwards. */
int problems_finish(struct problems *p, struct plan_errors *ret);
