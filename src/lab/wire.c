#include "lab/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct record {
    struct list link;
    size_t n;
    bool log;
    unsigned char bytes[];
};

void outbox_init(struct outbox *o, struct loop *loop, struct io *io)
{
    *o = (struct outbox){.loop = loop, .io = io};
    list_init(&o->records);
}

static void drop_first(struct outbox *o)
{
    struct record *r = container_of(o->records.next, struct record, link);
    if (r->log)
        o->log_bytes -= r->n;
    list_remove(&r->link);
    free(r);
}

void outbox_done(struct outbox *o)
{
    while (!list_empty(&o->records))
        drop_first(o);
}

static int send_now(struct outbox *o, const void *p, size_t n)
{
    ssize_t r;
    do
        r = send(o->io->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

void outbox_flush(struct outbox *o)
{
    if (o->io->fd < 0)
        return outbox_done(o);
    while (!list_empty(&o->records)) {
        struct record *r = container_of(o->records.next, struct record, link);
        int e = send_now(o, r->bytes, r->n);
        if (e == -EAGAIN || e == -ENOBUFS)
            break;
        if (e < 0)
            outbox_done(o); /* the peer is gone */
        else
            drop_first(o);
    }
    io_change(o->loop, o->io, list_empty(&o->records) ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void put(struct outbox *o, const void *p, size_t n, bool log)
{
    if (o->io->fd < 0)
        return;
    if (list_empty(&o->records) && send_now(o, p, n) != -EAGAIN)
        return;
    struct record *r = xmalloc(sizeof *r + n);
    r->n = n;
    r->log = log;
    memcpy(r->bytes, p, n);
    o->log_bytes += log ? n : 0;
    list_append(&o->records, &r->link);
    io_change(o->loop, o->io, EPOLLIN | EPOLLOUT);
}

void outbox_send(struct outbox *o, const void *p, size_t n)
{
    put(o, p, n, false);
}

bool outbox_log(struct outbox *o, const void *p, size_t n)
{
    if (o->log_bytes + n > OUTBOX_LOG_BYTES)
        return false;
    put(o, p, n, true);
    return true;
}

size_t wire_encode(unsigned char *buf, const struct lab_event *e, uint32_t kind)
{
    size_t text_n = e->text ? strlen(e->text) : 0;
    if (text_n > LAB_TEXT_BYTES)
        text_n = LAB_TEXT_BYTES;
    struct wire_event w = {.kind = kind,
                           .service = e->service,
                           .t_ns = e->t_ns,
                           .value = e->value,
                           .pid = e->pid,
                           .stream = e->stream,
                           .text_n = (uint32_t)text_n};
    memcpy(buf, &w, sizeof w);
    if (text_n)
        memcpy(buf + sizeof w, e->text, text_n);
    return sizeof w + text_n;
}

int wire_decode(unsigned char *buf, size_t n, struct lab_event *ret, uint32_t *ret_kind)
{
    struct wire_event w;
    if (n < sizeof w)
        return -EBADMSG;
    memcpy(&w, buf, sizeof w);
    if (w.kind > WIRE_FAILED || w.text_n != n - sizeof w || w.text_n > LAB_TEXT_BYTES)
        return -EBADMSG;
    buf[n] = '\0';
    *ret = (struct lab_event){.kind = w.kind < LAB_EVENT_COUNT ? (enum lab_event_kind)w.kind : 0,
                              .service = w.service,
                              .t_ns = w.t_ns,
                              .value = w.value,
                              .pid = w.pid,
                              .stream = w.stream,
                              .text = (const char *)buf + sizeof w};
    *ret_kind = w.kind;
    return 0;
}
