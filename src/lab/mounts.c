#include "lab/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define ETC_FILE_BYTES (1 << 20)
#define RUN_DIR_MAX    (PATH_MAX / 4) /* room for what is put behind it */

static int write_file(const char *path, const char *text, size_t n)
{
    CLEANUP(close_p)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < n;) {
        ssize_t r = write(fd, text + done, n - done);
        if (r < 0)
            return -errno;
        done += (size_t)r;
    }
    return 0;
}

static int join(char out[PATH_MAX], const char *dir, const char *name)
{
    size_t dir_n = strlen(dir), name_n = strlen(name);
    if (dir_n + name_n + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(out, dir, dir_n);
    out[dir_n] = '/';
    memcpy(out + dir_n + 1, name, name_n + 1);
    return 0;
}

static int bind_over(const char *from, const char *to)
{
    return mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

/* One entry of the old /etc into the shadow. Sockets and other oddities are left out. */
static int shadow_entry(const char *name, const char *shadow)
{
    char from[PATH_MAX], to[PATH_MAX], target[PATH_MAX];
    struct stat st;
    if (join(from, "/etc", name) < 0 || join(to, shadow, name) < 0)
        return -ENAMETOOLONG;
    if (lstat(from, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(from, target, sizeof target - 1);
        if (n < 0)
            return -errno;
        target[n] = '\0';
        return symlink(target, to) < 0 ? -errno : 0;
    }
    if (S_ISDIR(st.st_mode) && mkdir(to, 0755) < 0)
        return -errno;
    if (S_ISREG(st.st_mode)) {
        int r = write_file(to, "", 0);
        if (r < 0)
            return r;
    } else if (!S_ISDIR(st.st_mode)) {
        return 0;
    }
    return bind_over(from, to);
}

static int shadow_etc(const char *dir, const char *const *own, size_t own_n)
{
    char shadow[PATH_MAX];
    if (join(shadow, dir, "etc") < 0)
        return -ENAMETOOLONG;
    DIR *d = opendir("/etc");
    if (!d || mkdir(shadow, 0755) < 0) {
        int r = -errno;
        if (d)
            closedir(d);
        return r;
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        bool skip = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        for (size_t i = 0; i < own_n; i++)
            skip |= strcmp(e->d_name, own[i]) == 0;
        if (!skip)
            r = shadow_entry(e->d_name, shadow);
    }
    closedir(d);
    for (size_t i = 0; r == 0 && i < own_n; i++) {
        char path[PATH_MAX];
        r = join(path, shadow, own[i]);
        if (r == 0)
            r = write_file(path, "", 0);
    }
    return r < 0 ? r : bind_over(shadow, "/etc");
}

void mounts_nsswitch(struct buf *out, struct str text)
{
    while (text.n) {
        struct str line = str_split(&text, '\n');
        if (!str_prefix(str_trim(line), STR("hosts:"))) {
            buf_add(out, line.p, line.n);
            buf_add_char(out, '\n');
        }
    }
    buf_add_str(out, "hosts: files dns\n");
}

static const char *const etc_names[] = {"hosts", "resolv.conf", "nsswitch.conf"};

/* Time and tries are what a resolver has without being told: a slow answer has the effect that it
 * would have elsewhere. */
void mounts_resolv(struct buf *out, const char *resolver)
{
    if (resolver)
        buf_printf(out, "nameserver %s\noptions timeout:5 attempts:2\n", resolver);
    else
        buf_add_str(out, "# no name server: names of the lab are in /etc/hosts\n"
                         "options timeout:1 attempts:1\n");
}

static int fill_etc(const char *dir, const struct mounts_names *names)
{
    struct buf old = {0}, nss = {0}, resolv = {0};
    struct stat st;
    char path[PATH_MAX], target[PATH_MAX];
    bool whole = true;

    if (buf_read_file(&old, "/etc/nsswitch.conf", ETC_FILE_BYTES) < 0)
        buf_clear(&old);
    mounts_nsswitch(&nss, (struct str){buf_str(&old), old.n});
    mounts_resolv(&resolv, names->resolver);
    const char *texts[] = {names->resolver ? MOUNTS_LOCALHOST : names->hosts, buf_str(&resolv),
                           buf_str(&nss)};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(etc_names) && r == 0; i++) {
        if (join(path, dir, etc_names[i]) < 0 || join(target, "/etc", etc_names[i]) < 0)
            return -ENAMETOOLONG;
        whole = whole && stat(target, &st) == 0;
        r = write_file(path, texts[i], strlen(texts[i]));
    }
    if (r == 0 && !whole)
        r = shadow_etc(dir, etc_names, ARRAY_SIZE(etc_names));
    for (size_t i = 0; i < ARRAY_SIZE(etc_names) && r == 0; i++) {
        join(path, dir, etc_names[i]);
        join(target, "/etc", etc_names[i]);
        r = bind_over(path, target);
    }
    buf_done(&old);
    buf_done(&nss);
    buf_done(&resolv);
    return r;
}

static int make_tmpfs(const char *where, const char *options)
{
    return mount("squall", where, "tmpfs", MS_NOSUID, options) < 0 ? -errno : 0;
}

/* In a chroot "/" is no mount, so nothing can be said of its propagation there. setns to the mount
 * namespace that we are in already moves the root to the namespace's own; from there the chroot is
 * found again by its descriptor. */
static int private_from_chroot(void)
{
    int r = -EINVAL, root CLEANUP(close_p) = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ns CLEANUP(close_p) = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (root < 0 || ns < 0 || setns(ns, CLONE_NEWNS) < 0)
        return -errno;
    r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
    if (fchdir(root) < 0 || chroot(".") < 0)
        return -errno;
    return r;
}

int mounts_private(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    return errno == EINVAL ? private_from_chroot() : -errno;
}

int mounts_make(const char *run_dir, const struct mounts_names *names, struct err *err)
{
    char dir[PATH_MAX];
    int r;
    if ((r = mounts_private()) < 0)
        return err_set(err, r, "making mounts private was refused: %s", strerror(-r));
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_set(err, -errno,
                       "mounting /proc was refused (%s): a container that masks /proc does that; "
                       "run it privileged, or squall outside of it",
                       strerror(errno));
    if ((r = make_tmpfs(run_dir, "mode=0755")) < 0)
        return err_set(err, r, "mounting a tmpfs over '%s': %s", run_dir, strerror(-r));
    bool shm = access("/dev/shm", F_OK) == 0 && !str_prefix(str_of(run_dir), STR("/dev/shm/"));
    if (shm && (r = make_tmpfs("/dev/shm", "mode=1777")) < 0)
        return err_set(err, r, "mounting a tmpfs over /dev/shm: %s", strerror(-r));
    if (strlen(run_dir) > RUN_DIR_MAX || join(dir, run_dir, MOUNTS_DIR) < 0)
        return err_set(err, -ENAMETOOLONG, "the run folder's path is too long");
    if (mkdir(dir, 0755) < 0)
        return err_set(err, -errno, "mkdir '%s': %s", dir, strerror(errno));
    if ((r = fill_etc(dir, names)) < 0)
        return err_set(err, r,
                       "putting the lab's hosts, resolv.conf and nsswitch.conf into /etc: %s%s",
                       strerror(-r), r == -ENOENT ? "; remedy: make the folder /etc" : "");
    return 0;
}

bool mounts_path_ok(const char *path)
{
    struct str rest = str_of(path);
    if (!rest.n || path[0] == '/' || rest.n >= PATH_MAX / 2)
        return false;
    while (rest.n) {
        struct str part = str_split(&rest, '/');
        if (str_eq(part, STR("..")) || str_eq(part, STR(".")) || part.n == 0 || part.n > NAME_MAX)
            return false;
    }
    return path[strlen(path) - 1] != '/';
}

/* Creates the folders above `path` (which has a '/' after `base_n` bytes), owned like the rest. */
static int make_parents(char *path, size_t base_n, uid_t uid, gid_t gid)
{
    for (char *p = path + base_n + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        bool made = mkdir(path, 0755) == 0;
        int r = made || errno == EEXIST ? 0 : -errno;
        if (made && chown(path, uid, gid) < 0)
            r = -errno;
        *p = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

int mounts_work_dir(const char *run_dir, const struct plan_service *s, uid_t uid, gid_t gid,
                    struct err *err)
{
    char path[PATH_MAX];
    if (join(path, run_dir, s->name) < 0)
        return err_set(err, -ENAMETOOLONG, "working folder of '%s'", s->name);
    size_t base_n = strlen(path);
    if (mkdir(path, 0755) < 0 || chown(path, uid, gid) < 0)
        return err_set(err, -errno, "working folder of '%s': %s", s->name, strerror(errno));
    for (size_t i = 0; i < s->files_n; i++) {
        const struct plan_file *f = &s->files[i];
        if (!mounts_path_ok(f->path))
            return err_at(err, -EINVAL, f->pos.file, f->pos.line, f->pos.column,
                          "file '%s' of service '%s' is not below its working folder", f->path,
                          s->name);
        if ((size_t)snprintf(path + base_n, sizeof path - base_n, "/%s", f->path) >=
            sizeof path - base_n)
            return err_set(err, -ENAMETOOLONG, "file '%s' of service '%s'", f->path, s->name);
        int r = make_parents(path, base_n, uid, gid);
        if (r == 0)
            r = write_file(path, f->text, strlen(f->text));
        if (r == 0 && chown(path, uid, gid) < 0)
            r = -errno;
        if (r < 0)
            return err_at(err, r, f->pos.file, f->pos.line, f->pos.column,
                          "file '%s' of service '%s': %s", f->path, s->name, strerror(-r));
    }
    return 0;
}
