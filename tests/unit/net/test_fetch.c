/* Fetches against a listening socket of the test itself, driven on the same loop. */
#include "net/fetch.h"
#include "tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static struct loop loop;
static int listener = -1, done_n;
static struct addr where;

static void open_listener(void)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&where.sa;
    ASSERT_OK(loop_init(&loop));
    ASSERT_OK(addr_from_ip("127.0.0.1", 0, &where));
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_OK(bind(listener, (struct sockaddr *)v4, where.len));
    ASSERT_OK(listen(listener, 8));
    ASSERT_OK(getsockname(listener, (struct sockaddr *)v4, &where.len));
    done_n = 0;
}

static void close_listener(void)
{
    if (listener >= 0)
        close(listener);
    loop_done(&loop);
}

static void on_done(struct fetch *f)
{
    done_n++;
}

static int start(struct fetch *f, const char *method, int64_t deadline_ns, size_t max)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fetch_start(f, fd, &where, method, STR("svc:80"), STR("/x"), STR("{}"), deadline_ns, max,
                       on_done);
}

/* Accepts, reads the request, sends `answer`, closes, and turns the loop until done was called. */
static void serve(struct fetch *f, const char *answer, bool close_it)
{
    char request[1024] = "";
    loop_turn(&loop, 0);
    int fd = accept(listener, NULL, NULL);
    ASSERT_LE(0, fd);
    for (int i = 0; i < 100 && !strstr(request, "\r\n\r\n{}"); i++) {
        loop_turn(&loop, 0);
        size_t n = strlen(request);
        ssize_t got = recv(fd, request + n, sizeof request - 1 - n, MSG_DONTWAIT);
        ASSERT(got > 0 || errno == EAGAIN);
    }
    ASSERT_CONTAINS(request, " /x HTTP/1.1\r\nHost: svc:80\r\nConnection: close\r\n");
    ASSERT_EQ(send(fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
    if (close_it)
        close(fd);
    for (int i = 0; i < 100 && !done_n; i++)
        loop_turn(&loop, 10 * NS_PER_MS);
    ASSERT_EQ(done_n, 1);
    if (!close_it)
        close(fd);
}

static void one_answer(const char *answer, bool close_it, int result, int status, const char *body)
{
    struct fetch f;
    open_listener();
    fetch_init(&f, &loop);
    ASSERT_OK(start(&f, "POST", loop.now_ns + 10 * NS_PER_S, 10));
    serve(&f, answer, close_it);
    ASSERT_EQ(f.result, result);
    ASSERT_EQ(f.status, status);
    ASSERT_STREQ(buf_str(&f.body), body);
    fetch_done(&f);
    close_listener();
}

TEST(answers)
{
    one_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 0, 200, "ok");
    one_answer("HTTP/1.0 503 No\r\n\r\nbusy", true, 0, 503, "busy");
    one_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
               0, 200, "ok");
    one_answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", false, 0, 200,
               "0123456789");
    one_answer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a", false, -EFBIG, 200, "");
    one_answer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123", true, -EPROTO, 200, "0123");
    one_answer("SSH-2.0\r\n", false, -EPROTO, 0, "");
    one_answer("", true, -ECONNRESET, 0, "");
}

TEST(deadline)
{
    struct fetch f;
    open_listener();
    fetch_init(&f, &loop);
    ASSERT_OK(start(&f, "GET", loop.now_ns + NS_PER_MS, 10));
    for (int i = 0; i < 100 && !done_n; i++)
        loop_turn(&loop, 10 * NS_PER_MS);
    ASSERT_EQ(done_n, 1);
    ASSERT_EQ(f.result, -ETIMEDOUT);
    fetch_done(&f);
    close_listener();
}

TEST(nothing_listens)
{
    struct fetch f;
    open_listener();
    close(listener);
    listener = -1;
    fetch_init(&f, &loop);
    ASSERT_OK(start(&f, "GET", loop.now_ns + 10 * NS_PER_S, 10));
    ASSERT_EQ(done_n, 0); /* never inside fetch_start */
    for (int i = 0; i < 100 && !done_n; i++)
        loop_turn(&loop, 10 * NS_PER_MS);
    ASSERT_EQ(done_n, 1);
    ASSERT_EQ(f.result, -ECONNREFUSED);
    fetch_done(&f);
    close_listener();
}

TEST(cancelled_is_never_called)
{
    struct fetch f;
    open_listener();
    fetch_init(&f, &loop);
    ASSERT_OK(start(&f, "GET", loop.now_ns, 10));
    fetch_cancel(&f);
    fetch_cancel(&f);
    loop_turn(&loop, NS_PER_MS);
    ASSERT_EQ(done_n, 0);
    ASSERT_OK(start(&f, "GET", loop.now_ns + NS_PER_S, 10));
    fetch_done(&f); /* while running */
    ASSERT_EQ(done_n, 0);
    close_listener();
}

TEST(a_request_that_cannot_be_written_is_refused)
{
    struct fetch f;
    open_listener();
    fetch_init(&f, &loop);
    ASSERT_EQ(start(&f, "GET\r\n", loop.now_ns, 10), -EINVAL);
    ASSERT_OK(start(&f, "GET", loop.now_ns, 10)); /* and can be used again */
    fetch_done(&f);
    close_listener();
}
