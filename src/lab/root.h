/*
 * root.h - why this machine refuses a lab, in one line with the remedy.
 *
 * root_refusal looks at what the kernel says about itself (sysctls, /proc/self/status) after a
 * namespace was refused with `error` (-errno) and writes one line that names the cause as near as
 * it can be told, the remedy, and `squall doctor`. The readings come through struct root_facts, so
 * that each cause is testable without such a machine.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"

struct root_facts {
    long max_user_namespaces; /* -1 = the kernel does not say */
    long apparmor_restricts;  /* kernel.apparmor_restrict_unprivileged_userns */
    long userns_clone;        /* kernel.unprivileged_userns_clone (Debian 10, 11) */
    int seccomp;              /* Seccomp: of /proc/self/status, 2 = filter */
    bool root;                /* effective uid 0 */
};

void root_facts_read(struct root_facts *f);
/* Cause and remedy, for a refusal with `error`. */
const char *root_cause(const struct root_facts *f, int error);
/* Returns -EPERM, or -ENODEV where the kernel has no such thing. */
int root_refusal(struct err *err, int error, const char *what, const struct root_facts *f);
bool root_has_sys_admin(void);
/* lab_become_root, whatever SQUALL_LAB_TIER says: 0, or -errno and what was refused. */
int root_try(const char **ret_what);
