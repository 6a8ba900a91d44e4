/*
 * fault.h - one fault: a file exporting one `const struct fault`, and one row in fault_list.h.
 *
 * A fault falls in one of two classes: a kernel object that dies with our processes, or a change
 * whose old value is in the journal before it is made. It must name its undo. apply and undo run in
 * the agent, one at a time per target; they answer through struct fault_result with what was asked
 * and what was measured. A fault without a measured effect makes its checks inconclusive. Where the
 * effect shows only with the traffic that meets it, apply answers what is in force, and undo, which
 * reads the last figures, whether it had an effect.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/control.h"

#define FAULT_TARGETS    64
#define FAULT_TEXT_BYTES 512
#define FAULT_LINKS      16

/* Packets from one of `from` to one of `to`; dst_port 0 = all. No pair of ports stands in two
 * parts with the same dst_port, so nothing is impaired twice. */
struct fault_link {
    struct port_set from, to;
    uint64_t seed; /* of its draws */
    uint32_t dst_port;
    uint32_t pad;
};

/* network, network-reset */
struct fault_network {
    uint32_t links_n;
    uint32_t pairs_n; /* of two ports that have a link between them, each direction for itself */
    struct fault_link links[FAULT_LINKS];
    struct impair_spec spec;      /* network */
    char text[FAULT_TEXT_BYTES];  /* what is asked, in plain words */
    char where[FAULT_TEXT_BYTES]; /* "gateway -> redis, both ways" */
};

/* dns */
struct fault_names {
    struct lab_names rule; /* id is left to the agent */
    char text[FAULT_TEXT_BYTES];
};

/* What main asks the agent; fixed size, goes over a socket. */
struct fault_request {
    char kind[32]; /* name of the fault in the registry: pod-kill, network, dns, ... */
    char name[64]; /* as people call it, for the packet log */
    uint32_t targets_n;
    int32_t targets[FAULT_TARGETS]; /* service indexes */
    char target_names[FAULT_TARGETS][64];
    int64_t grace_ns; /* pod-kill: gracePeriod */
    int64_t ttl_ns; /* undone by the agent itself after so long, whatever main does; 0 = no limit */
    struct fault_network network; /* links_n 0 = not one of those */
    struct fault_names names;     /* dns */
};

struct fault_result {
    int result; /* 0 = effect seen, -ENODATA = applied but no effect seen, else -errno */
    char asked[FAULT_TEXT_BYTES];
    char measured[FAULT_TEXT_BYTES];
    char why[FAULT_TEXT_BYTES]; /* of -ENODATA: what is missing, and what to do; "not exact: ..."
                                   when there was an effect, but not the one asked for */
};

/* What the agent gives a fault to act with. */
struct fault_ctx;

struct fault {
    const char *name;     /* as in Chaos Mesh's action, unique and sorted in the registry */
    const char *help;     /* one sentence for explain and doctor */
    const char *undo;     /* one sentence: how it is undone */
    bool one_shot;        /* nothing to undo */
    bool kills;           /* its targets are down while it lasts */
    bool measures_at_end; /* the effect is known when it is undone: undo_fn's ret->result says */
    int (*apply)(struct fault_ctx *ctx, const struct fault_request *request,
                 struct fault_result *ret);
    int (*undo_fn)(struct fault_ctx *ctx, const struct fault_request *request,
                   struct fault_result *ret);
};

/* 0, or -EINVAL for a request that no manifest leads to: counts and numbers out of range, texts
 * without an end. */
int fault_check_request(const struct fault_request *request);

/* Names all targets: "redis-master, kube". */
void fault_names(const struct fault_request *request, char *buf, size_t cap);

const struct fault *fault_find(const char *name); /* NULL = unknown */
size_t fault_count(void);
const struct fault *fault_at(size_t i);
/* Tests only: further kinds, found after the registry's own; the array must stay. Not counted. */
void fault_add_test_faults(const struct fault *const *faults, size_t n);
