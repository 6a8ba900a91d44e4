#include "lab/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/loopback.h"
#include "lab/mark.h"
#include "lab/mounts.h"
#include "lab/netns.h"
#include "lab/root.h"
#include "loop/child.h"
#include "loop/signals.h"

#define END_WITHIN_NS (10 * NS_PER_S)

struct init {
    const struct init_config *config;
    struct sup sup;
    struct signals signals;
    struct io main_io;
    struct port *ports;
    unsigned ports_n;
    struct box *boxes;
    int *netns_fds; /* one a port of the switch */
    pid_t switch_pid;
};

void init_hosts(struct buf *out, const struct plan *plan)
{
    buf_add_str(out, MOUNTS_LOCALHOST);
    for (size_t i = 0; i < plan->services_n; i++) {
        unsigned char six[16];
        char text[INET6_ADDRSTRLEN];
        uint32_t a = switch_addr((unsigned)i + 1);
        buf_printf(out, "%u.%u.%u.%u\t%s\n", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                   plan->services[i].name);
        switch_addr6((unsigned)i + 1, six);
        if (plan->lab_ipv6 && inet_ntop(AF_INET6, six, text, sizeof text))
            buf_printf(out, "%s\t%s\n", text, plan->services[i].name);
    }
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Closes all but 0, 1, 2 and keep[], which gets sorted. */
static void close_all_but(int *keep, size_t n)
{
    unsigned from = 3;
    qsort(keep, n, sizeof *keep, by_number);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        if (keep[i] > (int)from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0u, 0);
}

/* Main's descriptors must not live on in the lab: a socket kept open here would never be closed. */
static void close_others(const struct init_config *c)
{
    int keep[4 + SUP_CONNS] = {c->main_pidfd, c->event_fd, c->log_fd,
                               c->loopback ? c->loopback->lock_fd : -1};
    memcpy(keep + 4, c->conn_fds, sizeof c->conn_fds);
    close_all_but(keep, ARRAY_SIZE(keep));
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        close(null);
    }
}

static bool main_is_gone(const struct init_config *c)
{
    struct pollfd p = {.fd = c->main_pidfd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

/* The switch keeps its ports and nothing else: a pipe or socket held here would outlive its use. */
static _Noreturn void run_switch(struct init *in, int control)
{
    static struct vswitch sw;
    static const char *names[SWITCH_PORTS_MAX] = {"outside"};
    static struct names_entry entries[SWITCH_PORTS_MAX];
    int keep[2 * SWITCH_PORTS_MAX + 2] = {control, in->config->log_fd};
    prctl(PR_SET_NAME, "squall-switch");
    signals_reset();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned i = 0; i < in->ports_n; i++) {
        keep[2 * i + 2] = in->ports[i].fd;
        keep[2 * i + 3] = in->ports[i].fd6;
    }
    for (unsigned i = 1; i < in->ports_n; i++) {
        names[i] = in->config->plan->services[i - 1].name;
        entries[i - 1] = (struct names_entry){
            .name = names[i], .ipv4 = switch_addr(i), .has_ipv6 = in->config->plan->lab_ipv6};
        switch_addr6(i, entries[i - 1].ipv6);
    }
    close_all_but(keep, 2 * in->ports_n + 2);
    const struct switch_config config = {.ports = in->ports,
                                         .ports_n = in->ports_n,
                                         .counters = in->config->counters,
                                         .control = control,
                                         .log_fd = in->config->log_fd,
                                         .epoch_ns = in->config->epoch_ns,
                                         .names = names,
                                         .hosts = entries,
                                         .hosts_n = in->ports_n - 1};
    int r = switch_init(&sw, &config);
    if (r == 0)
        r = switch_run(&sw);
    _exit(r < 0 ? 1 : 0);
}

static int make_port(struct init *in, unsigned i, const struct port_place *place,
                     const struct port_ops *ops)
{
    in->ports[i] = (struct port){
        .ops = ops, .fd = -1, .fd6 = -1, .index = i, .ipv6 = in->config->plan->lab_ipv6};
    switch_addr6(i, in->ports[i].addr6);
    return netns_make(&in->ports[i], place, switch_addr(i), SWITCH_PREFIX);
}

static int no_link(unsigned i, const struct port_ops *ops, int error, int tun_error,
                   struct err *err)
{
    static const char remedy[] = "; remedy: sudo chmod 0666 /dev/net/tun, or run with sudo";
    struct root_facts f;
    root_facts_read(&f);
    if (error == -ENOSPC || error == -EUSERS)
        return err_set(err, -EPERM, "network namespace %u of the lab: %s: %s", i, strerror(-error),
                       root_cause(&f, error));
    if (tun_error) /* the same twice: it is not the device that is refused */
        return err_set(err, error, "no links: /dev/net/tun: %s, and veth with AF_PACKET: %s%s",
                       strerror(-tun_error), strerror(-error), error == tun_error ? "" : remedy);
    return err_set(err, error, "link %u of the lab by %s: %s", i, ops->name, strerror(-error));
}

/* The first port decides: when TUN is refused for it, all are AF_PACKET. */
static int make_ports(struct init *in, struct err *err)
{
    char dir[PATH_MAX], tun_path[PATH_MAX];
    int tun_error = 0;
    const struct port_ops *ops = in->config->try_tun ? &port_tun : &port_packet;
    struct port_place place = {.home_netns_fd = netns_here(), .tun_path = tun_path};
    struct nl_msg m;
    CLEANUP(close_p) int nl = nl_open();
    if (place.home_netns_fd < 0 || nl < 0)
        return err_set(err, -EMFILE, "network namespace: %s", strerror(EMFILE));
    nl_link_up(&m, 1, 0, 0, false); /* lo */
    nl_talk(nl, &m);
    snprintf(dir, sizeof dir, "%s/" MOUNTS_DIR, in->config->run_dir);
    port_tun_path(tun_path, sizeof tun_path, dir);
    for (unsigned i = 0; i < in->ports_n; i++) {
        int fd = make_port(in, i, &place, ops);
        if (fd < 0 && i == 0 && ops == &port_tun) {
            tun_error = fd;
            ops = &port_packet;
            fd = make_port(in, i, &place, ops);
        }
        if (fd < 0)
            return no_link(i, ops, fd, tun_error, err);
        in->netns_fds[i] = fd;
        if (i > 0)
            in->boxes[i - 1].netns_fd = fd;
    }
    close(place.home_netns_fd);
    return 0;
}

static int make_services(struct init *in, struct err *err)
{
    const struct init_config *c = in->config;
    for (size_t i = 0; i < c->plan->services_n; i++) {
        int r = 0;
        if (c->loopback)
            in->boxes[i] = (struct box){
                .netns_fd = -1, .uts_fd = -1, .mark = mark_service(c->loopback->mark, (int)i)};
        else
            r = box_name(&in->boxes[i], c->plan->services[i].name);
        if (r < 0)
            return err_set(err, r, "host name of '%s': %s", c->plan->services[i].name,
                           strerror(-r));
        r = mounts_work_dir(c->run_dir, &c->plan->services[i], c->users[i].uid, c->users[i].gid,
                            err);
        if (r < 0)
            return r;
    }
    return sup_add_services(&in->sup, in->boxes, c->users, err);
}

/* Last words for main; the kernel ends the rest. */
static _Noreturn void lost(struct init *in, const char *text)
{
    sup_emit(&in->sup, &(struct lab_event){
                           .kind = LAB_LOST, .service = -1, .t_ns = clock_now_ns(), .text = text});
    _exit(1);
}

/* Nobody is left to serve; what the kernel does not end goes first. */
static _Noreturn void end_lab(const struct init *in)
{
    if (in->config->loopback)
        mark_end(in->config->loopback->mark, END_WITHIN_NS, NULL, NULL);
    _exit(0);
}

static void on_main_gone(struct sup *sup)
{
    end_lab(container_of(sup, struct init, sup));
}

static void on_main_pidfd(struct loop *loop, struct io *io, uint32_t events)
{
    end_lab(container_of(io, struct init, main_io));
}

/* PID 1 inherits every orphan of the lab: all are reaped, known ones are told. */
static void on_signal(struct signals *s, int signo)
{
    struct init *in = container_of(s, struct init, signals);
    char text[64], line[96];
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == in->switch_pid) {
            ready_exit_text(status, text, sizeof text);
            snprintf(line, sizeof line, "the switch ended: %s", text);
            lost(in, line);
        }
        sup_reaped(&in->sup, pid, status);
    }
}

static int start_switch(struct init *in, struct err *err)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set(err, -errno, "connection to the switch: %s", strerror(errno));
    in->switch_pid = fork();
    if (in->switch_pid == 0)
        run_switch(in, fds[1]);
    int e = in->switch_pid < 0 ? -errno : sup_connect_switch(&in->sup, fds[0]);
    close(fds[1]);
    if (e < 0)
        return err_set(err, e, "starting the switch: %s", strerror(-e));
    if (in->config->log_fd >= 0)
        close(in->config->log_fd);
    for (unsigned i = 0; i < in->ports_n; i++) {
        close(in->ports[i].fd);
        close_p(&in->ports[i].fd6);
    }
    return 0;
}

static int make_mounts(const struct init_config *c, struct err *err)
{
    struct buf hosts = {0};
    init_hosts(&hosts, c->plan);
    const struct mounts_names names = {.hosts = buf_str(&hosts),
                                       .resolver = c->plan->lab_dns ? SWITCH_RESOLVER_TEXT : NULL};
    int r = mounts_make(c->run_dir, &names, err);
    buf_done(&hosts);
    return r;
}

static int set_up(struct init *in, struct err *err)
{
    const struct init_config *c = in->config;
    const int signos[] = {SIGCHLD};

    in->ports_n = (unsigned)c->plan->services_n + 1;
    in->ports = xcalloc(in->ports_n, sizeof *in->ports);
    in->boxes = xcalloc(in->ports_n, sizeof *in->boxes);
    in->netns_fds = xcalloc(in->ports_n, sizeof *in->netns_fds);
    int r = sup_init(&in->sup, c->plan, c->run_dir, c->path, err);
    if (r < 0)
        return r;
    in->sup.on_gone = on_main_gone;
    in->sup.netns_fds = c->loopback ? NULL : in->netns_fds;
    in->sup.loopback = c->loopback;
    io_init(&in->main_io, on_main_pidfd);
    if ((r = sup_connect(&in->sup, c->event_fd, c->conn_fds)) < 0 ||
        (r = io_add(&in->sup.loop, &in->main_io, c->main_pidfd, EPOLLIN)) < 0)
        return err_set(err, r, "connections of the lab: %s", strerror(-r));
    if (!c->loopback && ((r = make_mounts(c, err)) < 0 || (r = make_ports(in, err)) < 0))
        return r;
    if ((r = signals_open(&in->sup.loop, &in->signals, signos, 1, on_signal)) < 0)
        return err_set(err, r, "signals of the lab: %s", strerror(-r));
    if (!c->loopback && (r = start_switch(in, err)) < 0)
        return r;
    return make_services(in, err);
}

/* Before anything is started; from then on all inherit it. */
static int stand_out(const struct loopback *l, struct err *err)
{
    const int signos[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    int r = mark_wear(l->mark);
    if (r < 0)
        return err_set(err, r,
                       "no lab on this machine: its processes cannot be marked: RLIMIT_RTTIME: %s; "
                       "remedy: ulimit -R unlimited",
                       strerror(-r));
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_set(err, -errno, "becoming a subreaper: %s", strerror(errno));
    /* process 1 of a namespace has none of these */
    for (size_t i = 0; i < ARRAY_SIZE(signos); i++)
        signal(signos[i], SIG_IGN);
    return 0;
}

/* The only message with a descriptor in it, so it does not go through the outbox. */
static int send_up(struct init *in)
{
    unsigned char bytes[WIRE_BYTES];
    struct lab_event e = {.service = -1, .t_ns = clock_now_ns()};
    if (in->config->loopback) {
        e.text = "loopback";
        size_t n = wire_encode(bytes, &e, WIRE_UP);
        return send(in->config->event_fd, bytes, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
    }
    e.text = in->ports[0].ops->name;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec v = {bytes, wire_encode(bytes, &e, WIRE_UP)};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), &in->netns_fds[0], sizeof in->netns_fds[0]);
    return sendmsg(in->config->event_fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

_Noreturn void init_run(const struct init_config *config)
{
    static struct init in;
    struct err err = {0};
    unsigned char bytes[WIRE_BYTES];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (main_is_gone(config))
        _exit(0);
    prctl(PR_SET_NAME, "squall-init");
    setsid();
    signals_reset();
    signal(SIGPIPE, SIG_IGN);
    close_others(config);
    umask(022);
    in.config = config;
    if ((config->loopback && stand_out(config->loopback, &err) < 0) || set_up(&in, &err) < 0) {
        struct lab_event e = {.service = -1, .value = err.code, .text = err.msg};
        size_t n = wire_encode(bytes, &e, WIRE_FAILED);
        send(config->event_fd, bytes, n, MSG_NOSIGNAL);
        _exit(1);
    }
    if (send_up(&in) < 0)
        _exit(1);
    if (config
            ->loopback) /* from here on its loop sees main's end, and ends the lab before itself */
        prctl(PR_SET_PDEATHSIG, 0);
    loop_run(&in.sup.loop);
    lost(&in, "the init's event loop failed");
}
