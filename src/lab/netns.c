#include "lab/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

int netns_here(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int netns_enter(int fd)
{
    return setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

static void go_back(int home)
{
    if (netns_enter(home) < 0)
        abort();
}

static int socket_here(int domain, int type)
{
    int s = socket(domain, type, 0);
    return s < 0 ? -errno : s;
}

int netns_socket(int fd, int domain, int type)
{
    if (fd < 0)
        return socket_here(domain, type);
    CLEANUP(close_p) int home = netns_here();
    if (home < 0)
        return home;
    int r = netns_enter(fd);
    if (r < 0)
        return r;
    int s = socket_here(domain, type);
    go_back(home);
    return s;
}

struct errand {
    int fd, domain, type, result;
};

static void *run_errand(void *ctx)
{
    struct errand *e = ctx;
    e->result = netns_enter(e->fd);
    if (e->result == 0 && (e->result = socket(e->domain, e->type, 0)) < 0)
        e->result = -errno;
    return NULL;
}

int netns_socket_by_thread(int fd, int domain, int type)
{
    struct errand e = {.fd = fd, .domain = domain, .type = type};
    sigset_t all, old;
    pthread_t thread;
    /* the thread must not take a signal that a handler or signalfd of the caller waits for */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&thread, NULL, run_errand, &e);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0)
        return r;
    pthread_join(thread, NULL);
    return e.result;
}

static int write_sysctl(const char *path, const char *value)
{
    CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* The kernel takes only groups that the user namespace knows: rootless that is one. */
static void allow_ping(void)
{
    char own[32];
    if (write_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647") == 0)
        return;
    snprintf(own, sizeof own, "%u %u", getegid(), getegid());
    write_sysctl("/proc/sys/net/ipv4/ping_group_range", own);
}

/* Before eth0 is made. Without IPv6 lo keeps ::1 for services that want it; with it there is
 * nothing that chatters by itself. Kernels without IPv6 lack all of these. */
static void configure_ipv6(bool on)
{
    static const char *const quiet[][2] = {{"accept_ra", "0"},
                                           {"addr_gen_mode", "1"},
                                           {"dad_transmits", "0"},
                                           {"router_solicitations", "0"}};
    char path[96];
    write_sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", on ? "0" : "1");
    for (size_t i = 0; on && i < ARRAY_SIZE(quiet); i++) {
        snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/default/%s", quiet[i][0]);
        write_sysctl(path, quiet[i][1]);
    }
}

/* In the new namespace. */
static int configure(struct port *p, const struct port_place *place, uint32_t addr, unsigned prefix)
{
    struct nl_msg m;
    configure_ipv6(p->ipv6);
    write_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    allow_ping();
    int r = p->ops->make(p, place);
    if (r < 0)
        return r;
    CLEANUP(close_p) int nl = nl_open();
    if (nl < 0)
        return nl;
    nl_link_up(&m, (int)if_nametoindex("lo"), 0, 0, false);
    if ((r = nl_talk(nl, &m)) < 0)
        return r;
    int eth0 = (int)if_nametoindex("eth0");
    nl_link_up(&m, eth0, PORT_MTU, PORT_QUEUE, true);
    if ((r = nl_talk(nl, &m)) < 0)
        return r;
    nl_addr_add(&m, eth0, addr, prefix);
    if ((r = nl_talk(nl, &m)) < 0 || !p->ipv6)
        return r;
    nl_addr6_add(&m, eth0, p->addr6, PORT_PREFIX6);
    return nl_talk(nl, &m);
}

int netns_make(struct port *p, const struct port_place *place, uint32_t addr, unsigned prefix)
{
    CLEANUP(close_p) int home = netns_here();
    if (home < 0)
        return home;
    int r = netns_enter(home); /* no way back, no way there: a filter may forbid setns alone */
    if (r < 0)
        return r;
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    r = configure(p, place, addr, prefix);
    int fd = r < 0 ? r : netns_here();
    if (fd < 0 && p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }
    go_back(home);
    return fd;
}
