/* guard.c - main's side of the family: commands, events, the watch on the undertaker, the end. */
#include "fault/guard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "fault/family.h"
#include "fault/member.h"
#include "fault/relay.h"
#include "loop/child.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define FAULTS_MAX      64
#define RESPAWNS_MAX    20
#define START_WITHIN_NS (10 * NS_PER_S)
#define CLOSE_WITHIN_NS (60 * NS_PER_S)

struct guard_fault {
    bool used, applied; /* applied: its effect (or lack of it) has been told */
    bool measures_at_end;
    int number;
    uint32_t generation; /* of the agent it was given to */
};

struct guard {
    struct journal journal;
    struct guard_config config;
    int epoll_fd;
    int control[2]; /* main's end, the agent's end */
    int watch[2];   /* main's end, the undertaker's end */
    int lab_fd;
    pid_t undertaker;
    int undertaker_pidfd;
    struct member_beat undertaker_beat;
    bool started, lost;
    int respawns;
    uint32_t generation; /* of the agent, as last told */
    struct guard_fault faults[FAULTS_MAX];
};

int guard_new(const struct guard_config *config, struct guard **ret, struct err *err)
{
    struct guard *g = xmalloc(sizeof *g);
    *g = (struct guard){.config = *config,
                        .journal.fd = -1,
                        .epoll_fd = -1,
                        .control = {-1, -1},
                        .watch = {-1, -1},
                        .lab_fd = -1,
                        .undertaker_pidfd = -1};
    int r = journal_make(&g->journal, config->state_dir, err);
    if (r < 0) {
        free(g);
        return r;
    }
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (g->epoll_fd < 0) {
        r = err_set(err, -errno, "cannot make the guard's event queue: %s", strerror(errno));
        journal_unlink(&g->journal);
        journal_done(&g->journal);
        free(g);
        return r;
    }
    *ret = g;
    return 0;
}

static int note(struct guard *g, const struct journal_entry *e)
{
    struct err err = {0};
    if (g->lost)
        return -ENOTCONN;
    /* without a family the journal is all that will know */
    int r = journal_publish(&g->journal, &err);
    if (r < 0)
        return r;
    int slot = journal_intent(&g->journal, JOURNAL_MAIN, e);
    if (slot < 0)
        return slot;
    /* main makes it at once; undo does not mind if that fails */
    journal_active(&g->journal, slot);
    return 0;
}

int guard_note_dir(struct guard *g, const char *path)
{
    struct journal_entry e;
    char state_dir[sizeof g->journal.path];
    snprintf(state_dir, sizeof state_dir, "%.*s",
             (int)(strrchr(g->journal.path, '/') - g->journal.path), g->journal.path);
    int r = action_dir_entry(&e, state_dir, path);
    return r < 0 ? r : note(g, &e);
}

int guard_note_process(struct guard *g, pid_t pid)
{
    struct journal_entry e;
    int r = action_process_entry(&e, ACTION_PROCESS, pid);
    return r < 0 ? r : note(g, &e);
}

int guard_note_mark(struct guard *g, uint64_t mark)
{
    const struct journal_entry e = {.kind = ACTION_LAB_MARK, .fault = -1, .value = (int64_t)mark};
    return note(g, &e);
}

static void emit(struct guard *g, enum guard_event_kind kind, const struct relay_event *e,
                 int fault, const char *text)
{
    struct guard_event event = {.kind = kind,
                                .fault = fault,
                                .t_ns = e ? e->t_ns : clock_now_ns(),
                                .asked = e ? e->asked : "",
                                .measured = e ? e->measured : "",
                                .text = text};
    if (g->config.on_event)
        g->config.on_event(g->config.ctx, &event);
}

static void lose(struct guard *g, const char *why)
{
    if (g->lost)
        return;
    g->lost = true;
    /* an agent that still lives undoes what it has applied; the journal stays ours */
    journal_move_phase(&g->journal, JOURNAL_CLOSING);
    if (g->undertaker_pidfd >= 0)
        epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, g->undertaker_pidfd, NULL);
    emit(g, GUARD_LOST, NULL, -1, why);
}

static int listen_to(struct guard *g, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int start_undertaker(struct guard *g)
{
    const struct member_fds fds = {
        .journal = g->journal.fd, .control = g->control[1], .lab = g->lab_fd, .watch = g->watch[1]};
    int r = member_spawn(FAMILY_UNDERTAKER, &fds, &g->undertaker);
    if (r < 0)
        return r;
    /* our child, not reaped by us: the pid cannot have been reused */
    int fd = pidfd_open_pid(g->undertaker);
    if (fd < 0) {
        kill(g->undertaker, SIGKILL);
        waitpid(g->undertaker, NULL, 0);
        return fd;
    }
    g->undertaker_pidfd = fd;
    g->undertaker_beat = (struct member_beat){0};
    return listen_to(g, fd);
}

static void reap_undertaker(struct guard *g)
{
    siginfo_t info;
    if (g->undertaker_pidfd < 0)
        return;
    (void)waitid(P_PIDFD, (id_t)g->undertaker_pidfd, &info, WEXITED);
    close(g->undertaker_pidfd); /* leaves the epoll set with it */
    g->undertaker_pidfd = -1;
    g->undertaker = 0;
}

static bool undertaker_gone(const struct guard *g)
{
    return g->undertaker_pidfd < 0 || procid_wait_gone(g->undertaker_pidfd, 0) == 0;
}

static int await_family(struct guard *g)
{
    int64_t end_ns = clock_now_ns() + START_WITHIN_NS;
    while (atomic_load(&g->journal.header->generation) == 0) {
        if (undertaker_gone(g))
            return -ECHILD;
        if (clock_now_ns() > end_ns)
            return -ETIMEDOUT;
        guard_beat(g);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    g->generation = atomic_load(&g->journal.header->generation);
    return 0;
}

int guard_start(struct guard *g, int lab_agent_fd, struct err *err)
{
    assert(!g->started);
    if (lab_agent_fd >= 0) {
        g->lab_fd = fcntl(lab_agent_fd, F_DUPFD_CLOEXEC, 3);
        if (g->lab_fd < 0)
            return err_set(err, -errno, "cannot keep the wire to the lab: %s", strerror(errno));
    }
    int r = relay_pair(g->control);
    if (r == 0)
        r = relay_pair(g->watch);
    if (r == 0)
        r = listen_to(g, g->control[0]);
    if (r == 0)
        r = listen_to(g, g->watch[0]);
    journal_beat(&g->journal, JOURNAL_MAIN);
    if (r == 0) {
        g->started = true;
        r = start_undertaker(g);
    }
    if (r == 0)
        r = await_family(g);
    if (r == 0)
        return journal_publish(&g->journal,
                               err); /* from here on somebody removes it whatever happens */
    return err_set(err, r, "cannot start the processes that undo faults: %s",
                   r == -ENOSYS ? "this kernel has no pidfd (Linux 5.3 or later is needed)"
                                : strerror(-r));
}

int guard_fd(const struct guard *g)
{
    return g->epoll_fd;
}

void guard_beat(struct guard *g)
{
    journal_beat(&g->journal, JOURNAL_MAIN);
    if (g->undertaker_pidfd >= 0 && !g->lost &&
        member_beat_missed(&g->undertaker_beat, &g->journal, JOURNAL_UNDERTAKER, MEMBER_HUNG_NS,
                           clock_now_ns()))
        (void)pidfd_signal(g->undertaker_pidfd, SIGKILL);
}

static struct guard_fault *find_fault(struct guard *g, int number)
{
    for (size_t i = 0; i < FAULTS_MAX; i++)
        if (g->faults[i].used && g->faults[i].number == number)
            return &g->faults[i];
    return NULL;
}

static struct guard_fault *new_fault(struct guard *g, int number)
{
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        if (g->faults[i].used)
            continue;
        g->faults[i] = (struct guard_fault){.used = true, .number = number};
        return &g->faults[i];
    }
    return NULL;
}

static int command(struct guard *g, enum relay_command_kind kind, struct guard_fault *f,
                   const struct fault_request *request)
{
    struct relay_command c = {.kind = kind, .fault = f ? f->number : -1};
    if (g->lost || !g->started)
        return -ENOTCONN;
    if (request)
        c.request = *request;
    c.generation = atomic_load(&g->journal.header->generation);
    int r = relay_send_command(g->control[0], &c);
    if (r == 0 && f)
        f->generation = c.generation;
    return r;
}

int guard_apply(struct guard *g, int fault, const struct fault_request *request)
{
    if (find_fault(g, fault))
        return -EEXIST;
    if (!memchr(request->kind, '\0', sizeof request->kind) || !fault_find(request->kind))
        return -EINVAL;
    struct guard_fault *f = new_fault(g, fault);
    if (!f)
        return -ENOSPC;
    f->measures_at_end = fault_find(request->kind)->measures_at_end;
    int r = command(g, RELAY_APPLY, f, request);
    if (r < 0)
        f->used = false;
    return r;
}

int guard_undo(struct guard *g, int fault)
{
    struct guard_fault *f = find_fault(g, fault);
    bool known = f;
    if (!f)
        f = new_fault(g, fault);
    if (!f)
        return -ENOSPC;
    f->applied = f->applied || !known;
    int r = command(g, RELAY_UNDO, f, NULL);
    if (r < 0 && !known)
        f->used = false;
    return r;
}

int guard_undo_all(struct guard *g)
{
    return command(g, RELAY_UNDO_ALL, NULL, NULL);
}

static bool has_slots(const struct guard *g, int number)
{
    struct journal_entry e;
    for (int i = JOURNAL_MAIN_SLOTS; i < JOURNAL_SLOTS; i++)
        if (journal_read(&g->journal, i, &e) > 0 && e.fault == number)
            return true;
    return false;
}

/* A new agent: what was given to earlier ones is over; the journal says whether it is undone. */
static void on_restarted(struct guard *g, const struct relay_event *e)
{
    if (e->generation <= g->generation)
        return;
    g->generation = e->generation;
    emit(g, GUARD_AGENT_RESTARTED, e, -1, e->text);
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        struct guard_fault *f = &g->faults[i];
        if (!f->used || f->generation >= e->generation)
            continue;
        int number = f->number;
        bool applied = f->applied, left = has_slots(g, number);
        f->used = false;
        if (applied && f->measures_at_end)
            emit(g, GUARD_FAULT_NO_EFFECT, NULL, number,
                 "what it did could not be measured to its end, because the agent died; run it "
                 "again");
        if (!applied)
            emit(g, GUARD_FAULT_FAILED, NULL, number, "the agent died while applying it");
        if (left)
            emit(g, GUARD_FAULT_UNDO_FAILED, NULL, number,
                 "the agent died, and its undo is not confirmed");
        else if (applied)
            emit(g, GUARD_FAULT_ENDED, NULL, number, "undone early, because the agent died");
    }
}

static void on_wire_event(struct guard *g, const struct relay_event *e)
{
    static const enum guard_event_kind kinds[] = {
        [RELAY_ACTIVE] = GUARD_FAULT_ACTIVE,           [RELAY_NO_EFFECT] = GUARD_FAULT_NO_EFFECT,
        [RELAY_FAILED] = GUARD_FAULT_FAILED,           [RELAY_ENDED] = GUARD_FAULT_ENDED,
        [RELAY_UNDO_FAILED] = GUARD_FAULT_UNDO_FAILED, [RELAY_RESTARTED] = GUARD_AGENT_RESTARTED,
    };
    _Static_assert(ARRAY_SIZE(kinds) == RELAY_EVENT_COUNT, "one row a kind");
    struct guard_fault *f = find_fault(g, e->fault);
    if (e->kind == RELAY_RESTARTED) {
        on_restarted(g, e);
        return;
    }
    if (f) {
        const bool applied = e->kind == RELAY_ACTIVE || e->kind == RELAY_NO_EFFECT;
        f->applied = f->applied || applied;
        if (e->kind == RELAY_FAILED || e->kind == RELAY_ENDED)
            f->used = false;
    }
    emit(g, kinds[e->kind], e, e->fault, e->text);
}

static void drain(struct guard *g, int fd)
{
    struct relay_event e;
    for (int i = 0; i < 256; i++) {
        int r = relay_receive_event(fd, &e);
        if (r == 0)
            on_wire_event(g, &e);
        else if (r != -EBADMSG)
            return;
    }
}

static void on_undertaker_end(struct guard *g)
{
    reap_undertaker(g);
    if (journal_phase(&g->journal) != JOURNAL_RUN) {
        lose(g, "main did not answer for too long and was taken for dead; all faults are undone");
        return;
    }
    int r = ++g->respawns > RESPAWNS_MAX ? -EAGAIN : start_undertaker(g);
    if (r < 0)
        lose(g, "the undertaker died and could not be started again");
}

int guard_dispatch(struct guard *g)
{
    journal_beat(&g->journal, JOURNAL_MAIN);
    if (!g->started || g->lost)
        return g->lost ? -ENOTCONN : 0;
    drain(g, g->control[0]);
    drain(g, g->watch[0]);
    if (undertaker_gone(g))
        on_undertaker_end(g);
    return g->lost ? -ENOTCONN : 0;
}

/* Waits for the end of a member; kills it when it hangs: no heartbeat, or no end at all. */
static void await_member(struct guard *g, int pidfd, enum journal_role role)
{
    int64_t end_ns = clock_now_ns() + CLOSE_WITHIN_NS;
    struct member_beat beat = {0};
    while (procid_wait_gone(pidfd, 100 * NS_PER_MS) < 0) {
        int64_t now_ns = clock_now_ns();
        journal_beat(&g->journal, JOURNAL_MAIN);
        if (member_beat_missed(&beat, &g->journal, role, MEMBER_HUNG_NS, now_ns) || now_ns > end_ns)
            (void)pidfd_signal(pidfd, SIGKILL);
    }
}

/* Ends agent and undertaker: they see the phase, undo and leave. */
static void end_family(struct guard *g)
{
    journal_move_phase(&g->journal, JOURNAL_CLOSING);
    struct relay_command c = {.kind = RELAY_CLOSE, .fault = -1};
    c.generation = atomic_load(&g->journal.header->generation);
    if (g->started)
        (void)relay_send_command(g->control[0], &c);
    if (g->undertaker_pidfd >= 0) {
        await_member(g, g->undertaker_pidfd, JOURNAL_UNDERTAKER);
        reap_undertaker(g);
    }
    /* an agent whose undertaker was killed */
    int fd CLEANUP(close_p) = member_open(&g->journal, JOURNAL_AGENT);
    if (fd >= 0)
        await_member(g, fd, JOURNAL_AGENT);
}

static void add_failure(void *arg, const struct journal_entry *e, int result, const char *text)
{
    struct buf *list = arg;
    if (result < 0)
        buf_printf(list, "%s%s", list->n ? "; " : "", text);
}

static int undo_rest(struct guard *g, struct err *err)
{
    struct buf list = {0};
    struct action_scope all = {.first = 0,
                               .end = JOURNAL_SLOTS,
                               .fault = ACTION_ANY_FAULT,
                               .undone = add_failure,
                               .arg = &list};
    struct fault_ctx ctx = {
        .journal = &g->journal, .role = JOURNAL_MAIN, .lab_fd = g->lab_fd, .fault = -1};
    int failed, r = 0;
    action_replay(&ctx, &all, NULL, &failed);
    if (failed)
        r = err_set(err, -EBUSY,
                    "%d change(s) could not be undone: %.400s; `squall undo` tries again", failed,
                    buf_str(&list));
    else
        journal_unlink(&g->journal);
    buf_done(&list);
    return r;
}

int guard_close(struct guard *g, struct err *err)
{
    if (!g)
        return 0;
    end_family(g);
    int r = undo_rest(g, err);
    for (int i = 0; i < 2; i++) {
        close_p(&g->control[i]);
        close_p(&g->watch[i]);
    }
    close_p(&g->lab_fd);
    close_p(&g->epoll_fd);
    journal_done(&g->journal);
    free(g);
    return r;
}
