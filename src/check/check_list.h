/* One row a kind of check, sorted by the name it has in a plan. */
X(errors)
X(latency)
X(log)
X(metric)
X(nothing_lost)
X(recovers)
