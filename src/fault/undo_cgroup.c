/*
 * undo_cgroup.c - dissolves a control group of ours, v1 or v2: thaw, members back, remove.
 *
 * cgroups(7): a group can be removed when it has no members; a dying member counts until it is
 * reaped by the kernel, so removal is tried for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "fault/ctx.h"

#define CGROUP_ROOT "/sys/fs/cgroup/"
#define TRIES       200 /* of 10 ms */

static bool path_ok(const char *path)
{
    return strncmp(path, CGROUP_ROOT, sizeof CGROUP_ROOT - 1) == 0 && !strstr(path, "/../") &&
           !strstr(path, "//") && path[strlen(path) - 1] != '/';
}

static bool group_ok(const char *path)
{
    return path_ok(path) && strncmp(strrchr(path, '/') + 1, "squall", 6) == 0;
}

int action_cgroup_entry(struct journal_entry *e, const char *path, const char *home, int version)
{
    *e = (struct journal_entry){.kind = ACTION_CGROUP, .fault = -1, .value = version};
    if (!group_ok(path) || !path_ok(home) || (version != 1 && version != 2))
        return -EINVAL;
    if (strlen(path) >= sizeof e->path || strlen(home) >= sizeof e->home)
        return -ENAMETOOLONG;
    snprintf(e->path, sizeof e->path, "%s", path);
    snprintf(e->home, sizeof e->home, "%s", home);
    return 0;
}

static int write_file(const char *dir, const char *name, const char *text)
{
    char path[JOURNAL_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd CLEANUP(close_p) = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void thaw(const struct journal_entry *e)
{
    if (e->value == 1)
        (void)write_file(e->path, "freezer.state", "THAWED");
    else
        (void)write_file(e->path, "cgroup.freeze", "0");
}

/* Sends each member home; the first bytes of the list are enough, the caller comes again. */
static void send_home(const struct journal_entry *e)
{
    char path[JOURNAL_PATH_BYTES + 32], parent[JOURNAL_PATH_BYTES], list[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", e->path);
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(e->path, '/') - e->path), e->path);
    int fd CLEANUP(close_p) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
    list[n > 0 ? n : 0] = '\0';
    for (char *p = list, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        if (write_file(e->home, "cgroup.procs", p) < 0)
            (void)write_file(parent, "cgroup.procs", p);
    }
}

int undo_cgroup(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    int r = group_ok(e->path) && path_ok(e->home) ? -EBUSY : -EINVAL;
    for (int i = 0; r == -EBUSY && i < TRIES; i++) {
        ctx_beat(c);
        if (i)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        thaw(e);
        send_home(e);
        r = rmdir(e->path) < 0 && errno != ENOENT ? -errno : 0;
    }
    snprintf(text, cap, r < 0 ? "group %.150s could not be removed: %s" : "group %.150s removed%s",
             e->path, r < 0 ? strerror(-r) : "");
    return r;
}
