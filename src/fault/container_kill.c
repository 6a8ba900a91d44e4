/*
 * container_kill.c - ends the container's process at once; here a service is its own only
 * container.
 *
 * As Chaos Mesh's container-kill, which kills without a grace period; the restart policy of the
 * plan brings the service back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fault/pod.h"

static int apply(struct fault_ctx *c, const struct fault_request *request, struct fault_result *ret)
{
    static struct pod_outcome outcome;
    struct fault_request at_once = *request;
    char names[FAULT_TEXT_BYTES - 64];
    at_once.grace_ns = 0;
    fault_names(request, names, sizeof names);
    snprintf(ret->asked, sizeof ret->asked, "SIGKILL: %s", names);
    int r = pod_command(c, &at_once, LAB_CMD_KILL, &outcome);
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    return pod_measure(&at_once, &outcome, ret);
}

const struct fault fault_container_kill = {
    .name = "container-kill",
    .help = "Ends the service's process at once (SIGKILL); its restart policy brings it back.",
    .undo = "Nothing to undo: the service's own restart policy starts it again.",
    .one_shot = true,
    .kills = true,
    .apply = apply,
};
