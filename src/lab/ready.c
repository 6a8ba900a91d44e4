#include "lab/ready.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/loopback_port.h"
#include "lab/netns.h"

#define HTTP_BODY_BYTES 65536 /* only the status counts, but a health page may be chatty */

static void on_timer(struct loop *loop, struct timer *t);

static void seen(struct ready *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void seen(struct ready *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->seen, sizeof r->seen, fmt, ap);
    va_end(ap);
}

static void close_socket(struct ready *r)
{
    int fd = r->io.fd;
    io_remove(r->loop, &r->io);
    if (fd >= 0)
        close(fd);
}

static void kill_command(struct ready *r)
{
    if (r->pid > 0) { /* reaped by the init as a stranger */
        kill(-r->pid, SIGKILL);
        kill(r->pid, SIGKILL); /* when it has not come to setsid yet */
    }
    r->pid = 0;
}

static void yes(struct ready *r)
{
    ready_stop(r);
    r->done(r, r->seen);
}

/* Where all share one network somebody else may have answered. */
static bool is_own_answer(struct ready *r)
{
    struct sockaddr_in at;
    if (!r->spawn.box->mark)
        return true;
    memcpy(&at, &r->addr.sa, sizeof at);
    r->listener = loopback_listener(&at, r->spawn.box->mark);
    if (r->listener == LOOPBACK_FOREIGN)
        seen(r,
             "port %d is answered by a program outside of this service; end it, or take another "
             "port",
             r->plan->port);
    return r->listener != LOOPBACK_FOREIGN;
}

static void ask_again(struct ready *r)
{
    int64_t now = clock_now_ns();
    timer_start(r->loop, &r->timer, now + r->wait_ns);
    r->wait_ns = r->wait_ns * 2 < r->plan->every_ns ? r->wait_ns * 2 : r->plan->every_ns;
}

static int64_t limit(const struct ready *r)
{
    return clock_now_ns() + (r->plan->timeout_ns > 0 ? r->plan->timeout_ns : NS_PER_S);
}

static void tcp_result(struct ready *r, int error)
{
    char text[64];
    addr_text(&r->addr, text, sizeof text);
    close_socket(r);
    timer_stop(r->loop, &r->timer);
    if (error == 0) {
        seen(r, "tcp %s answers", text);
        return is_own_answer(r) ? yes(r) : ask_again(r);
    }
    seen(r, "connect to %s: %s", text, strerror(error));
    ask_again(r);
}

static void on_connected(struct loop *loop, struct io *io, uint32_t events)
{
    struct ready *r = container_of(io, struct ready, io);
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    tcp_result(r, error);
}

static int own_socket(struct ready *r)
{
    return netns_socket(r->spawn.box->netns_fd, AF_INET,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void ask_tcp(struct ready *r)
{
    int fd = own_socket(r);
    if (fd < 0)
        return tcp_result(r, -fd);
    if (connect(fd, (const struct sockaddr *)&r->addr.sa, r->addr.len) < 0 &&
        errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return tcp_result(r, error);
    }
    if (io_add(r->loop, &r->io, fd, EPOLLOUT) < 0) {
        close(fd);
        return ask_again(r);
    }
    timer_start(r->loop, &r->timer, limit(r));
}

static void on_fetched(struct fetch *f)
{
    struct ready *r = container_of(f, struct ready, fetch);
    if (!r->running)
        return;
    /* success and redirection count, as for Kubernetes' httpGet probes */
    bool ok = f->result == 0 && f->status >= 200 && f->status < 400;
    if (f->result < 0)
        seen(r, "GET :%d%s: %s", r->plan->port, r->plan->path, strerror(-f->result));
    else
        seen(r, "GET :%d%s answered %d", r->plan->port, r->plan->path, f->status);
    if (ok && is_own_answer(r))
        yes(r);
    else
        ask_again(r);
}

static void ask_http(struct ready *r)
{
    char host[64];
    int fd = own_socket(r);
    addr_text(&r->addr, host, sizeof host);
    int e = fd < 0
                ? fd
                : fetch_start(&r->fetch, fd, &r->addr, "GET", str_of(host), str_of(r->plan->path),
                              STR(""), limit(r), HTTP_BODY_BYTES, on_fetched);
    if (e < 0) {
        seen(r, "GET :%d%s: %s", r->plan->port, r->plan->path, strerror(-e));
        ask_again(r);
    }
}

static void ask_command(struct ready *r)
{
    const char *argv[] = {"/bin/sh", "-c", r->plan->command, NULL};
    struct spawn s = r->spawn;
    int exec_fd;
    s.argv = argv;
    pid_t pid = spawn_start(&s, &exec_fd);
    if (pid < 0) {
        seen(r, "command: %s", strerror(-pid));
        return ask_again(r);
    }
    close(exec_fd); /* a failed exec exits with 127, as the shell itself would */
    r->pid = pid;
    timer_start(r->loop, &r->timer, limit(r));
}

bool ready_reaped(struct ready *r, pid_t pid, int status)
{
    char text[64];
    if (r->pid != pid)
        return false;
    if (!r->spawn.box->mark) /* else its number may be somebody else's by now; the sweep finds it */
        kill(-pid, SIGKILL); /* what it left in its process group */
    r->pid = 0;
    timer_stop(r->loop, &r->timer);
    seen(r, "command %s", ready_exit_text(status, text, sizeof text));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        yes(r);
    else
        ask_again(r);
    return true;
}

void ready_line(struct ready *r, const char *line, size_t n)
{
    if (!r->running || r->plan->kind != PLAN_READY_LOG)
        return;
    int e = pcre2_match(r->pattern, (PCRE2_SPTR)line, n, 0, 0, r->match, NULL);
    if (e < 0)
        return; /* no match, or a match limit: no answer either way */
    seen(r, "log line \"%.200s\"", line);
    yes(r);
}

static void ask(struct ready *r)
{
    switch (r->plan->kind) {
    case PLAN_READY_NONE:
        seen(r, "started");
        yes(r);
        break;
    case PLAN_READY_TCP: ask_tcp(r); break;
    case PLAN_READY_HTTP: ask_http(r); break;
    case PLAN_READY_COMMAND: ask_command(r); break;
    case PLAN_READY_LOG: break;
    }
}

static void on_timer(struct loop *loop, struct timer *t)
{
    struct ready *r = container_of(t, struct ready, timer);
    if (r->io.fd >= 0)
        return tcp_result(r, ETIMEDOUT);
    if (r->pid > 0) {
        kill_command(r);
        seen(r, "command took longer than its timeout");
        return ask_again(r);
    }
    ask(r);
}

void ready_start(struct ready *r)
{
    ready_stop(r);
    r->running = true;
    bool first_quick = r->plan->every_ns <= 0 || r->plan->every_ns > READY_FIRST_NS;
    r->wait_ns = first_quick ? READY_FIRST_NS : r->plan->every_ns;
    if (r->plan->kind == PLAN_READY_COMMAND && r->plan->every_ns > 0)
        r->wait_ns = r->plan->every_ns; /* a program each time: not so eagerly */
    seen(r, "%s",
         r->plan->kind == PLAN_READY_LOG ? "no line of output matched yet" : "not asked yet");
    ask(r);
}

void ready_stop(struct ready *r)
{
    r->running = false;
    timer_stop(r->loop, &r->timer);
    close_socket(r);
    fetch_cancel(&r->fetch);
    kill_command(r);
}

static int compile(struct ready *r, struct err *err)
{
    int number;
    size_t at;
    r->pattern =
        pcre2_compile((PCRE2_SPTR)r->plan->matches, PCRE2_ZERO_TERMINATED, 0, &number, &at, NULL);
    if (!r->pattern) {
        char why[120];
        pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        return err_set(err, -EINVAL, "ready.log '%s': %s at %zu", r->plan->matches, why, at);
    }
    r->match = pcre2_match_data_create_from_pattern(r->pattern, NULL);
    return 0;
}

int ready_init(struct ready *r, struct loop *loop, const struct plan_ready *plan,
               const struct addr *addr, const struct spawn *spawn, ready_fn *done, struct err *err)
{
    *r = (struct ready){.loop = loop, .plan = plan, .addr = *addr, .spawn = *spawn, .done = done};
    timer_init(&r->timer, on_timer);
    io_init(&r->io, on_connected);
    fetch_init(&r->fetch, loop);
    return plan->kind == PLAN_READY_LOG ? compile(r, err) : 0;
}

void ready_done(struct ready *r)
{
    ready_stop(r);
    fetch_done(&r->fetch);
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->pattern);
}

bool ready_loopback_only(const char *table, uint16_t port)
{
    bool found = false;
    for (struct str rest = str_of(table); rest.n;) {
        uint32_t address; /* in network order, written as a number of this machine */
        unsigned at, state;
        char text[96];
        struct str line = str_split(&rest, '\n');
        snprintf(text, sizeof text, "%.*s", (int)line.n, line.p);
        if (sscanf(text, " %*u: %8" SCNx32 ":%x %*x:%*x %x", &address, &at, &state) != 3 ||
            at != port || state != TCP_LISTEN)
            continue;
        if (*(const uint8_t *)&address != 127)
            return false;
        found = true;
    }
    return found;
}

const char *ready_exit_text(int status, char *buf, size_t cap)
{
    if (WIFEXITED(status))
        snprintf(buf, cap, "exited with %d", WEXITSTATUS(status));
    else if (sigabbrev_np(WTERMSIG(status)))
        snprintf(buf, cap, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(buf, cap, "killed by signal %d", WTERMSIG(status));
    return buf;
}
