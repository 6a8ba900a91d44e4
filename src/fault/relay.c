#include "fault/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int relay_pair(int ret[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) < 0 ? -errno
                                                                                          : 0;
}

static int send_record(int fd, const void *p, size_t n)
{
    ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)n)
        return 0;
    if (sent >= 0)
        return -EBADMSG;
    if (errno == EINTR || errno == ENOBUFS)
        return -EAGAIN;
    return errno == ECONNRESET ? -EPIPE : -errno;
}

static int receive_record(int fd, void *p, size_t n, int flags)
{
    ssize_t got = recv(fd, p, n, MSG_DONTWAIT | MSG_TRUNC | flags);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    return got == (ssize_t)n ? 0 : -EBADMSG;
}

static bool ended(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static int check_command(const struct relay_command *c)
{
    return c->kind < RELAY_COMMAND_COUNT && fault_check_request(&c->request) == 0 ? 0 : -EBADMSG;
}

int relay_send_command(int fd, const struct relay_command *command)
{
    int r = check_command(command);
    return r < 0 ? -EINVAL : send_record(fd, command, sizeof *command);
}

int relay_peek_command(int fd, struct relay_command *ret)
{
    int r = receive_record(fd, ret, sizeof *ret, MSG_PEEK);
    return r < 0 ? r : check_command(ret);
}

int relay_receive_command(int fd, struct relay_command *ret)
{
    int r = receive_record(fd, ret, sizeof *ret, 0);
    return r < 0 ? r : check_command(ret);
}

int relay_send_event(int fd, const struct relay_event *event)
{
    return send_record(fd, event, sizeof *event);
}

int relay_receive_event(int fd, struct relay_event *ret)
{
    int r = receive_record(fd, ret, sizeof *ret, 0);
    if (r < 0)
        return r;
    return ret->kind < RELAY_EVENT_COUNT && ended(ret->asked, sizeof ret->asked) &&
                   ended(ret->measured, sizeof ret->measured) && ended(ret->text, sizeof ret->text)
               ? 0
               : -EBADMSG;
}
