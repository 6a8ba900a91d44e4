/* One row a subcommand, in the order of --help. */
X(run)
X(lint)
X(explain)
X(report)
X(undo)
X(doctor)
X(guard_agent)
X(guard_undertaker)
