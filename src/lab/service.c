#include "lab/service.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "lab/loopback.h"
#include "lab/loopback_port.h"
#include "lab/sup.h"
#include "lab/switch.h"

#define SWEEP_FIRST_NS NS_PER_MS
#define SWEEP_MOST_NS  (20 * NS_PER_MS)

static const char *const state_names[] = {"waiting", "starting", "ready", "backoff",
                                          "held",    "stopping", "down"};
_Static_assert(ARRAY_SIZE(state_names) == LAB_STATE_COUNT, "a name for each state");

#define TO(STATE) (1u << LAB_STATE_##STATE)
static const unsigned state_edges[] = {
    [LAB_STATE_WAITING] = TO(STARTING) | TO(HELD) | TO(DOWN),
    [LAB_STATE_STARTING] = TO(READY) | TO(STOPPING),
    [LAB_STATE_READY] = TO(STOPPING),
    [LAB_STATE_BACKOFF] = TO(STARTING) | TO(HELD) | TO(DOWN),
    [LAB_STATE_HELD] = TO(STARTING) | TO(DOWN),
    [LAB_STATE_STOPPING] = TO(BACKOFF) | TO(HELD) | TO(DOWN) | TO(STARTING),
    [LAB_STATE_DOWN] = TO(HELD),
};
_Static_assert(ARRAY_SIZE(state_edges) == LAB_STATE_COUNT, "edges for each state");

static void service_set_state(struct service *s, enum lab_service_state state)
{
    assert(state_edges[s->state] & 1u << state);
    log_debug("lab", "service=%s %s -> %s", s->plan->name, state_names[s->state],
              state_names[state]);
    s->state = state;
    sup_changed(s->sup);
}

static struct loop *loop_of(struct service *s)
{
    return &s->sup->loop;
}

static void emit(struct service *s, enum lab_event_kind kind, int64_t value, const char *text)
{
    sup_emit(s->sup, &(struct lab_event){.kind = kind,
                                         .service = s->index,
                                         .t_ns = clock_now_ns(),
                                         .value = value,
                                         .pid = s->pid,
                                         .text = text});
}

static void kill_all(struct service *s)
{
    if (s->pid > 0)
        kill(s->pid, SIGKILL);
    sweep_kill(&s->box, SIGKILL);
}

static void close_exec(struct service *s)
{
    int fd = s->exec_io.fd;
    io_remove(loop_of(s), &s->exec_io);
    if (fd >= 0)
        close(fd);
}

/* True when the report is complete: nothing to read = the exec happened. */
static bool read_exec(struct service *s)
{
    static const char head[] = "exec failed: ";
    if (s->exec_io.fd < 0)
        return false;
    size_t room = sizeof s->exec_error - sizeof head;
    ssize_t n = read(s->exec_io.fd, s->exec_error + sizeof head - 1, room);
    if (n < 0)
        return false;
    if (n > 0) {
        memcpy(s->exec_error, head, sizeof head - 1);
        s->exec_error[sizeof head - 1 + (size_t)n] = '\0';
    }
    close_exec(s);
    return true;
}

static void on_exec(struct loop *loop, struct io *io, uint32_t events)
{
    struct service *s = container_of(io, struct service, exec_io);
    if (read_exec(s) && !s->exec_error[0] && s->state == LAB_STATE_STARTING)
        ready_start(&s->ready);
}

static void on_ready(struct ready *r, const char *text)
{
    struct service *s = container_of(r, struct service, ready);
    timer_stop(loop_of(s), &s->within_timer);
    s->ready_ns = clock_now_ns();
    service_set_state(s, LAB_STATE_READY);
    emit(s, LAB_SERVICE_READY, s->ready_ns - s->started_ns, text);
    if (r->listener == LOOPBACK_EVERYWHERE)
        emit(s, LAB_SERVICE_WARNING, 0,
             "listens on all addresses of this machine, also for others and for other services; "
             "tell "
             "it to listen on 0.0.0.0 in the plan, and it gets its own");
    waiters_answer(s, LAB_CMD_RELEASE, 0);
}

/* The commonest reason: listening as on a laptop, where nobody else asks. */
static bool listens_on_loopback_only(const struct service *s)
{
    char path[64];
    struct buf table = {0};
    snprintf(path, sizeof path, "/proc/%d/net/tcp", s->pid);
    if (s->pid > 0 && s->plan->ready.port)
        (void)buf_read_file(&table, path, 1 << 20);
    bool only = ready_loopback_only(buf_str(&table), s->plan->ready.port);
    buf_done(&table);
    return only;
}

static void on_within(struct loop *loop, struct timer *t)
{
    struct service *s = container_of(t, struct service, within_timer);
    const char *last = s->state == LAB_STATE_STARTING ? s->ready.seen : s->last_exit;
    char text[sizeof s->last_exit + 128];
    const char *hint =
        s->sup->loopback || !listens_on_loopback_only(s)
            ? ""
            : " (it listens on 127.0.0.1 only; in the lab it must listen on 0.0.0.0)";
    snprintf(text, sizeof text, "%s%s", last, hint);
    emit(s, LAB_SERVICE_NOT_READY, s->plan->ready.within_ns, text);
    waiters_answer(s, LAB_CMD_RELEASE, -ETIMEDOUT);
}

static void end_process(struct service *s, const char *reason);

static pid_t spawn_service(struct service *s)
{
    int exec_fd, fds[2];
    int r = output_open(s, fds);
    if (r < 0)
        return r;
    pid_t pid = spawn_start(&(struct spawn){.argv = s->plan->argv,
                                            .envp = s->envp,
                                            .path = s->sup->path,
                                            .dir = s->dir,
                                            .box = &s->box,
                                            .user = &s->user,
                                            .limits = &s->plan->limits,
                                            .out_fd = fds[0],
                                            .err_fd = fds[1]},
                            &exec_fd);
    close(fds[0]);
    close(fds[1]);
    if (pid > 0 && (r = io_add(loop_of(s), &s->exec_io, exec_fd, EPOLLIN)) < 0) {
        close(exec_fd);
        kill(pid, SIGKILL); /* reaped as a stranger */
        return r;
    }
    return pid;
}

void service_start(struct service *s)
{
    service_set_state(s, LAB_STATE_STARTING);
    s->exec_error[0] = '\0';
    s->ready_ns = 0;
    s->by_fault = s->release_wanted = false;
    s->started_ns = clock_now_ns();
    if (!timer_running(&s->within_timer) && s->plan->ready.within_ns > 0)
        timer_start(loop_of(s), &s->within_timer, s->started_ns + s->plan->ready.within_ns);
    pid_t pid = spawn_service(s);
    if (pid < 0) {
        s->failed = true;
        snprintf(s->last_exit, sizeof s->last_exit, "could not be started: %s", strerror(-pid));
        return end_process(s, s->last_exit);
    }
    s->pid = pid;
    emit(s, LAB_SERVICE_STARTING, 0, s->plan->argv[0]);
}

static void on_start_timer(struct loop *loop, struct timer *t)
{
    service_start(container_of(t, struct service, start_timer));
}

static void become_held(struct service *s)
{
    timer_stop(loop_of(s), &s->start_timer);
    timer_stop(loop_of(s), &s->within_timer);
    if (s->state != LAB_STATE_HELD) {
        service_set_state(s, LAB_STATE_HELD);
        emit(s, LAB_SERVICE_HELD, 0, "");
    }
    waiters_answer(s, LAB_CMD_HOLD, 0);
    waiters_answer(s, LAB_CMD_KILL, 0);
}

static void become_down(struct service *s)
{
    timer_stop(loop_of(s), &s->start_timer);
    timer_stop(loop_of(s), &s->within_timer);
    if (s->state != LAB_STATE_DOWN)
        service_set_state(s, LAB_STATE_DOWN);
    if (s->sup->stopping)
        emit(s, LAB_SERVICE_STOPPED, 0, "");
    waiters_answer(s, LAB_CMD_KILL, 0);
    waiters_answer_all(s, s->sup->stopping ? -ESHUTDOWN : -ECHILD);
}

static void restart_or_not(struct service *s)
{
    bool again = s->plan->restart == PLAN_RESTART_ALWAYS ||
                 (s->plan->restart == PLAN_RESTART_ON_FAILURE && s->failed);
    if (!again) {
        char text[sizeof s->last_exit + 64];
        snprintf(text, sizeof text, "%s; restart: %s", s->last_exit,
                 s->plan->restart == PLAN_RESTART_NEVER ? "never"
                                                        : "on-failure, and it did not fail");
        emit(s, LAB_SERVICE_GAVE_UP, 0, text);
        return become_down(s);
    }
    int64_t wait = backoff_take(&s->backoff);
    service_set_state(s, LAB_STATE_BACKOFF);
    emit(s, LAB_SERVICE_BACKOFF, wait, s->last_exit);
    waiters_answer(s, LAB_CMD_KILL, 0);
    timer_start(loop_of(s), &s->start_timer, clock_now_ns() + wait);
}

/* Nothing of the service lives any more. */
static void gone(struct service *s)
{
    output_drain(s);
    output_close(s);
    if (s->sup->stopping)
        become_down(s);
    else if (s->held)
        become_held(s);
    else if (s->release_wanted) {
        waiters_answer(s, LAB_CMD_HOLD, -ECANCELED);
        waiters_answer(s, LAB_CMD_KILL, 0);
        service_start(s);
    } else
        restart_or_not(s);
}

static void sweep(struct service *s)
{
    if (sweep_kill(&s->box, SIGKILL) == 0)
        return gone(s);
    timer_start(loop_of(s), &s->sweep_timer, clock_now_ns() + s->sweep_wait_ns);
    if (s->sweep_wait_ns < SWEEP_MOST_NS)
        s->sweep_wait_ns *= 2;
}

static void on_sweep_timer(struct loop *loop, struct timer *t)
{
    sweep(container_of(t, struct service, sweep_timer));
}

/* The main process is gone (or never came to be). */
static void end_process(struct service *s, const char *reason)
{
    ready_stop(&s->ready);
    timer_stop(loop_of(s), &s->kill_timer);
    s->ended_ns = clock_now_ns();
    backoff_note_end(&s->backoff, s->ready_ns, s->ended_ns);
    output_drain(s);
    emit(s, LAB_SERVICE_EXITED, 0, reason);
    s->pid = 0;
    if (s->state != LAB_STATE_STOPPING)
        service_set_state(s, LAB_STATE_STOPPING);
    s->sweep_wait_ns = SWEEP_FIRST_NS;
    sweep(s);
}

bool service_reaped(struct service *s, pid_t pid, int status)
{
    char text[sizeof s->exec_error + 64];
    if (s->pid != pid)
        return ready_reaped(&s->ready, pid, status);
    read_exec(s);
    close_exec(s);
    ready_exit_text(status, s->last_exit, sizeof s->last_exit);
    int left = sweep_kill(&s->box, SIGKILL);
    bool ordered = s->by_fault || s->stop_sent;
    if (s->exec_error[0])
        snprintf(text, sizeof text, "%s", s->exec_error);
    else if (left > 0 && !ordered)
        snprintf(text, sizeof text, "%s, leaving %d process%s behind, now killed", s->last_exit,
                 left, left == 1 ? "" : "es");
    else
        snprintf(text, sizeof text, "%s%s", s->last_exit, s->by_fault ? " (fault)" : "");
    snprintf(s->last_exit, sizeof s->last_exit, "%.*s", (int)sizeof s->last_exit - 1, text);
    s->failed = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_process(s, text);
    return true;
}

void service_stop(struct service *s)
{
    if (s->stop_sent)
        return;
    s->stop_sent = true;
    s->held = s->release_wanted = false;
    if (s->state == LAB_STATE_STOPPING)
        return;
    if (s->pid == 0)
        return become_down(s);
    service_set_state(s, LAB_STATE_STOPPING);
    ready_stop(&s->ready);
    s->kill_signo = SIGKILL;
    kill(s->pid, s->plan->stop_signal > 0 ? s->plan->stop_signal : SIGTERM);
    timer_start(loop_of(s), &s->kill_timer, clock_now_ns() + s->plan->stop_grace_ns);
}

static void send_kill(struct service *s, int signo)
{
    if (signo == SIGKILL)
        return kill_all(s);
    kill(s->pid, signo);
    s->kill_signo = 0;
    timer_start(loop_of(s), &s->kill_timer, clock_now_ns() + SERVICE_KILL_LIMIT);
}

static void on_kill_timer(struct loop *loop, struct timer *t)
{
    struct service *s = container_of(t, struct service, kill_timer);
    if (s->kill_signo)
        return send_kill(s, s->kill_signo);
    s->by_fault = false;
    waiters_answer(s, LAB_CMD_KILL, -ETIMEDOUT);
}

/* The commands return 0 = a waiter was added or the outcome is there, else -errno. */
static int do_kill(struct service *s, const struct lab_command *c)
{
    if (c->signo < 1 || c->signo >= NSIG || c->grace_ns < 0)
        return -EINVAL;
    if (s->state == LAB_STATE_STOPPING)
        return 0; /* it is going already */
    if (s->pid == 0)
        return -ESRCH;
    s->by_fault = true;
    if (c->grace_ns == 0) {
        send_kill(s, c->signo);
        return 0;
    }
    s->kill_signo = c->signo;
    kill(s->pid, SIGTERM);
    timer_start(loop_of(s), &s->kill_timer, clock_now_ns() + c->grace_ns);
    return 0;
}

static void do_hold(struct service *s)
{
    s->held = true;
    s->release_wanted = false;
    if (s->state == LAB_STATE_STOPPING)
        return;
    if (s->pid == 0)
        return become_held(s);
    s->by_fault = true;
    service_set_state(s, LAB_STATE_STOPPING);
    ready_stop(&s->ready);
    timer_stop(loop_of(s), &s->within_timer);
    kill_all(s);
}

static void do_release(struct service *s)
{
    bool was_held = s->held;
    s->held = false;
    waiters_answer(s, LAB_CMD_HOLD, -ECANCELED);
    switch (s->state) {
    case LAB_STATE_HELD:
        backoff_reset(&s->backoff);
        service_start(s);
        break;
    case LAB_STATE_STOPPING: s->release_wanted = s->release_wanted || was_held; break;
    case LAB_STATE_READY:
    case LAB_STATE_DOWN: /* was never held, or is back already: undo may come twice */
        waiters_answer(s, LAB_CMD_RELEASE, 0);
        break;
    case LAB_STATE_WAITING:
    case LAB_STATE_STARTING:
    case LAB_STATE_BACKOFF:
    case LAB_STATE_COUNT: break;
    }
}

void service_command(struct service *s, int conn, const struct lab_command *c)
{
    int r = s->sup->stopping && c->kind != LAB_CMD_QUERY ? -ESHUTDOWN : 0;
    if (c->kind == LAB_CMD_QUERY)
        return service_answer(s, conn, c->serial, 0, -1);
    if (r == 0 && c->kind == LAB_CMD_KILL)
        r = do_kill(s, c);
    if (r < 0)
        return service_answer(s, conn, c->serial, r, -1);
    waiters_add(s, conn, c);
    if (c->kind == LAB_CMD_HOLD)
        do_hold(s);
    else if (c->kind == LAB_CMD_RELEASE)
        do_release(s);
}

static void init_addr(struct addr *a, const struct sup *sup, int index, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(switch_addr((unsigned)index + 1))};
    if (sup->loopback)
        in = loopback_addr(sup->loopback, index, port);
    memset(a, 0, sizeof *a);
    memcpy(&a->sa, &in, sizeof in);
    a->len = sizeof in;
}

int service_init(struct service *s, struct sup *sup, int index, const struct box *box,
                 const struct spawn_user *user, struct err *err)
{
    *s = (struct service){.sup = sup,
                          .index = index,
                          .plan = &sup->plan->services[index],
                          .box = *box,
                          .user = *user};
    s->dir = xasprintf("%s/%s", sup->run_dir, s->plan->name);
    s->envp = spawn_env_make(s->plan, sup->path, s->dir);
    snprintf(s->last_exit, sizeof s->last_exit, "not started");
    list_init(&s->waiters);
    timer_init(&s->start_timer, on_start_timer);
    timer_init(&s->within_timer, on_within);
    timer_init(&s->kill_timer, on_kill_timer);
    timer_init(&s->sweep_timer, on_sweep_timer);
    io_init(&s->exec_io, on_exec);
    backoff_init(&s->backoff, s->plan->backoff_ns, s->plan->backoff_max_ns);
    output_init(s);
    struct addr addr;
    init_addr(&addr, sup, index, s->plan->ready.port);
    struct spawn command = {.envp = s->envp,
                            .path = sup->path,
                            .dir = s->dir,
                            .box = &s->box,
                            .user = &s->user,
                            .limits = &s->plan->limits,
                            .out_fd = -1,
                            .err_fd = -1};
    int r = ready_init(&s->ready, &sup->loop, &s->plan->ready, &addr, &command, on_ready, err);
    return r < 0 ? err_wrap(err, "service '%s'", s->plan->name) : 0;
}

void service_done(struct service *s)
{
    waiters_answer_all(s, -ESHUTDOWN);
    ready_done(&s->ready);
    output_close(s);
    close_exec(s);
    spawn_env_free(s->envp);
    free(s->dir);
}
