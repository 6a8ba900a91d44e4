#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "golden.h"
#include "report/figures.h"
#include "report/live_view.h"

static const struct live_service services[] = {
    {"redis-master", "down", false}, {"kube", "ready", true}, {"gateway", "ready", true}};

static struct live_load loads[] = {
    {"alerts", 25.04, 1234567, 12345678, 1234, 0, 3, 1, 0, 2},
    {"readiness", 5.0, 456789, -1, 40, 17, 0, 0, 0, 0},
    {"a-load-with-a-long-name", 20000, 999999, 1999999999, 12345678, 0, 0, 0, 9, 64},
};

static const struct live_status status_now = {
    .t_ns = 21300 * NS_PER_MS,
    .phase = "fault",
    .phase_left_ns = 2900 * NS_PER_MS,
    .loads = loads,
    .loads_n = ARRAY_SIZE(loads),
    .services = services,
    .services_n = ARRAY_SIZE(services),
};

/* A view that has seen 20 s of a rate that dips. */
static void view_fill(struct live_view *v)
{
    memset(v, 0, sizeof *v);
    for (int s = 0; s < 20; s++) {
        struct live_load then[ARRAY_SIZE(loads)];
        struct live_status status = status_now;
        memcpy(then, loads, sizeof then);
        then[0].rate_per_s = s < 10 ? 25 : s < 14 ? 2 : 12 + s;
        status.loads = then;
        status.phase = s < 16 ? "baseline" : "fault";
        status.t_ns = s * NS_PER_S;
        live_view_note(v, &status);
    }
}

static void golden_block(int width, int height, bool colour, bool ascii, const char *name)
{
    struct live_view v;
    struct buf out = {0};
    struct live_look look = {width, height, colour, ascii, true};
    view_fill(&v);
    live_view_block(&v, &status_now, &look, &out);
    golden_check(name, buf_str(&out), out.n);
    buf_done(&out);
}

TEST(the_block_at_any_width)
{
    golden_block(132, 0, false, false, "live-132.txt");
    golden_block(100, 0, false, false, "live-100.txt");
    golden_block(80, 0, false, false, "live-80.txt");
    golden_block(48, 0, false, false, "live-48.txt");
    golden_block(100, 0, true, false, "live-colour.txt");
    loads[2].unsent = 0;
    golden_block(100, 0, false, false, "live-100-curve.txt");
    loads[2].unsent = 9;
    golden_block(100, 5, false, true, "live-ascii-5-rows.txt");
}

TEST(no_line_is_wider_than_the_terminal)
{
    struct live_view v;
    view_fill(&v);
    for (int width = 1; width < 200; width++) {
        struct buf out = {0};
        struct live_look look = {width, 0, false, false, true};
        live_view_block(&v, &status_now, &look, &out);
        struct str rest = {out.p, out.n};
        while (rest.n) {
            struct str line = str_split(&rest, '\n');
            char *text CLEANUP(free_p) = xstrndup(line.p, line.n);
            for (char *c = text; *c; c++) /* count characters: all of ours take one column */
                if (((unsigned char)*c & 0xc0) == 0x80)
                    memmove(c, c + 1, strlen(c)), c--;
            ASSERT_LE(strlen(text), (width < 20 ? 19 : width - 1));
        }
        buf_done(&out);
    }
}

TEST(events_and_plain_status)
{
    struct buf out = {0};
    struct live_look look = {100, 0, false, false, false};
    live_view_event(&look, 12345 * NS_PER_MS, LIVE_BAD, "fault",
                    "redis-master stopped (pod-failure), connections refused", &out);
    live_view_event(&look, -40 * NS_PER_MS, LIVE_GOOD, "service", "kube ready", &out);
    live_view_event(&look, 1234567 * NS_PER_MS, LIVE_PLAIN, "a-long-area", "text", &out);
    live_view_event(&look, 0, LIVE_DIM, "log", "gateway: \033]0;owned\a\nfake line", &out);
    live_view_plain(&status_now, &look, &out);
    look = (struct live_look){60, 0, false, false, true};
    live_view_event(&look, 12345 * NS_PER_MS, LIVE_WARN, "fault",
                    "in effect: asked stopped, refusing connections for 8s; measured "
                    "/a/very/long/path/without/any/space/in/it/that/no/line/holds refused",
                    &out);
    golden_check("live-lines.txt", buf_str(&out), out.n);
    buf_done(&out);
}

TEST(figures)
{
    char b[FIGURES_BYTES];
    ASSERT_STREQ(figures_count(0, b, sizeof b), "0");
    ASSERT_STREQ(figures_count(999, b, sizeof b), "999");
    ASSERT_STREQ(figures_count(1000, b, sizeof b), "1,000");
    ASSERT_STREQ(figures_count(UINT64_MAX, b, sizeof b), "18,446,744,073,709,551,615");
    ASSERT_STREQ(figures_share(0, b, sizeof b), "0 %");
    ASSERT_STREQ(figures_share(0.00001, b, sizeof b), "<0.01 %");
    ASSERT_STREQ(figures_share(0.0042, b, sizeof b), "0.42 %");
    ASSERT_STREQ(figures_share(0.6049, b, sizeof b), "60.5 %");
    ASSERT_STREQ(figures_share(0.99999, b, sizeof b), ">99.9 %");
    ASSERT_STREQ(figures_share(1, b, sizeof b), "100 %");
    ASSERT_STREQ(figures_rate(99.94, b, sizeof b), "99.9/s");
    ASSERT_STREQ(figures_rate(20000.4, b, sizeof b), "20,000/s");
    ASSERT_STREQ(figures_block(0, 10, false), "▁");
    ASSERT_STREQ(figures_block(0.1, 10, false), "▂");
    ASSERT_STREQ(figures_block(10, 10, false), "█");
    ASSERT_STREQ(figures_block(1, 0, true), "_");
}

static size_t drain(int fd, struct buf *out)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t start = out->n;
    while (poll(&p, 1, 5) > 0 && (p.revents & POLLIN)) {
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0)
            break;
        buf_add(out, piece, (size_t)n);
    }
    return out->n - start;
}

TEST(a_pipe_gets_plain_lines)
{
    int fds[2];
    struct buf out = {0};
    ASSERT_OK(pipe2(fds, O_CLOEXEC));
    struct live *l = live_open(fds[1], 0, false);
    live_line(l, 0, LIVE_PLAIN, "phase", "%s", "baseline");
    for (int i = 0; i <= 100; i++) {
        struct live_status status = status_now;
        status.t_ns = i * 100 * NS_PER_MS;
        live_status(l, &status);
    }
    live_close(l);
    close(fds[1]);
    drain(fds[0], &out);
    close(fds[0]);
    ASSERT_CONTAINS(buf_str(&out), "    0.0s   phase    baseline\n");
    ASSERT_CONTAINS(buf_str(&out),
                    "    5.0s   status   fault, 2.9s left | alerts 25.0/s p50 1.23ms");
    ASSERT_CONTAINS(buf_str(&out), "   10.0s   status");
    ASSERT(!strchr(buf_str(&out), '\033'));
    ASSERT(!strstr(buf_str(&out), "    0.0s   status"));
    buf_done(&out);
}

TEST(a_full_pipe_never_blocks_and_says_what_is_missing)
{
    int fds[2];
    struct buf out = {0};
    ASSERT_OK(pipe2(fds, O_CLOEXEC));
    struct live *l = live_open(fds[1], 0, false);
    for (int i = 0; i < 20000; i++)
        live_line(l, i, LIVE_PLAIN, "log", "a line that nobody reads, number %d", i);
    drain(fds[0], &out);
    for (int i = 0; i < 100; i++) {
        live_line(l, i, LIVE_PLAIN, "log", "read again");
        drain(fds[0], &out);
    }
    live_close(l);
    close(fds[1]);
    ASSERT_CONTAINS(buf_str(&out), "lines left out here: the terminal was too slow\n");
    ASSERT_CONTAINS(buf_str(&out), "nobody reads, number 0\n");
    ASSERT_CONTAINS(buf_str(&out), "read again\n");
    close(fds[0]);
    buf_done(&out);
}

TEST(a_closed_pipe_is_no_trouble)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    ASSERT_OK(pipe2(fds, O_CLOEXEC));
    struct live *l = live_open(fds[1], 0, false);
    close(fds[0]);
    for (int i = 0; i < 10; i++)
        live_line(l, i, LIVE_PLAIN, "log", "to nobody");
    live_close(l);
    close(fds[1]);
}

static int open_terminal(int columns, int rows, int *ret_master)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    struct winsize w = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        ioctl(fd, TIOCSWINSZ, &w);
    *ret_master = master;
    return fd;
}

TEST(a_terminal_gets_one_block_redrawn)
{
    int master, fd = open_terminal(100, 30, &master);
    struct buf out = {0};
    if (fd < 0)
        SKIP("no pseudo terminal here");
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    struct live *l = live_open(fd, 0, false);
    live_status(l, &status_now);
    drain(master, &out);
    ASSERT_CONTAINS(buf_str(&out), "left of");
    ASSERT_CONTAINS(buf_str(&out), "\033[31m");
    live_status(l, &status_now);
    ASSERT_EQ(drain(master, &out), 0); /* nothing new, nothing drawn */
    buf_clear(&out);
    live_line(l, 1, LIVE_BAD, "fault", "redis-master stopped");
    drain(master, &out);
    ASSERT_CONTAINS(buf_str(&out),
                    "\r\033[7A\033[J"); /* 7 lines up, then the event, then the block */
    ASSERT(strstr(buf_str(&out), "stopped") < strstr(buf_str(&out), "left of"));
    buf_clear(&out);
    live_close(l);
    drain(master, &out);
    ASSERT_STREQ(buf_str(&out), "\r\033[7A\033[J");
    close(fd);
    close(master);
    buf_done(&out);
}

TEST(no_color_and_a_dumb_terminal)
{
    int master, fd = open_terminal(100, 30, &master);
    struct buf out = {0};
    if (fd < 0)
        SKIP("no pseudo terminal here");
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    struct live *l = live_open(fd, 0, false);
    live_status(l, &status_now);
    live_close(l);
    drain(master, &out);
    ASSERT_CONTAINS(buf_str(&out), "left of");
    ASSERT(!strstr(buf_str(&out), "\033[31m"));
    unsetenv("NO_COLOR");
    buf_clear(&out);
    setenv("TERM", "dumb", 1);
    l = live_open(fd, 0, false);
    live_status(l, &status_now);
    live_line(l, 1, LIVE_BAD, "fault", "redis-master stopped");
    live_close(l);
    drain(master, &out);
    ASSERT(!strchr(buf_str(&out), '\033'));
    ASSERT_CONTAINS(buf_str(&out), "redis-master stopped");
    close(fd);
    close(master);
    buf_done(&out);
}

TEST(quiet_is_silent)
{
    int fds[2];
    struct buf out = {0};
    ASSERT_OK(pipe2(fds, O_CLOEXEC));
    struct live *l = live_open(fds[1], 0, true);
    live_line(l, 1, LIVE_BAD, "fault", "redis-master stopped");
    live_status(l, &status_now);
    live_close(l);
    close(fds[1]);
    ASSERT_EQ(drain(fds[0], &out), 0);
    close(fds[0]);
    buf_done(&out);
}
