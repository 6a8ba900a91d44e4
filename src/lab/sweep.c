#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "lab/mark.h"
#include "lab/spawn.h"

int box_name(struct box *b, const char *hostname)
{
    struct stat st;
    CLEANUP(close_p) int home = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    if (home < 0 || fstat(b->netns_fd, &st) < 0)
        return -errno;
    b->net_ino = st.st_ino;
    if (unshare(CLONE_NEWUTS) < 0)
        return -errno;
    int r = sethostname(hostname, strlen(hostname)) < 0 ? -errno : 0;
    b->uts_fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    if (r == 0 && (b->uts_fd < 0 || fstat(b->uts_fd, &st) < 0))
        r = -errno;
    b->uts_ino = st.st_ino;
    if (setns(home, CLONE_NEWUTS) < 0)
        abort();
    return r;
}

/* A zombie has no namespaces any more: it is not found, and reaping is the init's affair. */
static bool in_box(const struct box *b, const char *pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%.20s/ns/net", pid);
    if (stat(path, &st) == 0 && st.st_ino == b->net_ino)
        return true;
    /* a service may put children in network namespaces of their own; the host name gives them away
     */
    snprintf(path, sizeof path, "/proc/%.20s/ns/uts", pid);
    return stat(path, &st) == 0 && st.st_ino == b->uts_ino;
}

/* A person who came in from outside (`squall lab enter`) belongs to a session that the lab cannot
 * see; each service has one of its own, and so has what made itself a daemon. proc(5): stat. */
static bool is_guest(pid_t pid)
{
    char path[32];
    struct buf stat_text = {0};
    int session = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *at =
        buf_read_file(&stat_text, path, 4096) == 0 ? strrchr(buf_str(&stat_text), ')') : NULL;
    if (!at || sscanf(at, ") %*c %*d %*d %d", &session) != 1)
        session = -1;
    buf_done(&stat_text);
    return session == 0;
}

int sweep_kill(const struct box *b, int signo)
{
    int found = 0;
    if (b->mark)
        return mark_kill(b->mark, signo);
    DIR *d = opendir("/proc");
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        long pid = strtol(e->d_name, NULL, 10);
        if (pid > 1 && in_box(b, e->d_name) && !is_guest((pid_t)pid)) {
            found++;
            kill((pid_t)pid, signo);
        }
    }
    closedir(d);
    return found;
}
