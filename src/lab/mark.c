#include "lab/mark.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/child.h"

#define IS_MARK   (UINT64_C(1) << 62)
#define TOP_BITS  (UINT64_C(3) << 62)
#define WHO_MASK  ((UINT64_C(1) << MARK_WHO_BITS) - 1)
#define WAIT_NS   (2 * NS_PER_MS)
#define PROC_TEXT 4096

uint64_t mark_draw(void)
{
    uint64_t x;
    if (getrandom(&x, sizeof x, 0) != sizeof x)
        x = (uint64_t)clock_wall_ns() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 40;
    return IS_MARK | (x & ~(TOP_BITS | WHO_MASK));
}

uint64_t mark_service(uint64_t lab, int service)
{
    assert(mark_is_lab(lab) && service >= 0 && (uint64_t)service < WHO_MASK);
    return lab | ((uint64_t)service + 1);
}

bool mark_is_lab(uint64_t mark)
{
    return (mark & TOP_BITS) == IS_MARK && (mark & WHO_MASK) == 0;
}

/* Only the soft limit, as with all limits: the hard one an ordinary user could not raise again. */
int mark_wear(uint64_t mark)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_RTTIME, &r) < 0)
        return -errno;
    if (r.rlim_max < mark)
        return -EPERM;
    r.rlim_cur = mark;
    return setrlimit(RLIMIT_RTTIME, &r) < 0 ? -errno : 0;
}

uint64_t mark_in(const char *text)
{
    static const char row[] = "Max realtime timeout";
    const char *at = strstr(text, row);
    uint64_t v = at ? strtoull(at + sizeof row - 1, NULL, 10) : 0;
    return (v & TOP_BITS) == IS_MARK ? v : 0;
}

/* Without stdio: the members of the guard's family keep their memory small. */
static bool read_proc(pid_t pid, const char *name, char text[PROC_TEXT])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd CLEANUP(close_p) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, PROC_TEXT - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Waits to be reaped. A process whose first thread has ended while others run looks alike, but for
 * the number of its threads (field 20). */
static bool has_ended(const char *stat_text)
{
    const char *p = strrchr(stat_text, ')');
    if (!p || p[1] != ' ')
        return true;
    p += 2;
    char state = *p;
    for (int field = 3; p && field < 20; field++)
        p = (p = strchr(p, ' ')) ? p + 1 : NULL;
    return state == 'X' || (state == 'Z' && (!p || atoi(p) <= 1));
}

uint64_t mark_of_pid(pid_t pid)
{
    char text[PROC_TEXT];
    if (!read_proc(pid, "limits", text))
        return 0;
    uint64_t mark = mark_in(text);
    if (mark == 0 || !read_proc(pid, "stat", text) || has_ended(text))
        return 0;
    return mark;
}

static bool carries(pid_t pid, uint64_t mark)
{
    uint64_t has = mark_of_pid(pid);
    return has != 0 && (mark_is_lab(mark) ? has & ~WHO_MASK : has) == mark;
}

/* The descriptor first: if the mark is there afterwards, this is the process that it names, or
 * another with the same mark. True = there was one. */
static bool kill_one(pid_t pid, uint64_t mark, int signo)
{
    if (!carries(pid, mark))
        return false;
    int fd CLEANUP(close_p) = pidfd_open_pid(pid);
    if (fd < 0 || !carries(pid, mark))
        return false;
    return pidfd_signal(fd, signo) != -ESRCH;
}

int mark_kill(uint64_t mark, int signo)
{
    int found = 0;
    DIR *d = opendir("/proc");
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        long pid = strtol(e->d_name, NULL, 10);
        if (pid > 1 && pid != getpid())
            found += kill_one((pid_t)pid, mark, signo);
    }
    closedir(d);
    return found;
}

int mark_end(uint64_t mark, int64_t timeout_ns, void (*beat)(void *arg), void *arg)
{
    int64_t end_ns = clock_now_ns() + timeout_ns;
    /* twice: one that was forked behind the first look is met by the second */
    for (int clean = 0; clean < 2;) {
        int n = mark_kill(mark, SIGKILL);
        if (n < 0)
            return n;
        clean = n == 0 ? clean + 1 : 0;
        if (n == 0)
            continue;
        if (clock_now_ns() > end_ns)
            return -ETIMEDOUT;
        if (beat)
            beat(arg);
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
    }
    return 0;
}
