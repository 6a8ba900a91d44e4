#include "lab/loopback_port.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lab/mark.h"

#define TABLE_BYTES   (16 << 20)
#define LISTENERS_MAX 64

struct listeners {
    uint64_t inodes[LISTENERS_MAX];
    bool everywhere[LISTENERS_MAX];
    size_t n;
};

bool loopback_listener_line(struct str line, const struct sockaddr_in *at, uint64_t *ret_inode,
                            bool *ret_everywhere)
{
    static const char none[] = "00000000000000000000000000000000";
    char text[256], address[33];
    unsigned port, state;
    snprintf(text, sizeof text, "%.*s", (int)line.n, line.p);
    if (sscanf(text, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
               address, &port, &state, ret_inode) != 4 ||
        port != ntohs(at->sin_port) || state != TCP_LISTEN)
        return false;
    *ret_everywhere = strcmp(address, none + 32 - strlen(address)) == 0;
    if (*ret_everywhere)
        return true;
    /* in network order, written as a number of this machine; in IPv6 perhaps behind ::ffff */
    size_t n = strlen(address);
    return (n == 8 || strncmp(address, "0000000000000000FFFF0000", 24) == 0) &&
           strtoul(address + n - 8, NULL, 16) == at->sin_addr.s_addr;
}

static void read_table(const char *path, const struct sockaddr_in *at, struct listeners *l)
{
    struct buf table = {0};
    if (buf_read_file(&table, path, TABLE_BYTES) < 0)
        buf_clear(&table);
    for (struct str rest = str_of(buf_str(&table)); rest.n && l->n < LISTENERS_MAX;)
        l->n += loopback_listener_line(str_split(&rest, '\n'), at, &l->inodes[l->n],
                                       &l->everywhere[l->n]);
    buf_done(&table);
}

/* 1 = one of the listeners is open in this process, 0 = none, -1 = it does not let us look. */
static int find_in(const char *pid, const struct listeners *l, size_t *ret_which)
{
    char path[300], target[64];
    snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT ? 0 : -1;
    int found = 0;
    for (struct dirent *e; found == 0 && (e = readdir(d));) {
        uint64_t inode;
        snprintf(path, sizeof path, "/proc/%.16s/fd/%s", pid, e->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
            continue;
        for (size_t i = 0; i < l->n && found == 0; i++)
            if (l->inodes[i] == inode) {
                found = 1;
                *ret_which = i;
            }
    }
    closedir(d);
    return found;
}

enum loopback_listener loopback_listener(const struct sockaddr_in *at, uint64_t mark)
{
    struct listeners l = {.n = 0};
    bool blind = false;
    read_table("/proc/self/net/tcp", at, &l);
    read_table("/proc/self/net/tcp6", at, &l);
    DIR *d = opendir("/proc");
    if (!d || l.n == 0) { /* it has ended meanwhile, or is a kind that the tables do not show */
        if (d)
            closedir(d);
        return LOOPBACK_OWN;
    }
    enum loopback_listener ret = LOOPBACK_FOREIGN;
    for (struct dirent *e; ret == LOOPBACK_FOREIGN && (e = readdir(d));) {
        long pid = strtol(e->d_name, NULL, 10);
        size_t which = 0;
        if (pid <= 0 || mark_of_pid((pid_t)pid) != mark)
            continue;
        int found = find_in(e->d_name, &l, &which);
        blind = blind || found < 0;
        if (found > 0)
            ret = l.everywhere[which] ? LOOPBACK_EVERYWHERE : LOOPBACK_OWN;
    }
    closedir(d);
    return ret == LOOPBACK_FOREIGN && blind ? LOOPBACK_OWN : ret;
}
