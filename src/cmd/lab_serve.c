/* The keeper's ear: takes requests from the control socket, answers at once or later. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/lab_keeper.h"
#include "lab/spawn.h"

#define REQUEST_WITHIN_NS (5 * NS_PER_S)
#define ENTER_FDS         3 /* the init's pidfd, network, UTS */

static void close_conn(struct keeper_conn *c)
{
    struct keeper *k = c->keeper;
    int fd = c->io.fd;
    if (fd < 0)
        return;
    timer_stop(&k->loop, &c->limit);
    io_remove(&k->loop, &c->io);
    close(fd);
    c->waits_for_end = false;
    keeper_forget_waiter(k, c);
    if (k->listen_io.fd >= 0) /* there is room again */
        (void)io_change(&k->loop, &k->listen_io, EPOLLIN);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void send_answer(struct keeper_conn *c, const struct buf *text, const int *fds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(ENTER_FDS * sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(ENTER_FDS * sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    static const char too_long[] =
        "{\"squall\":1,\"status\":4,\"error\":\"the answer is too long for one message\"}";
    struct iovec v = {text->p, text->n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fds) {
        memcpy(CMSG_DATA(&control.head), fds, ENTER_FDS * sizeof *fds);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
    }
    /* it is the only message on this connection: if it fits at all it fits now */
    if (sendmsg(c->io.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        (void)send(c->io.fd, too_long, sizeof too_long - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close_conn(c);
}

static void answer_begin(struct json *j, struct buf *out, int status)
{
    json_init(j, out, 0);
    json_object(j);
    json_key(j, "squall");
    json_int(j, ASK_VERSION);
    json_key(j, "status");
    json_int(j, status);
}

static void answer_end(struct json *j, struct keeper_conn *c, const int *fds)
{
    struct buf *out = j->out;
    json_end_object(j);
    send_answer(c, out, fds);
    buf_done(out);
}

void keeper_refuse(struct keeper *k, struct keeper_conn *c, int status, const char *fmt, ...)
{
    struct buf out = {0}, why = {0};
    struct json j;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&why, fmt, ap);
    va_end(ap);
    answer_begin(&j, &out, status);
    json_key_str(&j, "error", buf_str(&why));
    buf_done(&why);
    answer_end(&j, c, NULL);
}

static void add_fault(struct json *j, const struct keeper *k, const struct keeper_fault *f)
{
    int64_t now_ns = clock_now_ns() - k->start_ns;
    bool over = f->state == KEEPER_FAULT_ENDED;
    json_object(j);
    json_key_str(j, "name", f->name);
    json_key_str(j, "fault", f->title);
    json_key_str(j, "targets", f->targets);
    json_key_str(j, "state", keeper_fault_state_name(f->state));
    json_key(j, "in_force");
    json_bool(j, keeper_fault_in_force(f));
    json_key(j, "no_effect");
    json_bool(j, f->no_effect);
    json_key_int(j, "since_ns", f->since_ns);
    json_key(j, over ? "ended_ns" : "left_ns");
    if (f->ends_ns < 0)
        json_null(j);
    else
        json_int(j, over ? f->ends_ns : f->ends_ns > now_ns ? f->ends_ns - now_ns : 0);
    json_key_str(j, "asked", f->asked);
    json_key_str(j, "measured", f->measured);
    json_key_str(j, "text", f->text);
    json_end_object(j);
}

void keeper_answer_fault(struct keeper *k, struct keeper_conn *c, int status,
                         const struct keeper_fault *f)
{
    struct buf out = {0};
    struct json j;
    answer_begin(&j, &out, status);
    json_key(&j, "fault");
    add_fault(&j, k, f);
    answer_end(&j, c, NULL);
}

static void add_lab(struct json *j, const struct keeper *k)
{
    json_object(j);
    json_key_str(j, "name", k->name);
    json_key_str(j, "plan", k->plan->name);
    json_key_str(j, "file", k->plan->file);
    json_key_str(j, "state", keeper_state_name(k));
    json_key_str(j, "tier", lab_tier(k->bed.lab));
    json_key_int(j, "seed", (int64_t)k->seed);
    json_key_int(j, "pid", getpid());
    json_key_int(j, "age_ns", clock_now_ns() - k->start_ns);
    json_key_str(j, "folder", k->place.path);
    json_key(j, "background");
    json_bool(j, k->detached);
    json_end_object(j);
}

static void add_service(struct json *j, const struct keeper *k, size_t i)
{
    const struct crew_member *m = &k->crew.v[i];
    struct addr addr;
    char text[64] = "";
    if (lab_resolve(k->bed.lab, k->plan->services[i].name, 0, &addr) == 0) {
        addr_text(&addr, text, sizeof text);
        text[strcspn(text, ":")] = '\0'; /* 10.x.y.z:0 */
    }
    json_object(j);
    json_key_str(j, "name", k->plan->services[i].name);
    json_key_str(j, "state", m->state);
    json_key(j, "ready");
    json_bool(j, m->good);
    json_key(j, "pid");
    if (m->pid > 0)
        json_int(j, m->pid);
    else
        json_null(j);
    json_key_int(j, "restarts", m->starts > 1 ? m->starts - 1 : 0);
    json_key_str(j, "address", text);
    json_end_object(j);
}

static void answer_status(struct keeper *k, struct keeper_conn *c)
{
    struct buf out = {0};
    struct json j;
    answer_begin(&j, &out, 0);
    json_key(&j, "lab");
    add_lab(&j, k);
    json_key(&j, "services");
    json_array(&j);
    for (size_t i = 0; i < k->plan->services_n; i++)
        add_service(&j, k, i);
    json_end_array(&j);
    json_key(&j, "faults");
    json_array(&j);
    for (int i = 0; i < k->faults_n; i++)
        add_fault(&j, k, &k->faults[i]);
    json_end_array(&j);
    answer_end(&j, c, NULL);
}

static void add_user(struct json *j, const struct spawn_user *u)
{
    json_object(j);
    json_key_int(j, "uid", u->uid);
    json_key_int(j, "gid", u->gid);
    json_key(j, "groups");
    json_array(j);
    for (int i = 0; i < u->groups_n; i++)
        json_int(j, u->groups[i]);
    json_end_array(j);
    json_end_object(j);
}

static void answer_world(struct keeper *k, struct keeper_conn *c, const struct lab_world *w)
{
    const int fds[ENTER_FDS] = {w->init_pidfd, w->net_fd, w->uts_fd};
    struct buf out = {0};
    struct json j;
    answer_begin(&j, &out, 0);
    json_key_int(&j, "init_pid", lab_init_pid(k->bed.lab));
    json_key_str(&j, "dir", w->dir);
    json_key(&j, "env");
    json_array(&j);
    for (char **e = w->env; *e; e++)
        json_str(&j, *e);
    json_end_array(&j);
    if (w->user->change) {
        json_key(&j, "user");
        add_user(&j, w->user);
    }
    answer_end(&j, c, fds);
}

static void answer_enter(struct keeper *k, struct keeper_conn *c, const struct ask *ask)
{
    const char *names[512];
    size_t n = 0;
    struct lab_world w;
    for (size_t i = 0; i < k->plan->services_n; i++) {
        if (strcmp(k->plan->services[i].name, ask->name) == 0) {
            int r = lab_world(k->bed.lab, (int)i, &w);
            if (r == -EOPNOTSUPP) {
                keeper_refuse(k, c, EXIT_TARGET,
                              "this lab (%s) has no namespaces to enter: its services run on this "
                              "machine itself, at the addresses that squall lab status shows; "
                              "squall doctor says how to get a better lab",
                              lab_tier(k->bed.lab));
                return;
            }
            if (r < 0) {
                keeper_refuse(k, c, EXIT_TARGET, "the lab does not give away \"%s\": %s", ask->name,
                              strerror(-r));
                return;
            }
            answer_world(k, c, &w);
            lab_world_done(&w);
            return;
        }
        if (n < ARRAY_SIZE(names))
            names[n++] = k->plan->services[i].name;
    }
    const char *near = str_nearest(ask->name, names, n);
    keeper_refuse(k, c, EXIT_USAGE, "lab \"%s\" has no service \"%s\"%s%s%s", k->name, ask->name,
                  near ? ", did you mean \"" : "; see squall lab status", near ? near : "",
                  near ? "\"?" : "");
}

/* --- requests --------------------------------------------------------------------------------- */

static void take_ask(struct keeper *k, struct keeper_conn *c, const struct ask *ask)
{
    switch (ask->kind) {
    case ASK_STATUS: answer_status(k, c); break;
    case ASK_ENTER: answer_enter(k, c, ask); break;
    case ASK_APPLY: keeper_apply(k, c, ask); break;
    case ASK_DELETE: keeper_delete(k, c, ask); break;
    case ASK_DOWN:
        c->waits_for_end = true;
        keeper_stop(k, 0, NULL);
        break;
    case ASK_KIND_COUNT: break;
    }
}

static void on_request(struct keeper_conn *c, const char *p, size_t n)
{
    struct err err = {0};
    struct ask ask;
    timer_stop(&c->keeper->loop, &c->limit);
    if (ask_parse(p, n, &ask, &err) < 0)
        keeper_refuse(c->keeper, c, EXIT_USAGE, "the request is not understood: %s", err.msg);
    else
        take_ask(c->keeper, c, &ask);
    ask_done(&ask);
}

static void on_conn(struct loop *loop, struct io *io, uint32_t events)
{
    struct keeper_conn *c = container_of(io, struct keeper_conn, io);
    char *message = c->keeper->message;
    bool asked = !timer_running(&c->limit);
    ssize_t n = recv(io->fd, message, ASK_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || asked) /* gone, or a second request */
        close_conn(c);
    else if (n > (ssize_t)ASK_BYTES)
        keeper_refuse(c->keeper, c, EXIT_USAGE, "the request is longer than %u KiB",
                      ASK_BYTES >> 10);
    else
        on_request(c, message, (size_t)n);
}

static void on_limit(struct loop *loop, struct timer *timer)
{
    close_conn(container_of(timer, struct keeper_conn, limit));
}

/* The folder is closed to others already; this holds where it is not. In a user namespace of our
 * own the root outside has no number, so there only our own user is answered. */
static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && n == sizeof peer &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void on_listen(struct loop *loop, struct io *io, uint32_t events)
{
    struct keeper *k = container_of(io, struct keeper, listen_io);
    struct keeper_conn *c = NULL;
    int bytes = 2 * (int)ASK_BYTES;
    for (int i = 0; i < KEEPER_CONNS && !c; i++)
        if (k->conns[i].io.fd < 0)
            c = &k->conns[i];
    if (!c) { /* they wait in the socket's queue */
        (void)io_change(loop, io, 0);
        return;
    }
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!may_ask(fd) || io_add(loop, &c->io, fd, EPOLLIN) < 0) {
        close(fd);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    c->waits_for_end = false;
    timer_start(loop, &c->limit, loop->now_ns + REQUEST_WITHIN_NS);
}

int keeper_serve(struct keeper *k)
{
    for (int i = 0; i < KEEPER_CONNS; i++) {
        k->conns[i].keeper = k;
        io_init(&k->conns[i].io, on_conn);
        timer_init(&k->conns[i].limit, on_limit);
    }
    io_init(&k->listen_io, on_listen);
    return io_add(&k->loop, &k->listen_io, k->place.listen_fd, EPOLLIN);
}

/* Who waits for the end gets the last word; everybody else finds the connection closed. */
void keeper_serve_end(struct keeper *k, int status, const char *error)
{
    if (!k->listen_io.fn)
        return;
    io_remove(&k->loop, &k->listen_io);
    for (int i = 0; i < KEEPER_CONNS; i++) {
        struct keeper_conn *c = &k->conns[i];
        if (c->io.fd >= 0 && c->waits_for_end) {
            struct buf out = {0};
            struct json j;
            answer_begin(&j, &out, status);
            if (status)
                json_key_str(&j, "error", error);
            answer_end(&j, c, NULL);
        }
        close_conn(c);
    }
}
