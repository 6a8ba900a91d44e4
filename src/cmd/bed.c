#include "cmd/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void on_lab_io(struct loop *loop, struct io *io, uint32_t events)
{
    struct bed *b = container_of(io, struct bed, lab_io);
    if (lab_dispatch(b->lab) < 0)
        io_remove(loop, io);
}

static void on_guard_io(struct loop *loop, struct io *io, uint32_t events)
{
    struct bed *b = container_of(io, struct bed, guard_io);
    if (guard_dispatch(b->guard) < 0)
        io_remove(loop, io);
}

static int make_run_dir(struct bed *b, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    struct stat st;
    if (!tmp || tmp[0] != '/')
        tmp = "/tmp";
    if (stat(tmp, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "TMPDIR is \"%s\", which is no folder", tmp);
    if ((size_t)snprintf(b->run_dir, sizeof b->run_dir, "%s/squall-%s", tmp, b->config.id) >=
        sizeof b->run_dir)
        return err_set(err, -ENAMETOOLONG, "TMPDIR is \"%s\", which is too long", tmp);
    int r = guard_note_dir(b->guard, b->run_dir);
    if (r < 0)
        return err_set(err, r, "undo journal: %s", strerror(-r));
    if (mkdir(b->run_dir, 0700) < 0)
        return err_set(err, -errno, "working folder %s: %s", b->run_dir, strerror(errno));
    return 0;
}

/* What an earlier run left because all its processes were killed goes first. Told once there is
 * somebody to tell it. */
static void recover_earlier(struct bed *b)
{
    struct err err = {0};
    int n = guard_recover(NULL, &b->recovered, &err);
    if (n == 0)
        buf_clear(&b->recovered);
    if (n < 0) {
        b->undo_failed = true;
        buf_printf(&b->recovered, "%s\n", err.msg);
    }
}

/* Somebody watches over main before main makes anything that would have to be undone. */
static int open_guard(struct bed *b, int agent_wire, struct err *err)
{
    struct guard_config config = {.on_event = b->config.on_guard, .ctx = b->config.ctx};
    int r = guard_new(&config, &b->guard, err);
    if (r == 0)
        r = guard_start(b->guard, agent_wire, err);
    if (r == 0 && b->config.on_guarded)
        r = b->config.on_guarded(b->config.ctx, err);
    return r;
}

static void on_wait(void *ctx)
{
    guard_beat(((struct bed *)ctx)->guard);
}

static void on_lab_event(void *ctx, const struct lab_event *e)
{
    const struct bed *b = ctx;
    b->config.on_lab(b->config.ctx, e);
}

/* The kernel will not end such a lab by itself: written down before its first process is there. */
static int on_loopback(void *ctx, uint64_t mark)
{
    const struct bed *b = ctx;
    return guard_note_mark(b->guard, mark);
}

static int open_lab(struct bed *b, int agent_wire, const char *refused, struct err *err)
{
    struct lab_config config = {.plan = b->config.plan,
                                .run_dir = b->run_dir,
                                .on_event = on_lab_event,
                                .ctx = b,
                                .agent_wire = agent_wire,
                                .log_fd = b->log_fd,
                                .log_lost = &b->log_lost,
                                .on_wait = on_wait,
                                .refused = refused,
                                .on_loopback = on_loopback};
    int r = lab_open(&config, &b->lab, err); /* takes the wire over */
    if (r == 0 && (r = guard_note_process(b->guard, lab_init_pid(b->lab))) < 0)
        err_set(err, r, "undo journal: %s", strerror(-r));
    return r;
}

static int open_log(struct bed *b, struct err *err)
{
    const char *path = b->config.pcap;
    if (!path)
        return 0;
    b->log_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (b->log_fd < 0) {
        int e = errno;
        b->log_fd = 0;
        return err_set(err, -e, "cannot create packet log '%s': %s", path, strerror(e));
    }
    return 0;
}

/* One that holds nothing is not left behind. */
static void close_log(struct bed *b)
{
    struct stat st;
    if (b->log_fd == 0)
        return;
    b->logged = fstat(b->log_fd, &st) == 0 && st.st_size > 0;
    if (!b->logged)
        unlink(b->config.pcap);
    close(b->log_fd);
    b->log_fd = 0;
}

int bed_open(struct bed *b, const struct bed_config *config, struct err *err)
{
    int wire[2], r;
    struct err refused = {0};
    b->config = *config;
    if ((r = open_log(b, err)) < 0)
        return r;
    recover_earlier(b);
    bool can = lab_become_root(&refused) == 0;
    if ((r = lab_wire(wire)) < 0)
        return err_set(err, r, "connections of the lab: %s", strerror(-r));
    if ((r = open_guard(b, wire[0], err)) < 0 || (r = make_run_dir(b, err)) < 0)
        close(wire[1]);
    else
        r = open_lab(b, wire[1], can ? NULL : refused.msg, err);
    close(wire[0]);
    if (r < 0)
        return r;
    io_init(&b->lab_io, on_lab_io);
    io_init(&b->guard_io, on_guard_io);
    if ((r = io_add(config->loop, &b->lab_io, lab_fd(b->lab), EPOLLIN)) < 0 ||
        (r = io_add(config->loop, &b->guard_io, guard_fd(b->guard), EPOLLIN)) < 0)
        return err_set(err, r, "event loop: %s", strerror(-r));
    return 0;
}

int bed_close(struct bed *b, struct err *err)
{
    int r = 0;
    if (b->lab) {
        if (b->lab_io.fn)
            io_remove(b->config.loop, &b->lab_io);
        lab_close(b->lab);
        b->lab = NULL;
    }
    close_log(b);
    if (!b->guard)
        return 0;
    if (b->guard_io.fn)
        io_remove(b->config.loop, &b->guard_io);
    if ((r = guard_close(b->guard, err)) < 0)
        b->undo_failed = true;
    b->guard = NULL;
    return r;
}

void bed_tell_log(const struct bed *b, bool quiet)
{
    if (!b->config.pcap)
        return;
    if (!b->logged)
        fprintf(stderr, "squall: no packet log: no packet passed through squall\n");
    else if (!quiet)
        printf("packet log: %s\n", b->config.pcap);
    if (b->log_lost)
        fprintf(stderr,
                "squall: packet log %s: %llu packets could not be written; is the disk full?\n",
                b->config.pcap, (unsigned long long)b->log_lost);
}

void bed_done(struct bed *b)
{
    buf_done(&b->recovered);
}
