/*
 * switch_rig - two commands in two network namespaces, joined by squall's switch or a veth pair:
 * one measurement of bench/switch.py.
 *
 * usage: switch_rig tun|packet|veth [--listens PORT] BACK FRONT. BACK and FRONT are shell commands;
 * BACK (10.213.0.10) starts first, FRONT (10.213.0.11) when BACK listens on TCP port PORT, or at
 * once. When FRONT has ended, BACK gets SIGTERM. What FRONT writes goes to standard output; one
 * line `rig {...}` follows with the switch's counters: what went from FRONT to BACK ("out") and
 * back ("in"), and the switch's CPU seconds.
 *
 * The processes live in a PID namespace of their own whose first one is the rig's, so nothing
 * outlives the rig however it ends. Exit status: FRONT's, 1 when something failed, 4 when the
 * machine refuses the namespaces or the ports.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "lab/lab.h"
#include "lab/netns.h"
#include "loop/signals.h"
#include "rig_net.h"

#define LISTEN_LIMIT_NS (5 * NS_PER_S)
#define END_LIMIT_NS    (5 * NS_PER_S)
#define STEP_MS         5
#define EXIT_REFUSED    4

static const char *const kinds[] = {"tun", "packet", "veth"};
_Static_assert(ARRAY_SIZE(kinds) == RIG_KIND_COUNT, "a name for each kind");

struct rig {
    enum rig_kind kind;
    unsigned listens; /* 0 = FRONT starts at once */
    const char *back, *front;
    struct rig_net net;
    struct switch_counters counters;
    int stop_fds[2]; /* closing [1] ends the switch */
    pid_t switch_pid, back_pid;
    double switch_cpu_s;
};

static _Noreturn void fail(int status, const char *what, int error)
{
    fprintf(stderr, "switch_rig: %s: %s\n", what, strerror(-error));
    exit(status);
}

static void on_stop(struct loop *loop, struct io *io, uint32_t events)
{
    _exit(0);
}

static _Noreturn void run_switch(struct rig *rig)
{
    struct vswitch sw;
    struct io stop;
    close(rig->stop_fds[1]);
    int r = switch_init(&sw, rig->net.ports, RIG_PORTS, rig->counters);
    io_init(&stop, on_stop);
    if (r == 0)
        r = io_add(&sw.loop, &stop, rig->stop_fds[0], EPOLLIN);
    if (r == 0)
        r = switch_run(&sw);
    fail(1, "switch", r);
}

static void start_switch(struct rig *rig)
{
    size_t bytes = switch_counters_bytes(RIG_PORTS);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe(rig->stop_fds) < 0)
        fail(1, "switch", -errno);
    rig->counters = switch_counters_at(memory, RIG_PORTS);
    rig->switch_pid = fork();
    if (rig->switch_pid == 0)
        run_switch(rig);
    if (rig->switch_pid < 0)
        fail(1, "switch", -errno);
    close(rig->stop_fds[0]);
    for (unsigned i = 0; i < RIG_PORTS; i++)
        close(rig->net.ports[i].fd);
}

/* Its CPU time is read before everybody else's would be mixed with it. */
static void stop_switch(struct rig *rig)
{
    struct rusage u;
    int status;
    close(rig->stop_fds[1]);
    if (wait4(rig->switch_pid, &status, 0, &u) < 0 || status != 0)
        fail(1, "the switch ended early", -EPIPE);
    rig->switch_cpu_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                        (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static pid_t start(const struct rig *rig, unsigned port, const char *command)
{
    pid_t pid = fork();
    if (pid < 0)
        fail(1, command, -errno);
    if (pid > 0)
        return pid;
    int r = netns_enter(rig->net.netns_fds[port]);
    if (r < 0)
        fail(1, "namespace", r);
    if (port == RIG_BACK)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    /* every other descriptor, the wire of the switch among them, stays behind */
    close_range(3, ~0u, 0);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    fail(127, "sh", -errno);
}

static void await_listener(const struct rig *rig)
{
    int64_t limit_ns = clock_now_ns() + LISTEN_LIMIT_NS;
    while (!rig_net_listens(&rig->net, RIG_BACK, rig->listens)) {
        if (waitpid(rig->back_pid, NULL, WNOHANG) != 0)
            fail(1, rig->back, -ECHILD);
        if (clock_now_ns() > limit_ns)
            fail(1, rig->back, -ETIMEDOUT);
        poll(NULL, 0, STEP_MS);
    }
}

static int await_front(pid_t front)
{
    int status;
    while (waitpid(front, &status, 0) < 0)
        if (errno != EINTR)
            fail(1, "wait", -errno);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* All that is left of BACK, grandchildren too: they are ours as we are the first process, and their
 * CPU time counts for the caller only when they were waited for. */
static void end_back(const struct rig *rig)
{
    int64_t limit_ns = clock_now_ns() + END_LIMIT_NS;
    kill(rig->back_pid, SIGTERM);
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0;) {
        if (clock_now_ns() > limit_ns)
            kill(-1, SIGKILL);
        if (pid == 0)
            poll(NULL, 0, STEP_MS);
    }
}

static void write_link(struct json *j, const struct rig *rig, unsigned from, unsigned to)
{
    const struct link_counters *c = &rig->counters.links[from * RIG_PORTS + to];
    json_object(j);
    json_key(j, "packets");
    json_int(j, (int64_t)c->packets);
    json_key(j, "bytes");
    json_int(j, (int64_t)c->bytes);
    json_key(j, "drops_full");
    json_int(j, (int64_t)c->drops_full);
    json_end_object(j);
}

static void write_result(const struct rig *rig)
{
    struct buf out = {0};
    struct json j;
    json_init(&j, &out, 0);
    json_object(&j);
    json_key(&j, "kind");
    json_str(&j, kinds[rig->kind]);
    if (rig->kind != RIG_VETH) {
        json_key(&j, "switch_cpu_s");
        json_num(&j, rig->switch_cpu_s);
        json_key(&j, "out");
        write_link(&j, rig, RIG_FRONT, RIG_BACK);
        json_key(&j, "in");
        write_link(&j, rig, RIG_BACK, RIG_FRONT);
    }
    json_end_object(&j);
    printf("\nrig %s\n", buf_str(&out));
    buf_done(&out);
}

static int run_inside(struct rig *rig)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int r = rig_net_make(&rig->net, rig->kind);
    if (r < 0)
        fail(EXIT_REFUSED, kinds[rig->kind], r);
    if (rig->kind != RIG_VETH)
        start_switch(rig);
    rig->back_pid = start(rig, RIG_BACK, rig->back);
    if (rig->listens)
        await_listener(rig);
    int status = await_front(start(rig, RIG_FRONT, rig->front));
    if (rig->kind != RIG_VETH)
        stop_switch(rig);
    end_back(rig);
    write_result(rig);
    return status;
}

static bool parse(struct rig *rig, int argc, char **argv)
{
    const struct option options[] = {{"listens", required_argument, NULL, 'l'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c != 'l')
            return false;
        rig->listens = (unsigned)atoi(optarg);
    }
    if (argc - optind != 3)
        return false;
    while (rig->kind < RIG_KIND_COUNT && strcmp(argv[optind], kinds[rig->kind]) != 0)
        rig->kind++;
    rig->back = argv[optind + 1];
    rig->front = argv[optind + 2];
    return rig->kind < RIG_KIND_COUNT;
}

int main(int argc, char **argv)
{
    struct rig rig = {0};
    struct err err = {0};
    char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
    if (!parse(&rig, argc, argv)) {
        fprintf(stderr, "usage: switch_rig tun|packet|veth [--listens PORT] BACK FRONT\n");
        return 2;
    }
    if (lab_become_root(&err) < 0) {
        fprintf(stderr, "switch_rig: %s\n", err_text(&err, text, sizeof text));
        return EXIT_REFUSED;
    }
    /* a network of its own too: the far ends of AF_PACKET's devices are not for the host to see */
    if (unshare(CLONE_NEWPID | CLONE_NEWNET) < 0)
        fail(EXIT_REFUSED, "namespaces", -errno);
    pid_t pid = fork();
    if (pid == 0)
        exit(run_inside(&rig));
    if (pid < 0)
        fail(1, "fork", -errno);
    return await_front(pid);
}
