#include "guard_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "fault/ctx.h"
#include "loop/child.h"

static int stop_apply(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    for (uint32_t i = 0; i < q->targets_n; i++) {
        struct journal_entry e;
        int r = action_process_entry(&e, ACTION_STOPPED, q->targets[i]);
        int slot = r < 0 ? r : ctx_intent(c, &e);
        if (slot < 0)
            return slot;
        int fd CLEANUP(close_p) = procid_open(e.pid, e.start);
        r = fd < 0 ? fd : pidfd_signal(fd, SIGSTOP);
        if (r < 0)
            return r;
        for (int k = 0; k < 1000 && procid_state(e.pid) != 'T'; k++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ctx_active(c, slot);
        if (procid_state(e.pid) != 'T')
            return -ENODATA;
    }
    snprintf(ret->measured, sizeof ret->measured, "%u stopped", q->targets_n);
    return 0;
}

static int limit_apply(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    for (uint32_t i = 0; i < q->targets_n; i++) {
        struct journal_entry e;
        struct rlimit old;
        int r = action_process_entry(&e, ACTION_SOFT_LIMIT, q->targets[i]);
        if (r == 0 && prlimit(e.pid, RLIMIT_NOFILE, NULL, &old) < 0)
            r = -errno;
        if (r < 0)
            return r;
        e.value = (int64_t)old.rlim_cur;
        e.value2 = RLIMIT_NOFILE;
        int slot = ctx_intent(c, &e);
        if (slot < 0)
            return slot;
        old.rlim_cur = 16;
        if (prlimit(e.pid, RLIMIT_NOFILE, &old, NULL) < 0)
            return -errno;
        ctx_active(c, slot);
    }
    snprintf(ret->measured, sizeof ret->measured, "%u limited", q->targets_n);
    return 0;
}

const char *guard_cgroup_root(int *ret_version)
{
    static const struct {
        const char *path;
        int version;
    } roots[] = {
        {"/sys/fs/cgroup", 2}, {"/sys/fs/cgroup/unified", 2}, {"/sys/fs/cgroup/freezer", 1}};
    char path[256];
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        snprintf(path, sizeof path, "%s/cgroup.procs", roots[i].path);
        if (access(path, W_OK) < 0 || access(roots[i].path, W_OK) < 0)
            continue;
        *ret_version = roots[i].version;
        return roots[i].path;
    }
    return NULL;
}

static int cgroup_apply(struct fault_ctx *c, const struct fault_request *q,
                        struct fault_result *ret)
{
    struct journal_entry e;
    char path[256], procs[300];
    int version;
    const char *root = guard_cgroup_root(&version);
    if (!root)
        return -ENOTSUP;
    snprintf(path, sizeof path, "%s/%s", root, q->target_names[0]);
    int r = action_cgroup_entry(&e, path, root, version);
    int slot = r < 0 ? r : ctx_intent(c, &e);
    if (slot < 0)
        return slot;
    if (mkdir(path, 0755) < 0)
        return -errno;
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    int fd CLEANUP(close_p) = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dprintf(fd, "%d", q->targets[0]) < 0)
        return -errno;
    ctx_active(c, slot);
    snprintf(ret->measured, sizeof ret->measured, "moved to %s", path);
    return 0;
}

static const struct fault test_stop = {
    .name = "test-stop", .help = "test", .undo = "test", .apply = stop_apply};
static const struct fault test_limit = {
    .name = "test-limit", .help = "test", .undo = "test", .apply = limit_apply};
static const struct fault test_cgroup = {
    .name = "test-cgroup", .help = "test", .undo = "test", .apply = cgroup_apply};

void guard_faults_add(void)
{
    static const struct fault *const list[] = {&test_stop, &test_limit, &test_cgroup};
    fault_add_test_faults(list, ARRAY_SIZE(list));
}
