/*
 * fault.h - one fault: a file exporting one `const struct fault`, and one row in fault_list.h.
 *
 * A fault falls in one of two classes: a kernel object that dies with our processes, or a change
 * whose old value is in the journal before it is made. It must name its undo. apply and undo run in
 * the agent, one at a time per target; they answer through struct fault_result with what was asked
 * and what was measured. A fault without a measured effect makes its checks inconclusive.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_TARGETS    64
#define FAULT_TEXT_BYTES 512

/* What main asks the agent; fixed size, goes over a socket. */
struct fault_request {
    char kind[32]; /* name of the fault in the registry: pod-kill, pod-failure, container-kill */
    uint32_t targets_n;
    int32_t targets[FAULT_TARGETS]; /* service indexes */
    char target_names[FAULT_TARGETS][64];
    int64_t grace_ns; /* pod-kill: gracePeriod */
    int64_t ttl_ns; /* undone by the agent itself after so long, whatever main does; 0 = no limit */
};

struct fault_result {
    int result; /* 0 = effect seen, -ENODATA = applied but no effect seen, else -errno */
    char asked[FAULT_TEXT_BYTES];
    char measured[FAULT_TEXT_BYTES];
};

/* What the agent gives a fault to act with. */
struct fault_ctx;

struct fault {
    const char *name; /* as in Chaos Mesh's action, unique and sorted in the registry */
    const char *help; /* one sentence for explain and doctor */
    const char *undo; /* one sentence: how it is undone */
    bool one_shot;    /* nothing to undo */
    int (*apply)(struct fault_ctx *ctx, const struct fault_request *request,
                 struct fault_result *ret);
    int (*undo_fn)(struct fault_ctx *ctx, const struct fault_request *request,
                   struct fault_result *ret);
};

const struct fault *fault_find(const char *name); /* NULL = unknown */
size_t fault_count(void);
const struct fault *fault_at(size_t i);
/* Tests only: further kinds, found after the registry's own; the array must stay. Not counted. */
void fault_add_test_faults(const struct fault *const *faults, size_t n);
