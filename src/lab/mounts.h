/*
 * mounts.h - the lab's own view of the file system, made once in the init's mount namespace.
 *
 * A fresh /proc for the PID namespace; a tmpfs over run_dir (working folders, files) and one over
 * /dev/shm (unless run_dir is in it), so that nothing of the services reaches the disk or the host;
 * our hosts, resolv.conf and nsswitch.conf over those of /etc. A root without /etc/hosts (as
 * debootstrap makes it) or with a dangling link there gets a shadow of /etc: a folder in the tmpfs
 * with every entry of /etc bound into it, itself bound over /etc. Everything is private and ends
 * with the namespace.
 *
 * Names are found in the hosts file; or, with a resolver, by asking it, so that names can be made
 * to fail: then the hosts file knows localhost only.
 *
 * Errors: -errno and one line that says what was refused. MOUNTS_DIR under run_dir is ours; service
 * names hold no dot, so they cannot meet it.
 */
#pragma once
#include <sys/types.h>

#include "base/buf.h"
#include "plan/plan.h"

#define MOUNTS_DIR       ".lab"
#define MOUNTS_LOCALHOST "127.0.0.1\tlocalhost\n"

struct mounts_names {
    const char *hosts;    /* the whole file, used without a resolver */
    const char *resolver; /* its address, dotted; NULL = none */
};

/* In a mount namespace of our own: what is mounted from now on stays in it; also in a chroot. */
int mounts_private(void);
/* run_dir: absolute. */
int mounts_make(const char *run_dir, const struct mounts_names *names, struct err *err);
/* Working folder run_dir/NAME with the service's files, owned by uid/gid ((uid_t)-1 = as is). */
int mounts_work_dir(const char *run_dir, const struct plan_service *s, uid_t uid, gid_t gid,
                    struct err *err);
/* True when a file's path stays below the working folder. */
bool mounts_path_ok(const char *path);
/* resolv.conf for a resolver, or for none. Pure. */
void mounts_resolv(struct buf *out, const char *resolver);
/* nsswitch.conf with its hosts line asking files, then DNS, only. Pure. */
void mounts_nsswitch(struct buf *out, struct str text);
