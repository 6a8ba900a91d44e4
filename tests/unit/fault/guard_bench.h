/*
 * guard_bench.h - the whole family with a stand-in for the lab, for tests of faults from end to
 * end.
 *
 * A program that includes it is the family itself: the guard executes it again. open_bench, then
 * guard_apply and the like on b.g; await_event dispatches until it came; close_bench proves that
 * nothing is left. What the lab was told is in b.lab_state, shared with it.
 */
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fault/family.h"
#include "fault/guard.h"
#include "fault/journal.h"
#include "helpers/guard_faults.h"
#include "helpers/guard_lab.h"
#include "unit/tests.h"

/* This program is the whole family: the guard executes it again. */
__attribute__((constructor)) static void be_family(int argc, char **argv)
{
    guard_faults_add();
    if (argc > 1 && strcmp(argv[1], FAMILY_AGENT) == 0)
        _exit(agent_main(argc - 1, argv + 1));
    if (argc > 1 && strcmp(argv[1], FAMILY_UNDERTAKER) == 0)
        _exit(undertaker_main(argc - 1, argv + 1));
}

struct seen {
    int kind, fault;
    char asked[600], measured[600], text[600];
};

struct bench {
    struct guard *g;
    char dir[64], state[96];
    pid_t lab;
    int lab_fd;
    struct guard_lab *lab_state;
    struct seen seen[64];
    int seen_n;
};

static inline void on_event(void *ctx, const struct guard_event *e)
{
    struct bench *b = ctx;
    ASSERT_LT(b->seen_n, 64);
    struct seen *s = &b->seen[b->seen_n++];
    s->kind = e->kind;
    s->fault = e->fault;
    snprintf(s->asked, sizeof s->asked, "%s", e->asked);
    snprintf(s->measured, sizeof s->measured, "%s", e->measured);
    snprintf(s->text, sizeof s->text, "%s", e->text);
}

static inline void start_lab(struct bench *b)
{
    int pair[2];
    ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    b->lab_state =
        mmap(NULL, sizeof *b->lab_state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(b->lab_state != MAP_FAILED);
    b->lab = fork();
    ASSERT(b->lab >= 0);
    if (b->lab == 0) {
        close(pair[0]);
        while (guard_lab_step(b->lab_state, pair[1]))
            ;
        _exit(0);
    }
    close(pair[1]);
    b->lab_fd = pair[0];
}

static inline void open_bench(struct bench *b)
{
    struct err err = {0};
    *b = (struct bench){.dir = "/tmp/squall-test-guard-XXXXXX"};
    ASSERT(mkdtemp(b->dir));
    snprintf(b->state, sizeof b->state, "%s/state", b->dir);
    struct guard_config config = {.state_dir = b->state, .on_event = on_event, .ctx = b};
    if (guard_new(&config, &b->g, &err) < 0)
        TEST_FAIL("%s", err.msg);
    start_lab(b);
    ASSERT_OK(guard_note_process(b->g, b->lab));
    if (guard_start(b->g, b->lab_fd, &err) < 0)
        TEST_FAIL("%s", err.msg);
    close(b->lab_fd);
}

static inline int journals(const struct bench *b)
{
    char command[200];
    snprintf(command, sizeof command, "ls -A %s | wc -l", b->state);
    FILE *f = popen(command, "r");
    int n = -1;
    ASSERT(f && fscanf(f, "%d", &n) == 1);
    pclose(f);
    return n;
}

static inline void remove_bench(struct bench *b)
{
    ASSERT_OK(rmdir(b->state));
    ASSERT_OK(rmdir(b->dir));
    kill(b->lab, SIGKILL);
    waitpid(b->lab, NULL, 0);
    if (b->lab_state)
        munmap(b->lab_state, sizeof *b->lab_state);
}

static inline void close_bench(struct bench *b)
{
    struct err err = {0};
    if (guard_close(b->g, &err) < 0)
        TEST_FAIL("%s", err.msg);
    /* the lab was noted: it is gone, and only waits to be reaped */
    ASSERT_EQ(waitpid(b->lab, NULL, WNOHANG), b->lab);
    ASSERT_EQ(journals(b), 0);
    remove_bench(b);
}

/* Dispatches until an event of this kind for this fault is there, and returns it. */
static inline struct seen *await_event(struct bench *b, int kind, int fault)
{
    int64_t end_ns = clock_now_ns() + 20 * NS_PER_S;
    for (int i = 0; clock_now_ns() < end_ns;) {
        for (; i < b->seen_n; i++)
            if (b->seen[i].kind == kind && b->seen[i].fault == fault)
                return &b->seen[i];
        struct pollfd p = {.fd = guard_fd(b->g), .events = POLLIN};
        guard_beat(b->g);
        poll(&p, 1, 100);
        guard_dispatch(b->g);
    }
    for (int i = 0; i < b->seen_n; i++)
        fprintf(stderr, "seen: kind %d fault %d %s|%s|%s\n", b->seen[i].kind, b->seen[i].fault,
                b->seen[i].asked, b->seen[i].measured, b->seen[i].text);
    TEST_FAIL("no event %d for fault %d", kind, fault);
}

static inline struct fault_request request(const char *kind, int service, const char *name)
{
    struct fault_request q = {.targets_n = 1, .targets = {service}};
    snprintf(q.kind, sizeof q.kind, "%s", kind);
    snprintf(q.target_names[0], sizeof q.target_names[0], "%s", name);
    return q;
}

static inline pid_t role_holder(const struct bench *b, enum journal_role role)
{
    char command[300], path[200];
    struct journal j;
    snprintf(command, sizeof command, "ls %s/journal-*", b->state);
    FILE *f = popen(command, "r");
    ASSERT(f && fscanf(f, "%199s", path) == 1);
    pclose(f);
    /* in a child: closing a second descriptor here would drop this process's own lock */
    int fds[2];
    ASSERT_OK(pipe(fds));
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        pid_t holder = journal_attach(&j, fd) == 0 ? journal_holder(&j, role) : 0;
        _exit(write(fds[1], &holder, sizeof holder) == sizeof holder ? 0 : 1);
    }
    pid_t holder = 0;
    ASSERT_EQ(read(fds[0], &holder, sizeof holder), sizeof holder);
    close(fds[0]);
    close(fds[1]);
    waitpid(child, NULL, 0);
    return holder;
}
