/*
 * agent.c - the process that applies and undoes every fault, so that nobody is half-way through one
 * when main dies.
 *
 * It waits for commands, for the end of main, and for the time limits of its faults. When the
 * journal's phase leaves RUN, or main is gone, it undoes all that the journal holds and ends. Its
 * memory holds only what is needed to answer main; what must survive it is in the journal.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "fault/family.h"
#include "fault/member.h"
#include "fault/relay.h"
#include "loop/child.h"

#define ACTIVE_MAX 64

struct active {
    const struct fault *fault; /* NULL = free place */
    int number;                /* main's */
    int64_t ttl_at_ns;         /* 0 = none */
    struct fault_request request;
};

struct agent {
    struct member m;
    struct fault_ctx ctx;
    uint32_t generation;
    struct active active[ACTIVE_MAX];
    bool applying; /* an undo of it, or of all, breaks the wait off */
};

static void tell(struct agent *a, enum relay_event_kind kind, int number,
                 const struct fault_result *result, const char *text)
{
    struct relay_event e = {
        .kind = kind, .generation = a->generation, .fault = number, .t_ns = clock_now_ns()};
    if (result) {
        snprintf(e.asked, sizeof e.asked, "%s", result->asked);
        snprintf(e.measured, sizeof e.measured, "%s", result->measured);
    }
    snprintf(e.text, sizeof e.text, "%s", text ? text : "");
    /* main empties its side every turn; one that does not for so long is about to count as gone */
    for (int i = 0; i < 40 && relay_send_event(a->m.fds.control, &e) == -EAGAIN; i++) {
        struct pollfd p = {.fd = a->m.fds.control, .events = POLLOUT};
        ctx_beat(&a->ctx);
        poll(&p, 1, 50);
    }
}

static bool must_end(struct agent *a)
{
    return journal_phase(&a->m.journal) != JOURNAL_RUN || member_main_gone(&a->m);
}

/* Asked while a fault waits for the lab. */
static bool wait_is_over(void *arg)
{
    struct agent *a = arg;
    struct relay_command next;
    if (must_end(a))
        return true;
    if (!a->applying || relay_peek_command(a->m.fds.control, &next) < 0 ||
        next.generation != a->generation)
        return false;
    return next.kind == RELAY_CLOSE || next.kind == RELAY_UNDO_ALL ||
           (next.kind == RELAY_UNDO && next.fault == a->ctx.fault);
}

static struct active *find_active(struct agent *a, int number)
{
    for (size_t i = 0; i < ACTIVE_MAX; i++)
        if (a->active[i].fault && a->active[i].number == number)
            return &a->active[i];
    return NULL;
}

static struct active *free_place(struct agent *a)
{
    for (size_t i = 0; i < ACTIVE_MAX; i++)
        if (!a->active[i].fault)
            return &a->active[i];
    return NULL;
}

/* Whatever the fault's own undo left in the journal, by the journal's own means. */
static int undo_slots(struct agent *a, int number)
{
    struct action_scope scope = {
        .first = JOURNAL_MAIN_SLOTS, .end = JOURNAL_SLOTS, .fault = number};
    int failed;
    action_replay(&a->ctx, &scope, NULL, &failed);
    return failed ? -EBUSY : 0;
}

/* What was in force is now known to have had an effect, or none. */
static void tell_effect(struct agent *a, int number, const struct fault_result *result)
{
    if (result->result == -ENODATA)
        tell(a, RELAY_NO_EFFECT, number, result, result->why);
    else
        tell(a, RELAY_ACTIVE, number, result, "measured to its end");
}

static void undo_active(struct agent *a, struct active *f, const char *why)
{
    struct fault_result result = {0};
    a->ctx.fault = f->number;
    int r = f->fault->undo_fn ? f->fault->undo_fn(&a->ctx, &f->request, &result) : 0;
    if (r == -ECANCELED)
        return; /* all of it is being undone, or will be */
    int left = r == 0 ? undo_slots(a, f->number) : r;
    if (left == 0) {
        if (f->fault->measures_at_end)
            tell_effect(a, f->number, &result);
        tell(a, RELAY_ENDED, f->number, f->fault->measures_at_end ? NULL : &result, why);
        f->fault = NULL;
        return;
    }
    f->ttl_at_ns = 0;
    tell(a, RELAY_UNDO_FAILED, f->number, &result, strerror(-left));
}

/* A fault that could not be applied in full leaves nothing of it. */
static void roll_back(struct agent *a, const struct relay_command *c, struct fault_result *result)
{
    int number = c->fault;
    char text[FAULT_TEXT_BYTES];
    if (result->result == -ENODEV && a->ctx.lab_why[0])
        snprintf(text, sizeof text, "%s", a->ctx.lab_why);
    else
        snprintf(text, sizeof text, "%.300s%s%s", result->measured, result->measured[0] ? ": " : "",
                 strerror(-result->result));
    a->applying = false;
    int r = undo_slots(a, number);
    if (must_end(a))
        return; /* all is about to be undone, and nobody listens */
    tell(a, RELAY_FAILED, number, result, text);
    if (r < 0)
        tell(a, RELAY_UNDO_FAILED, number, result, "what had been applied could not be undone");
}

static void apply(struct agent *a, const struct relay_command *c)
{
    struct fault_result result = {0};
    const struct fault *fault = fault_find(c->request.kind);
    struct active *place = free_place(a);
    if (!fault || !place || find_active(a, c->fault)) {
        tell(a, RELAY_FAILED, c->fault, NULL,
             !fault   ? "no such fault"
             : !place ? "too many faults at once"
                      : "applied already");
        return;
    }
    a->ctx.fault = c->fault;
    a->applying = true;
    result.result = fault->apply(&a->ctx, &c->request, &result);
    a->applying = false;
    if (result.result < 0 && result.result != -ENODATA) {
        roll_back(a, c, &result);
        return;
    }
    if (!fault->one_shot) {
        int64_t ttl_ns = c->request.ttl_ns;
        *place = (struct active){.fault = fault,
                                 .number = c->fault,
                                 .ttl_at_ns = ttl_ns > 0 ? clock_now_ns() + ttl_ns : 0,
                                 .request = c->request};
    }
    tell(a, result.result == 0 ? RELAY_ACTIVE : RELAY_NO_EFFECT, c->fault, &result, result.why);
}

static void undo_one(struct agent *a, int number)
{
    struct active *f = find_active(a, number);
    if (f)
        undo_active(a, f, "undone as asked");
    else if (undo_slots(a, number) == 0)
        tell(a, RELAY_ENDED, number, NULL, "nothing to undo");
    else
        tell(a, RELAY_UNDO_FAILED, number, NULL, "what had been applied could not be undone");
}

static void handle(struct agent *a, const struct relay_command *c)
{
    /* what was meant for a dead agent is void: main has been told that it failed */
    if (c->generation != a->generation)
        return;
    switch ((enum relay_command_kind)c->kind) {
    case RELAY_APPLY: apply(a, c); break;
    case RELAY_UNDO: undo_one(a, c->fault); break;
    case RELAY_UNDO_ALL:
        for (size_t i = ACTIVE_MAX; i-- > 0;)
            if (a->active[i].fault && !must_end(a))
                undo_active(a, &a->active[i], "undone as asked");
        break;
    case RELAY_CLOSE:
    case RELAY_COMMAND_COUNT: break;
    }
}

/* Undoes what has reached its limit; returns the time until the next limit, at most one tick. */
static int64_t run_limits(struct agent *a)
{
    int64_t now_ns = clock_now_ns(), wait_ns = MEMBER_TICK_NS;
    for (size_t i = 0; i < ACTIVE_MAX; i++) {
        struct active *f = &a->active[i];
        if (!f->fault || f->ttl_at_ns == 0)
            continue;
        int64_t left_ns = f->ttl_at_ns - now_ns;
        if (left_ns <= 0)
            undo_active(a, f, "undone by the agent: its time limit was reached");
        else if (left_ns < wait_ns)
            wait_ns = left_ns;
    }
    return wait_ns;
}

static void run(struct agent *a)
{
    bool deaf = false;
    while (!must_end(a)) {
        struct relay_command c;
        int64_t wait_ns = run_limits(a);
        /* poll ignores negative descriptors */
        struct pollfd p[] = {{.fd = deaf ? -1 : a->m.fds.control, .events = POLLIN},
                             {.fd = a->m.main_pidfd, .events = POLLIN}};
        ctx_beat(&a->ctx);
        if (poll(p, ARRAY_SIZE(p), (int)(wait_ns / NS_PER_MS) + 1) <= 0 || !p[0].revents)
            continue;
        int r = relay_receive_command(a->m.fds.control, &c);
        deaf = r == -EPIPE; /* main closed its end but lives; its phase or its end will tell */
        if (r == 0)
            handle(a, &c);
    }
}

/* The end: everything that the journal holds is undone, whoever wrote it. */
static void undo_everything(struct agent *a)
{
    struct action_scope all = {.first = 0, .end = JOURNAL_SLOTS, .fault = ACTION_ANY_FAULT};
    int failed;
    journal_move_phase(&a->m.journal, JOURNAL_LOST);
    a->ctx.cancelled = NULL;
    action_replay(&a->ctx, &all, NULL, &failed);
    if (journal_phase(&a->m.journal) == JOURNAL_LOST && journal_used(&a->m.journal) == 0)
        journal_unlink(&a->m.journal);
}

/* The undertaker leaves after us; one that is stopped would stay for ever, as main is not there to
 * replace it. */
static void end_hung_undertaker(struct agent *a)
{
    struct member_beat beat = {0};
    _Atomic int64_t *beat_ns = &a->m.journal.header->beat_ns[JOURNAL_UNDERTAKER];
    int64_t last_ns = atomic_load(beat_ns);
    if (journal_phase(&a->m.journal) != JOURNAL_LOST ||
        clock_now_ns() - last_ns < 2 * MEMBER_TICK_NS)
        return;
    int fd CLEANUP(close_p) = member_open(&a->m.journal, JOURNAL_UNDERTAKER);
    while (fd >= 0 && atomic_load(beat_ns) == last_ns &&
           procid_wait_gone(fd, 100 * NS_PER_MS) < 0) {
        ctx_beat(&a->ctx);
        if (member_beat_missed(&beat, &a->m.journal, JOURNAL_UNDERTAKER, MEMBER_HUNG_NS,
                               clock_now_ns()))
            (void)pidfd_signal(fd, SIGKILL);
    }
}

int agent_main(int argc, char **argv)
{
    static struct agent a;
    int r = member_init(&a.m, JOURNAL_AGENT, argc, argv);
    if (r < 0) {
        member_done(&a.m);
        return 1;
    }
    a.generation = atomic_fetch_add(&a.m.journal.header->generation, 1) + 1;
    atomic_store(&a.m.journal.header->agent_ready, getpid());
    a.ctx = (struct fault_ctx){.journal = &a.m.journal,
                               .role = JOURNAL_AGENT,
                               .lab_fd = a.m.fds.lab,
                               .fault = -1,
                               .cancelled = wait_is_over,
                               .arg = &a};
    run(&a);
    undo_everything(&a);
    end_hung_undertaker(&a);
    member_done(&a.m);
    return 0;
}
