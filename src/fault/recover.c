/*
 * recover.c - `squall undo`: replays the journals that a killed family left in the state folder.
 *
 * A journal is left over when nobody holds a role in it (the kernel drops the locks of a dead
 * process); the replayer takes main's role, so that two of them cannot work on the same one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fault/ctx.h"
#include "fault/guard.h"

#define PREFIX          "journal-"
#define SURVIVORS_TRIES 1000 /* of 10 ms */

struct recovery {
    struct buf *text;
    int undone, failed;
};

static bool is_ours(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
}

/* This process's own journal must not even be opened: closing it would drop its locks. */
static bool is_own(const char *name)
{
    return strtol(name + sizeof PREFIX - 1, NULL, 10) == getpid();
}

static pid_t any_holder(const struct journal *j)
{
    pid_t holder = 0;
    for (int role = 0; role < JOURNAL_ROLE_COUNT && holder == 0; role++)
        holder = journal_holder(j, (enum journal_role)role);
    return holder;
}

/* Half made and never named: nothing had been done yet. */
static void remove_unfinished(int dir_fd, const char *name)
{
    int fd CLEANUP(close_p) = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct journal j = {.fd = fd};
    if (fd >= 0 && is_ours(fd) && any_holder(&j) == 0)
        unlinkat(dir_fd, name, 0);
}

/* After a reboot no process, limit, group or lab of then exists; pids mean others now. */
static void drop_earlier_boot(struct journal *j)
{
    struct journal_entry e;
    for (int i = 0; i < JOURNAL_SLOTS; i++)
        if (journal_read(j, i, &e) > 0 && e.kind != ACTION_DIR && action_of(e.kind))
            journal_free(j, i);
}

static void replay(struct recovery *r, struct journal *j, const char *name, int main_pid)
{
    struct action_scope all = {.first = 0, .end = JOURNAL_SLOTS, .fault = ACTION_ANY_FAULT};
    struct fault_ctx ctx = {.journal = j, .role = JOURNAL_MAIN, .lab_fd = -1, .fault = -1};
    char boot_id[BOOT_ID_BYTES];
    int failed;
    procid_boot_id(boot_id);
    bool same_boot = strcmp(boot_id, j->header->boot_id) == 0;
    if (!same_boot) {
        drop_earlier_boot(j);
    } else if (j->header->namespace != procid_namespace()) {
        buf_printf(r->text, "%s: made in another PID namespace; run squall undo there\n", name);
        r->failed++;
        return;
    }
    buf_printf(r->text, "%s: left by process %d%s\n", name, main_pid,
               same_boot ? "" : ", before the last reboot");
    r->undone += action_replay(&ctx, &all, r->text, &failed);
    r->failed += failed;
    if (failed == 0)
        journal_unlink(j);
}

/* Without main, an agent or undertaker that lives is undoing just now: let it finish. */
static void await_survivors(const struct journal *j)
{
    for (int i = 0; i < SURVIVORS_TRIES; i++) {
        if (journal_holder(j, JOURNAL_MAIN) != 0 || any_holder(j) == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static bool is_removed(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

static void recover_one(struct recovery *r, int dir_fd, const char *name)
{
    struct journal j;
    int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return; /* its owner has just removed it */
    if (!is_ours(fd) || journal_attach(&j, fd) < 0) {
        buf_printf(r->text, "%s: not a journal of this version; left alone\n", name);
        r->failed++;
        close(fd);
        return;
    }
    await_survivors(&j);
    if (is_removed(fd)) {
        journal_done(&j);
        return;
    }
    pid_t holder = any_holder(&j);
    int main_pid = j.header->owner[JOURNAL_MAIN].pid;
    /* the name under which it was found is what may be removed */
    char *slash = strrchr(j.path, '/');
    if (holder != 0 || journal_take_role(&j, JOURNAL_MAIN) < 0)
        buf_printf(r->text, "%s: in use by process %d; left alone\n", name, (int)holder);
    else if (!slash || strcmp(slash + 1, name) != 0) {
        buf_printf(r->text, "%s: renamed by somebody; left alone\n", name);
        r->failed++;
    } else
        replay(r, &j, name, main_pid);
    journal_done(&j);
}

int guard_recover(const char *state_dir, struct buf *text, struct err *err)
{
    struct recovery r = {.text = text};
    char dir[512];
    int e = journal_state_dir(state_dir, dir, sizeof dir);
    if (e < 0)
        return err_set(err, e, "the name of the state folder is too long");
    DIR *d = opendir(dir);
    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return err_set(err, -errno, "cannot read the state folder %s: %s", dir, strerror(errno));
    for (struct dirent *entry; (entry = readdir(d));) {
        const char *name = entry->d_name;
        if (strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 && !is_own(name))
            recover_one(&r, dirfd(d), name);
        else if (strncmp(name, "." PREFIX, sizeof PREFIX) == 0 && !is_own(name + 1))
            remove_unfinished(dirfd(d), name);
    }
    closedir(d);
    if (r.failed)
        return err_set(err, -EBUSY, "%d change(s) could not be undone", r.failed);
    return r.undone;
}
