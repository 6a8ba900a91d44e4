#include "lab/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lab/netns.h"

#define PASSES     4
#define READ_BYTES 32768 /* what the kernel puts into one datagram of a dump at most */

/* Neither listening, nor gone but for the waiting, nor never connected. */
#define STATES (~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT | 1u << TCP_CLOSE) & 0xfffu)

struct request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

struct pass {
    int fd;
    const struct sockdiag_filter *filter;
    uint8_t family;
    bool torn;        /* the list changed while it was read */
    struct buf found; /* of struct inet_diag_sockid: as SOCK_DESTROY wants them named */
};

int sockdiag_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return fd < 0 ? -errno : fd;
}

int sockdiag_open_in(int netns_fd)
{
    CLEANUP(close_p) int home = netns_here();
    if (home < 0)
        return home;
    int r = netns_enter(netns_fd);
    if (r < 0)
        return r;
    int fd = sockdiag_open();
    /* anywhere else everything that follows would hit the wrong network */
    if (netns_enter(home) < 0)
        abort();
    return fd;
}

static int send_request(int fd, struct request *q)
{
    static _Atomic uint32_t seq;
    q->head.nlmsg_len = sizeof *q;
    q->head.nlmsg_seq = ++seq;
    q->body.sdiag_protocol = IPPROTO_TCP;
    ssize_t r;
    do
        r = send(fd, q, sizeof *q, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* 1 = more to come, 0 = the end, -errno: what the kernel says. */
typedef int (*on_message)(struct pass *p, const struct nlmsghdr *head, const unsigned char *body,
                          size_t n);

/* Reads answers to request `seq` and hands their messages on, until one says that it is the last.
 * Late answers to an earlier request are passed over. */
static int read_answers(struct pass *p, uint32_t seq, on_message on)
{
    unsigned char in[READ_BYTES] __attribute__((aligned(8)));
    for (;;) {
        ssize_t got = recv(p->fd, in, sizeof in, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || (size_t)got > sizeof in)
            return got < 0 ? -errno : -EMSGSIZE;
        for (size_t at = 0, left = (size_t)got; left >= NLMSG_HDRLEN;) {
            struct nlmsghdr h;
            memcpy(&h, in + at, sizeof h);
            if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > left)
                return -EPROTO;
            int r = h.nlmsg_seq == seq
                        ? on(p, &h, in + at + NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN)
                        : 1;
            if (r <= 0)
                return r;
            size_t step = NLMSG_ALIGN(h.nlmsg_len) < left ? NLMSG_ALIGN(h.nlmsg_len) : left;
            at += step;
            left -= step;
        }
    }
}

static int error_of(const unsigned char *body, size_t n)
{
    int error;
    if (n < sizeof error)
        return -EPROTO;
    memcpy(&error, body, sizeof error);
    return error;
}

static struct sockdiag_addr peer_of(const struct inet_diag_msg *m)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct sockdiag_addr a = {.is_ipv6 = m->idiag_family == AF_INET6};
    memcpy(a.ipv6, m->id.idiag_dst, sizeof a.ipv6);
    if (a.is_ipv6 && memcmp(a.ipv6, mapped, sizeof mapped) != 0)
        return a;
    a.ipv4 = ntohl(m->id.idiag_dst[a.is_ipv6 ? 3 : 0]);
    a.is_ipv6 = false;
    memset(a.ipv6, 0, sizeof a.ipv6);
    return a;
}

static bool wanted(const struct sockdiag_filter *f, const struct inet_diag_msg *m)
{
    uint16_t port = htons(f->port);
    if (port && m->id.idiag_sport != port && m->id.idiag_dport != port)
        return false;
    struct sockdiag_addr peer = peer_of(m);
    return !f->peer || f->peer(f->ctx, &peer);
}

static int on_listed(struct pass *p, const struct nlmsghdr *head, const unsigned char *body,
                     size_t n)
{
    struct inet_diag_msg m;
    if (head->nlmsg_flags & NLM_F_DUMP_INTR)
        p->torn = true;
    if (head->nlmsg_type == NLMSG_DONE)
        return n >= sizeof(int) ? error_of(body, n) : 0;
    if (head->nlmsg_type == NLMSG_ERROR)
        return error_of(body, n);
    if (n < sizeof m)
        return -EPROTO;
    memcpy(&m, body, sizeof m);
    if (wanted(p->filter, &m) && p->found.n / sizeof m.id < SOCKDIAG_CONNECTIONS_MAX)
        buf_add(&p->found, &m.id, sizeof m.id);
    return 1;
}

static int list(struct pass *p)
{
    struct request q = {
        .head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = p->family, .idiag_states = STATES}};
    int r = send_request(p->fd, &q);
    if (r == 0)
        r = read_answers(p, q.head.nlmsg_seq, on_listed);
    return r == -ENOENT ? -EOPNOTSUPP : r; /* no handler for TCP: built without it */
}

static int on_acknowledged(struct pass *p, const struct nlmsghdr *head, const unsigned char *body,
                           size_t n)
{
    return head->nlmsg_type == NLMSG_ERROR ? error_of(body, n) : -EPROTO;
}

/* 1 = destroyed, 0 = it had gone by itself. */
static int destroy(struct pass *p, const struct inet_diag_sockid *id)
{
    struct request q = {
        .head = {.nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body = {.sdiag_family = p->family, .idiag_states = STATES, .id = *id}};
    int r = send_request(p->fd, &q);
    if (r == 0)
        r = read_answers(p, q.head.nlmsg_seq, on_acknowledged);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* Lists first and destroys then: what is destroyed while a list is read makes it skip others. */
static int run_pass(struct pass *p, int *destroyed)
{
    struct inet_diag_sockid id;
    p->torn = false;
    buf_clear(&p->found);
    int r = list(p);
    for (size_t at = 0; r >= 0 && at < p->found.n; at += sizeof id) {
        memcpy(&id, p->found.p + at, sizeof id);
        if ((r = destroy(p, &id)) > 0)
            ++*destroyed;
    }
    return r;
}

int sockdiag_destroy(int fd, const struct sockdiag_filter *filter)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int destroyed = 0, r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(families) && r >= 0; i++) {
        struct pass p = {.fd = fd, .filter = filter, .family = families[i]};
        for (int pass = 0; pass < PASSES; pass++)
            if ((r = run_pass(&p, &destroyed)) < 0 || (p.found.n == 0 && !p.torn))
                break;
        buf_done(&p.found);
    }
    return r < 0 ? r : destroyed;
}

const char *sockdiag_remedy(int error)
{
    switch (error) {
    case -EOPNOTSUPP:
        return "this kernel cannot destroy connections (CONFIG_INET_DIAG_DESTROY is off); use a "
               "kernel that has it, as Debian's and Ubuntu's do, or a partition instead";
    case -EPERM:
        return "destroying connections was refused: it needs CAP_NET_ADMIN in the lab's network "
               "namespaces";
    default: return strerror(-error);
    }
}
