#include "lab/sup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/loopback.h"
#include "lab/reset.h"
#include "lab/switch.h"
#include "lab/world.h"

#define COMMANDS_A_TURN 32

void sup_emit(struct sup *sup, const struct lab_event *e)
{
    unsigned char bytes[WIRE_BYTES];
    outbox_send(&sup->events, bytes, wire_encode(bytes, e, e->kind));
}

bool sup_emit_log(struct sup *sup, const struct lab_event *e)
{
    unsigned char bytes[WIRE_BYTES];
    return outbox_log(&sup->events, bytes, wire_encode(bytes, e, e->kind));
}

void sup_answer(struct sup *sup, int conn, const struct lab_answer *a)
{
    assert(conn >= 0 && conn < SUP_CONNS);
    outbox_send(&sup->conns[conn].out, a, sizeof *a);
}

void sup_changed(struct sup *sup)
{
    loop_defer(&sup->loop, &sup->step);
}

static void tell_once(struct sup *sup, bool *told, enum lab_event_kind kind)
{
    if (*told)
        return;
    *told = true;
    sup_emit(sup, &(struct lab_event){.kind = kind, .service = -1, .t_ns = clock_now_ns()});
}

static bool needs_ready(const struct sup *sup, size_t i)
{
    for (size_t j = 0; j < sup->n; j++)
        if (order_needs(&sup->order, i, j) && sup->services[j].state != LAB_STATE_READY)
            return false;
    return true;
}

static bool needed_by_running(const struct sup *sup, size_t i)
{
    for (size_t j = 0; j < sup->n; j++)
        if (order_needs(&sup->order, j, i) && sup->services[j].state != LAB_STATE_DOWN)
            return true;
    return false;
}

static void step_start(struct sup *sup)
{
    size_t ready_n = 0;
    for (size_t k = 0; k < sup->n; k++) {
        size_t i = sup->order.seq[k];
        struct service *s = &sup->services[i];
        if (s->state == LAB_STATE_WAITING && needs_ready(sup, i))
            service_start(s);
        ready_n += s->state == LAB_STATE_READY;
    }
    if (ready_n == sup->n)
        tell_once(sup, &sup->told_ready, LAB_READY);
}

static void step_stop(struct sup *sup)
{
    size_t down_n = 0;
    for (size_t k = sup->n; k-- > 0;) {
        size_t i = sup->order.seq[k];
        if (!needed_by_running(sup, i))
            service_stop(&sup->services[i]);
        down_n += sup->services[i].state == LAB_STATE_DOWN;
    }
    if (down_n == sup->n)
        tell_once(sup, &sup->told_stopped, LAB_STOPPED);
}

static void sup_step(struct loop *loop, struct deferred *d)
{
    struct sup *sup = container_of(d, struct sup, step);
    if (sup->stopping)
        step_stop(sup);
    else if (sup->started)
        step_start(sup);
}

static int send_world(struct sup *sup, int conn, const struct lab_command *c)
{
    if (c->service < 0 || (size_t)c->service >= sup->n)
        return -ENOENT;
    const struct service *s = &sup->services[c->service];
    const int fds[WORLD_FDS] = {s->box.netns_fd, s->box.uts_fd};
    struct lab_answer a = {.serial = c->serial,
                           .state = s->state,
                           .pid = s->pid,
                           .refused = -1,
                           .t_ns = clock_now_ns()};
    int r = world_send(sup->conns[conn].io.fd, &a, fds);
    return r < 0 ? r : 1;
}

static int to_switch(struct sup *sup, int conn, const struct lab_command *c)
{
    const struct switch_order order = {.conn = conn, .command = *c};
    if (sup->switch_io.fd < 0)
        return -ENOTCONN;
    outbox_send(&sup->switch_out, &order, sizeof order);
    return 1;
}

static void on_switch(struct loop *loop, struct io *io, uint32_t events)
{
    struct sup *sup = container_of(io, struct sup, switch_io);
    struct switch_reply reply;
    if (events & EPOLLOUT)
        outbox_flush(&sup->switch_out);
    for (int i = 0; i < COMMANDS_A_TURN; i++) {
        ssize_t n = recv(io->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* it ended: its SIGCHLD says so */
            io_remove(loop, io);
            outbox_done(&sup->switch_out);
            return;
        }
        if ((size_t)n == sizeof reply && reply.conn >= 0 && reply.conn < SUP_CONNS)
            sup_answer(sup, reply.conn, &reply.answer);
    }
}

static int reset(struct sup *sup, int conn, const struct lab_command *c)
{
    if (!sup->netns_fds)
        return -ENOTCONN;
    int n = reset_connections(sup->netns_fds, (unsigned)sup->n + 1, &c->link);
    sup_answer(sup, conn,
               &(struct lab_answer){.serial = c->serial,
                                    .result = n < 0 ? n : 0,
                                    .refused = -1,
                                    .value = n < 0 ? 0 : n,
                                    .t_ns = clock_now_ns()});
    return 1;
}

/* What only namespaces give; 0 = not one of those. What was never put in force is not there. */
static int without_namespaces(enum lab_command_kind kind)
{
    switch (kind) {
    case LAB_CMD_LINK_ADD:
    case LAB_CMD_LINK_REPORT:
    case LAB_CMD_RESET:
    case LAB_CMD_NAMES_ADD:
    case LAB_CMD_NAMES_REPORT: return -ENODEV;
    case LAB_CMD_LINK_REMOVE:
    case LAB_CMD_NAMES_REMOVE: return -ENOENT;
    case LAB_CMD_LOG_FLUSH:
    case LAB_CMD_WORLD: return -EOPNOTSUPP;
    case LAB_CMD_START:
    case LAB_CMD_STOP:
    case LAB_CMD_KILL:
    case LAB_CMD_HOLD:
    case LAB_CMD_RELEASE:
    case LAB_CMD_QUERY:
    case LAB_CMD_COUNT: break;
    }
    return 0;
}

static void refuse(struct sup *sup, int conn, const struct lab_command *c, int result)
{
    struct lab_answer a = {
        .serial = c->serial, .result = result, .refused = -1, .t_ns = clock_now_ns()};
    if (result == -ENODEV && sup->loopback)
        snprintf(a.text, sizeof a.text,
                 "faults of packets and names need network namespaces: %.300s", sup->loopback->why);
    sup_answer(sup, conn, &a);
}

static int run_command(struct sup *sup, int conn, const struct lab_command *c)
{
    int r = sup->loopback ? without_namespaces((enum lab_command_kind)c->kind) : 0;
    if (r < 0) {
        refuse(sup, conn, c, r);
        return 1;
    }
    switch ((enum lab_command_kind)c->kind) {
    case LAB_CMD_START:
        sup->started = true;
        sup_changed(sup);
        return 0;
    case LAB_CMD_STOP:
        sup->stopping = true;
        sup_changed(sup);
        return 0;
    case LAB_CMD_KILL:
    case LAB_CMD_HOLD:
    case LAB_CMD_RELEASE:
    case LAB_CMD_QUERY:
        if (c->service < 0 || (size_t)c->service >= sup->n)
            return -ENOENT;
        service_command(&sup->services[c->service], conn, c);
        return 1; /* answers by itself */
    case LAB_CMD_LINK_ADD:
    case LAB_CMD_LINK_REMOVE:
    case LAB_CMD_LINK_REPORT:
    case LAB_CMD_NAMES_ADD:
    case LAB_CMD_NAMES_REMOVE:
    case LAB_CMD_NAMES_REPORT:
    case LAB_CMD_LOG_FLUSH: return to_switch(sup, conn, c);
    case LAB_CMD_RESET: return reset(sup, conn, c);
    case LAB_CMD_WORLD: return send_world(sup, conn, c);
    case LAB_CMD_COUNT: break;
    }
    return -EINVAL;
}

static void close_conn(struct sup_conn *c)
{
    int fd = c->io.fd;
    io_remove(&c->sup->loop, &c->io);
    close(fd);
    outbox_done(&c->out);
    if (c->number == 0)
        c->sup->on_gone(c->sup);
}

static void on_conn(struct loop *loop, struct io *io, uint32_t events)
{
    struct sup_conn *c = container_of(io, struct sup_conn, io);
    if (events & EPOLLOUT)
        outbox_flush(&c->out);
    for (int i = 0; i < COMMANDS_A_TURN; i++) {
        struct lab_command command;
        ssize_t n = recv(io->fd, &command, sizeof command, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            return close_conn(c);
        int r = (size_t)n == sizeof command ? run_command(c->sup, c->number, &command) : -EBADMSG;
        if (r <= 0)
            sup_answer(c->sup, c->number,
                       &(struct lab_answer){.serial = (size_t)n >= 8 ? command.serial : 0,
                                            .result = r,
                                            .refused = -1,
                                            .t_ns = clock_now_ns()});
    }
}

static void on_event_socket(struct loop *loop, struct io *io, uint32_t events)
{
    struct sup *sup = container_of(io, struct sup, event_io);
    if (events & (EPOLLHUP | EPOLLERR)) {
        io_remove(loop, io);
        outbox_done(&sup->events);
        sup->on_gone(sup);
    } else if (events & EPOLLOUT) {
        outbox_flush(&sup->events);
    }
}

int sup_init(struct sup *sup, const struct plan *plan, const char *run_dir, const char *path,
             struct err *err)
{
    *sup = (struct sup){.plan = plan, .run_dir = run_dir, .path = path};
    int r = loop_init(&sup->loop);
    if (r < 0)
        return err_set(err, r, "event loop: %s", strerror(-r));
    deferred_init(&sup->step, sup_step);
    io_init(&sup->event_io, on_event_socket);
    outbox_init(&sup->events, &sup->loop, &sup->event_io);
    io_init(&sup->switch_io, on_switch);
    outbox_init(&sup->switch_out, &sup->loop, &sup->switch_io);
    for (int i = 0; i < SUP_CONNS; i++) {
        struct sup_conn *c = &sup->conns[i];
        c->sup = sup;
        c->number = i;
        io_init(&c->io, on_conn);
        outbox_init(&c->out, &sup->loop, &c->io);
    }
    return order_make(&sup->order, plan->services, plan->services_n, err);
}

int sup_connect(struct sup *sup, int event_fd, const int conn_fds[SUP_CONNS])
{
    int r = io_add(&sup->loop, &sup->event_io, event_fd, EPOLLIN);
    for (int i = 0; r == 0 && i < SUP_CONNS; i++)
        r = io_add(&sup->loop, &sup->conns[i].io, conn_fds[i], EPOLLIN);
    return r;
}

int sup_connect_switch(struct sup *sup, int fd)
{
    return io_add(&sup->loop, &sup->switch_io, fd, EPOLLIN);
}

int sup_add_services(struct sup *sup, const struct box *boxes, const struct spawn_user *users,
                     struct err *err)
{
    sup->services = xcalloc(sup->plan->services_n + 1, sizeof *sup->services);
    for (size_t i = 0; i < sup->plan->services_n; i++) {
        int r = service_init(&sup->services[i], sup, (int)i, &boxes[i], &users[i], err);
        if (r < 0)
            return r;
        sup->n++;
    }
    return 0;
}

void sup_reaped(struct sup *sup, pid_t pid, int status)
{
    for (size_t i = 0; i < sup->n; i++)
        if (service_reaped(&sup->services[i], pid, status))
            return;
}

void sup_done(struct sup *sup)
{
    for (size_t i = 0; i < sup->n; i++)
        service_done(&sup->services[i]);
    free(sup->services);
    for (int i = 0; i < SUP_CONNS; i++)
        outbox_done(&sup->conns[i].out);
    outbox_done(&sup->events);
    outbox_done(&sup->switch_out);
    order_done(&sup->order);
    loop_done(&sup->loop);
}
