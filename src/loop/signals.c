#include "loop/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_readable(struct loop *loop, struct io *io, uint32_t events)
{
    struct signals *s = container_of(io, struct signals, io);
    struct signalfd_siginfo info;
    while (io->fd >= 0 && read(io->fd, &info, sizeof info) == sizeof info)
        s->fn(s, (int)info.ssi_signo);
}

int signals_open(struct loop *loop, struct signals *s, const int *signos, int n, signal_fn *fn)
{
    sigset_t mask;
    sigemptyset(&mask);
    for (int i = 0; i < n; i++)
        sigaddset(&mask, signos[i]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &mask, &s->old_mask) < 0)
        return -errno;
    s->fn = fn;
    io_init(&s->io, on_readable);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    int r = fd < 0 ? -errno : io_add(loop, &s->io, fd, EPOLLIN);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    }
    return r;
}

void signals_close(struct loop *loop, struct signals *s)
{
    int fd = s->io.fd;
    io_remove(loop, &s->io);
    if (fd >= 0)
        close(fd);
    sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}

void signals_reset(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
