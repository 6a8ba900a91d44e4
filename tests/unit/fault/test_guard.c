/* The family from end to end, against a stand-in for the lab: apply, measure, undo, close. */
#include "fault/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "unit/fault/guard_bench.h"

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
