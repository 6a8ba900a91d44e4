/*
 * guard_family.c - squall's skeleton for the kill harness (tests/scenario/test_guard.py): main,
 * agent and undertaker with all kinds of faults and nothing else.
 *
 *   guard_family run STATE TOKEN SEED STOP LIMIT GROUP FOLDER   a main; STOP, LIMIT and GROUP are
 *                                            victims' pids, FOLDER is made and must be removed
 *   guard_family recover STATE                           what `squall undo` does
 *   guard_family victim TOKEN                            a process to be harmed
 *
 * TOKEN stands in the command line of everything that is started, so that the harness finds what is
 * left. run: notes a folder, fills it, starts a tree of processes in a PID namespace whose init
 * answers like a lab, starts the family, then applies and undoes faults at random until it is
 * killed or standard input ends. With a file named `planted` in the state folder the undertaker
 * does nothing but start an agent: the defect that the harness must find.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "fault/family.h"
#include "fault/guard.h"
#include "fault/member.h"
#include "guard_faults.h"
#include "guard_lab.h"

enum { STOP, LIMIT, GROUP, HOLD, LINKS, NAMES, KINDS };

struct run {
    struct guard *g;
    const char *token, *folder;
    struct rng rng;
    int victims[3];
    bool active[KINDS];
    bool lost;
};

static void on_event(void *ctx, const struct guard_event *e)
{
    struct run *r = ctx;
    if (e->kind == GUARD_LOST)
        r->lost = true;
    if (e->fault >= 0 && (e->kind == GUARD_FAULT_ENDED || e->kind == GUARD_FAULT_FAILED))
        r->active[e->fault % KINDS] = false;
    printf("event %d fault %d %s %s\n", (int)e->kind, e->fault, e->text, e->measured);
    fflush(stdout);
}

static void exec_victim(const char *token)
{
    execl("/proc/self/exe", "guard_family", "victim", token, NULL);
    _exit(127);
}

/* A service that detached itself: a double fork into a session of its own. */
static void start_daemon(const char *token)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            exec_victim(token);
        _exit(0);
    }
}

static void be_init(int wire, const char *token)
{
    struct guard_lab lab = {0};
    start_daemon(token);
    if (fork() == 0)
        exec_victim(token);
    while (guard_lab_step(&lab, wire))
        ;
    for (;;)
        pause(); /* unlike the real one it does not leave by itself: only the guard ends it */
}

static int start_tree(struct run *r, int *ret_wire)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* not unshare: main's later children, the family, must stay in main's namespace */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        close(pair[0]);
        be_init(pair[1], r->token);
    }
    close(pair[1]);
    *ret_wire = pair[0];
    return pid < 0 ? -errno : guard_note_process(r->g, pid);
}

static int make_dir(struct run *r)
{
    char sub[300];
    const char *path = r->folder;
    int e = guard_note_dir(r->g, path);
    if (e < 0 || mkdir(path, 0700) < 0)
        return e < 0 ? e : -errno;
    for (int i = 0; i < 20; i++) {
        snprintf(sub, sizeof sub, "%.200s/%d", path, i);
        mkdir(sub, 0700);
        snprintf(sub, sizeof sub, "%.200s/%d/file", path, i);
        close(open(sub, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    return 0;
}

static void ask_links(struct fault_network *n)
{
    n->links_n = n->pairs_n = 3;
    n->spec.partition = true;
    for (unsigned i = 0; i < n->links_n; i++) {
        port_set_add(&n->links[i].from, i);
        port_set_add(&n->links[i].to, i + 1);
    }
}

static void flip(struct run *r, int number)
{
    static const char *const kinds[KINDS] = {"test-stop",   "test-limit", "test-cgroup",
                                             "pod-failure", "network",    "dns"};
    int kind = number % KINDS;
    struct fault_request q = {.targets_n = 1, .targets = {kind >= HOLD ? 0 : r->victims[kind]}};
    snprintf(q.kind, sizeof q.kind, "%s", kinds[kind]);
    if (kind == GROUP)
        snprintf(q.target_names[0], sizeof q.target_names[0], "squall-%s", r->token);
    if (kind == GROUP && r->victims[GROUP] == 0)
        return;
    if (kind == LINKS)
        ask_links(&q.network);
    if (r->active[kind])
        guard_undo(r->g, number);
    else if (guard_apply(r->g, number, &q) == 0)
        r->active[kind] = true;
}

static int be_main(int argc, char **argv)
{
    struct run r = {.token = argv[3]};
    struct err err = {0};
    struct guard_config config = {.state_dir = argv[2], .on_event = on_event, .ctx = &r};
    int wire = -1;
    if (argc != 9)
        return 2;
    r.folder = argv[8];
    rng_init(&r.rng, strtoull(argv[4], NULL, 10), "faults");
    for (int i = 0; i < 3; i++)
        r.victims[i] = atoi(argv[5 + i]);
    int e = guard_new(&config, &r.g, &err);
    if (e == 0 && (e = make_dir(&r)) == 0)
        e = start_tree(&r, &wire);
    if (e == 0)
        e = guard_start(r.g, wire, &err);
    printf(e < 0 ? "failed %s %s\n" : "started%s%s\n", e < 0 ? strerror(-e) : "",
           e < 0 ? err.msg : "");
    fflush(stdout);
    while (e == 0 && !r.lost) {
        struct pollfd p[] = {{.fd = guard_fd(r.g), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        poll(p, 2, (int)rng_below(&r.rng, 20));
        guard_beat(r.g);
        guard_dispatch(r.g);
        flip(&r, (int)rng_below(&r.rng, KINDS));
        if (p[1].revents)
            break;
    }
    if (r.g && guard_close(r.g, &err) < 0)
        e = -EBUSY;
    printf("closed %d %s\n", e, err.msg);
    return e < 0 ? 6 : 0;
}

/* The planted defect: an undertaker that watches nobody and undoes nothing. */
static bool is_planted(void)
{
    char path[1200];
    ssize_t n = readlink("/proc/self/fd/3", path, sizeof path - 16);
    if (n <= 0)
        return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    strcpy(slash, "/planted");
    return access(path, F_OK) == 0;
}

static int be_planted(int argc, char **argv)
{
    struct member m;
    pid_t pid;
    if (member_init(&m, JOURNAL_UNDERTAKER, argc, argv) < 0 ||
        member_spawn(FAMILY_AGENT, &m.fds, &pid) < 0)
        return 1;
    while (procid_wait_gone(m.main_pidfd, NS_PER_S) < 0)
        journal_beat(&m.journal, JOURNAL_UNDERTAKER);
    return 0;
}

static int be_recover(const char *state)
{
    struct buf text = {0};
    struct err err = {0};
    int r = guard_recover(state, &text, &err);
    printf("%s%d %s\n", buf_str(&text), r, err.msg);
    buf_done(&text);
    return r < 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    guard_faults_add();
    if (strcmp(name, FAMILY_AGENT) == 0)
        return agent_main(argc - 1, argv + 1);
    if (strcmp(name, FAMILY_UNDERTAKER) == 0 && is_planted())
        return be_planted(argc - 1, argv + 1);
    if (strcmp(name, FAMILY_UNDERTAKER) == 0)
        return undertaker_main(argc - 1, argv + 1);
    if (strcmp(name, "run") == 0 && argc > 3)
        return be_main(argc, argv);
    if (strcmp(name, "recover") == 0 && argc == 3)
        return be_recover(argv[2]);
    if (strcmp(name, "victim") == 0)
        for (;;)
            pause();
    if (strcmp(name, "cgroup-root") == 0) {
        int version;
        printf("%s\n", guard_cgroup_root(&version) ? guard_cgroup_root(&version) : "");
        return 0;
    }
    return 2;
}
