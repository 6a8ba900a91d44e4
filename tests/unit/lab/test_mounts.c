/* The lab's /etc in throw-away namespaces, and what glibc's resolver makes of it. */
#include "tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/mounts.h"
#include "lab/names.h"
#include "lab/netlink.h"

#define SKIPPED  77
#define RESOLVER 0x0ad50001u

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ASSERT_LE(0, fd);
    ASSERT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void enter_namespaces(void)
{
    unsigned uid = getuid(), gid = getgid();
    char text[40];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(30);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) < 0)
        _exit(SKIPPED);
    write_text("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", uid);
    write_text("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "0 %u 1", gid);
    write_text("/proc/self/gid_map", text);
}

static void network(void)
{
    struct nl_msg m;
    int nl = nl_open();
    nl_link_up(&m, 1, 0, 0, false);
    ASSERT_OK(nl_talk(nl, &m));
    nl_addr_add(&m, 1, RESOLVER, 32);
    ASSERT_OK(nl_talk(nl, &m));
    close(nl);
}

static void assert_file(const char *path, const char *want)
{
    struct buf b = {0};
    ASSERT_OK(buf_read_file(&b, path, 1 << 20));
    ASSERT_STREQ(buf_str(&b), want);
    buf_done(&b);
}

/* fn runs as process 1 of namespaces of its own; returns why it was skipped, or NULL. */
static const char *in_namespaces(void (*fn)(const char *run_dir))
{
    char dir[] = "/tmp/squall-test-mounts-XXXXXX";
    int status;
    ASSERT(mkdtemp(dir));
    pid_t pid = fork();
    ASSERT_LE(0, pid);
    if (pid == 0) {
        enter_namespaces();
        pid_t inner = fork();
        ASSERT_LE(0, inner);
        if (inner == 0) {
            network();
            fn(dir);
            _exit(0);
        }
        ASSERT_EQ(waitpid(inner, &status, 0), inner);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    rmdir(dir);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return "namespaces, or a /proc in them, are refused here";
    ASSERT_EQ(status, 0);
    return NULL;
}

static void make(const char *run_dir, const struct mounts_names *names)
{
    struct err err = {0};
    int r = mounts_make(run_dir, names, &err);
    if (r < 0 && strstr(err.msg, "/proc"))
        _exit(SKIPPED);
    if (r < 0)
        TEST_FAIL("mounts_make: %s", err.msg);
}

static int resolve(const char *name, uint32_t *ret)
{
    struct addrinfo *list, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(name, NULL, &hints, &list);
    if (r == 0) {
        struct sockaddr_in at;
        memcpy(&at, list->ai_addr, sizeof at);
        *ret = ntohl(at.sin_addr.s_addr);
        freeaddrinfo(list);
    }
    return r;
}

static void by_hosts(const char *run_dir)
{
    uint32_t a = 0;
    make(run_dir, &(struct mounts_names){.hosts = "127.0.0.1\tlocalhost\n10.213.0.10\tredis\n"});
    assert_file("/etc/hosts", "127.0.0.1\tlocalhost\n10.213.0.10\tredis\n");
    assert_file("/etc/resolv.conf", "# no name server: names of the lab are in /etc/hosts\n"
                                    "options timeout:1 attempts:1\n");
    ASSERT_OK(resolve("redis", &a));
    ASSERT_EQ(a, 0x0ad5000a);
}

TEST(names_in_the_hosts_file)
{
    const char *skipped = in_namespaces(by_hosts);
    if (skipped)
        SKIP(skipped);
}

static _Noreturn void serve(int fd)
{
    static const struct names_entry entries[] = {{.name = "redis", .ipv4 = 0x0ad5000a}};
    struct names s;
    names_init(&s, entries, 1);
    for (;;) {
        unsigned char in[2000], out[NAMES_ANSWER_BYTES];
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        int64_t delay;
        ssize_t r = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_n);
        if (r < 0)
            _exit(1);
        size_t n = names_answer(&s, 1, in, (size_t)r, out, sizeof out, &delay);
        if (n)
            sendto(fd, out, n, 0, (struct sockaddr *)&from, from_n);
    }
}

static void by_resolver(const char *run_dir)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(NAMES_PORT), .sin_addr.s_addr = htonl(RESOLVER)};
    uint32_t a = 0;
    make(run_dir,
         &(struct mounts_names){.hosts = "10.213.0.99\tredis\n", .resolver = "10.213.0.1"});
    assert_file("/etc/hosts", "127.0.0.1\tlocalhost\n");
    assert_file("/etc/resolv.conf", "nameserver 10.213.0.1\noptions timeout:5 attempts:2\n");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_OK(bind(fd, (struct sockaddr *)&at, sizeof at));
    pid_t pid = fork();
    if (pid == 0)
        serve(fd);
    ASSERT_OK(resolve("localhost", &a));
    ASSERT_EQ(a, 0x7f000001);
    ASSERT_OK(resolve("redis", &a));
    ASSERT_EQ(a, 0x0ad5000a);
    ASSERT_OK(resolve("redis.prod.svc.cluster.local", &a));
    ASSERT_EQ(a, 0x0ad5000a);
    ASSERT_EQ(resolve("nobody", &a), EAI_NONAME);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

TEST(names_asked_from_the_resolver)
{
    const char *skipped = in_namespaces(by_resolver);
    if (skipped)
        SKIP(skipped);
}

/* A root as debootstrap makes it: nothing to bind over, so /etc gets a shadow. */
static void bare(const char *run_dir)
{
    struct stat st;
    ASSERT_OK(mounts_private());
    ASSERT_OK(mount("none", "/etc", "tmpfs", 0, NULL));
    ASSERT_OK(symlink("nowhere/resolv.conf", "/etc/resolv.conf"));
    ASSERT_OK(mkdir("/etc/sub", 0755));
    make(run_dir, &(struct mounts_names){.resolver = "10.213.0.1"});
    assert_file("/etc/hosts", "127.0.0.1\tlocalhost\n");
    assert_file("/etc/resolv.conf", "nameserver 10.213.0.1\noptions timeout:5 attempts:2\n");
    assert_file("/etc/nsswitch.conf", "hosts: files dns\n");
    ASSERT_OK(stat("/etc/sub", &st));
}

TEST(a_root_without_any_of_the_files)
{
    const char *skipped = in_namespaces(bare);
    if (skipped)
        SKIP(skipped);
}
