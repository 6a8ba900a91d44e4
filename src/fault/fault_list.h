/* fault_list.h - the faults of this build, sorted by name: X(symbol) for `const struct fault
 * symbol`, which lives in the file of that name. */
X(container_kill)
X(dns)
X(network)
X(network_reset)
X(pod_failure)
X(pod_kill)
