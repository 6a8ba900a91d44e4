#include "lab/world.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

union world_control {
    struct cmsghdr head;
    char room[CMSG_SPACE(WORLD_FDS * sizeof(int))];
};

int world_send(int socket_fd, const struct lab_answer *answer, const int fds[WORLD_FDS])
{
    union world_control control = {.head = {.cmsg_len = CMSG_LEN(WORLD_FDS * sizeof(int)),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS}};
    struct lab_answer copy = *answer;
    struct iovec v = {&copy, sizeof copy};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), fds, WORLD_FDS * sizeof *fds);
    return sendmsg(socket_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* 1 = the descriptors are there, 0 = another answer, or -errno. */
static int receive_one(int socket_fd, uint32_t serial, int ret_fds[WORLD_FDS])
{
    union world_control control;
    struct lab_answer a;
    struct iovec v = {&a, sizeof a};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(socket_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    int fds[WORLD_FDS] = {-1, -1};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    bool carries =
        c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(WORLD_FDS * sizeof(int));
    if (carries)
        memcpy(fds, CMSG_DATA(c), sizeof fds);
    if (n == (ssize_t)sizeof a && a.serial == serial && a.result == 0 && carries) {
        memcpy(ret_fds, fds, sizeof fds);
        return 1;
    }
    for (int i = 0; i < WORLD_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (n != (ssize_t)sizeof a || a.serial != serial)
        return 0;
    return a.result < 0 ? a.result : -EPROTO;
}

int world_receive(int socket_fd, uint32_t serial, int limit_ms, int ret_fds[WORLD_FDS])
{
    int64_t until_ns = clock_now_ns() + limit_ms * NS_PER_MS;
    for (;;) {
        int r = receive_one(socket_fd, serial, ret_fds);
        if (r != 0)
            return r > 0 ? 0 : r;
        int64_t left_ns = until_ns - clock_now_ns();
        if (left_ns <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = socket_fd, .events = POLLIN};
        poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1);
    }
}
