#include "lab/doctor.h"

#include <errno.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/loopback.h"
#include "lab/mark.h"
#include "lab/mounts.h"
#include "lab/netns.h"
#include "lab/switch.h"
#include "loop/child.h"

#define FAILED_ODDLY 250 /* a child that ended in another way than by its result */

static int try_user_ns(void)
{
    const char *what;
    return root_try(&what);
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
    struct port port = {.ops = ops, .fd = -1, .fd6 = -1};
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

/* Addresses, a mark that can be read back, orphans that come to us. */
static int try_loopback(void)
{
    static const struct plan none;
    struct loopback l;
    struct err err = {0};
    int r = loopback_open(&l, &none, "", &err);
    if (r == 0 && (r = mark_wear(l.mark)) == 0 && mark_of_pid(getpid()) != l.mark)
        r = -ENOENT;
    if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        r = -errno;
    loopback_done(&l);
    return r;
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

#define IN(TIER) (1u << DOCTOR_TIER_##TIER)
#define IN_NS    (IN(TUN) | IN(PACKET))
#define IN_ALL   (IN_NS | IN(LOOPBACK))

struct facility {
    const char *what;
    int (*run)(void);
    unsigned needed;    /* in which tiers */
    const char *remedy; /* NULL = root_cause tells */
};

static const char old_kernel[] =
    "remedy: Linux 5.11 or later, and a container that lets it through";
static const struct facility facilities[] = {
    [DOCTOR_USER_NS] = {"user namespaces, or root", try_user_ns, IN_NS, NULL},
    [DOCTOR_NAMESPACES] = {"PID, mount, network, IPC and UTS namespaces", try_namespaces, IN_NS,
                           NULL},
    [DOCTOR_PROC] = {"a /proc of its own", try_proc, IN_NS,
                     "remedy: a container that masks /proc must run with --privileged"},
    [DOCTOR_TMPFS] = {"a tmpfs of its own", try_tmpfs, IN_NS,
                      "remedy: run the container with --privileged, or squall outside of it"},
    [DOCTOR_TUN] = {"links by TUN", try_tun, IN(TUN),
                    "remedy: sudo chmod 0666 /dev/net/tun, or run with sudo"},
    [DOCTOR_PACKET] = {"links by veth and AF_PACKET", try_packet, IN(PACKET),
                       "remedy: a kernel with veth and packet sockets"},
    [DOCTOR_LOOPBACK] =
        {"loopback addresses, marked processes", try_loopback, IN(LOOPBACK),
         "remedy: a /proc that shows limits, and no limit of real-time (ulimit -R)"},
    [DOCTOR_PIDFD] = {"pidfd_open and pidfd_send_signal", try_pidfd, IN_ALL, old_kernel},
    [DOCTOR_EPOLL] = {"epoll_pwait2", try_epoll, IN_ALL, old_kernel},
    [DOCTOR_CLOSE_RANGE] = {"close_range", try_close_range, IN_ALL, old_kernel},
    [DOCTOR_CLONE3] = {"clone3", try_clone3, 0, "not needed: clone is used instead"},
};
_Static_assert(ARRAY_SIZE(facilities) == DOCTOR_PROBE_COUNT, "a row for each probe");

static const char *const tier_names[] = {"namespaces, TUN", "namespaces, AF_PACKET", "loopback",
                                         "none"};
_Static_assert(ARRAY_SIZE(tier_names) == DOCTOR_TIER_COUNT, "a name for each tier");

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

/* The probe that a tier lacks and that others stand on, or -1. */
static int first_missing(const struct doctor_machine *m, enum doctor_tier tier)
{
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++)
        if (m->results[i] && facilities[i].needed & 1u << tier)
            return i;
    return -1;
}

static const char *remedy_of(const struct doctor_machine *m, int probe)
{
    return facilities[probe].remedy ? facilities[probe].remedy
                                    : root_cause(&m->facts, m->results[probe]);
}

/* A refused namespace refuses what is made inside of it too: one remedy is enough. */
static const char *stands_on(const struct doctor_machine *m, int probe)
{
    bool inside = probe > DOCTOR_NAMESPACES && probe <= DOCTOR_PACKET;
    if (m->results[DOCTOR_USER_NS] && (inside || probe == DOCTOR_NAMESPACES))
        return facilities[DOCTOR_USER_NS].what;
    return m->results[DOCTOR_NAMESPACES] && inside ? facilities[DOCTOR_NAMESPACES].what : NULL;
}

static void add_line(struct buf *text, const struct doctor_machine *m, int probe)
{
    const struct facility *f = &facilities[probe];
    const char *missing = stands_on(m, probe);
    bool link = probe == DOCTOR_TUN || probe == DOCTOR_PACKET;
    bool other = link && (m->results[DOCTOR_TUN] == 0 || m->results[DOCTOR_PACKET] == 0);
    if (m->results[probe] == 0)
        buf_printf(text, "ok  %s\n", f->what);
    else if (missing)
        buf_printf(text, "--  %s: not tried: needs %s\n", f->what, missing);
    else
        buf_printf(text, "no  %s: %s; %s%s\n", f->what, strerror(-m->results[probe]),
                   remedy_of(m, probe), other ? " (not needed: the other kind of link works)" : "");
}

static bool is_wanted(const struct doctor_machine *m, enum doctor_tier tier)
{
    if (m->wish == LAB_TIER_LOOPBACK && tier < DOCTOR_TIER_LOOPBACK)
        return false;
    if (m->wish == LAB_TIER_NAMESPACES && tier == DOCTOR_TIER_LOOPBACK)
        return false;
    return tier != DOCTOR_TIER_TUN || !m->no_tun;
}

enum doctor_tier doctor_tier(const struct doctor_machine *m)
{
    enum doctor_tier tier = DOCTOR_TIER_TUN;
    while (tier < DOCTOR_TIER_NONE && (!is_wanted(m, tier) || first_missing(m, tier) >= 0))
        tier++;
    return tier;
}

/* Why not in this tier, which is better than the one in use. */
static void say_why(struct buf *text, const struct doctor_machine *m, enum doctor_tier tier)
{
    int missing = first_missing(m, tier);
    if (missing >= 0)
        buf_printf(text, "needs %s: %s; %s\n", facilities[missing].what,
                   strerror(-m->results[missing]), remedy_of(m, missing));
    else if (tier == DOCTOR_TIER_TUN && m->no_tun)
        buf_add_str(text, "SQUALL_LAB_NO_TUN is set; remedy: unset it\n");
    else
        buf_printf(text, "%s=%s; remedy: unset it\n", LAB_TIER_VARIABLE,
                   m->wish == LAB_TIER_LOOPBACK ? "loopback" : "namespaces");
}

static void add_better(struct buf *text, const struct doctor_machine *m, enum doctor_tier used)
{
    struct buf why[DOCTOR_TIER_COUNT] = {0};
    for (int i = 0; i < (int)used; i++)
        say_why(&why[i], m, (enum doctor_tier)i);
    /* one remedy for both kinds of link, where it is the same */
    bool same = used > DOCTOR_TIER_PACKET &&
                strcmp(buf_str(&why[DOCTOR_TIER_TUN]), buf_str(&why[DOCTOR_TIER_PACKET])) == 0;
    for (int i = same ? 1 : 0; i < (int)used; i++)
        buf_printf(text, "not %s: %s", same && i == 1 ? "namespaces" : tier_names[i],
                   buf_str(&why[i]));
    for (int i = 0; i < (int)used; i++)
        buf_done(&why[i]);
}

int doctor_report(struct buf *text, const struct doctor_machine *m)
{
    enum doctor_tier tier = doctor_tier(m);
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++)
        add_line(text, m, i);
    if (tier == DOCTOR_TIER_NONE)
        buf_add_str(text, "no lab can run here\n");
    else
        buf_printf(text, "a lab can run here: %s\n", tier_names[tier]);
    if (tier == DOCTOR_TIER_LOOPBACK)
        buf_add_str(text,
                    "inconclusive there: every check that depends on a fault of packets, "
                    "connections or names (NetworkChaos, DNSChaos); faults of processes (PodChaos) "
                    "work\n"
                    "shared there with this machine: its network and ports, processes, /dev/shm\n");
    add_better(text, m, tier);
    return tier == DOCTOR_TIER_NONE ? -EPERM : 0;
}

int doctor_run(struct buf *text)
{
    struct doctor_machine m = {.wish = lab_tier_asked(), .no_tun = getenv("SQUALL_LAB_NO_TUN")};
    root_facts_read(&m.facts);
    for (int i = 0; i < DOCTOR_PROBE_COUNT; i++)
        m.results[i] = doctor_probe((enum doctor_probe)i);
    return doctor_report(text, &m);
}
