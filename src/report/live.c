#include "report/live.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/live_view.h"
#include "report/pen.h"

#define PLAIN_EVERY_NS  (5 * NS_PER_S)
#define PENDING_BYTES   (256u << 10) /* what a slow terminal may owe before lines are dropped */
#define CLOSE_WAIT_MS   200
#define DEFAULT_COLUMNS 80

struct live {
    int fd; /* our own non-blocking view of the terminal or pipe, or the caller's */
    bool own_fd, quiet, block_wanted, dead;
    struct live_look look;
    struct live_view view;
    struct buf pending;                 /* not written yet */
    struct buf block;                   /* the status block as last drawn, "" = none */
    struct buf next;                    /* scratch */
    int rows[LIVE_BLOCK_LINES], rows_n; /* columns of each drawn line */
    int64_t next_plain_ns, last_ns;
    uint64_t dropped;
};

/* Setting O_NONBLOCK on the caller's descriptor would change it for every process that shares it;
 * opening it once more gives a description of our own. Files never block and keep their offset. */
static int open_nonblocking(int fd)
{
    char path[64];
    struct stat st;
    if (fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)))
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool set(const char *name)
{
    const char *value = getenv(name);
    return value && value[0];
}

/* UTF-8 unless the locale says otherwise; the Linux console has no glyphs for the curves. */
static bool ascii_only(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *term = getenv("TERM");
    if (term && strcmp(term, "linux") == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return !strstr(value, "UTF-8") && !strstr(value, "utf8") && !strstr(value, "UTF8") &&
                   !strstr(value, "utf-8");
    }
    return false;
}

static void measure(struct live *l)
{
    struct winsize w;
    if (ioctl(l->fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
        l->look.width = w.ws_col;
        l->look.height = w.ws_row;
    }
}

struct live *live_open(int fd, int64_t run_start_ns, bool quiet)
{
    struct live *l = xmalloc(sizeof *l);
    const char *term = getenv("TERM");
    bool smart = isatty(fd) && term && term[0] && strcmp(term, "dumb") != 0;
    (void)run_start_ns; /* every call brings its time on the run's clock */
    l->fd = quiet ? -1 : open_nonblocking(fd);
    l->own_fd = l->fd >= 0;
    if (!l->own_fd)
        l->fd = fd;
    l->quiet = quiet;
    l->block_wanted = smart;
    l->look.width = DEFAULT_COLUMNS;
    l->look.wrap = smart;
    l->look.colour = smart && !set("NO_COLOR");
    l->look.ascii = ascii_only();
    measure(l);
    return l;
}

void live_no_colour(struct live *l)
{
    l->look.colour = false;
}

static void flush(struct live *l)
{
    while (l->pending.n > 0 && !l->dead) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        size_t n = l->pending.n;
        if (!l->own_fd) { /* a blocking descriptor: only what poll promises */
            if (poll(&p, 1, 0) <= 0)
                return;
            n = n > 512 ? 512 : n;
        }
        ssize_t done = write(l->fd, l->pending.p, n);
        if (done > 0)
            buf_consume(&l->pending, (size_t)done);
        else if (done < 0 && errno != EINTR && errno != EAGAIN)
            l->dead = true;
        else if (done < 0 && errno == EAGAIN)
            return;
    }
}

/* Rows that the block takes now: a terminal that has become narrower has wrapped its lines. */
static int block_rows(const struct live *l)
{
    int rows = 0;
    for (int i = 0; i < l->rows_n; i++)
        rows += 1 + (l->rows[i] > 0 ? (l->rows[i] - 1) / l->look.width : 0);
    return rows;
}

static void to_block_start(struct live *l)
{
    int rows = block_rows(l);
    buf_add_char(&l->pending, '\r');
    if (rows > 0)
        buf_printf(&l->pending, "\033[%dA", rows);
}

/* Columns of a line of our own making: colours take none. */
static int line_columns(struct str line)
{
    struct buf text = {0};
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\033')
            while (i < line.n && line.p[i] != 'm')
                i++;
        else
            buf_add_char(&text, line.p[i]);
    }
    int columns = pen_columns(buf_str(&text));
    buf_done(&text);
    return columns;
}

/* Each line over the old one, then whatever is left below it away: no flicker. */
static void draw_block(struct live *l)
{
    struct str rest = {buf_str(&l->block), l->block.n};
    l->rows_n = 0;
    while (rest.n && l->rows_n < LIVE_BLOCK_LINES) {
        struct str line = str_split(&rest, '\n');
        buf_add(&l->pending, line.p, line.n);
        buf_add_str(&l->pending, "\033[K\n");
        l->rows[l->rows_n++] = line_columns(line);
    }
    buf_add_str(&l->pending, "\033[J");
}

static void erase_block(struct live *l)
{
    if (l->rows_n == 0)
        return;
    to_block_start(l);
    buf_add_str(&l->pending, "\033[J");
    l->rows_n = 0;
}

static void say_dropped(struct live *l)
{
    char text[80];
    if (l->dropped == 0)
        return;
    snprintf(text, sizeof text, "%llu lines left out here: the terminal was too slow",
             (unsigned long long)l->dropped);
    l->dropped = 0;
    live_view_event(&l->look, l->last_ns, LIVE_WARN, "live", text, &l->pending);
}

void live_line(struct live *l, int64_t t_ns, enum live_tone tone, const char *area, const char *fmt,
               ...)
{
    va_list ap;
    if (l->quiet || l->dead)
        return;
    flush(l);
    if (l->pending.n > PENDING_BYTES) {
        l->dropped++;
        return;
    }
    l->last_ns = t_ns;
    buf_clear(&l->next);
    va_start(ap, fmt);
    buf_vprintf(&l->next, fmt, ap);
    va_end(ap);
    measure(l);
    bool drawn = l->rows_n > 0;
    erase_block(l);
    say_dropped(l);
    live_view_event(&l->look, t_ns, tone, area, buf_str(&l->next), &l->pending);
    if (drawn)
        draw_block(l);
    flush(l);
}

static void status_block(struct live *l, const struct live_status *status)
{
    int width = l->look.width;
    measure(l);
    buf_clear(&l->next);
    live_view_block(&l->view, status, &l->look, &l->next);
    bool same = l->rows_n > 0 && width == l->look.width && l->next.n == l->block.n &&
                memcmp(buf_str(&l->next), buf_str(&l->block), l->next.n) == 0;
    if (same || l->pending.n > 0) /* a slow terminal gets fewer pictures, never old ones late */
        return;
    to_block_start(l);
    buf_clear(&l->block);
    buf_add(&l->block, l->next.p, l->next.n);
    draw_block(l);
    flush(l);
}

void live_status(struct live *l, const struct live_status *status)
{
    if (l->quiet || l->dead)
        return;
    flush(l);
    live_view_note(&l->view, status);
    if (l->block_wanted) {
        status_block(l, status);
        return;
    }
    if (status->t_ns < l->next_plain_ns || l->pending.n > PENDING_BYTES)
        return;
    if (l->next_plain_ns > 0)
        live_view_plain(status, &l->look, &l->pending);
    l->next_plain_ns = status->t_ns + PLAIN_EVERY_NS;
    flush(l);
}

void live_close(struct live *l)
{
    if (!l)
        return;
    if (!l->quiet) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        erase_block(l);
        say_dropped(l);
        int64_t limit = clock_now_ns() + CLOSE_WAIT_MS * NS_PER_MS;
        for (flush(l); l->pending.n > 0 && !l->dead && clock_now_ns() < limit; flush(l))
            poll(&p, 1, CLOSE_WAIT_MS);
    }
    if (l->own_fd)
        close(l->fd);
    buf_done(&l->pending);
    buf_done(&l->block);
    buf_done(&l->next);
    free(l);
}
