#include "fault/procid.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/child.h"

/* Reads a small /proc file without stdio: members of the family keep their memory small. */
static ssize_t read_small(const char *path, char *buf, size_t cap)
{
    int fd CLEANUP(close_p) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, buf, cap - 1);
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return n;
}

/* The text behind the command name, which may itself hold spaces and brackets: field 3 on. */
static const char *stat_fields(pid_t pid, char *buf, size_t cap)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_small(path, buf, cap) <= 0)
        return NULL;
    const char *p = strrchr(buf, ')');
    return p && p[1] == ' ' ? p + 2 : NULL;
}

uint64_t procid_start(pid_t pid)
{
    char buf[1024];
    const char *p = stat_fields(pid, buf, sizeof buf);
    for (int field = 3; p && field < 22; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    return p ? strtoull(p, NULL, 10) : 0;
}

char procid_state(pid_t pid)
{
    char buf[1024];
    const char *p = stat_fields(pid, buf, sizeof buf);
    return p ? *p : '\0';
}

int procid_wait_gone(int pidfd, int64_t timeout_ns)
{
    int64_t end_ns = clock_now_ns() + timeout_ns;
    for (;;) {
        int64_t left_ns = end_ns - clock_now_ns();
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n = poll(&p, 1, left_ns > 0 ? (int)(left_ns / NS_PER_MS + 1) : 0);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (left_ns <= 0)
            return -ETIMEDOUT;
    }
}

int procid_open(pid_t pid, uint64_t start)
{
    if (pid <= 0 || start == 0)
        return -ESRCH;
    /* descriptor first: if the start time read afterwards is the recorded one, it is this process
     * that the descriptor names */
    int fd = pidfd_open_pid(pid);
    if (fd < 0)
        return fd;
    if (procid_start(pid) != start || procid_wait_gone(fd, 0) == 0) {
        close(fd);
        return -ESRCH;
    }
    return fd;
}

bool procid_alive(pid_t pid, uint64_t start)
{
    int fd CLEANUP(close_p) = procid_open(pid, start);
    return fd >= 0;
}

void procid_boot_id(char ret[BOOT_ID_BYTES])
{
    ssize_t n = read_small("/proc/sys/kernel/random/boot_id", ret, BOOT_ID_BYTES);
    if (n <= 0)
        ret[0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

uint64_t procid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}
