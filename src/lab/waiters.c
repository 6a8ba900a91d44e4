#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/netns.h"
#include "lab/sup.h"

#define REFUSED_WAIT_MS 50 /* inside one namespace the answer takes microseconds */

struct waiter {
    struct list link;
    int conn;
    uint32_t serial;
    enum lab_command_kind kind;
};

/* Blocks for at most REFUSED_WAIT_MS: the connect stays within the service's own namespace. */
int service_refused(const struct service *s)
{
    const struct plan_ready *ready = &s->plan->ready;
    bool has_port = ready->kind == PLAN_READY_TCP || ready->kind == PLAN_READY_HTTP;
    if (!has_port)
        return -1;
    CLEANUP(close_p)
    int fd = netns_socket(s->box.netns_fd, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    const struct addr *to = &s->ready.addr;
    if (connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0)
        return 0;
    int error = errno;
    if (error == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t n = sizeof error;
        if (poll(&p, 1, REFUSED_WAIT_MS) != 1 ||
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
            return -1;
    }
    return error == ECONNREFUSED ? 1 : error == 0 ? 0 : -1;
}

void service_answer(struct service *s, int conn, uint32_t serial, int result, int refused)
{
    sup_answer(s->sup, conn,
               &(struct lab_answer){.serial = serial,
                                    .result = result,
                                    .state = (uint32_t)s->state,
                                    .pid = s->pid,
                                    .refused = refused,
                                    .t_ns = clock_now_ns()});
}

void waiters_add(struct service *s, int conn, const struct lab_command *c)
{
    struct waiter *w = xmalloc(sizeof *w);
    *w = (struct waiter){.conn = conn, .serial = c->serial, .kind = (enum lab_command_kind)c->kind};
    list_append(&s->waiters, &w->link);
}

static void answer(struct service *s, bool all, enum lab_command_kind kind, int result)
{
    int refused = -2; /* not asked yet */
    for (struct list *l = s->waiters.next, *next; l != &s->waiters; l = next) {
        struct waiter *w = container_of(l, struct waiter, link);
        next = l->next;
        if (!all && w->kind != kind)
            continue;
        bool wants = result == 0 && (w->kind == LAB_CMD_HOLD || w->kind == LAB_CMD_KILL);
        if (wants && refused == -2)
            refused = service_refused(s);
        service_answer(s, w->conn, w->serial, result, wants ? refused : -1);
        list_remove(l);
        free(w);
    }
}

void waiters_answer(struct service *s, enum lab_command_kind kind, int result)
{
    answer(s, false, kind, result);
}

void waiters_answer_all(struct service *s, int result)
{
    answer(s, true, LAB_CMD_COUNT, result);
}
