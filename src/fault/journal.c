#include "fault/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

_Static_assert(sizeof(struct journal_header) <= 4096, "the header has one page");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
               "words shared between processes must not need a lock");

int journal_state_dir(const char *dir, char *ret, size_t cap)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int n;
    if (dir)
        n = snprintf(ret, cap, "%s", dir);
    else if (runtime && runtime[0] == '/')
        n = snprintf(ret, cap, "%s/squall", runtime);
    else if (geteuid() == 0)
        n = snprintf(ret, cap, "/run/squall");
    else
        n = snprintf(ret, cap, "/tmp/squall-%u", (unsigned)geteuid());
    return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

/* The folder must be ours alone: in /tmp anybody could have made it before us. */
static int make_state_dir(const char *dir, struct err *err)
{
    struct stat st;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make the state folder %s: %s", dir, strerror(errno));
    if (lstat(dir, &st) < 0)
        return err_set(err, -errno, "cannot read the state folder %s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(err, -EPERM,
                       "the state folder %s is not a folder of this user; remove it, or set "
                       "XDG_RUNTIME_DIR",
                       dir);
    if ((st.st_mode & 077) && chmod(dir, 0700) < 0)
        return err_set(err, -errno, "cannot close the state folder %s to others: %s", dir,
                       strerror(errno));
    return 0;
}

static uint64_t random_u64(void)
{
    uint64_t x;
    if (getrandom(&x, sizeof x, GRND_NONBLOCK) != sizeof x)
        x = (uint64_t)clock_wall_ns() ^ (uint64_t)clock_now_ns() << 20;
    return x;
}

static int map_file(struct journal *j, int fd)
{
    void *p = mmap(NULL, JOURNAL_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    j->fd = fd;
    j->header = p;
    j->slots = (struct journal_slot *)((char *)p + 4096);
    return 0;
}

static void fill_header(struct journal *j)
{
    struct journal_header *h = j->header;
    h->version = JOURNAL_VERSION;
    h->file_bytes = JOURNAL_FILE_BYTES;
    procid_boot_id(h->boot_id);
    h->namespace = procid_namespace();
    snprintf(h->path, sizeof h->path, "%s", j->path);
    journal_beat(j, JOURNAL_MAIN);
    memcpy(h->magic, JOURNAL_MAGIC, sizeof JOURNAL_MAGIC);
}

/* Takes over `low`: a descriptor above the numbers that members get (member.h), before there is a
 * lock to lose. */
static int fill_file(struct journal *j, int low)
{
    int fd = fcntl(low, F_DUPFD_CLOEXEC, 64), r = fd < 0 ? -errno : 0;
    close(low);
    if (r < 0)
        return r;
    r = -posix_fallocate(fd, 0, JOURNAL_FILE_BYTES);
    if (r == 0)
        r = map_file(j, fd);
    if (r < 0) {
        close(fd);
        return r;
    }
    fill_header(j);
    return journal_take_role(j, JOURNAL_MAIN);
}

/* Where there are no nameless files: under a dot name, locked and filled, then renamed. `squall
 * undo` of another process so never meets a journal that is half made, and may remove an unlocked
 * dot file. */
static int make_named_file(struct journal *j, const char *hidden)
{
    int fd = open(hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = fill_file(j, fd);
    if (r == 0 && rename(hidden, j->path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(hidden);
        journal_done(j);
    }
    return r;
}

static int make_file(struct journal *j, const char *dir)
{
    char name[96], hidden[sizeof j->path];
    snprintf(name, sizeof name, "journal-%d-%016llx", (int)getpid(),
             (unsigned long long)random_u64());
    int n = snprintf(j->path, sizeof j->path, "%s/%s", dir, name);
    int m = snprintf(hidden, sizeof hidden, "%s/.%s", dir, name);
    if (n < 0 || m < 0 || (size_t)n >= sizeof j->path || (size_t)m >= sizeof hidden)
        return -ENAMETOOLONG;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        return make_named_file(j, hidden);
    if (fd < 0)
        return -errno;
    int r = fill_file(j, fd);
    if (r < 0)
        journal_done(j);
    j->hidden = r == 0;
    return r;
}

int journal_make(struct journal *j, const char *dir, struct err *err)
{
    char resolved[512], full[PATH_MAX];
    *j = (struct journal){.fd = -1};
    int r = journal_state_dir(dir, resolved, sizeof resolved);
    if (r < 0)
        return err_set(err, r, "the name of the state folder is too long");
    /* a clean-up running at the same time may take the fresh dot file for a left-over one, or the
     * folder for one that nobody needs any more */
    for (int i = 0; i < 5; i++) {
        r = make_state_dir(resolved, err);
        if (r < 0 && r != -ENOENT)
            return r;
        if (r == 0)
            r = realpath(resolved, full) ? make_file(j, full) : -errno;
        if (r != -EAGAIN && r != -ENOENT)
            break;
    }
    if (r < 0)
        return err_set(err, r, "cannot make the undo journal in %s: %s", resolved, strerror(-r));
    return 0;
}

static int name_file(struct journal *j)
{
    char self[64], dir[sizeof j->path];
    snprintf(self, sizeof self, "/proc/self/fd/%d", j->fd);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(j->path, '/') - j->path), j->path);
    for (int i = 0; i < 5; i++) {
        if (linkat(AT_FDCWD, self, AT_FDCWD, j->path, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        /* the last journal of another run may have taken the folder with it */
        if (errno != ENOENT || (mkdir(dir, 0700) < 0 && errno != EEXIST))
            return -errno;
    }
    return -ENOENT;
}

int journal_publish(struct journal *j, struct err *err)
{
    if (!j->hidden)
        return 0;
    int r = name_file(j);
    if (r < 0)
        return err_set(err, r, "cannot name the undo journal %s: %s", j->path, strerror(-r));
    j->hidden = false;
    return 0;
}

int journal_create(struct journal *j, const char *dir, struct err *err)
{
    int r = journal_make(j, dir, err);
    if (r == 0 && (r = journal_publish(j, err)) < 0)
        journal_done(j);
    return r;
}

int journal_attach(struct journal *j, int fd)
{
    struct stat st;
    *j = (struct journal){.fd = -1};
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size != JOURNAL_FILE_BYTES)
        return -EBADMSG;
    int r = map_file(j, fd);
    if (r < 0)
        return r;
    const struct journal_header *h = j->header;
    if (memcmp(h->magic, JOURNAL_MAGIC, sizeof JOURNAL_MAGIC) != 0 ||
        h->version != JOURNAL_VERSION || h->file_bytes != JOURNAL_FILE_BYTES ||
        strnlen(h->path, sizeof h->path) == sizeof h->path ||
        strnlen(h->boot_id, sizeof h->boot_id) == sizeof h->boot_id) {
        munmap(j->header, JOURNAL_FILE_BYTES);
        *j = (struct journal){.fd = -1};
        return -EBADMSG;
    }
    memcpy(j->path, h->path, sizeof j->path);
    return 0;
}

void journal_done(struct journal *j)
{
    if (j->header)
        munmap(j->header, JOURNAL_FILE_BYTES);
    if (j->fd >= 0)
        close(j->fd);
    *j = (struct journal){.fd = -1};
}

/* A default state folder (.../squall, .../squall-UID) goes with the last thing in it; one that a
 * caller named is the caller's. */
static void drop_state_dir(const char *journal_path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", journal_path);
    char *end = strrchr(dir, '/');
    if (!end)
        return;
    *end = '\0';
    const char *name = strrchr(dir, '/');
    if (name && strncmp(name, "/squall", 7) == 0)
        rmdir(dir);
}

void journal_unlink(struct journal *j)
{
    struct stat ours, there;
    if (j->hidden)
        drop_state_dir(j->path);
    if (fstat(j->fd, &ours) < 0 || lstat(j->path, &there) < 0 || ours.st_ino != there.st_ino ||
        ours.st_dev != there.st_dev)
        return;
    unlink(j->path);
    drop_state_dir(j->path);
}

static struct flock role_lock(enum journal_role role)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)role, .l_len = 1};
}

int journal_take_role(struct journal *j, enum journal_role role)
{
    struct flock lock = role_lock(role);
    if (fcntl(j->fd, F_SETLK, &lock) < 0)
        return errno == EACCES ? -EAGAIN : -errno;
    struct journal_owner *owner = &j->header->owner[role];
    owner->pid = getpid();
    owner->start = procid_start(getpid());
    return 0;
}

pid_t journal_holder(const struct journal *j, enum journal_role role)
{
    struct flock lock = role_lock(role);
    if (fcntl(j->fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid > 0 ? lock.l_pid : -1;
}

bool journal_move_phase(struct journal *j, enum journal_phase to)
{
    uint32_t from = JOURNAL_RUN;
    return atomic_compare_exchange_strong(&j->header->phase, &from, to);
}

enum journal_phase journal_phase(const struct journal *j)
{
    return atomic_load(&j->header->phase);
}

void journal_beat(struct journal *j, enum journal_role role)
{
    atomic_store_explicit(&j->header->beat_ns[role], clock_now_ns(), memory_order_relaxed);
}

/* FNV-1a (Fowler, Noll, Vo), folded to 32 bits: against torn writes, not against forgery. */
static uint32_t checksum(const struct journal_entry *entry)
{
    const unsigned char *p = (const unsigned char *)entry;
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < sizeof *entry; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return (uint32_t)(h ^ h >> 32);
}

int journal_intent(struct journal *j, enum journal_role writer, const struct journal_entry *entry)
{
    int first = writer == JOURNAL_MAIN ? 0 : JOURNAL_MAIN_SLOTS;
    int end = writer == JOURNAL_MAIN ? JOURNAL_MAIN_SLOTS : JOURNAL_SLOTS;
    for (int i = first; i < end; i++) {
        struct journal_slot *s = &j->slots[i];
        if (atomic_load_explicit(&s->state, memory_order_acquire) != JOURNAL_FREE)
            continue;
        s->entry = *entry;
        s->entry.sequence = atomic_fetch_add(&j->header->sequence, 1);
        s->checksum = checksum(&s->entry);
        atomic_store_explicit(&s->state, JOURNAL_INTENT, memory_order_release);
        return i;
    }
    return -ENOSPC;
}

static struct journal_slot *slot_at(const struct journal *j, int slot)
{
    assert(slot >= 0 && slot < JOURNAL_SLOTS);
    return &j->slots[slot];
}

void journal_active(struct journal *j, int slot)
{
    atomic_store_explicit(&slot_at(j, slot)->state, JOURNAL_ACTIVE, memory_order_release);
}

void journal_free(struct journal *j, int slot)
{
    atomic_store_explicit(&slot_at(j, slot)->state, JOURNAL_FREE, memory_order_release);
}

int journal_read(const struct journal *j, int slot, struct journal_entry *ret)
{
    const struct journal_slot *s = slot_at(j, slot);
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    if (state == JOURNAL_FREE)
        return JOURNAL_FREE;
    *ret = s->entry;
    if (s->checksum != checksum(ret) || ret->path[JOURNAL_PATH_BYTES - 1] ||
        ret->home[JOURNAL_PATH_BYTES - 1])
        return state == JOURNAL_INTENT ? -EBADMSG : -EUCLEAN;
    return state == JOURNAL_INTENT ? JOURNAL_INTENT : JOURNAL_ACTIVE;
}

size_t journal_used(const struct journal *j)
{
    struct journal_entry entry;
    size_t n = 0;
    for (int i = 0; i < JOURNAL_SLOTS; i++) {
        int r = journal_read(j, i, &entry);
        n += r != JOURNAL_FREE && r != -EBADMSG;
    }
    return n;
}
