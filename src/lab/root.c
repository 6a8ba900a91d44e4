#include "lab/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lab/lab.h"

#define PROC_BYTES 65536

static long read_number(const char *path)
{
    struct buf b = {0};
    long v = buf_read_file(&b, path, PROC_BYTES) == 0 ? strtol(buf_str(&b), NULL, 10) : -1;
    buf_done(&b);
    return v;
}

void root_facts_read(struct root_facts *f)
{
    struct buf b = {0};
    *f = (struct root_facts){
        .max_user_namespaces = read_number("/proc/sys/user/max_user_namespaces"),
        .apparmor_restricts = read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        .userns_clone = read_number("/proc/sys/kernel/unprivileged_userns_clone"),
        .root = geteuid() == 0};
    if (buf_read_file(&b, "/proc/self/status", PROC_BYTES) == 0) {
        const char *at = strstr(buf_str(&b), "\nSeccomp:");
        f->seccomp = at ? atoi(at + 9) : 0;
    }
    buf_done(&b);
}

const char *root_cause(const struct root_facts *f, int error)
{
    if (f->max_user_namespaces == 0)
        return "user namespaces are limited to none; remedy: "
               "sudo sysctl user.max_user_namespaces=15000";
    if (error == -ENOSPC || error == -EUSERS)
        return "a limit of namespaces is reached; remedy: raise user.max_user_namespaces and its "
               "neighbours (sysctl user)";
    if (!f->root && f->apparmor_restricts > 0)
        return "AppArmor refuses user namespaces to ordinary programs; remedy: "
               "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run with sudo";
    if (!f->root && f->userns_clone == 0)
        return "user namespaces are switched off for ordinary users; remedy: "
               "sudo sysctl kernel.unprivileged_userns_clone=1, or run with sudo";
    if (f->seccomp == 2)
        return "a seccomp filter (of a container?) forbids it; remedy: run the container with "
               "--privileged, or squall outside of it";
    if (f->root)
        return "this root lacks CAP_SYS_ADMIN; remedy: run the container with --privileged, or "
               "squall outside of it";
    return "remedy: run with sudo";
}

int root_refusal(struct err *err, int error, const char *what, const struct root_facts *f)
{
    bool absent = error == -EINVAL || error == -ENOSYS || error == -ENODEV;
    return err_set(err, absent ? -ENODEV : -EPERM, "%s: %s: %s (see squall doctor)", what,
                   strerror(-error), root_cause(f, error));
}

bool root_has_sys_admin(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &h, d) < 0)
        return false;
    return d[CAP_SYS_ADMIN / 32].effective & 1u << CAP_SYS_ADMIN % 32;
}

enum lab_tier_wish lab_tier_asked(void)
{
    const char *text = getenv(LAB_TIER_VARIABLE);
    if (text && strcmp(text, "loopback") == 0)
        return LAB_TIER_LOOPBACK;
    return text && strcmp(text, "namespaces") == 0 ? LAB_TIER_NAMESPACES : LAB_TIER_BEST;
}

static int write_line(const char *path, const char *text)
{
    CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* One line each, the process itself: the only mapping that needs no privilege outside. */
static int map_self(uid_t uid, gid_t gid)
{
    char line[64];
    write_line("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", uid, uid);
    int r = write_line("/proc/self/uid_map", line);
    if (r < 0)
        return r;
    snprintf(line, sizeof line, "%u %u 1", gid, gid);
    return write_line("/proc/self/gid_map", line);
}

static int enter_user_ns(uid_t uid, gid_t gid, const char **ret_what)
{
    *ret_what = "a user namespace was refused";
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    *ret_what = "mapping the user into its namespace was refused";
    return map_self(uid, gid);
}

/* In a child: a process that got its namespace but not its mapping (AppArmor does that) would be
 * nobody from then on, and there is no way back. */
static int rehearse(uid_t uid, gid_t gid)
{
    const char *what;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(-enter_user_ns(uid, gid, &what) & 0xff);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

int root_try(const char **ret_what)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    *ret_what = "a user namespace was refused";
    if (uid == 0 && root_has_sys_admin())
        return 0;
    int r = rehearse(uid, gid);
    return r < 0 ? r : enter_user_ns(uid, gid, ret_what);
}

int lab_become_root(struct err *err)
{
    const char *what;
    struct root_facts f;
    if (lab_tier_asked() == LAB_TIER_LOOPBACK)
        return err_set(err, -EPERM,
                       LAB_TIER_VARIABLE "=loopback asks for no namespaces; remedy: "
                                         "unset it");
    root_facts_read(&f); /* before: inside, the namespace's own limits would be read */
    int r = root_try(&what);
    return r < 0 ? root_refusal(err, r, what, &f) : 0;
}
