/* The family from end to end, against a stand-in for the lab: apply, measure, undo, close. */
#include "fault/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fault/family.h"
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
    struct seen seen[64];
    int seen_n;
};

static void on_event(void *ctx, const struct guard_event *e)
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

static void start_lab(struct bench *b)
{
    int pair[2];
    ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    b->lab = fork();
    ASSERT(b->lab >= 0);
    if (b->lab == 0) {
        struct guard_lab lab = {0};
        close(pair[0]);
        while (guard_lab_step(&lab, pair[1]))
            ;
        _exit(0);
    }
    close(pair[1]);
    b->lab_fd = pair[0];
}

static void open_bench(struct bench *b)
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

static int journals(const struct bench *b)
{
    char command[200];
    snprintf(command, sizeof command, "ls -A %s | wc -l", b->state);
    FILE *f = popen(command, "r");
    int n = -1;
    ASSERT(f && fscanf(f, "%d", &n) == 1);
    pclose(f);
    return n;
}

static void remove_bench(struct bench *b)
{
    ASSERT_OK(rmdir(b->state));
    ASSERT_OK(rmdir(b->dir));
    kill(b->lab, SIGKILL);
    waitpid(b->lab, NULL, 0);
}

static void close_bench(struct bench *b)
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
static struct seen *await_event(struct bench *b, int kind, int fault)
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

static struct fault_request request(const char *kind, int service, const char *name)
{
    struct fault_request q = {.targets_n = 1, .targets = {service}};
    snprintf(q.kind, sizeof q.kind, "%s", kind);
    snprintf(q.target_names[0], sizeof q.target_names[0], "%s", name);
    return q;
}

TEST(pod_failure_is_applied_measured_and_undone)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failure", GUARD_LAB_GOOD, "redis-master");
    ASSERT_OK(guard_apply(b.g, 7, &q));
    ASSERT_EQ(guard_apply(b.g, 7, &q), -EEXIST);
    struct seen *s = await_event(&b, GUARD_FAULT_ACTIVE, 7);
    ASSERT_CONTAINS(s->asked, "stopped and refusing connections: redis-master");
    ASSERT_CONTAINS(s->measured, "redis-master: process gone after ");
    ASSERT_CONTAINS(s->measured, "its port refuses connections");
    ASSERT_OK(guard_undo(b.g, 7));
    s = await_event(&b, GUARD_FAULT_ENDED, 7);
    ASSERT_CONTAINS(s->measured, "redis-master: ready again after ");
    close_bench(&b);
}

TEST(pod_kill_and_container_kill_need_no_undo)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-kill", GUARD_LAB_GOOD, "gateway");
    q.grace_ns = 5 * NS_PER_S;
    ASSERT_OK(guard_apply(b.g, 0, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_ACTIVE, 0);
    ASSERT_CONTAINS(s->asked, "SIGTERM, and SIGKILL after 5s: gateway");
    q = request("container-kill", GUARD_LAB_NO_PORT, "gateway");
    ASSERT_OK(guard_apply(b.g, 1, &q));
    s = await_event(&b, GUARD_FAULT_ACTIVE, 1);
    ASSERT_CONTAINS(s->measured, "no port to try");
    ASSERT_OK(guard_undo(b.g, 0));
    await_event(&b, GUARD_FAULT_ENDED, 0);
    close_bench(&b);
}

TEST(an_effect_that_is_not_seen_is_told)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-kill", GUARD_LAB_NOT_RUNNING, "batch");
    ASSERT_OK(guard_apply(b.g, 1, &q));
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_NO_EFFECT, 1)->measured, "batch: was not running");
    q = request("pod-failure", GUARD_LAB_STILL_ANSWERS, "twin");
    ASSERT_OK(guard_apply(b.g, 2, &q));
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_NO_EFFECT, 2)->measured, "still answers");
    ASSERT_OK(guard_undo_all(b.g));
    await_event(&b, GUARD_FAULT_ENDED, 2);
    close_bench(&b);
}

TEST(one_failing_target_fails_the_fault_and_is_named)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failure", GUARD_LAB_GOOD, "redis");
    q.targets_n = 2;
    q.targets[1] = 99;
    strcpy(q.target_names[1], "ghost");
    ASSERT_OK(guard_apply(b.g, 1, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_FAILED, 1);
    ASSERT_CONTAINS(s->measured, "ghost: No such file or directory");
    ASSERT_CONTAINS(s->measured, "redis: process gone");
    close_bench(&b);
}

TEST(an_undo_that_is_not_confirmed_is_told_and_close_ends_it)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failure", GUARD_LAB_NEVER_READY, "broken");
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_OK(guard_undo(b.g, 3));
    struct seen *s = await_event(&b, GUARD_FAULT_UNDO_FAILED, 3);
    ASSERT_CONTAINS(s->measured, "broken: not ready again");
    close_bench(&b); /* the hold ends with the lab */
}

TEST(the_agent_enforces_the_time_limit_itself)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failure", GUARD_LAB_GOOD, "redis");
    q.ttl_ns = 50 * NS_PER_MS;
    ASSERT_OK(guard_apply(b.g, 3, &q));
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_ENDED, 3)->text, "time limit");
    close_bench(&b);
}

TEST(an_undo_breaks_off_an_apply_that_waits)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failure", GUARD_LAB_SILENT, "hung");
    int64_t begin_ns = clock_now_ns();
    ASSERT_OK(guard_apply(b.g, 3, &q));
    ASSERT_OK(guard_undo(b.g, 3));
    await_event(&b, GUARD_FAULT_FAILED, 3);
    await_event(&b, GUARD_FAULT_ENDED, 3);
    ASSERT_LT(clock_now_ns() - begin_ns, 5 * NS_PER_S);
    close_bench(&b);
}

TEST(close_undoes_what_is_active_and_removes_what_was_noted)
{
    struct bench b;
    char path[200], file[240];
    open_bench(&b);
    snprintf(path, sizeof path, "%s/squall-run", b.dir);
    ASSERT_OK(guard_note_dir(b.g, path));
    ASSERT_OK(mkdir(path, 0700));
    snprintf(file, sizeof file, "%s/log", path);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    struct fault_request q = request("pod-failure", GUARD_LAB_GOOD, "redis");
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    close_bench(&b);
    ASSERT(access(path, F_OK) < 0);
}

TEST(an_unknown_kind_is_refused)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = request("pod-failur", GUARD_LAB_GOOD, "redis");
    ASSERT_EQ(guard_apply(b.g, 3, &q), -EINVAL);
    close_bench(&b);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static pid_t role_holder(const struct bench *b, enum journal_role role)
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

TEST(a_killed_agent_is_replaced_and_its_faults_are_undone)
{
    struct bench b;
    pid_t victim = sleeper();
    open_bench(&b);
    struct fault_request q = request("test-stop", victim, "victim");
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_EQ(procid_state(victim), 'T');
    pid_t agent = role_holder(&b, JOURNAL_AGENT);
    ASSERT(agent > 0);
    ASSERT_OK(kill(agent, SIGKILL));
    await_event(&b, GUARD_AGENT_RESTARTED, -1);
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_ENDED, 3)->text, "agent died");
    ASSERT(procid_state(victim) != 'T');
    ASSERT(role_holder(&b, JOURNAL_AGENT) != agent);
    /* the new one works */
    q.targets[0] = victim;
    ASSERT_OK(guard_apply(b.g, 4, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 4);
    close_bench(&b);
    ASSERT(procid_state(victim) != 'T');
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
}

TEST(a_killed_undertaker_is_replaced_by_main)
{
    struct bench b;
    open_bench(&b);
    pid_t undertaker = role_holder(&b, JOURNAL_UNDERTAKER);
    ASSERT(undertaker > 0);
    ASSERT_OK(kill(undertaker, SIGKILL));
    pid_t next = 0;
    for (int i = 0; i < 100 && (next <= 0 || next == undertaker); i++) {
        struct pollfd p = {.fd = guard_fd(b.g), .events = POLLIN};
        poll(&p, 1, 50);
        ASSERT_OK(guard_dispatch(b.g));
        next = role_holder(&b, JOURNAL_UNDERTAKER);
    }
    ASSERT(next > 0 && next != undertaker);
    struct fault_request q = request("pod-failure", GUARD_LAB_GOOD, "redis");
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    close_bench(&b);
}

TEST(without_a_family_close_still_removes_what_was_noted)
{
    struct bench b = {.dir = "/tmp/squall-test-guard-XXXXXX"};
    struct err err = {0};
    char path[200];
    ASSERT(mkdtemp(b.dir));
    snprintf(b.state, sizeof b.state, "%s/state", b.dir);
    struct guard_config config = {.state_dir = b.state};
    ASSERT_OK(guard_new(&config, &b.g, &err));
    snprintf(path, sizeof path, "%s/squall-run", b.dir);
    ASSERT_OK(guard_note_dir(b.g, path));
    ASSERT_OK(mkdir(path, 0700));
    b.lab = sleeper();
    ASSERT_OK(guard_note_process(b.g, b.lab));
    ASSERT_EQ(guard_note_dir(b.g, "/etc/squall"), -EINVAL);
    ASSERT_OK(guard_close(b.g, &err));
    ASSERT(access(path, F_OK) < 0);
    remove_bench(&b);
}
