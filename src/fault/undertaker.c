/*
 * undertaker.c - watches main and the agent: buries a dead agent, undoes what it left, starts the
 * next; when main is gone, waits for the agent and undoes what it did not.
 *
 * The agent is awaited before its slots are touched: a killed process finishes the system call it
 * is in, and undoing behind it would be undone again by that call. A stopped or hung agent is
 * killed when its heartbeat stays out.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "fault/family.h"
#include "fault/member.h"
#include "fault/relay.h"
#include "loop/child.h"

#define RESTARTS_MAX 20 /* in one run: an agent that cannot live is no protection */

struct undertaker {
    struct member m;
    struct fault_ctx ctx;
    pid_t agent;     /* 0 = none */
    int agent_pidfd; /* -1 = none */
    struct member_beat agent_beat;
    int restarts;
};

static bool must_end(void *arg)
{
    struct undertaker *u = arg;
    return journal_phase(&u->m.journal) != JOURNAL_RUN || member_main_gone(&u->m);
}

/* main compares the generation with that of its commands: all earlier ones are void. Whether their
 * faults are undone it reads in the journal, so nothing is lost if we die before we can tell. */
static void tell_restarted(struct undertaker *u)
{
    struct relay_event e = {.kind = RELAY_RESTARTED,
                            .generation = atomic_load(&u->m.journal.header->generation),
                            .fault = -1,
                            .t_ns = clock_now_ns(),
                            .text = "the agent had died; a new one runs"};
    if (u->m.fds.watch >= 0)
        (void)relay_send_event(u->m.fds.watch, &e);
}

/* Takes the agent that holds the role, whoever started it (the undertaker before us may have), once
 * it has said that it is ready. */
static bool adopt_agent(struct undertaker *u)
{
    int fd = member_open(&u->m.journal, JOURNAL_AGENT);
    pid_t pid = journal_holder(&u->m.journal, JOURNAL_AGENT);
    if (fd < 0 || pid <= 0 || atomic_load(&u->m.journal.header->agent_ready) != pid ||
        procid_wait_gone(fd, 0) == 0) {
        close_p(&fd);
        return false;
    }
    u->agent = pid;
    u->agent_pidfd = fd;
    u->agent_beat = (struct member_beat){0};
    return true;
}

/* Until the new agent is ready; one started by our predecessor may be quicker than ours. -ECHILD:
 * ours died before it was. */
static int start_agent(struct undertaker *u)
{
    struct member_fds fds = u->m.fds;
    pid_t pid;
    fds.watch = -1;
    int r = member_spawn(FAMILY_AGENT, &fds, &pid);
    if (r < 0)
        return r;
    for (int i = 0; i < 1000 && !must_end(u); i++) {
        ctx_beat(&u->ctx);
        if (adopt_agent(u))
            return 0;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return adopt_agent(u) ? 0 : -ECHILD;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return -ETIMEDOUT;
}

static void forget_agent(struct undertaker *u)
{
    if (u->agent_pidfd >= 0)
        close(u->agent_pidfd);
    u->agent_pidfd = -1;
    u->agent = 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) /* ours, or nobody: an adopted one is not our child */
        ;
}

static int replace_agent(struct undertaker *u)
{
    struct action_scope its = {
        .first = JOURNAL_MAIN_SLOTS, .end = JOURNAL_SLOTS, .fault = ACTION_ANY_FAULT};
    int failed;
    forget_agent(u);
    action_replay(&u->ctx, &its, NULL, &failed);
    if (must_end(u))
        return 0;
    if (++u->restarts > RESTARTS_MAX)
        return -EAGAIN;
    int r = start_agent(u);
    if (r == 0)
        tell_restarted(u);
    return r == -ECHILD ? 0 : r;
}

static bool agent_gone(const struct undertaker *u)
{
    return u->agent_pidfd < 0 || procid_wait_gone(u->agent_pidfd, 0) == 0;
}

static void watch_agent_beat(struct undertaker *u)
{
    if (!agent_gone(u) && member_beat_missed(&u->agent_beat, &u->m.journal, JOURNAL_AGENT,
                                             MEMBER_HUNG_NS, clock_now_ns()))
        (void)pidfd_signal(u->agent_pidfd, SIGKILL);
}

static void run(struct undertaker *u)
{
    if (adopt_agent(u))
        tell_restarted(u); /* our predecessor may not have come to it */
    while (!must_end(u)) {
        if (agent_gone(u) && replace_agent(u) < 0)
            break;
        struct pollfd p[] = {{.fd = u->m.main_pidfd, .events = POLLIN},
                             {.fd = u->agent_pidfd, .events = POLLIN}};
        poll(p, ARRAY_SIZE(p), (int)(MEMBER_TICK_NS / NS_PER_MS));
        ctx_beat(&u->ctx);
        watch_agent_beat(u);
    }
}

/* One that is only just starting finds the phase changed and applies nothing. */
static void await_agent(struct undertaker *u)
{
    if (!u->agent)
        (void)adopt_agent(u);
    while (!agent_gone(u)) {
        ctx_beat(&u->ctx);
        procid_wait_gone(u->agent_pidfd, MEMBER_TICK_NS);
        watch_agent_beat(u);
    }
    forget_agent(u);
}

static void undo_everything(struct undertaker *u)
{
    struct action_scope all = {.first = 0, .end = JOURNAL_SLOTS, .fault = ACTION_ANY_FAULT};
    int failed;
    journal_move_phase(&u->m.journal, JOURNAL_LOST);
    await_agent(u);
    u->ctx.cancelled = NULL;
    action_replay(&u->ctx, &all, NULL, &failed);
    /* also when main is only closing: it may be killed before it comes to that */
    if (journal_used(&u->m.journal) == 0)
        journal_unlink(&u->m.journal);
}

int undertaker_main(int argc, char **argv)
{
    static struct undertaker u = {.agent_pidfd = -1};
    int r = member_init(&u.m, JOURNAL_UNDERTAKER, argc, argv);
    if (r < 0) {
        member_done(&u.m);
        return 1;
    }
    u.ctx = (struct fault_ctx){.journal = &u.m.journal,
                               .role = JOURNAL_UNDERTAKER,
                               .lab_fd = u.m.fds.lab,
                               .fault = -1,
                               .cancelled = must_end,
                               .arg = &u};
    run(&u);
    undo_everything(&u);
    member_done(&u.m);
    return 0;
}
