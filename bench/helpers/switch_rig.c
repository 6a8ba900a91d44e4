/*
 * switch_rig - two commands in two network namespaces, joined by squall's switch or a veth pair:
 * one measurement of bench/switch.py.
 *
 * usage: switch_rig [--listens PORT] [--out FAULT] [--in FAULT] tun|packet|veth BACK FRONT. BACK
 * and FRONT are shell commands; BACK (10.213.0.10) starts first, FRONT (10.213.0.11) when BACK
 * listens on TCP port PORT, or at once. When FRONT has ended, BACK gets SIGTERM. What FRONT writes
 * goes to standard output; one line `rig {...}` follows with the switch's counters, and the report
 * of the fault, for what went from FRONT to BACK ("out") and back ("in"), and the switch's CPU
 * seconds. FAULT is a list of latency_us=N, rate_mbit=N, loss=SHARE with commas between.
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
#include "lab/control.h"
#include "lab/lab.h"
#include "lab/netns.h"
#include "loop/signals.h"
#include "rig_net.h"

#define LISTEN_LIMIT_NS (5 * NS_PER_S)
#define END_LIMIT_NS    (5 * NS_PER_S)
#define STEP_MS         5
#define EXIT_REFUSED    4

enum { OUT, IN, DIRECTIONS };
static const struct {
    const char *name;
    unsigned from, to;
} directions[] = {{"out", RIG_FRONT, RIG_BACK}, {"in", RIG_BACK, RIG_FRONT}};
_Static_assert(ARRAY_SIZE(directions) == DIRECTIONS, "each has its ends");

static const char *const kinds[] = {"tun", "packet", "veth"};
_Static_assert(ARRAY_SIZE(kinds) == RIG_KIND_COUNT, "a name for each kind");

struct rig {
    enum rig_kind kind;
    unsigned listens;                   /* 0 = FRONT starts at once */
    struct lab_link faults[DIRECTIONS]; /* id 0 = none */
    const char *back, *front;
    struct rig_net net;
    struct switch_counters counters;
    struct impair_report
        *reports;    /* of the faults; shared with the switch, which writes them last */
    int stop_fds[2]; /* closing [1] ends the switch */
    pid_t switch_pid, back_pid;
    double switch_cpu_s;
};

static _Noreturn void fail(int status, const char *what, int error)
{
    fprintf(stderr, "switch_rig: %s: %s\n", what, strerror(-error));
    exit(status);
}

struct rig_switch {
    struct vswitch sw;
    struct io stop;
    const struct rig *rig;
};

static int command_all(struct rig_switch *s, enum lab_command_kind kind)
{
    struct lab_answer answer;
    int r = 0;
    for (size_t i = 0; r == 0 && i < DIRECTIONS; i++) {
        struct lab_command c = {.kind = kind, .link = s->rig->faults[i]};
        if (c.link.id == 0)
            continue;
        switch_command(&s->sw, &c, &answer);
        s->rig->reports[i] = answer.report;
        r = answer.result;
    }
    return r;
}

static void on_stop(struct loop *loop, struct io *io, uint32_t events)
{
    struct rig_switch *s = container_of(io, struct rig_switch, stop);
    _exit(command_all(s, LAB_CMD_LINK_REPORT) < 0 ? 1 : 0);
}

static _Noreturn void run_switch(struct rig *rig)
{
    static struct rig_switch s;
    s.rig = rig;
    close(rig->stop_fds[1]);
    int r = switch_init(&s.sw, &(struct switch_config){.ports = rig->net.ports,
                                                       .ports_n = RIG_PORTS,
                                                       .counters = rig->counters,
                                                       .control = -1,
                                                       .log_fd = -1});
    io_init(&s.stop, on_stop);
    if (r == 0)
        r = io_add(&s.sw.loop, &s.stop, rig->stop_fds[0], EPOLLIN);
    if (r == 0)
        r = command_all(&s, LAB_CMD_LINK_ADD);
    if (r == 0)
        r = switch_run(&s.sw);
    fail(1, "switch", r);
}

static void *share(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail(1, "memory", -errno);
    return p;
}

static void start_switch(struct rig *rig)
{
    void *counters = share(switch_counters_bytes(RIG_PORTS));
    rig->counters = switch_counters_at(counters, RIG_PORTS);
    rig->reports = share(DIRECTIONS * sizeof *rig->reports);
    if (pipe(rig->stop_fds) < 0)
        fail(1, "switch", -errno);
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

static void write_number(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_int(j, (int64_t)value);
}

static void write_report(struct json *j, const struct impair_report *r)
{
    json_key(j, "fault");
    json_object(j);
    write_number(j, "packets", r->packets);
    write_number(j, "lost", r->lost);
    write_number(j, "over_limit", r->over_limit);
    write_number(j, "overflow", r->overflow);
    write_number(j, "passed", r->passed);
    write_number(j, "passed_bytes", r->passed_bytes);
    write_number(j, "late_p50_ns", (uint64_t)r->late.p50);
    write_number(j, "late_p99_ns", (uint64_t)r->late.p99);
    write_number(j, "late_max_ns", (uint64_t)r->late.max);
    json_end_object(j);
}

static void write_direction(struct json *j, const struct rig *rig, int direction)
{
    const struct link_counters *c =
        &rig->counters.links[directions[direction].from * RIG_PORTS + directions[direction].to];
    json_key(j, directions[direction].name);
    json_object(j);
    write_number(j, "packets", c->packets);
    write_number(j, "bytes", c->bytes);
    write_number(j, "drops_full", c->drops_full);
    if (rig->faults[direction].id)
        write_report(j, &rig->reports[direction]);
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
        write_direction(&j, rig, OUT);
        write_direction(&j, rig, IN);
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

static bool parse_fault(struct rig *rig, int direction, char *text)
{
    struct lab_link *l = &rig->faults[direction];
    *l = (struct lab_link){.id = (uint64_t)direction + 1, .seed = 1, .name = "bench"};
    port_set_add(&l->from, directions[direction].from);
    port_set_add(&l->to, directions[direction].to);
    for (char *save, *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        long us, mbit;
        if (sscanf(w, "latency_us=%ld", &us) == 1)
            l->spec.latency_ns = us * NS_PER_US;
        else if (sscanf(w, "rate_mbit=%ld", &mbit) == 1)
            l->spec.rate_bits_per_s = (uint64_t)mbit * 1000000;
        else if (sscanf(w, "loss=%lf", &l->spec.loss.share) != 1)
            return false;
    }
    return true;
}

static bool parse(struct rig *rig, int argc, char **argv)
{
    const struct option options[] = {{"listens", required_argument, NULL, 'l'},
                                     {"out", required_argument, NULL, 'o'},
                                     {"in", required_argument, NULL, 'i'},
                                     {0}};
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'l')
            rig->listens = (unsigned)atoi(optarg);
        else
            ok = c != '?' && parse_fault(rig, c == 'o' ? OUT : IN, optarg);
    }
    if (!ok || argc - optind != 3)
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
        fprintf(stderr, "usage: switch_rig [--listens PORT] [--out FAULT] [--in FAULT] "
                        "tun|packet|veth BACK FRONT\n");
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
