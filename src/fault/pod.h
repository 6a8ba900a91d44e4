/*
 * pod.h - what the pod faults share: one lab command to every target at once, and what came back in
 * words.
 *
 * The lab's init answers a KILL or HOLD when the process is gone, and says whether the service's
 * ready port refused a connection afterwards: that is the measured effect. Results: 0 = every
 * target is gone (and refuses, where it has a port), -ENODATA = commanded, but at least one target
 * was not running or still answered, else the first error; the texts name each target that is not
 * as it should be.
 */
#pragma once
#include "fault/ctx.h"

struct pod_outcome {
    struct lab_answer answers[FAULT_TARGETS];
    int64_t sent_ns;
};

/* kind: LAB_CMD_KILL (signo SIGKILL after request->grace_ns) or LAB_CMD_HOLD. */
int pod_command(struct fault_ctx *c, const struct fault_request *request,
                enum lab_command_kind kind, struct pod_outcome *ret);
/* Fills ret->measured and returns the common result. */
int pod_measure(const struct fault_request *request, const struct pod_outcome *outcome,
                struct fault_result *ret);
