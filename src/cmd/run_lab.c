/* The lab and the guard in a run: opening and closing both, and what their events mean for run file
 * and screen. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/run.h"

static void keep_line(struct run_service *s, const char *line)
{
    if (s->last_n == RUN_LAST_LINES) {
        free(s->last[0]);
        memmove(s->last, s->last + 1, (RUN_LAST_LINES - 1) * sizeof s->last[0]);
        s->last_n--;
    }
    s->last[s->last_n++] = xstrdup(line);
}

static void show_last_lines(struct run *run, int index)
{
    const struct run_service *s = &run->services[index];
    for (int i = 0; i < s->last_n; i++)
        live_line(run->live, run_clock(run, run->loop.now_ns), LIVE_DIM, "log", "%s: %s",
                  run->plan->services[index].name, s->last[i]);
}

static void set_state(struct run *run, int service, const char *state, bool good)
{
    run->services[service].state = state;
    run->services[service].good = good;
}

static void on_ready(struct run *run, const struct lab_event *e, const char *name)
{
    char took[32];
    set_state(run, e->service, "ready", true);
    run->services[e->service].faulted = false;
    run_event(run, e->t_ns, LIVE_GOOD, "service", name, "ready after %s%s",
              units_human_duration(e->value, took, sizeof took),
              run->services[e->service].starts > 1 ? " (restarted)" : "");
}

static void on_not_ready(struct run *run, const struct lab_event *e, const char *name)
{
    set_state(run, e->service, "not ready", false);
    run_event(run, e->t_ns, LIVE_BAD, "service", name, "%s", e->text);
    show_last_lines(run, e->service);
    if (run->state == RUN_PREPARING)
        run_abort(run, EXIT_TARGET, "service \"%s\" did not become ready: %s", name, e->text);
}

static void on_exited(struct run *run, const struct lab_event *e, const char *name)
{
    enum live_tone tone = run->state >= RUN_STOPPING          ? LIVE_DIM
                          : run->services[e->service].faulted ? LIVE_WARN
                                                              : LIVE_BAD;
    set_state(run, e->service, "down", false);
    run_event(run, e->t_ns, tone, "service", name, "%s", e->text);
}

static void on_gave_up(struct run *run, const struct lab_event *e, const char *name)
{
    set_state(run, e->service, "down for good", false);
    run_event(run, e->t_ns, LIVE_BAD, "service", name, "stays down%s%s", e->text ? ": " : "",
              e->text ? e->text : "");
    if (run->state != RUN_PREPARING)
        return;
    show_last_lines(run, e->service);
    run_abort(run, EXIT_TARGET, "service \"%s\" ended before it was ready%s%s", name,
              e->text ? ": " : "", e->text ? e->text : "");
}

static void on_lab_wide(struct run *run, const struct lab_event *e)
{
    if (e->kind == LAB_READY && run->state == RUN_PREPARING) {
        run_event(run, e->t_ns, LIVE_GOOD, "lab", "", "all services are ready");
        run_storm_start(run);
    } else if (e->kind == LAB_STOPPED) {
        run_event(run, e->t_ns, LIVE_DIM, "lab", "", "stopped");
        if (run->state == RUN_STOPPING)
            run_set_state(run, RUN_DONE);
    } else if (e->kind == LAB_LOST && run->state < RUN_DONE) {
        run_abort(run, EXIT_TARGET, "the lab is gone: %s", e->text ? e->text : "its init ended");
        if (run->state < RUN_DONE)
            run_set_state(run, RUN_DONE);
    }
}

static void on_log(struct run *run, const struct lab_event *e, const char *name)
{
    keep_line(&run->services[e->service], e->text);
    if (run->record)
        record_log(run->record, run_clock(run, e->t_ns), name, e->stream, e->text);
}

static void on_lab_event(void *ctx, const struct lab_event *e)
{
    struct run *run = ctx;
    if (e->service < 0 || e->kind == LAB_READY || e->kind == LAB_STOPPED || e->kind == LAB_LOST) {
        on_lab_wide(run, e);
        return;
    }
    assert((size_t)e->service < run->plan->services_n);
    const char *name = run->plan->services[e->service].name;
    char wait[32];
    switch (e->kind) {
    case LAB_SERVICE_STARTING:
        set_state(run, e->service, "starting", false);
        run->services[e->service].starts++;
        run_event(run, e->t_ns, LIVE_DIM, "service", name, "starting, pid %d in the lab",
                  (int)e->pid);
        break;
    case LAB_SERVICE_READY: on_ready(run, e, name); break;
    case LAB_SERVICE_NOT_READY: on_not_ready(run, e, name); break;
    case LAB_SERVICE_EXITED: on_exited(run, e, name); break;
    case LAB_SERVICE_BACKOFF:
        set_state(run, e->service, "waiting to restart", false);
        run_event(run, e->t_ns, LIVE_DIM, "service", name, "starts again in %s",
                  units_human_duration(e->value, wait, sizeof wait));
        break;
    case LAB_SERVICE_GAVE_UP: on_gave_up(run, e, name); break;
    case LAB_SERVICE_HELD: set_state(run, e->service, "held down", false); break;
    case LAB_SERVICE_STOPPED: set_state(run, e->service, "stopped", false); break;
    case LAB_LOG: on_log(run, e, name); break;
    case LAB_LOG_DROPPED:
        run_event(run, e->t_ns, LIVE_WARN, "service", name, "floods its log: %lld lines dropped",
                  (long long)e->value);
        break;
    case LAB_READY:
    case LAB_STOPPED:
    case LAB_LOST:
    case LAB_EVENT_COUNT: break;
    }
}

static void on_lab_io(struct loop *loop, struct io *io, uint32_t events)
{
    struct run *run = container_of(io, struct run, lab_io);
    if (lab_dispatch(run->lab) < 0)
        io_remove(loop, io);
}

static void on_guard_io(struct loop *loop, struct io *io, uint32_t events)
{
    struct run *run = container_of(io, struct run, guard_io);
    if (guard_dispatch(run->guard) < 0)
        io_remove(loop, io);
}

static int make_run_dir(struct run *run, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    struct stat st;
    if (!tmp || tmp[0] != '/')
        tmp = "/tmp";
    if (stat(tmp, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "TMPDIR is \"%s\", which is no folder", tmp);
    if ((size_t)snprintf(run->run_dir, sizeof run->run_dir, "%s/squall-%s", tmp, run->run_id) >=
        sizeof run->run_dir)
        return err_set(err, -ENAMETOOLONG, "TMPDIR is \"%s\", which is too long", tmp);
    int r = guard_note_dir(run->guard, run->run_dir);
    if (r < 0)
        return err_set(err, r, "undo journal: %s", strerror(-r));
    if (mkdir(run->run_dir, 0700) < 0)
        return err_set(err, -errno, "working folder %s: %s", run->run_dir, strerror(errno));
    return 0;
}

/* What an earlier run left because all its processes were killed goes first. Told once there is a
 * run file. */
static void recover_earlier(struct run *run)
{
    struct err err = {0};
    int n = guard_recover(NULL, &run->recovered, &err);
    if (n == 0)
        buf_clear(&run->recovered);
    if (n < 0) {
        run->undo_failed = true;
        buf_printf(&run->recovered, "%s\n", err.msg);
    }
}

void run_lab_tell_recovered(struct run *run)
{
    for (struct str rest = str_of(buf_str(&run->recovered)); rest.n;) {
        struct str line = str_split(&rest, '\n');
        run_event(run, clock_now_ns(), run->undo_failed ? LIVE_BAD : LIVE_WARN, "undo", "",
                  "earlier run: %.*s", (int)line.n, line.p);
    }
}

/* Somebody watches over main before main makes anything that would have to be undone. */
static int open_guard(struct run *run, int agent_wire, struct err *err)
{
    struct guard_config config = {.on_event = run_storm_guard_event, .ctx = run};
    int r = guard_new(&config, &run->guard, err);
    return r < 0 ? r : guard_start(run->guard, agent_wire, err);
}

static void on_wait(void *ctx)
{
    guard_beat(((struct run *)ctx)->guard);
}

static int open_lab(struct run *run, int agent_wire, struct err *err)
{
    struct lab_config config = {.plan = run->plan,
                                .run_dir = run->run_dir,
                                .on_event = on_lab_event,
                                .ctx = run,
                                .agent_wire = agent_wire,
                                .on_wait = on_wait};
    int r = lab_open(&config, &run->lab, err); /* takes the wire over */
    if (r == 0 && (r = guard_note_process(run->guard, lab_init_pid(run->lab))) < 0)
        err_set(err, r, "undo journal: %s", strerror(-r));
    return r;
}

int run_lab_open(struct run *run, struct err *err)
{
    int wire[2], r;
    recover_earlier(run);
    if ((r = lab_become_root(err)) < 0)
        return r;
    if ((r = lab_wire(wire)) < 0)
        return err_set(err, r, "connections of the lab: %s", strerror(-r));
    if ((r = open_guard(run, wire[0], err)) < 0 || (r = make_run_dir(run, err)) < 0)
        close(wire[1]);
    else
        r = open_lab(run, wire[1], err);
    close(wire[0]);
    if (r < 0)
        return r;
    io_init(&run->lab_io, on_lab_io);
    io_init(&run->guard_io, on_guard_io);
    if ((r = io_add(&run->loop, &run->lab_io, lab_fd(run->lab), EPOLLIN)) < 0 ||
        (r = io_add(&run->loop, &run->guard_io, guard_fd(run->guard), EPOLLIN)) < 0)
        return err_set(err, r, "event loop: %s", strerror(-r));
    return 0;
}

void run_lab_close(struct run *run)
{
    struct err err = {0};
    if (run->lab) {
        io_remove(&run->loop, &run->lab_io);
        lab_close(run->lab);
        run->lab = NULL;
    }
    if (!run->guard)
        return;
    if (run->guard_io.fn)
        io_remove(&run->loop, &run->guard_io);
    if (guard_close(run->guard, &err) < 0) {
        run->undo_failed = true;
        run_event(run, clock_now_ns(), LIVE_BAD, "undo", "", "%s", err.msg);
        err_wrap(&err, "undo not confirmed (run `squall undo`)");
        snprintf(run->failure, sizeof run->failure, "%s", err.msg);
    }
    run->guard = NULL;
}

int run_target_addr(struct run *run, const char *host, uint16_t port, struct addr *ret)
{
    if (run->lab && plan_find_service(run->plan, host))
        return lab_resolve(run->lab, host, port, ret);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    int r = addr_from_ip(host, port, ret);
    return r < 0 ? r : addr_is_loopback(ret) ? 0 : -EACCES;
}

int run_socket(void *ctx)
{
    struct run *run = ctx;
    if (run->lab)
        return lab_client_socket(run->lab, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}
