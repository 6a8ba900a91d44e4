/*
 * http_server.c - the other end of the load tests: one thread, epoll, loopback, an ephemeral port.
 *
 * Prints "port N", serves until SIGTERM or SIGINT, then prints one JSON line with its own counts:
 * requests it read completely, connections it accepted, bytes. The truth of a load test is here.
 * The first path segment chooses the answer:
 *   /ok /404 /503 /slow/MS   an answer, at once or after MS ms
 *   /stall                   /ok, but the whole server stops once: --stall-at S --stall-for S,
 * counted from the first request /truncated /endless /chunked-wrong /two-lengths /length-chunked
 * /garbage /close /reset /nul /hang /close-after /extra /chunked /until-close /early   one way each
 * to be broken or odd /mixed/N                 the N-th kind of the table; N is taken modulo its
 * size
 * --log FILE writes the body (or the path, without a body) of each request, a line each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS     16384
#define IN_BYTES  65536
#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

enum how {
    HOW_TEXT,    /* send the text */
    HOW_CLOSE,   /* send the text, then close */
    HOW_RESET,   /* send the text, then reset */
    HOW_HANG,    /* send the text, answer nothing more on this connection */
    HOW_ENDLESS, /* send the text, then body for ever */
    HOW_SLOW,    /* send the text after the number in the path, in ms */
};

struct kind {
    const char *name, *text;
    enum how how;
    size_t text_n; /* 0: strlen */
};

#define OK        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define OK_ANSWER OK "Content-Length: 3\r\n\r\nok\n"

static const struct kind kinds[] = {
    {"ok", OK_ANSWER, HOW_TEXT},
    {"stall", OK_ANSWER, HOW_TEXT},
    {"slow", OK_ANSWER, HOW_SLOW},
    {"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", HOW_TEXT},
    {"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", HOW_TEXT},
    {"chunked", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n", HOW_TEXT},
    {"until-close", OK "\r\nok", HOW_CLOSE},
    {"close-after", OK_ANSWER, HOW_CLOSE},
    {"truncated", OK "Content-Length: 10\r\n\r\nok", HOW_CLOSE},
    {"chunked-wrong", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\nXX\r\n0\r\n\r\n", HOW_TEXT},
    {"two-lengths", OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\nok\n", HOW_TEXT},
    {"length-chunked", OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     HOW_TEXT},
    {"garbage", "\x15\x03\x01 this is no HTTP at all\r\n", HOW_TEXT},
    {"nul", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", HOW_TEXT, 25},
    {"extra", OK_ANSWER "HTTP/1.1 200 OK\r\n", HOW_TEXT},
    {"close", "", HOW_CLOSE},
    {"reset", "", HOW_RESET},
    {"hang", "", HOW_HANG},
    {"endless", OK "Transfer-Encoding: chunked\r\n\r\n", HOW_ENDLESS},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

struct client {
    int fd;
    size_t n; /* bytes of in that are not used yet */
    char *in;
    bool endless, hung;
    int64_t answer_ns; /* slow: when to answer; 0 = nothing pending */
    const struct kind *kind;
};

static struct client clients[CONNS];
static int ep, listener, signals;
static unsigned long requests, connections, bytes_in;
static FILE *body_log;
static int64_t stall_at_ns, stall_for_ns, first_ns;
static bool stalled;
static int slow_n;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void drop(struct client *c, bool reset)
{
    struct linger hard = {1, 0};
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(c->fd);
    free(c->in);
    slow_n -= c->answer_ns != 0;
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

static void flood(struct client *c)
{
    char chunk[4096 + 16];
    int n = snprintf(chunk, sizeof chunk, "1000\r\n");
    memset(chunk + n, 'x', 4096);
    memcpy(chunk + n + 4096, "\r\n", 2);
    if (send(c->fd, chunk, (size_t)n + 4098, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
        drop(c, false);
}

static void answer(struct client *c, const struct kind *k)
{
    size_t n = k->text_n ? k->text_n : strlen(k->text);
    if (n > 0 && send(c->fd, k->text, n, MSG_NOSIGNAL) < 0) {
        drop(c, false);
        return;
    }
    if (k->how == HOW_CLOSE || k->how == HOW_RESET)
        drop(c, k->how == HOW_RESET);
    c->hung = k->how == HOW_HANG;
    if (k->how == HOW_ENDLESS) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
        c->endless = true;
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
    }
}

static const struct kind *find(const char *path, size_t n)
{
    if (n > 6 && memcmp(path, "mixed/", 6) == 0)
        return &kinds[strtoul(path + 6, NULL, 10) % KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        size_t k = strlen(kinds[i].name);
        if (n >= k && memcmp(path, kinds[i].name, k) == 0 && (n == k || path[k] == '/'))
            return &kinds[i];
    }
    return &kinds[0];
}

static void serve(struct client *c, const char *head, const char *body, size_t body_n)
{
    const char *path = strchr(head, ' ');
    size_t path_n = path ? strcspn(path + 2, " ") : 0;
    const struct kind *k = path ? find(path + 2, path_n) : &kinds[0];
    if (++requests == 1)
        first_ns = now_ns();
    if (body_log && body_n > 0)
        fprintf(body_log, "%.*s\n", (int)body_n, body);
    else if (body_log)
        fprintf(body_log, "%.*s\n", (int)path_n + 1, path + 1);
    if (k->how != HOW_SLOW) {
        answer(c, k);
        return;
    }
    const char *ms = memchr(path + 2, '/', path_n);
    c->kind = k;
    c->answer_ns = now_ns() + (ms ? strtol(ms + 1, NULL, 10) : 10) * NS_PER_MS;
    slow_n++;
}

/* Takes one whole request off the front of c->in; false when there is none. */
static bool take(struct client *c)
{
    c->in[c->n] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end || c->answer_ns)
        return false;
    size_t head_n = (size_t)(end - c->in) + 4, body_n = 0;
    const char *length = strstr(c->in, "Content-Length: ");
    if (length && length < end)
        body_n = strtoul(length + 16, NULL, 10);
    if (c->n < head_n + body_n)
        return false;
    char *body = c->in + head_n;
    int fd = c->fd;
    *end = 0;
    serve(c, c->in, body, body_n);
    if (c->fd != fd)
        return false;
    c->n -= head_n + body_n;
    memmove(c->in, body + body_n, c->n);
    return true;
}

static void readable(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->n, IN_BYTES - 1 - c->n, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(c, false);
        return;
    }
    bytes_in += (unsigned long)n;
    c->n += (size_t)n;
    while (c->fd >= 0 && c->n > 0 && take(c))
        ;
}

static void accept_all(void)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= CONNS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections++;
        clients[fd] = (struct client){.fd = fd, .in = malloc(IN_BYTES)};
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &clients[fd]};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
}

static void answer_slow(void)
{
    int64_t now = now_ns();
    for (int i = 0; slow_n > 0 && i < CONNS; i++) {
        struct client *c = &clients[i];
        if (c->fd <= 0 || !c->answer_ns || c->answer_ns > now)
            continue;
        c->answer_ns = 0;
        slow_n--;
        answer(c, c->kind);
    }
}

/* The stall is of the whole server: nothing is read, nothing is answered. */
static void stall_once(void)
{
    if (stalled || !stall_for_ns || !first_ns || now_ns() - first_ns < stall_at_ns)
        return;
    struct timespec t = {stall_for_ns / NS_PER_S, stall_for_ns % NS_PER_S};
    stalled = true;
    nanosleep(&t, NULL);
}

static void open_listener(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof a;
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, len) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&a, &len);
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
}

static void run(void)
{
    struct epoll_event batch[256];
    for (;;) {
        int n = epoll_wait(ep, batch, 256, slow_n > 0 || (stall_for_ns && !stalled) ? 1 : -1);
        stall_once();
        for (int i = 0; i < n; i++) {
            struct client *c = batch[i].data.ptr;
            if (c == NULL)
                accept_all();
            else if (c == (void *)&signals)
                return;
            else if (c->fd >= 0 && c->endless)
                flood(c);
            else if (c->fd >= 0)
                readable(c);
        }
        answer_slow();
    }
}

int main(int argc, char **argv)
{
    int port = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        double v = atof(argv[i + 1]);
        if (strcmp(argv[i], "--port") == 0)
            port = (int)v;
        else if (strcmp(argv[i], "--stall-at") == 0)
            stall_at_ns = (int64_t)(v * NS_PER_S);
        else if (strcmp(argv[i], "--stall-for") == 0)
            stall_for_ns = (int64_t)(v * NS_PER_S);
        else if (strcmp(argv[i], "--log") == 0)
            body_log = fopen(argv[i + 1], "w");
        else
            return 2;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    for (int i = 0; i < CONNS; i++)
        clients[i].fd = -1;
    ep = epoll_create1(EPOLL_CLOEXEC);
    open_listener(port);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    ev.data.ptr = &signals;
    epoll_ctl(ep, EPOLL_CTL_ADD, signals, &ev);
    run();
    printf("{\"requests\": %lu, \"connections\": %lu, \"bytes_in\": %lu}\n", requests, connections,
           bytes_in);
    if (body_log)
        fclose(body_log);
    for (int i = 0; i < CONNS; i++)
        if (clients[i].fd >= 0)
            drop(&clients[i], false);
    return 0;
}
