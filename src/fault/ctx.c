#include "fault/ctx.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

void ctx_beat(struct fault_ctx *c)
{
    journal_beat(c->journal, c->role);
}

bool ctx_cancelled(struct fault_ctx *c)
{
    return c->cancelled && c->cancelled(c->arg);
}

int ctx_intent(struct fault_ctx *c, const struct journal_entry *entry)
{
    struct journal_entry e = *entry;
    e.fault = c->fault;
    return journal_intent(c->journal, c->role, &e);
}

void ctx_active(struct fault_ctx *c, int slot)
{
    journal_active(c->journal, slot);
}

int ctx_own(const struct fault_ctx *c, uint32_t kind, int *slots, struct journal_entry *entries,
            int cap)
{
    int n = 0;
    for (int i = JOURNAL_MAIN_SLOTS; i < JOURNAL_SLOTS && n < cap; i++) {
        struct journal_entry e;
        if (journal_read(c->journal, i, &e) <= 0 || e.fault != c->fault || e.kind != kind)
            continue;
        entries[n] = e;
        slots[n++] = i;
    }
    return n;
}

static int io_error(void)
{
    return errno == ECONNRESET || errno == ENOTCONN || errno == EPIPE ? -EPIPE : -errno;
}

static int wait_fd(struct fault_ctx *c, short events, int64_t end_ns)
{
    for (;;) {
        struct pollfd p = {.fd = c->lab_fd, .events = events};
        ctx_beat(c);
        if (ctx_cancelled(c))
            return -ECANCELED;
        int n = poll(&p, 1, 50);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (clock_now_ns() >= end_ns)
            return -ETIMEDOUT;
    }
}

static int send_command(struct fault_ctx *c, struct lab_command *command, int64_t end_ns)
{
    /* unique over all agents of this run: an answer to a dead one must not be taken for ours */
    command->serial = atomic_fetch_add(&c->journal->header->lab_serial, 1) + 1;
    for (;;) {
        ssize_t n = send(c->lab_fd, command, sizeof *command, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == (ssize_t)sizeof *command)
            return 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return io_error();
        int r = wait_fd(c, POLLOUT, end_ns);
        if (r < 0)
            return r;
    }
}

/* One answer, if it is for one of the commands. 1 = taken, 0 = nothing for us, or -errno. */
static int take_answer(struct fault_ctx *c, const struct lab_command *commands, size_t n,
                       struct lab_answer *ret)
{
    struct lab_answer answer;
    ssize_t got = recv(c->lab_fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
    if (got == 0)
        return -EPIPE;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : io_error();
    if (got != (ssize_t)sizeof answer)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (commands[i].serial != answer.serial || ret[i].serial == answer.serial)
            continue;
        ret[i] = answer;
        if (answer.result == -ENODEV)
            snprintf(c->lab_why, sizeof c->lab_why, "%.*s", (int)sizeof c->lab_why - 1,
                     answer.text);
        return 1;
    }
    return 0;
}

int ctx_lab(struct fault_ctx *c, struct lab_command *commands, size_t n, int64_t timeout_ns,
            struct lab_answer *ret)
{
    int64_t end_ns = clock_now_ns() + timeout_ns;
    c->lab_why[0] = '\0';
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct lab_answer){.result = -ETIMEDOUT, .refused = -1};
    if (c->lab_fd < 0)
        return -EPIPE;
    for (size_t i = 0; i < n; i++) {
        int r = send_command(c, &commands[i], end_ns);
        if (r < 0)
            return r;
    }
    for (size_t missing = n; missing;) {
        int r = wait_fd(c, POLLIN, end_ns);
        if (r == 0)
            r = take_answer(c, commands, n, ret);
        if (r < 0)
            return r;
        missing -= (size_t)r;
    }
    return 0;
}
