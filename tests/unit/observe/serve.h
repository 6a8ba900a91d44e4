/*
 * serve.h - an HTTP server on the test's own loop: every connection gets the next prepared answer.
 *
 * The last answer repeats. An empty answer closes the connection without a word; NULL keeps it
 * open.
 */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "net/addr.h"

#define SERVE_ANSWERS 16

#define SERVE_OPEN 16 /* connections at once */

struct serve;
struct serve_conn {
    struct io io;
    struct serve *owner;
};

struct serve {
    struct loop *loop;
    struct io io;
    struct addr addr;
    const char *answers[SERVE_ANSWERS]; /* whole: head and body */
    int answers_n, served;
    char requests[SERVE_ANSWERS][512]; /* the first bytes of each */
    struct serve_conn conns[SERVE_OPEN];
};

static void serve_conn_close(struct serve_conn *c)
{
    int fd = c->io.fd;
    io_remove(c->owner->loop, &c->io);
    if (fd >= 0)
        close(fd);
}

static void serve_answer(struct loop *loop, struct io *io, uint32_t events)
{
    struct serve_conn *c = container_of(io, struct serve_conn, io);
    struct serve *s = c->owner;
    int nr = s->served < s->answers_n ? s->served : s->answers_n - 1;
    ssize_t n = recv(io->fd, s->requests[nr], sizeof s->requests[nr] - 1, 0);
    (void)loop, (void)events;
    s->requests[nr][n > 0 ? n : 0] = '\0';
    s->served++;
    if (n > 0 && !s->answers[nr])
        return;
    if (n > 0)
        (void)!send(io->fd, s->answers[nr], strlen(s->answers[nr]), MSG_NOSIGNAL);
    serve_conn_close(c);
}

static void serve_accept(struct loop *loop, struct io *io, uint32_t events)
{
    struct serve *s = container_of(io, struct serve, io);
    struct serve_conn *c = s->conns;
    int fd = accept(io->fd, NULL, NULL);
    (void)events;
    if (fd < 0)
        return;
    while (c->io.fd >= 0)
        if (++c == s->conns + SERVE_OPEN)
            abort();
    io_add(loop, &c->io, fd, EPOLLIN);
}

static inline void serve_open(struct serve *s, struct loop *loop)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->loop = loop;
    for (int i = 0; i < SERVE_OPEN; i++) {
        io_init(&s->conns[i].io, serve_answer);
        s->conns[i].owner = s;
    }
    if (bind(fd, (void *)&in, sizeof in) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (void *)&in, &len) < 0)
        abort();
    memcpy(&s->addr.sa, &in, sizeof in);
    s->addr.len = sizeof in;
    io_init(&s->io, serve_accept);
    io_add(loop, &s->io, fd, EPOLLIN);
}

static inline void serve_close(struct serve *s)
{
    int fd = s->io.fd;
    if (fd >= 0) {
        io_remove(s->loop, &s->io);
        close(fd);
    }
    for (int i = 0; i < SERVE_OPEN; i++)
        serve_conn_close(&s->conns[i]);
}

static inline int serve_socket(void *ctx)
{
    (void)ctx;
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
