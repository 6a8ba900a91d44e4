#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/sup.h"

#define READ_BYTES    65536
#define READS_A_TURN  2
#define READS_AT_END  64 /* 4 MiB: more than any pipe holds */
#define DROPPED_EVERY NS_PER_S

static void tell_dropped(struct service *s)
{
    if (s->dropped == 0)
        return;
    sup_emit(s->sup, &(struct lab_event){.kind = LAB_LOG_DROPPED,
                                         .service = s->index,
                                         .t_ns = clock_now_ns(),
                                         .value = s->dropped});
    s->dropped = 0;
}

static void on_dropped_timer(struct loop *loop, struct timer *t)
{
    tell_dropped(container_of(t, struct service, dropped_timer));
}

static void on_line(void *ctx, const char *line, size_t n)
{
    struct stream *o = ctx;
    struct service *s = o->service;
    int64_t now = clock_now_ns();
    struct lab_event e = {.kind = LAB_LOG,
                          .service = s->index,
                          .t_ns = now,
                          .stream = o->number,
                          .pid = s->pid,
                          .text = line};
    if (!bucket_take(&s->bucket, now) || !sup_emit_log(s->sup, &e)) {
        s->dropped++;
        if (!timer_running(&s->dropped_timer))
            timer_start(&s->sup->loop, &s->dropped_timer, now + DROPPED_EVERY);
    }
    ready_line(&s->ready, line, n); /* also one that was dropped */
}

static void close_stream(struct stream *o)
{
    int fd = o->io.fd;
    if (fd < 0)
        return;
    io_remove(&o->service->sup->loop, &o->io);
    close(fd);
    lines_end(&o->lines, on_line, o);
}

static void read_stream(struct stream *o, int reads)
{
    static char bytes[READ_BYTES];
    for (int i = 0; i < reads && o->io.fd >= 0; i++) {
        ssize_t n = read(o->io.fd, bytes, sizeof bytes);
        if (n > 0)
            lines_feed(&o->lines, bytes, (size_t)n, on_line, o);
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        else
            close_stream(o);
    }
}

static void on_readable(struct loop *loop, struct io *io, uint32_t events)
{
    read_stream(container_of(io, struct stream, io), READS_A_TURN);
}

void output_init(struct service *s)
{
    for (int i = 0; i < 2; i++) {
        s->streams[i].service = s;
        s->streams[i].number = i + 1;
        io_init(&s->streams[i].io, on_readable);
    }
    timer_init(&s->dropped_timer, on_dropped_timer);
    bucket_init(&s->bucket, SERVICE_LOG_BURST, SERVICE_LOG_RATE, clock_now_ns());
}

static int open_stream(struct stream *o, int *ret_write_fd)
{
    const struct spawn_user *u = &o->service->user;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    /* opening /dev/stdout again asks for rights on the pipe */
    int r = u->change && fchown(fds[1], u->uid, u->gid) < 0 ? -errno : 0;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    if (r == 0)
        r = io_add(&o->service->sup->loop, &o->io, fds[0], EPOLLIN);
    if (r < 0) {
        close(fds[0]);
        close(fds[1]);
        return r;
    }
    lines_init(&o->lines);
    *ret_write_fd = fds[1];
    return 0;
}

int output_open(struct service *s, int ret_write_fds[2])
{
    int r = open_stream(&s->streams[0], &ret_write_fds[0]);
    if (r < 0)
        return r;
    r = open_stream(&s->streams[1], &ret_write_fds[1]);
    if (r < 0) {
        close(ret_write_fds[0]);
        output_close(s);
    }
    return r;
}

void output_drain(struct service *s)
{
    for (int i = 0; i < 2; i++)
        read_stream(&s->streams[i], READS_AT_END);
}

void output_close(struct service *s)
{
    for (int i = 0; i < 2; i++)
        close_stream(&s->streams[i]);
    timer_stop(&s->sup->loop, &s->dropped_timer);
    tell_dropped(s);
}
