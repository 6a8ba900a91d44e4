/*
 * manifest.h - a Chaos Mesh manifest (reference: Chaos Mesh v1alpha1 CRDs) as a validated struct.
 *
 * manifest_parse is pure: text in, struct out; YAML through plan's positioned reader. It knows
 * PodChaos, NetworkChaos and DNSChaos; other kinds are refused by name and line. Unknown or
 * unusable fields are errors or warnings by name, line and column, never dropped.
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

enum manifest_direction { DIRECTION_TO, DIRECTION_FROM, DIRECTION_BOTH, DIRECTION_COUNT };

/* One of externalTargets. What a host name means only a plan can say. */
struct manifest_external {
    const char *text; /* as written */
    const char *host; /* NULL: a network */
    bool v6;
    unsigned char addr[16]; /* of a network, the first 4 bytes when it is not IPv6 */
    int prefix;
    bool outside;  /* nothing in a lab has such an address */
    uint16_t port; /* 0 = all */
    int line;
};

struct manifest_network {
    enum manifest_direction direction;
    bool has_target, has_externals;
    struct manifest_choice target;
    struct manifest_external *externals;
    size_t externals_n;
    struct impair_spec spec;
    const char *unnamed; /* blocks that the action does not name, and that act all the same: "loss,
                            rate"; NULL = none */
};

struct manifest_dns {
    enum lab_names_action action;
    struct plan_strs patterns; /* none = every name */
    int64_t delay_ns;
};

struct manifest {
    const char *kind, *name, *action;
    const char *fault; /* its name in the registry (fault.h) */
    const char *title; /* as people know it: "pod-kill", "NetworkChaos delay" */
    struct manifest_choice source;
    int64_t duration_ns; /* -1 = none */
    int64_t grace_ns;
    struct plan_strs containers;
    const struct manifest_network *network; /* NetworkChaos, else NULL */
    const struct manifest_dns *dns;         /* DNSChaos, else NULL */
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
/* Ports of the switch (impair.h) that an external target means in this plan; their number. */
unsigned manifest_external_ports(const struct manifest_external *x, const struct plan *plan,
                                 struct port_set *ret);

/* What only shows against the plan, one line each: names that no service has, nothing selected,
 * containers that are called otherwise. */
void manifest_notes(const struct manifest *m, const struct plan *plan, struct buf *out);
/* In plain words what will happen, to whom, and how it is undone (for `squall explain`). */
void manifest_explain(const struct manifest *m, const struct plan *plan, struct buf *out);
/* The links of a network fault; sources are ports. Returns their number; 0: why. For
 * manifest_request. */
uint32_t manifest_links(const struct manifest *m, const struct plan *plan, uint64_t seed,
                        const char *stream, const struct port_set *sources,
                        struct fault_network *ret, struct buf *why);
/* The rule that a DNSChaos asks for, but for who asks and the seed. */
void manifest_names(const struct manifest_dns *d, struct fault_names *ret);
/* Picks and fills all of a request for guard_apply but ttl_ns, which is left 0. Every draw is from
 * a stream of the seed that begins with `stream` ("fault/<phase>"). Returns how many services it
 * aims at; 0 = nothing to act on, and one sentence in `why` (cleared first) says why; ret then
 * holds nothing. */
int manifest_request(const struct manifest *m, const struct plan *plan, uint64_t seed,
                     const char *stream, struct fault_request *ret, struct buf *why);
