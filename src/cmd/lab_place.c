#include "cmd/lab_place.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/lab_ask.h"
#include "fault/guard.h"
#include "fault/journal.h"

#define PREFIX        "squall-lab-"
#define SOCKET_NAME   "control"
#define LOCK_TRIES    300 /* of 10 ms */
#define CONNECT_TRIES 200 /* of 10 ms */
#define WAITING_MAX   16
#define ANSWER_BYTES  (2 * (int)ASK_BYTES)

bool place_name_ok(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && (name[i] != '-' || i == 0))
            return false;
    return n > 0 && n < PLACE_NAME_BYTES;
}

void place_name_from(const char *text, char ret[PLACE_NAME_BYTES])
{
    size_t n = 0;
    for (; *text && n + 1 < PLACE_NAME_BYTES; text++) {
        bool fits = isalnum((unsigned char)*text) || *text == '_';
        if (fits || (n > 0 && ret[n - 1] != '-'))
            ret[n++] = fits ? *text : '-';
    }
    while (n > 0 && ret[n - 1] == '-')
        n--;
    ret[n] = '\0';
    if (n == 0)
        snprintf(ret, PLACE_NAME_BYTES, "lab");
}

/* The socket of a folder by the folder's descriptor: no limit of length, no race with its name. */
static struct sockaddr_un address(int dir_fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, dir_fd);
    return a;
}

static int new_socket(void)
{
    int bytes = ANSWER_BYTES;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return fd;
}

static int listen_in(int dir_fd)
{
    struct sockaddr_un a = address(dir_fd);
    int fd = new_socket();
    if (fd < 0)
        return fd;
    mode_t old = umask(0177);
    int r = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
    umask(old);
    if (r == 0 && listen(fd, WAITING_MAX) < 0)
        r = -errno;
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

static int connect_to(int dir_fd)
{
    struct sockaddr_un a = address(dir_fd);
    int fd = new_socket();
    if (fd < 0)
        return fd;
    int r = 0;
    for (int i = 0; i < CONNECT_TRIES; i++) {
        r = connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
        if (r != -EAGAIN) /* else its queue is full */
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

/* --- walking ---------------------------------------------------------------------------------- */

int place_open(struct place_walk *w, struct err *err)
{
    struct stat st;
    *w = (struct place_walk){0};
    int r = journal_state_dir(NULL, w->dir, sizeof w->dir);
    if (r < 0)
        return err_set(err, r, "the name of the state folder is too long");
    int fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_set(err, -errno, "state folder %s: %s", w->dir, strerror(errno));
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077)) {
        close(fd);
        return err_set(err, -EPERM,
                       "the state folder %s is not this user's alone; run squall as the user who "
                       "started the lab",
                       w->dir);
    }
    w->d = fdopendir(fd);
    if (!w->d) {
        r = -errno;
        close(fd);
        return err_set(err, r, "state folder %s: %s", w->dir, strerror(-r));
    }
    return 0;
}

static bool take_entry(const struct place_walk *w, const char *entry, struct place_found *ret)
{
    const char *name = entry + sizeof PREFIX - 1, *dot = strrchr(entry, '.');
    struct stat st;
    if (strncmp(entry, PREFIX, sizeof PREFIX - 1) != 0 || !dot || dot < name)
        return false;
    int n = snprintf(ret->name, sizeof ret->name, "%.*s", (int)(dot - name), name);
    int m = snprintf(ret->path, sizeof ret->path, "%s/%s", w->dir, entry);
    if (n < 0 || (size_t)n >= sizeof ret->name || !place_name_ok(ret->name) || m < 0 ||
        (size_t)m >= sizeof ret->path)
        return false;
    int dir_fd CLEANUP(close_p) =
        openat(dirfd(w->d), entry, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0 || fstat(dir_fd, &st) < 0 || st.st_uid != geteuid())
        return false;
    ret->fd = connect_to(dir_fd);
    return true;
}

bool place_next(struct place_walk *w, struct place_found *ret)
{
    struct dirent *e;
    while (w->d && (e = readdir(w->d)))
        if (take_entry(w, e->d_name, ret))
            return true;
    return false;
}

void place_close(struct place_walk *w)
{
    if (w->d)
        closedir(w->d);
    w->d = NULL;
}

/* --- making ----------------------------------------------------------------------------------- */

/* -EEXIST when a keeper of that name answers. */
static int check_name(struct place *p, const char *name, struct err *err)
{
    struct place_walk w;
    struct place_found found;
    int r = place_open(&w, err);
    while (r == 0 && place_next(&w, &found)) {
        if (found.fd < 0)
            continue;
        close(found.fd);
        p->others++;
        if (strcmp(found.name, name) == 0)
            r = err_set(err, -EEXIST,
                        "a lab called \"%s\" runs already; stop it with `squall lab down --lab "
                        "%s`, or give this one another name with --name",
                        name, name);
    }
    place_close(&w);
    return r;
}

static int lock_state(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "state folder %s: %s", dir, strerror(errno));
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        int r = -errno;
        if (r != -EWOULDBLOCK || i == LOCK_TRIES) {
            close(fd);
            return err_set(err, r, "locking the state folder %s: %s", dir, strerror(-r));
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return fd;
}

static int make_locked(struct place *p, struct guard *guard, const char *dir, const char *name,
                       struct err *err)
{
    int r = check_name(p, name, err);
    if (r < 0)
        return r;
    int n = snprintf(p->path, sizeof p->path, "%s/" PREFIX "%s.%d", dir, name, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof p->path)
        return err_set(err, -ENAMETOOLONG, "the path of the state folder %s is too long", dir);
    if ((r = guard_note_dir(guard, p->path)) < 0)
        return err_set(err, r, "undo journal: %s", strerror(-r));
    if (mkdir(p->path, 0700) < 0)
        return err_set(err, -errno, "folder %s: %s", p->path, strerror(errno));
    p->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = p->dir_fd < 0 ? -errno : 0;
    if (r == 0)
        r = p->listen_fd = listen_in(p->dir_fd);
    return r < 0 ? err_set(err, r, "control socket in %s: %s", p->path, strerror(-r)) : 0;
}

int place_make(struct place *p, struct guard *guard, const char *name, struct err *err)
{
    char dir[PLACE_PATH_BYTES];
    *p = (struct place){.dir_fd = -1, .listen_fd = -1};
    int r = journal_state_dir(NULL, dir, sizeof dir);
    if (r < 0)
        return err_set(err, r, "the name of the state folder is too long");
    int lock CLEANUP(close_p) = lock_state(dir, err); /* goes with its holder */
    if (lock < 0)
        return lock;
    r = make_locked(p, guard, dir, name, err);
    if (r < 0)
        place_done(p);
    return r;
}

int place_log(const struct place *p)
{
    int fd = openat(p->dir_fd, "log", O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

void place_done(struct place *p)
{
    close_p(&p->listen_fd);
    close_p(&p->dir_fd);
    p->listen_fd = p->dir_fd = -1;
}
