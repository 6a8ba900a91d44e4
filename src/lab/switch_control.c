/* switch_control.c - orders to the switch: faults of links and of names, one answer each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "lab/switch.h"

#define ORDERS_A_TURN 32

/* A fault that some packets would pass by is not put in force. */
static int add_link(struct vswitch *sw, const struct lab_link *order)
{
    struct impair_report report;
    int r = chain_add(&sw->chain, order);
    if (r < 0 || (r = switch_sync_bypass(sw)) == 0)
        return r;
    chain_remove(&sw->chain, order->id, &report);
    switch_sync_bypass(sw);
    return r;
}

void switch_command(struct vswitch *sw, const struct lab_command *c, struct lab_answer *ret)
{
    uint64_t met = 0;
    *ret = (struct lab_answer){.serial = c->serial, .refused = -1};
    switch ((enum lab_command_kind)c->kind) {
    case LAB_CMD_LINK_ADD: ret->result = add_link(sw, &c->link); break;
    case LAB_CMD_LINK_REMOVE:
        ret->result = chain_remove(&sw->chain, c->link.id, &ret->report);
        switch_sync_bypass(sw);
        break;
    case LAB_CMD_LINK_REPORT:
        ret->result = chain_report(&sw->chain, c->link.id, &ret->report);
        break;
    case LAB_CMD_LOG_FLUSH:
        ret->result = sw->logging ? pcapng_flush(&sw->log) : 0;
        ret->value = (int64_t)sw->log.lost;
        break;
    case LAB_CMD_NAMES_ADD: ret->result = names_rule_add(&sw->names, &c->names); break;
    case LAB_CMD_NAMES_REMOVE:
        ret->result = names_rule_remove(&sw->names, c->names.id, &met);
        break;
    case LAB_CMD_NAMES_REPORT:
        ret->result = names_rule_report(&sw->names, c->names.id, &met);
        break;
    case LAB_CMD_START:
    case LAB_CMD_STOP:
    case LAB_CMD_KILL:
    case LAB_CMD_HOLD:
    case LAB_CMD_RELEASE:
    case LAB_CMD_QUERY:
    case LAB_CMD_RESET:
    case LAB_CMD_WORLD:
    case LAB_CMD_COUNT: ret->result = -EINVAL; break;
    }
    ret->value = met ? (int64_t)met : ret->value;
    ret->t_ns = clock_now_ns();
}

static void on_control(struct loop *loop, struct io *io, uint32_t events)
{
    struct vswitch *sw = container_of(io, struct vswitch, control);
    for (int i = 0; i < ORDERS_A_TURN; i++) {
        struct switch_order order;
        struct switch_reply reply;
        ssize_t n = recv(io->fd, &order, sizeof order, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) /* the init is gone; the kernel is about to end us */
            return io_remove(loop, io);
        if ((size_t)n != sizeof order)
            continue;
        reply.conn = order.conn;
        switch_command(sw, &order.command, &reply.answer);
        send(io->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

int switch_control_open(struct vswitch *sw, int fd)
{
    io_init(&sw->control, on_control);
    return io_add(&sw->loop, &sw->control, fd, EPOLLIN);
}
