#include "cmd/lab_keeper.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define TICK_NS (100 * NS_PER_MS)

static const char *const state_names[] = {"starting", "up", "stopping", "done"};
_Static_assert(ARRAY_SIZE(state_names) == KEEPER_STATE_COUNT, "a name for each state");

static void keeper_set_state(struct keeper *k, enum keeper_state state)
{
    assert(state > k->state);
    log_debug("lab", "keeper %s -> %s", state_names[k->state], state_names[state]);
    k->state = state;
}

const char *keeper_state_name(const struct keeper *k)
{
    return state_names[k->state];
}

void keeper_line(struct keeper *k, int64_t t_ns, enum live_tone tone, const char *area,
                 const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    live_line(k->live, t_ns - k->start_ns, tone, area, "%s", text);
}

void keeper_stop(struct keeper *k, int exit_status, const char *why)
{
    if (k->state >= KEEPER_STOPPING)
        return;
    k->exit_status = exit_status;
    if (why) {
        snprintf(k->failure, sizeof k->failure, "%s", why);
        keeper_line(k, clock_now_ns(), LIVE_BAD, "lab", "%s", why);
    } else {
        keeper_line(k, clock_now_ns(), LIVE_PLAIN, "lab", "stopping");
    }
    for (int i = 0; i < k->faults_n; i++)
        if (keeper_fault_in_force(&k->faults[i])) {
            guard_undo_all(k->bed.guard);
            break;
        }
    keeper_set_state(k, KEEPER_STOPPING);
    if (lab_stop(k->bed.lab) < 0)
        keeper_set_state(k, KEEPER_DONE);
}

static void on_signal(struct signals *signals, int signo)
{
    struct keeper *k = container_of(signals, struct keeper, signals);
    char why[96];
    if (k->state >= KEEPER_STOPPING) {
        keeper_line(k, clock_now_ns(), LIVE_WARN, "lab", "SIG%s while stopping: killing the lab",
                    sigabbrev_np(signo));
        k->exit_status = 128 + signo;
        if (k->state < KEEPER_DONE)
            keeper_set_state(k, KEEPER_DONE);
        return;
    }
    k->interrupted = signo;
    snprintf(why, sizeof why, "interrupted by SIG%s", sigabbrev_np(signo));
    bool wanted = k->state == KEEPER_UP && signo == SIGINT; /* how a lab is ended in a terminal */
    keeper_stop(k, wanted ? 0 : 128 + signo, wanted ? NULL : why);
}

/* --- the lab's events ------------------------------------------------------------------------- */

static void show_last_lines(struct keeper *k, int index)
{
    const struct crew_member *m = &k->crew.v[index];
    for (int i = 0; i < m->last_n; i++)
        keeper_line(k, clock_now_ns(), LIVE_DIM, "log", "%s: %s", k->plan->services[index].name,
                    m->last[i]);
}

static void say_how_to_go_on(struct keeper *k)
{
    const char *lab = k->place.others ? " --lab " : "", *name = k->place.others ? k->name : "";
    const char *service = k->plan->services[0].name;
    int64_t now_ns = clock_now_ns();
    keeper_line(k, now_ns, LIVE_GOOD, "lab", "%s is up, all services are ready; go on with",
                k->name);
    keeper_line(k, now_ns, LIVE_PLAIN, "lab", "  squall lab enter%s%s %s", lab, name, service);
    keeper_line(k, now_ns, LIVE_PLAIN, "lab", "  squall lab status%s%s", lab, name);
    keeper_line(k, now_ns, LIVE_PLAIN, "lab", "  squall chaos apply%s%s FILE", lab, name);
    keeper_line(k, now_ns, LIVE_PLAIN, "lab", "  squall lab down%s%s%s", lab, name,
                k->detached ? "" : " (or Ctrl-C here)");
}

/* From here on the log is where lines go; whoever started us may leave. */
static void step_back(struct keeper *k)
{
    char ok = 0;
    live_close(k->live);
    k->live = live_open(STDOUT_FILENO, k->start_ns, false);
    close_p(&k->out_fd); /* or whoever reads them would wait for the lab's end */
    close_p(&k->err_fd);
    k->out_fd = k->err_fd = -1;
    (void)!write(k->ready_fd, &ok, 1);
    io_remove(&k->loop, &k->ready_io);
    close_p(&k->ready_fd);
    k->ready_fd = -1;
}

static void on_lab_wide(struct keeper *k, const struct lab_event *e)
{
    if (e->kind == LAB_READY && k->state == KEEPER_STARTING) {
        keeper_set_state(k, KEEPER_UP);
        say_how_to_go_on(k);
        if (k->ready_fd >= 0)
            step_back(k);
    } else if (e->kind == LAB_STOPPED) {
        keeper_line(k, e->t_ns, LIVE_DIM, "lab", "all services are stopped");
        if (k->state == KEEPER_STOPPING)
            keeper_set_state(k, KEEPER_DONE);
    } else if (e->kind == LAB_LOST && k->state < KEEPER_DONE) {
        if (k->state < KEEPER_STOPPING) {
            k->exit_status = EXIT_TARGET;
            snprintf(k->failure, sizeof k->failure, "the lab is gone: %s",
                     e->text ? e->text : "its init ended");
        }
        keeper_set_state(k, KEEPER_DONE);
    }
}

static void on_lab_event(void *ctx, const struct lab_event *e)
{
    static const enum crew_stage stages[] = {CREW_STARTING, CREW_UP, CREW_STOPPING, CREW_STOPPING};
    _Static_assert(ARRAY_SIZE(stages) == KEEPER_STATE_COUNT, "a stage for each state");
    struct keeper *k = ctx;
    struct crew_news news;
    if (e->service < 0 || e->kind == LAB_READY || e->kind == LAB_STOPPED || e->kind == LAB_LOST) {
        on_lab_wide(k, e);
        return;
    }
    crew_take(&k->crew, e, stages[k->state], &news);
    if (news.shown)
        keeper_line(k, e->t_ns, news.tone, "service", "%s: %s", k->plan->services[e->service].name,
                    news.text);
    if (news.show_last)
        show_last_lines(k, e->service);
    if (news.fatal)
        keeper_stop(k, EXIT_TARGET, news.why);
}

/* --- life ------------------------------------------------------------------------------------- */

/* The first moment in which something may be made: somebody watches over it. */
static int on_guarded(void *ctx, struct err *err)
{
    struct keeper *k = ctx;
    int r = place_make(&k->place, k->bed.guard, k->name, err);
    if (r < 0 || !k->detached)
        return r;
    int log = place_log(&k->place);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        r = err_set(err, log < 0 ? log : -errno, "log in %s: %s", k->place.path,
                    strerror(log < 0 ? -log : errno));
    close_p(&log);
    return r;
}

static void on_tick(struct loop *loop, struct timer *timer)
{
    struct keeper *k = container_of(timer, struct keeper, tick);
    guard_beat(k->bed.guard);
    timer_start(loop, timer, loop->now_ns + TICK_NS);
}

static void tell_lines(struct keeper *k, enum live_tone tone, const char *area, const char *head,
                       const char *lines)
{
    for (struct str rest = str_of(lines); rest.n;) {
        struct str line = str_split(&rest, '\n');
        keeper_line(k, clock_now_ns(), tone, area, "%s%.*s", head, (int)line.n, line.p);
    }
}

/* Nobody would know of a lab whose `lab up` was killed before it could say that it is up. */
static void on_ready_io(struct loop *loop, struct io *io, uint32_t events)
{
    io_remove(loop, io);
    keeper_stop(container_of(io, struct keeper, ready_io), EXIT_TARGET,
                "whoever started this lab is gone");
}

static int open_all(struct keeper *k, struct err *err)
{
    static const int signos[] = {SIGINT, SIGTERM, SIGHUP};
    char id[32 + sizeof k->name];
    snprintf(id, sizeof id, "up-%s-%d", k->name, (int)getpid());
    struct bed_config config = {.plan = k->plan,
                                .id = id,
                                .loop = &k->loop,
                                .on_lab = on_lab_event,
                                .on_guard = keeper_guard_event,
                                .ctx = k,
                                .pcap = k->pcap,
                                .on_guarded = on_guarded};
    int r = loop_init(&k->loop);
    if (r < 0)
        return err_set(err, r, "event loop: %s", strerror(-r));
    if ((r = signals_open(&k->loop, &k->signals, signos, ARRAY_SIZE(signos), on_signal)) < 0)
        return err_set(err, r, "signals: %s", strerror(-r));
    if ((r = bed_open(&k->bed, &config, err)) < 0)
        return r;
    io_init(&k->ready_io, on_ready_io);
    if ((k->ready_fd >= 0 && (r = io_add(&k->loop, &k->ready_io, k->ready_fd, 0)) < 0) ||
        (r = keeper_serve(k)) < 0)
        return err_set(err, r, "control socket: %s", strerror(-r));
    return 0;
}

static void greet(struct keeper *k)
{
    tell_lines(k, k->bed.undo_failed ? LIVE_BAD : LIVE_WARN, "undo",
               "earlier squall: ", buf_str(&k->bed.recovered));
    timer_init(&k->tick, on_tick);
    timer_start(&k->loop, &k->tick, clock_now_ns());
    keeper_line(k, clock_now_ns(), LIVE_PLAIN, "lab", "%s: seed %llu, %s", k->name,
                (unsigned long long)k->seed, lab_tier(k->bed.lab));
    tell_lines(k, LIVE_WARN, "tier", "", lab_tier_warning(k->bed.lab));
    tell_lines(k, LIVE_PLAIN, "tier", "", lab_tier_changes(k->bed.lab));
    lab_start(k->bed.lab);
}

/* What is undone is undone before anybody is told that it is. */
static void close_all(struct keeper *k, struct err *err)
{
    struct err undo = {0};
    if (bed_close(&k->bed, &undo) < 0) {
        snprintf(k->failure, sizeof k->failure, "undo not confirmed (run `squall undo`): %.400s",
                 undo.msg);
        keeper_line(k, clock_now_ns(), LIVE_BAD, "undo", "%s", undo.msg);
    } else if (k->state != KEEPER_STARTING) {
        keeper_line(k, clock_now_ns(), LIVE_DIM, "undo", "confirmed: nothing is left");
    }
    bed_tell_log(&k->bed, k->detached);
    if (k->bed.undo_failed)
        k->exit_status = EXIT_UNDO;
    if (k->failure[0] && !err->code)
        err_set(err, -EIO, "%s", k->failure);
    keeper_serve_end(k, k->exit_status, k->failure);
}

int keeper_run(struct keeper *k, struct err *err)
{
    k->start_ns = clock_now_ns();
    k->loop.epoll_fd = -1;
    k->place = (struct place){.dir_fd = -1, .listen_fd = -1};
    k->live = live_open(k->out_fd, k->start_ns, false);
    if (k->no_color)
        live_no_colour(k->live);
    crew_init(&k->crew, k->plan);
    if (open_all(k, err) == 0 && !k->failure[0]) {
        greet(k);
        while (k->state != KEEPER_DONE && loop_turn(&k->loop, -1) == 0)
            ;
    } else {
        k->exit_status = EXIT_TARGET;
    }
    close_all(k, err);
    live_close(k->live);
    place_done(&k->place);
    if (k->loop.epoll_fd >= 0) {
        signals_close(&k->loop, &k->signals);
        loop_done(&k->loop);
    }
    crew_done(&k->crew);
    bed_done(&k->bed);
    return k->exit_status;
}
