/*
 * init.h - PID 1 of the lab: makes mounts, namespaces and ports, starts the switch, supervises.
 *
 * init_run is the body of the process that lab_open cloned; it does not return. It dies with main
 * (PDEATHSIG; pidfd and end of file on the command socket besides), and ends, and with it all of
 * the lab, when the switch ends. Single-threaded, never execs; shares no descriptor with main but
 * those named here.
 *
 * In the loopback tier it is an ordinary process that wears the lab's mark (mark.h): it makes only
 * the working folders, inherits orphans as a subreaper, and ends what wears the mark before it ends
 * itself because main is gone. When it is killed, its services are too (PDEATHSIG), and what they
 * left is the guard's.
 */
#pragma once
#include "lab/spawn.h"
#include "lab/sup.h"
#include "lab/switch.h"

struct init_config {
    const struct plan *plan;
    const char *run_dir; /* absolute, real path */
    const char *path;
    const struct spawn_user *users; /* one a service */
    struct switch_counters counters;
    bool try_tun;
    const struct loopback *loopback; /* NULL = namespaces */
    int log_fd;                      /* of the packet log; -1 = none */
    int64_t epoch_ns;                /* 1970 on the monotonic clock */
    int main_pidfd, event_fd, conn_fds[SUP_CONNS];
};

_Noreturn void init_run(const struct init_config *config);

/* The lab's /etc/hosts. */
void init_hosts(struct buf *out, const struct plan *plan);
