#include "lab/doctor.h"

#include <errno.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/lab.h"
#include "lab/mounts.h"
#include "lab/netns.h"
#include "lab/switch.h"
#include "loop/child.h"

#define FAILED_ODDLY 250 /* a child that ended in another way than by its result */

static int try_user_ns(void)
{
    struct err err = {0};
    return root_become(&err);
}

static int try_unshare(int flags)
{
    int r = try_user_ns();
    if (r < 0)
        return r;
    return unshare(flags) < 0 ? -errno : 0;
}

static int try_namespaces(void)
{
    return try_unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
}

static int wait_result(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) < FAILED_ODDLY ? -WEXITSTATUS(status) : -EIO;
}

/* A PID namespace takes effect for children only. */
static int try_proc(void)
{
    int r = try_unshare(CLONE_NEWPID | CLONE_NEWNS);
    if (r < 0 || (r = mounts_private()) < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        _exit(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno
                                                                                         : 0);
    return pid < 0 ? -errno : wait_result(pid);
}

static int mount_tmpfs(void)
{
    int r = mounts_private();
    return r < 0 ? r : mount("squall", "/tmp", "tmpfs", MS_NOSUID, NULL) < 0 ? -errno : 0;
}

static int try_tmpfs(void)
{
    int r = try_unshare(CLONE_NEWNS);
    return r < 0 ? r : mount_tmpfs();
}

static int try_port(const struct port_ops *ops)
{
    char path[64];
    struct port port = {.ops = ops, .fd = -1};
    int r = try_unshare(CLONE_NEWNET | CLONE_NEWNS);
    if (r < 0 || (r = mount_tmpfs()) < 0)
        return r;
    port_tun_path(path, sizeof path, "/tmp");
    struct port_place place = {.home_netns_fd = netns_here(), .tun_path = path};
    if (place.home_netns_fd < 0)
        return place.home_netns_fd;
    r = netns_make(&port, &place, switch_addr(1), SWITCH_PREFIX);
    return r < 0 ? r : 0;
}

static int try_tun(void)
{
    return try_port(&port_tun);
}

static int try_packet(void)
{
    return try_port(&port_packet);
}

static int try_pidfd(void)
{
    int fd = pidfd_open_pid(getpid());
    return fd < 0 ? fd : pidfd_signal(fd, 0);
}

static int try_epoll(void)
{
    struct epoll_event ev;
    struct timespec none = {0};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 || epoll_pwait2(fd, &ev, 1, &none, NULL) < 0 ? -errno : 0;
}

static int try_close_range(void)
{
    return close_range(1000, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static int try_clone3(void)
{
    uint64_t args[8] = {[4] = SIGCHLD};
    long pid = syscall(SYS_clone3, args, sizeof args);
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -errno : wait_result((pid_t)pid);
}

struct facility {
    const char *what;
    int (*run)(void);
    bool needed;
    const char *remedy; /* NULL = root_cause tells */
};

static const char old_kernel[] =
    "remedy: Linux 5.11 or later, and a container that lets it through";
static const struct facility facilities[] = {
    [DOCTOR_USER_NS] = {"user namespaces, or root", try_user_ns, true, NULL},
    [DOCTOR_NAMESPACES] = {"PID, mount, network, IPC and UTS namespaces", try_namespaces, true,
                           NULL},
    [DOCTOR_PROC] = {"a /proc of its own", try_proc, true,
                     "remedy: a container that masks /proc must run with --privileged"},
    [DOCTOR_TMPFS] = {"a tmpfs of its own", try_tmpfs, true,
                      "remedy: run the container with --privileged, or squall outside of it"},
    [DOCTOR_TUN] = {"links by TUN", try_tun, false,
                    "remedy: sudo chmod 0666 /dev/net/tun, or run with sudo"},
    [DOCTOR_PACKET] = {"links by veth and AF_PACKET", try_packet, false,
                       "remedy: a kernel with veth and packet sockets"},
    [DOCTOR_PIDFD] = {"pidfd_open and pidfd_send_signal", try_pidfd, true, old_kernel},
    [DOCTOR_EPOLL] = {"epoll_pwait2", try_epoll, true, old_kernel},
    [DOCTOR_CLOSE_RANGE] = {"close_range", try_close_range, true, old_kernel},
    [DOCTOR_CLONE3] = {"clone3", try_clone3, false, "not needed: clone is used instead"},
};
_Static_assert(ARRAY_SIZE(facilities) == DOCTOR_PROBE_COUNT, "a row for each probe");

int doctor_probe(enum doctor_probe p)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0)
        return wait_result(pid);
    signal(SIGALRM, SIG_DFL);
    alarm(DOCTOR_LIMIT_S);
    _exit(-facilities[p].run() & 0xff);
}

/* A refused namespace refuses what is made inside of it too: one remedy is enough. */
static const char *first_missing(const int results[DOCTOR_PROBE_COUNT], int probe)
{
    bool inside = probe > DOCTOR_NAMESPACES && probe <= DOCTOR_PACKET;
    if (results[DOCTOR_USER_NS] && (inside || probe == DOCTOR_NAMESPACES))
        return facilities[DOCTOR_USER_NS].what;
    return results[DOCTOR_NAMESPACES] && inside ? facilities[DOCTOR_NAMESPACES].what : NULL;
}

static void add_line(struct buf *text, const struct facility *f, int result,
                     const struct root_facts *facts, const char *missing, bool other_link)
{
    if (result == 0) {
        buf_printf(text, "ok  %s\n", f->what);
        return;
    }
    if (missing) {
        buf_printf(text, "--  %s: not tried: needs %s\n", f->what, missing);
        return;
    }
    buf_printf(text, "no  %s: %s; %s%s\n", f->what, strerror(-result),
               f->remedy ? f->remedy : root_cause(facts, result),
               other_link ? " (not needed: the other kind of link works)" : "");
}

int doctor_report(struct buf *text, const int results[DOCTOR_PROBE_COUNT],
                  const struct root_facts *facts)
{
    bool tun = results[DOCTOR_TUN] == 0, packet = results[DOCTOR_PACKET] == 0;
    bool can = tun || packet;
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++) {
        bool link = i == DOCTOR_TUN || i == DOCTOR_PACKET;
        can = can && (results[i] == 0 || !facilities[i].needed);
        add_line(text, &facilities[i], results[i], facts, first_missing(results, i),
                 link && (tun || packet));
    }
    if (can)
        buf_printf(text, "a lab can run here: namespaces, %s\n", tun ? "TUN" : "AF_PACKET");
    else
        buf_add_str(text, "no lab can run here\n");
    return can ? 0 : -EPERM;
}

int doctor_run(struct buf *text)
{
    int results[DOCTOR_PROBE_COUNT];
    struct root_facts facts;
    root_facts_read(&facts);
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++)
        results[i] = doctor_probe((enum doctor_probe)i);
    return doctor_report(text, results, &facts);
}
