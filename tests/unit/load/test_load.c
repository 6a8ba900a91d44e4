/* The engine against a server of the test's own on the loopback: every fate, the accounting at a
 * stop and at an abort. Times are real but short; nothing here measures them. */
#include "load/load.h"
#include "tests.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* Serves one connection after the other, each request with the same answer. */
struct server {
    pthread_t thread;
    int fd, stop[2];
    struct addr addr;
    const char *answer; /* NULL = never answers */
    const char *other;  /* NULL, or what every second request gets */
    bool close_after;
    uint64_t requests;
};

static void serve_bytes(struct server *s, struct pollfd *p, char *in, size_t *n)
{
    ssize_t got = recv(p->fd, in + *n, 4095 - *n, MSG_DONTWAIT);
    if (got > 0) {
        *n += (size_t)got;
        in[*n] = 0;
        char *end = strstr(in, "\r\n\r\n");
        if (!end)
            return;
        *n = 0; /* one request at a time, without a body */
        const char *answer = s->other && s->requests % 2 ? s->other : s->answer;
        s->requests++;
        if (!answer)
            return;
        if (send(p->fd, answer, strlen(answer), MSG_NOSIGNAL) >= 0 && !s->close_after)
            return;
    }
    close(p->fd);
    p->fd = -1;
}

static void *serve(void *ctx)
{
    enum { CONNS = 40 };
    struct server *s = ctx;
    static char in[CONNS][4096];
    static size_t n[CONNS];
    struct pollfd p[CONNS + 2];
    for (int i = 0; i < CONNS; i++)
        p[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    p[CONNS] = (struct pollfd){.fd = s->fd, .events = POLLIN};
    p[CONNS + 1] = (struct pollfd){.fd = s->stop[0], .events = POLLIN};
    while (poll(p, CONNS + 2, -1) >= 0 && !p[CONNS + 1].revents) {
        for (int i = 0; i < CONNS; i++)
            if (p[i].fd >= 0 && p[i].revents)
                serve_bytes(s, &p[i], in[i], &n[i]);
        for (int i = 0; p[CONNS].revents && i < CONNS; i++)
            if (p[i].fd < 0) {
                p[i].fd = accept(s->fd, NULL, NULL);
                n[i] = 0;
                break;
            }
    }
    for (int i = 0; i < CONNS; i++)
        if (p[i].fd >= 0)
            close(p[i].fd);
    return NULL;
}

static void server_start(struct server *s, const char *answer, bool close_after)
{
    *s = (struct server){.answer = answer, .close_after = close_after};
    ASSERT_OK(addr_from_ip("127.0.0.1", 0, &s->addr));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_OK(bind(s->fd, (struct sockaddr *)&s->addr.sa, s->addr.len));
    ASSERT_OK(listen(s->fd, 64));
    ASSERT_OK(getsockname(s->fd, (struct sockaddr *)&s->addr.sa, &s->addr.len));
    ASSERT_OK(pipe(s->stop));
    ASSERT_OK(pthread_create(&s->thread, NULL, serve, s));
}

static void server_stop(struct server *s)
{
    ASSERT_EQ(write(s->stop[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->fd);
    close(s->stop[0]);
    close(s->stop[1]);
}

struct run {
    struct plan_load plan;
    struct plan_variant variant;
    struct arena arena;
    struct load *load;
    struct load_counts counts;
    uint64_t rows, fates[FATE_COUNT], reasons[REASON_COUNT], sent_rows, next_id, bad_rows;
    int entered;
};

static int accepted[] = {202}, refused[] = {429, 5};

static void run_init(struct run *r, enum plan_model model)
{
    struct err err = {0};
    struct template *t;
    memset(r, 0, sizeof *r);
    arena_init(&r->arena);
    ASSERT_OK(template_compile(&r->arena, "/{{id}}", &r->plan.vars, &t, &err));
    r->variant.weight = 1;
    r->plan = (struct plan_load){.name = "t",
                                 .method = "GET",
                                 .host = "h",
                                 .port = 80,
                                 .path = t,
                                 .path_text = "/{{id}}",
                                 .variants = &r->variant,
                                 .variants_n = 1,
                                 .model = model,
                                 .rate_per_s = 2000,
                                 .concurrency = 8,
                                 .workers = 2,
                                 .keep_alive = true,
                                 .timeout_ns = 5 * NS_PER_S,
                                 .connect_timeout_ns = NS_PER_S,
                                 .accepted = {accepted, 1},
                                 .refused = {refused, 2}};
}

static void on_row(void *ctx, const struct ledger_row *row)
{
    struct run *r = ctx;
    r->rows++;
    r->fates[row->fate]++;
    r->reasons[row->reason]++;
    r->sent_rows += row->sent_ns > 0;
    if (row->answered_ns < row->due_ns || (row->sent_ns && row->sent_ns < row->due_ns))
        r->bad_rows++;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, NS_PER_MS}, NULL);
}

static void run_start(struct run *r, const struct addr *target)
{
    struct err err = {0};
    int64_t now = clock_now_ns();
    struct load_config c = {.plan = &r->plan, .seed = 1, .run_start_ns = now, .target = *target};
    ASSERT_OK(load_new(&c, &r->load, &err));
    ASSERT_OK(load_start(r->load, now, &err));
}

/* The promise: the counts, the rows and the fates agree to the last request. */
static void run_end(struct run *r)
{
    uint64_t fates = 0;
    while (load_running(r->load)) {
        load_drain(r->load, 1000, on_row, r);
        nap();
    }
    while (load_drain(r->load, 1000, on_row, r) > 0)
        ;
    load_counts(r->load, &r->counts);
    for (int i = 0; i < FATE_COUNT; i++)
        fates += r->counts.fates[i];
    ASSERT_EQ(r->counts.due, fates);
    ASSERT_EQ(r->counts.open, 0);
    ASSERT_EQ(r->counts.fates[FATE_NONE], 0);
    ASSERT_EQ(r->rows + r->counts.reasons[REASON_LEDGER_FULL], r->counts.due);
    ASSERT_EQ(r->sent_rows, r->counts.sent);
    ASSERT_EQ(r->bad_rows, 0);
    r->fates[FATE_UNSENT] += r->counts.reasons[REASON_LEDGER_FULL];
    r->reasons[REASON_LEDGER_FULL] += r->counts.reasons[REASON_LEDGER_FULL];
    ASSERT(memcmp(r->fates, r->counts.fates, sizeof r->fates) == 0);
    ASSERT(memcmp(r->reasons, r->counts.reasons, sizeof r->reasons) == 0);
    load_free(r->load);
    arena_done(&r->arena);
}

/* 100 requests against one kind of answer. */
static void fate_of(const char *answer, bool close_after, enum fate fate, enum fate_reason reason)
{
    for (int model = PLAN_OPEN; model <= PLAN_CLOSED; model++) {
        struct server s;
        struct run r;
        server_start(&s, answer, close_after);
        run_init(&r, (enum plan_model)model);
        r.plan.requests = 100;
        if (!answer)
            r.plan.timeout_ns = 20 * NS_PER_MS, r.plan.requests = 16, r.plan.concurrency = 16;
        run_start(&r, &s.addr);
        run_end(&r);
        server_stop(&s);
        ASSERT_EQ(r.counts.due, r.plan.requests);
        ASSERT_EQ(r.counts.fates[fate], r.plan.requests);
        ASSERT_EQ(r.counts.reasons[reason], r.plan.requests);
        ASSERT_EQ(r.counts.sent, s.requests);
    }
}

#define LENGTH_0 "Content-Length: 0\r\n\r\n"

TEST(every_answer_has_its_fate)
{
    fate_of("HTTP/1.1 202 A\r\n" LENGTH_0, false, FATE_ACCEPTED, REASON_NONE);
    fate_of("HTTP/1.1 202 A\r\n\r\nx", true, FATE_ACCEPTED, REASON_NONE);
    fate_of("HTTP/1.1 202 A\r\nConnection: close\r\n" LENGTH_0, true, FATE_ACCEPTED, REASON_NONE);
    fate_of("HTTP/1.1 429 S\r\n" LENGTH_0, false, FATE_REFUSED, REASON_NONE);
    fate_of("HTTP/1.1 503 U\r\n" LENGTH_0, false, FATE_REFUSED, REASON_NONE);
    fate_of("HTTP/1.1 200 OK\r\n" LENGTH_0, false, FATE_FAILED, REASON_STATUS);
    fate_of("HTTP/1.1 404 N\r\n" LENGTH_0, false, FATE_FAILED, REASON_STATUS);
    fate_of("HTTP/1.1 202 A\r\nContent-Length: 5\r\n\r\nx", true, FATE_UNKNOWN, REASON_CLOSED);
    fate_of("", true, FATE_UNKNOWN, REASON_CLOSED);
    fate_of("nonsense\r\n", false, FATE_UNKNOWN, REASON_BAD_ANSWER);
    fate_of(NULL, false, FATE_UNKNOWN, REASON_TIMEOUT);
}

/* 100 requests of one closed user; `other` is what every second one gets. */
static void one_user(const char *answer, const char *other, struct run *r)
{
    struct server s;
    server_start(&s, answer, false);
    s.other = other;
    run_init(r, PLAN_CLOSED);
    r->plan.requests = 100;
    r->plan.concurrency = r->plan.workers = 1;
    run_start(r, &s.addr);
    run_end(r);
    server_stop(&s);
    ASSERT_EQ(s.requests, 100);
}

TEST(a_second_answer_that_nobody_asked_for_ends_the_connection)
{
    struct run r;
    one_user("HTTP/1.1 202 A\r\n" LENGTH_0 "HTTP/1.1 200 OK\r\n" LENGTH_0, NULL, &r);
    ASSERT_EQ(r.counts.fates[FATE_ACCEPTED], 100);
    ASSERT_EQ(r.counts.connects, 100);
}

TEST(answers_that_look_alike_keep_their_own_fate)
{
    struct run r;
    one_user("HTTP/1.1 202 A\r\n" LENGTH_0, "HTTP/1.1 429 A\r\n" LENGTH_0, &r);
    ASSERT_EQ(r.counts.fates[FATE_ACCEPTED], 50);
    ASSERT_EQ(r.counts.fates[FATE_REFUSED], 50);
    ASSERT_EQ(r.counts.connects, 1);
    one_user("HTTP/1.1 202 A\r\n" LENGTH_0, "HTTP/1.1 202 A\r\nConnection: close\r\n" LENGTH_0, &r);
    ASSERT_EQ(r.counts.fates[FATE_ACCEPTED], 100);
    ASSERT_EQ(r.counts.connects, 50);
    one_user("HTTP/1.1 202 A\r\nConnection: close\r\n" LENGTH_0, NULL, &r);
    ASSERT_EQ(r.counts.connects, 100);
}

TEST(nothing_listens)
{
    for (int model = PLAN_OPEN; model <= PLAN_CLOSED; model++) {
        struct server s;
        struct run r;
        server_start(&s, NULL, false);
        server_stop(&s); /* its port is closed now */
        run_init(&r, (enum plan_model)model);
        r.plan.requests = 40;
        run_start(&r, &s.addr);
        run_end(&r);
        ASSERT_EQ(r.counts.due, 40);
        ASSERT_EQ(r.counts.sent, 0);
        ASSERT_EQ(r.counts.fates[FATE_FAILED], 40);
        ASSERT_EQ(r.counts.reasons[REASON_CONNECT_REFUSED], 40);
    }
}

/* One connection that hangs: those behind it wait their time and are shed. */
TEST(no_connection_in_time_is_shed)
{
    struct server s;
    struct run r;
    server_start(&s, NULL, false);
    run_init(&r, PLAN_OPEN);
    r.plan.concurrency = r.plan.workers = 1;
    r.plan.timeout_ns = 30 * NS_PER_MS;
    r.plan.requests = 10;
    run_start(&r, &s.addr);
    run_end(&r);
    server_stop(&s);
    ASSERT_EQ(r.counts.due, 10);
    ASSERT_EQ(r.counts.reasons[REASON_TIMEOUT] + r.counts.reasons[REASON_SHED], 10);
    ASSERT_LE(7, r.counts.reasons[REASON_SHED]);
    ASSERT_EQ(r.counts.fates[FATE_UNSENT], r.counts.reasons[REASON_SHED]);
    ASSERT_EQ(r.counts.sent, s.requests);
}

TEST(those_that_wait_at_the_stop_keep_their_time)
{
    struct server s;
    struct run r;
    server_start(&s, NULL, false);
    run_init(&r, PLAN_OPEN);
    r.plan.concurrency = r.plan.workers = 2;
    r.plan.timeout_ns = 200 * NS_PER_MS;
    run_start(&r, &s.addr);
    load_stop(r.load, clock_now_ns() + 20 * NS_PER_MS);
    run_end(&r);
    server_stop(&s);
    /* nobody answers: two are in flight, the others wait out their time and are shed */
    ASSERT_EQ(r.counts.reasons[REASON_LATE_STOP], 0);
    ASSERT_LE(2, r.counts.fates[FATE_UNKNOWN]);
    ASSERT_EQ(r.counts.reasons[REASON_TIMEOUT], r.counts.fates[FATE_UNKNOWN]);
    ASSERT_EQ(r.counts.reasons[REASON_SHED] + r.counts.fates[FATE_UNKNOWN], r.counts.due);
    ASSERT_LE(20, r.counts.due);
}

TEST(abort_ends_at_once)
{
    for (int model = PLAN_OPEN; model <= PLAN_CLOSED; model++) {
        struct server s;
        struct run r;
        int64_t start = clock_now_ns();
        server_start(&s, NULL, false);
        run_init(&r, (enum plan_model)model);
        r.plan.timeout_ns = 1000 * NS_PER_S;
        run_start(&r, &s.addr);
        load_counts(r.load, &r.counts);
        while (r.counts.sent < 8) {
            nap();
            load_counts(r.load, &r.counts);
        }
        load_abort(r.load);
        run_end(&r);
        server_stop(&s);
        ASSERT_LT(clock_now_ns() - start, 500 * NS_PER_S);
        ASSERT_EQ(r.counts.reasons[REASON_STOPPED], 8);
        ASSERT_EQ(r.counts.fates[FATE_UNKNOWN], 8);
        ASSERT_EQ(r.counts.reasons[REASON_LATE_STOP], r.counts.due - 8);
    }
}

/* Nobody drains: the open model counts what it cannot write down, the closed model waits. */
TEST(a_full_ledger)
{
    static const char ok[] = "HTTP/1.1 202 A\r\n" LENGTH_0;
    struct server s;
    struct run r;
    server_start(&s, ok, false);
    run_init(&r, PLAN_OPEN);
    r.plan.workers = r.plan.concurrency = 1;
    r.plan.rate_per_s = 20000;
    r.plan.timeout_ns = NS_PER_MS; /* rows for 10 s at the rate ... */
    r.plan.requests = 600000;
    int64_t now = clock_now_ns();
    struct err err = {0};
    struct load_config c = {.plan = &r.plan, .seed = 1, .run_start_ns = now, .target = s.addr};
    ASSERT_OK(load_new(&c, &r.load, &err));
    /* ... and an hour of it due at once */
    ASSERT_OK(load_start(r.load, now - 3600 * NS_PER_S, &err));
    load_counts(r.load, &r.counts);
    while (r.counts.due < 600000) {
        nap();
        load_counts(r.load, &r.counts);
    }
    run_end(&r);
    ASSERT_EQ(r.counts.due, 600000);
    ASSERT_LT(0, r.counts.reasons[REASON_LEDGER_FULL]);
    server_stop(&s);
}

TEST(a_full_ledger_holds_the_closed_model)
{
    struct server s;
    struct run r;
    struct err err = {0};
    server_start(&s, "HTTP/1.1 202 A\r\n" LENGTH_0, false);
    run_init(&r, PLAN_CLOSED);
    r.plan.workers = 1;
    r.plan.concurrency = 4;
    r.plan.requests = 1000;
    int64_t now = clock_now_ns();
    struct load_config c = {
        .plan = &r.plan, .run_start_ns = now, .target = s.addr, .ledger_rows = 64};
    ASSERT_OK(load_new(&c, &r.load, &err));
    ASSERT_OK(load_start(r.load, now, &err));
    do {
        nap();
        load_counts(r.load, &r.counts);
    } while (r.counts.due < 64);
    nap();
    load_counts(r.load, &r.counts);
    ASSERT_EQ(r.counts.due, 64);
    run_end(&r);
    server_stop(&s);
    ASSERT_EQ(r.counts.fates[FATE_ACCEPTED], 1000);
    ASSERT_EQ(s.requests, 1000);
}

/* Larger than what the kernel takes at once, so the request goes out in parts, each rendered again.
 */
#define LARGE_BYTES (6 << 20)

/* Reads `requests` large requests on one connection, a little at a time, and checks every byte. */
struct slow_reader {
    struct server s;
    int requests, good;
    bool read;
};

static bool read_exactly(int fd, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, to, n < 50000 ? n : 50000, 0);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static bool read_large(int fd, int id, char *body)
{
    char head[4096] = "";
    size_t n = 0, length = 0;
    while (!strstr(head, "\r\n\r\n"))
        if (n == sizeof head - 1 || !read_exactly(fd, head + n++, 1))
            return false;
    if (sscanf(strstr(head, "Content-Length: "), "Content-Length: %zu", &length) != 1 ||
        length != LARGE_BYTES + 2 || !read_exactly(fd, body, length))
        return false;
    for (size_t i = 1; i <= LARGE_BYTES; i++)
        if (body[i] != 'x')
            return false;
    return body[0] == '0' + id && body[length - 1] == '0' + id;
}

static void *serve_slowly(void *ctx)
{
    struct slow_reader *r = ctx;
    static char body[LARGE_BYTES + 16];
    static const char ok[] = "HTTP/1.1 202 A\r\n" LENGTH_0;
    int fd = accept(r->s.fd, NULL, NULL);
    for (int i = 0; r->read && i < r->requests && read_large(fd, i, body); i++)
        r->good += send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL) > 0;
    char wait;
    ssize_t n = read(r->s.stop[0], &wait, 1);
    (void)n;
    close(fd);
    return NULL;
}

static void large_requests(bool read, int requests, struct run *r, struct slow_reader *reader)
{
    static char text[LARGE_BYTES + 32];
    struct err err = {0};
    struct template *t;
    int small = 4096;
    *reader = (struct slow_reader){.requests = requests, .read = read};
    struct server *s = &reader->s;
    ASSERT_OK(addr_from_ip("127.0.0.1", 0, &s->addr));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ASSERT_OK(bind(s->fd, (struct sockaddr *)&s->addr.sa, s->addr.len));
    ASSERT_OK(listen(s->fd, 4));
    ASSERT_OK(getsockname(s->fd, (struct sockaddr *)&s->addr.sa, &s->addr.len));
    ASSERT_OK(pipe(s->stop));
    ASSERT_OK(pthread_create(&s->thread, NULL, serve_slowly, reader));

    run_init(r, PLAN_CLOSED);
    strcpy(text, "{{id}}");
    memset(text + 6, 'x', LARGE_BYTES);
    strcpy(text + 6 + LARGE_BYTES, "{{id}}");
    ASSERT_OK(template_compile(&r->arena, text, &r->plan.vars, &t, &err));
    r->variant.body = t;
    r->variant.body_text = text;
    r->plan.method = "POST";
    r->plan.concurrency = r->plan.workers = 1;
    r->plan.requests = requests;
    r->plan.timeout_ns = read ? 100 * NS_PER_S : 50 * NS_PER_MS;
    run_start(r, &s->addr);
    run_end(r);
    server_stop(s);
}

TEST(requests_larger_than_the_kernel_takes)
{
    struct run r;
    struct slow_reader reader;
    large_requests(true, 3, &r, &reader);
    ASSERT_EQ(reader.good, 3);
    ASSERT_EQ(r.counts.fates[FATE_ACCEPTED], 3);
    ASSERT_LT(3 * LARGE_BYTES, r.counts.bytes_out);
    large_requests(false, 1, &r, &reader);
    ASSERT_EQ(r.counts.sent, 1);
    ASSERT_EQ(r.counts.fates[FATE_UNKNOWN], 1);
    ASSERT_EQ(r.counts.reasons[REASON_TIMEOUT], 1);
    ASSERT_LT(r.counts.bytes_out, LARGE_BYTES);
}

/* A pipe that ends when its writer closes it must end although a worker was started meanwhile. */
TEST(a_worker_holds_none_of_our_descriptors)
{
#ifdef __SANITIZE_THREAD__
    SKIP("under TSan the descriptors are shared");
#endif
    struct server s;
    struct run r;
    int ends[2];
    server_start(&s, NULL, false);
    ASSERT_OK(pipe(ends));
    run_init(&r, PLAN_CLOSED);
    run_start(&r, &s.addr);
    close(ends[1]);
    struct pollfd p = {.fd = ends[0]};
    ASSERT_EQ(poll(&p, 1, 0), 1);
    ASSERT_EQ(p.revents, POLLHUP);
    close(ends[0]);
    load_abort(r.load);
    run_end(&r);
    server_stop(&s);
}

static int enter(void *ctx)
{
    return *(int *)ctx;
}

TEST(a_worker_that_cannot_enter_is_an_error)
{
    struct run r;
    struct addr a;
    struct err err = {0};
    run_init(&r, PLAN_OPEN);
    r.entered = -EPERM;
    ASSERT_OK(addr_from_ip("127.0.0.1", 1, &a));
    struct load_config c = {.plan = &r.plan, .target = a, .enter = enter, .enter_ctx = &r.entered};
    ASSERT_OK(load_new(&c, &r.load, &err));
    ASSERT_EQ(load_start(r.load, clock_now_ns(), &err), -EPERM);
    ASSERT_CONTAINS(err.msg, "could not start");
    ASSERT(!load_running(r.load));
    load_free(r.load);
    arena_done(&r.arena);
}

TEST(plans_that_cannot_be_driven)
{
    struct run r;
    struct err err = {0};
    struct load_config c = {.plan = &r.plan};
    run_init(&r, PLAN_OPEN);
    r.plan.rate_per_s = 0;
    ASSERT_EQ(load_new(&c, &r.load, &err), -EINVAL);
    r.plan.rate_per_s = 0.0 / 0.0;
    ASSERT_EQ(load_new(&c, &r.load, &err), -EINVAL);
    r.plan.rate_per_s = 1;
    r.plan.concurrency = 0;
    ASSERT_EQ(load_new(&c, &r.load, &err), -EINVAL);
    r.plan.concurrency = 2000000000;
    ASSERT_EQ(load_new(&c, &r.load, &err), -EMFILE);
    r.plan.concurrency = 1;
    r.plan.timeout_ns = 0;
    ASSERT_EQ(load_new(&c, &r.load, &err), -EINVAL);
    arena_done(&r.arena);
    load_free(NULL);
}
