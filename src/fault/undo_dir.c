/*
 * undo_dir.c - removes a folder with all in it, and nothing else.
 *
 * The path was resolved when it was noted; here every component is opened without following a
 * symbolic link, and the tree below is removed by descriptor and name only, so that a service that
 * swaps a folder for a link while we work gains nothing. A mount point is never entered: other file
 * systems may be bound there. Depth is bounded by moving what lies too deep up to the top, not by
 * recursion.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "fault/ctx.h"

#define DEPTH_MAX 24

static const char *const temp_dirs[] = {"/tmp", "/var/tmp", "/run", "/dev/shm"};

/* Length of `dir`, resolved as path is, when path lies strictly below it, else 0. */
static size_t below(const char *path, const char *dir)
{
    char full[PATH_MAX];
    size_t n = realpath(dir, full) ? strlen(full) : 0;
    return n > 1 && strncmp(path, full, n) == 0 && path[n] == '/' && path[n + 1] ? n : 0;
}

static size_t allowed_prefix(const char *state_dir, const char *path)
{
    const char *name = strrchr(path, '/') + 1, *temp = getenv("TMPDIR");
    size_t n = state_dir ? below(path, state_dir) : 0;
    if (n)
        return n;
    if (strncmp(name, "squall", 6) != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(temp_dirs) && n == 0; i++)
        n = below(path, temp_dirs[i]);
    return n || !temp || temp[0] != '/' ? n : below(path, temp);
}

int action_dir_entry(struct journal_entry *e, const char *state_dir, const char *path)
{
    char parent[PATH_MAX], full[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || strlen(path) >= sizeof parent)
        return -EINVAL;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    if (!slash[1] || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
        return -EINVAL;
    if (!realpath(parent[0] ? parent : "/", full))
        return -errno;
    *e = (struct journal_entry){.kind = ACTION_DIR, .fault = -1};
    int n = snprintf(e->path, sizeof e->path, "%s%s", strcmp(full, "/") ? full : "", slash);
    if (n < 0 || (size_t)n >= sizeof e->path)
        return -ENAMETOOLONG;
    e->value = (int64_t)allowed_prefix(state_dir, e->path);
    return e->value ? 0 : -EINVAL;
}

struct removal {
    struct fault_ctx *ctx;
    int top_fd;
    uint64_t mount_id;
    dev_t dev;
    unsigned moved; /* names given to what was moved up */
    bool again;
};

/* The mount a descriptor lives on; falls back to the device where statx(2) cannot tell (< 5.8). */
static int mount_of(int fd, uint64_t *ret_id, dev_t *ret_dev)
{
    struct stat st;
    struct statx sx;
    if (fstat(fd, &st) < 0)
        return -errno;
    *ret_dev = st.st_dev;
    *ret_id = 0;
#ifdef STATX_MNT_ID
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) == 0 && (sx.stx_mask & STATX_MNT_ID))
        *ret_id = sx.stx_mnt_id;
#else
    (void)sx;
#endif
    return 0;
}

/* Opens a folder in another without following a link; a service may have taken its own rights away.
 */
static int open_dir(int at, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, name, flags);
    if (fd >= 0 || errno != EACCES)
        return fd < 0 ? -errno : fd;
    int path_fd CLEANUP(close_p) = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", path_fd);
    if (path_fd < 0 || chmod(self, 0700) < 0)
        return -errno;
    fd = openat(at, name, flags);
    return fd < 0 ? -errno : fd;
}

static int remove_below(struct removal *r, int fd, int depth);

static int remove_dir_at(struct removal *r, int at, const char *name, int depth)
{
    uint64_t id = 0;
    dev_t dev = 0;
    int fd = open_dir(at, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int res = mount_of(fd, &id, &dev);
    if (res == 0 && (id != r->mount_id || dev != r->dev))
        res = -EXDEV;
    if (res == 0 && depth == DEPTH_MAX) {
        char up[64];
        snprintf(up, sizeof up, ".squall-deep-%u-%d", r->moved++, (int)getpid());
        if (renameat(at, name, r->top_fd, up) < 0 && errno != ENOENT)
            res = -errno;
        r->again = true;
        close(fd);
        return res;
    }
    if (res == 0)
        res = remove_below(r, fd, depth + 1);
    close(fd);
    if (res == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        res = -errno;
    return res;
}

static int remove_entry(struct removal *r, int at, const char *name, int depth)
{
    ctx_beat(r->ctx);
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return 0;
    /* a folder: EISDIR on Linux, EPERM by POSIX */
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return -errno;
    int why = -errno, res = remove_dir_at(r, at, name, depth);
    return res == -ENOTDIR ? why : res;
}

/* Empties a folder; goes on after a failure and returns the first one. Takes its own copy of fd. */
static int remove_below(struct removal *r, int fd, int depth)
{
    int first = 0, copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        int res = -errno;
        if (copy >= 0)
            close(copy);
        return res;
    }
    rewinddir(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int res = remove_entry(r, fd, e->d_name, depth);
        if (res < 0 && first == 0)
            first = res;
    }
    closedir(d);
    return first;
}

/* The folder that holds path's last component, opened component by component without links. */
static int open_parent(const char *path, char *name, size_t cap)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *p = path + 1;
    for (;;) {
        size_t n = strcspn(p, "/");
        if (fd < 0)
            return -errno;
        if (n == 0 || n >= cap || strncmp(p, "..", n) == 0) {
            close(fd);
            return -EINVAL;
        }
        snprintf(name, cap, "%.*s", (int)n, p);
        if (!p[n])
            return fd;
        int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int why = errno;
        close(fd);
        errno = why;
        fd = next;
        p += n + 1;
    }
}

static bool path_allowed(const struct journal_entry *e)
{
    size_t prefix = (size_t)e->value;
    return e->path[0] == '/' && prefix > 1 && prefix < strlen(e->path) && e->path[prefix] == '/' &&
           e->path[prefix + 1];
}

static int remove_tree(struct fault_ctx *c, const char *path)
{
    char name[NAME_MAX + 1];
    struct removal r = {.ctx = c};
    struct stat st;
    int parent CLEANUP(close_p) = open_parent(path, name, sizeof name);
    if (parent < 0)
        return parent;
    uint64_t parent_id = 0;
    dev_t parent_dev = 0;
    r.top_fd = open_dir(parent, name);
    if (r.top_fd < 0)
        return r.top_fd;
    int res = mount_of(r.top_fd, &r.mount_id, &r.dev);
    if (res == 0)
        res = mount_of(parent, &parent_id, &parent_dev);
    if (res == 0 && (parent_id != r.mount_id || parent_dev != r.dev))
        res = -EXDEV;
    if (res == 0 && (fstat(r.top_fd, &st) < 0 || st.st_uid != geteuid()))
        res = -EPERM;
    while (res == 0) {
        r.again = false;
        res = remove_below(&r, r.top_fd, 0);
        if (!r.again)
            break;
    }
    close(r.top_fd);
    if (res == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        res = -errno;
    return res;
}

int undo_dir(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    int r = path_allowed(e) ? 0 : -EINVAL;
    /* a process that is just ending may still write into the tree: -ENOTEMPTY, once more */
    for (int i = 0; i < 5 && (i == 0 || r == -ENOTEMPTY); i++)
        r = r == -EINVAL ? r : remove_tree(c, e->path);
    if (r == -ENOENT) {
        snprintf(text, cap, "folder %.180s is already gone", e->path);
        return 0;
    }
    snprintf(text, cap,
             r < 0 ? "folder %.150s could not be removed: %s" : "folder %.150s removed%s", e->path,
             r == -EXDEV    ? "a file system is mounted in it"
             : r == -EINVAL ? "it is outside the allowed folders"
             : r < 0        ? strerror(-r)
                            : "");
    return r;
}
