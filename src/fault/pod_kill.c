/*
 * pod_kill.c - ends the process of a service; the restart policy of the plan brings it back.
 *
 * As Chaos Mesh's pod-kill, which deletes the pod: SIGTERM, gracePeriod, SIGKILL; with no grace
 * SIGKILL at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "fault/pod.h"

static int apply(struct fault_ctx *c, const struct fault_request *request, struct fault_result *ret)
{
    static struct pod_outcome outcome;
    char names[FAULT_TEXT_BYTES - 64], grace[32];
    fault_names(request, names, sizeof names);
    if (request->grace_ns > 0)
        snprintf(ret->asked, sizeof ret->asked, "SIGTERM, and SIGKILL after %s: %s",
                 units_format_duration(request->grace_ns, grace, sizeof grace), names);
    else
        snprintf(ret->asked, sizeof ret->asked, "SIGKILL: %s", names);
    int r = pod_command(c, request, LAB_CMD_KILL, &outcome);
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    return pod_measure(request, &outcome, ret);
}

const struct fault fault_pod_kill = {
    .name = "pod-kill",
    .help = "Ends the service's process (SIGTERM, gracePeriod, SIGKILL); its restart policy brings "
            "it back.",
    .undo = "Nothing to undo: the service's own restart policy starts it again.",
    .one_shot = true,
    .kills = true,
    .apply = apply,
};
