/*
 * guard_faults.h - faults that only tests have: they make, through the agent, each kind of change
 * that the journal knows and no fault of the product makes yet.
 *
 * test-stop, test-limit: targets[] are pids; RLIMIT_NOFILE's soft value becomes 16. test-cgroup:
 * targets[0] is a pid, target_names[0] the group's folder below guard_cgroup_root(). Their undo is
 * the journal's own. The effect is proved by reading it back.
 */
#pragma once
#include "fault/fault.h"

void guard_faults_add(void);
/* A cgroup folder in which groups can be made here (v2, else the v1 freezer), or NULL. */
const char *guard_cgroup_root(int *ret_version);
