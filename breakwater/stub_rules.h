/*
 * stub_rules - programmable answers: which request gets which canned behaviour. Pure: no I/O.
 *
 * A rule list is JSON: [{"match":{"method","path","body_has","nth","every","prob"},
 *   "reply":{"status","headers","body","delay_ms","drop","truncate","hang"}, "times": N}].
 * All given match fields must hold; path is a glob over the whole path (* any text, ? one byte).
 * nth = only the nth request that matches the other fields (1 = first), every = each nth,
 * prob = share 0..1 drawn from the list's own seeded stream. times = how often the rule may fire,
 * 0 or absent = without end. The first rule that fires wins.
 * A reply without status, drop, truncate and hang only delays; the real answer follows.
 * truncate = send that many bytes of the answer, then cut. body may be a string or any JSON.
 *
 * Lifecycle: rules_parse() .. rules_free(). Limits: RULES_MAX rules, delay at most 1 h.
 * Threads: the caller's lock (counters move on every match).
 */
#ifndef BREAKWATER_STUB_RULES_H
#define BREAKWATER_STUB_RULES_H

#include "util.h"

#define RULES_MAX         256
#define RULE_HEADERS_MAX  16
#define RULE_DELAY_MS_MAX 3600000

struct rule_header {
    char *name, *value;
};

struct rule_reply {
    int status; /* 0: the real answer */
    struct rule_header headers[RULE_HEADERS_MAX];
    size_t n_headers;
    char *body; /* NULL: an answer that fits the status */
    int64_t delay_ms;
    bool drop, hang;
    int64_t truncate; /* -1: whole */
};

struct rule {
    char *method, *path, *body_has; /* NULL: any */
    int64_t nth, every;             /* 0: not asked */
    double prob;                    /* 1: always */
    int64_t times;                  /* 0: without end */
    struct rule_reply reply;
    int64_t seen, fired; /* counters */
};

struct rules {
    struct rule *v;
    size_t n;
    uint64_t rng;
};

/* A list from text; NULL with a message in err. */
struct rules *rules_parse(const char *text, size_t len, struct buf *err);
void rules_free(struct rules *r);
/* The rule that fires for this request, counted, or NULL. body may be NULL. */
struct rule *rules_match(struct rules *r, const char *method, const char *path, const char *body,
                         size_t body_len);
bool glob_match(const char *pattern, const char *text);

#endif
