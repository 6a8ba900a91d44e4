/* Real connections over the loopback of a throw-away network namespace, destroyed by port and by
 * peer. Each test runs in a child of its own, which no failure leaves behind. */
#include "tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/netlink.h"
#include "lab/netns.h"
#include "lab/sockdiag.h"

#define NO_NAMESPACE 77
#define NO_DESTROY   78

static void enter_namespace(void)
{
    struct nl_msg m;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(20);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        _exit(NO_NAMESPACE);
    int nl = nl_open();
    ASSERT_LE(0, nl);
    nl_link_up(&m, 1, 0, 0, false);
    ASSERT_OK(nl_talk(nl, &m));
    for (uint32_t last = 2; last < 4; last++) { /* also from another network than 127 */
        nl_addr_add(&m, 1, 0x0ad50000 + last, 32);
        ASSERT_OK(nl_talk(nl, &m));
    }
    close(nl);
}

/* NULL, or why it was skipped. */
static const char *in_namespace(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    ASSERT_LE(0, pid);
    if (pid == 0) {
        enter_namespace();
        fn();
        _exit(0);
    }
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE)
        return "user and network namespaces are refused here";
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_DESTROY)
        return "this kernel has no CONFIG_INET_DIAG_DESTROY";
    ASSERT_EQ(status, 0);
    return NULL;
}

struct conn {
    int client, server;
};

union where {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static union where at(const char *ip, uint16_t port)
{
    union where w = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (inet_pton(AF_INET, ip, &w.in.sin_addr) == 1)
        return w;
    w.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    ASSERT_EQ(inet_pton(AF_INET6, ip, &w.in6.sin6_addr), 1);
    return w;
}

static int listen_at(const char *ip, uint16_t port)
{
    union where w = at(ip, port);
    int fd = socket(w.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_LE(0, fd);
    ASSERT_OK(bind(fd, &w.any, sizeof w));
    ASSERT_OK(listen(fd, 100));
    return fd;
}

static struct conn connect_to(int listener, const char *from, const char *ip, uint16_t port)
{
    union where w = at(ip, port), f = at(from, 0);
    struct conn c = {.client = socket(w.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_LE(0, c.client);
    ASSERT_OK(bind(c.client, &f.any, sizeof f));
    ASSERT_OK(connect(c.client, &w.any, sizeof w));
    c.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ASSERT_LE(0, c.server);
    return c;
}

static bool is_dead(int fd)
{
    char c;
    ssize_t r = recv(fd, &c, 1, MSG_DONTWAIT);
    ASSERT_EQ(r, -1);
    if (errno == EAGAIN)
        return false;
    ASSERT(errno == ECONNABORTED || errno == ECONNRESET);
    return true;
}

static void assert_dead(const struct conn *c)
{
    ASSERT(is_dead(c->client));
    ASSERT(is_dead(c->server));
}

static void assert_alive(const struct conn *c)
{
    char byte;
    ASSERT(!is_dead(c->client) && !is_dead(c->server));
    ASSERT_EQ(send(c->client, "x", 1, MSG_NOSIGNAL), 1);
    struct pollfd p = {.fd = c->server, .events = POLLIN};
    ASSERT_EQ(poll(&p, 1, 5000), 1);
    ASSERT_EQ(recv(c->server, &byte, 1, 0), 1);
}

static int destroy(int fd, const struct sockdiag_filter *f)
{
    int n = sockdiag_destroy(fd, f);
    if (n == -EOPNOTSUPP)
        _exit(NO_DESTROY);
    if (n < 0)
        TEST_FAIL("sockdiag_destroy: %s", sockdiag_remedy(n));
    return n;
}

/* Each end is destroyed, or reset by the other's end before its turn comes. */
#define ASSERT_ENDS(N, CONNECTIONS)                                                                \
    do {                                                                                           \
        ASSERT_LE(CONNECTIONS, N);                                                                 \
        ASSERT_LE(N, 2 * (CONNECTIONS));                                                           \
    } while (0)

static void by_port(void)
{
    int a = listen_at("127.0.0.1", 7001), b = listen_at("127.0.0.1", 7002);
    int c = listen_at("::1", 7001), fd = sockdiag_open();
    struct conn hit[40], six[5], spared[20];
    ASSERT_LE(0, fd);
    for (int i = 0; i < 40; i++)
        hit[i] = connect_to(a, "127.0.0.1", "127.0.0.1", 7001);
    for (int i = 0; i < 5; i++)
        six[i] = connect_to(c, "::1", "::1", 7001);
    for (int i = 0; i < 20; i++)
        spared[i] = connect_to(b, "127.0.0.1", "127.0.0.1", 7002);
    ASSERT_EQ(destroy(fd, &(struct sockdiag_filter){.port = 7003}), 0);
    assert_alive(&hit[0]);
    int n = destroy(fd, &(struct sockdiag_filter){.port = 7001});
    ASSERT_ENDS(n, 45);
    for (int i = 0; i < 40; i++)
        assert_dead(&hit[i]);
    for (int i = 0; i < 5; i++)
        assert_dead(&six[i]);
    for (int i = 0; i < 20; i++)
        assert_alive(&spared[i]);
    struct conn again = connect_to(a, "127.0.0.1", "127.0.0.1", 7001); /* it still listens */
    assert_alive(&again);
    n = destroy(fd, &(struct sockdiag_filter){0});
    ASSERT_ENDS(n, 21);
    assert_dead(&again);
    for (int i = 0; i < 20; i++)
        assert_dead(&spared[i]);
    ASSERT_EQ(destroy(fd, &(struct sockdiag_filter){0}), 0);
}

TEST(by_port_of_either_end_and_both_families)
{
    const char *skipped = in_namespace(by_port);
    if (skipped)
        SKIP(skipped);
}

static bool is_peer(void *ctx, const struct sockdiag_addr *peer)
{
    return !peer->is_ipv6 && peer->ipv4 == *(uint32_t *)ctx;
}

static bool is_six(void *ctx, const struct sockdiag_addr *peer)
{
    static const unsigned char one[16] = {[15] = 1};
    return peer->is_ipv6 && memcmp(peer->ipv6, one, sizeof one) == 0;
}

static void by_peer(void)
{
    uint32_t two = 0x0ad50002, nobody = 0x0ad50009, loopback = 0x7f000001;
    int a = listen_at("127.0.0.1", 7001), dual = listen_at("::", 7002), fd = sockdiag_open();
    struct conn from2 = connect_to(a, "10.213.0.2", "127.0.0.1", 7001);
    struct conn from3 = connect_to(a, "10.213.0.3", "127.0.0.1", 7001);
    struct conn mapped2 = connect_to(dual, "10.213.0.2", "127.0.0.1", 7002);
    struct conn six = connect_to(dual, "::1", "::1", 7002);
    struct conn mapped3 = connect_to(dual, "::ffff:10.213.0.3", "::ffff:10.213.0.2", 7002);
    struct sockdiag_filter f = {.peer = is_peer, .ctx = &nobody};
    ASSERT_EQ(destroy(fd, &f), 0);
    f.ctx = &two;
    f.port = 7001;
    ASSERT_EQ(destroy(fd, &f), 1); /* the server's end only: the client's peer is 127.0.0.1 */
    assert_dead(&from2);
    assert_alive(&from3);
    assert_alive(&mapped2);
    f.port = 0;
    ASSERT_EQ(destroy(fd, &f), 2);
    assert_dead(&mapped2);
    assert_dead(&mapped3);
    assert_alive(&from3);
    assert_alive(&six);
    f = (struct sockdiag_filter){.peer = is_six};
    int n = destroy(fd, &f);
    ASSERT_ENDS(n, 1);
    assert_dead(&six);
    assert_alive(&from3);
    f = (struct sockdiag_filter){.peer = is_peer, .ctx = &loopback, .port = 7001};
    ASSERT_EQ(destroy(fd, &f), 1); /* the client's end only */
    assert_dead(&from3);
}

TEST(by_peer_also_ipv4_in_ipv6_sockets)
{
    const char *skipped = in_namespace(by_peer);
    if (skipped)
        SKIP(skipped);
}

static void other_namespace(void)
{
    int home = netns_here(), mine, r;
    int a = listen_at("127.0.0.1", 7001);
    struct conn c = connect_to(a, "127.0.0.1", "127.0.0.1", 7001);
    ASSERT_OK(unshare(CLONE_NEWNET));
    mine = netns_here();
    int here = sockdiag_open_in(mine), there = sockdiag_open_in(home);
    ASSERT_LE(0, here);
    ASSERT_LE(0, there);
    r = sockdiag_open();
    ASSERT_EQ(destroy(r, &(struct sockdiag_filter){0}), 0); /* we are still in ours */
    ASSERT_EQ(destroy(here, &(struct sockdiag_filter){0}), 0);
    assert_alive(&c);
    r = destroy(there, &(struct sockdiag_filter){0});
    ASSERT_ENDS(r, 1);
    assert_dead(&c);
    ASSERT_LT(sockdiag_open_in(a), 0); /* no namespace at all */
}

TEST(in_another_namespace)
{
    const char *skipped = in_namespace(other_namespace);
    if (skipped)
        SKIP(skipped);
}

/* Those in other states than established: still connecting, half closed, in the backlog. */
static void other_states(void)
{
    union where w = at("127.0.0.1", 7001);
    int a = listen_at("127.0.0.1", 7001), fd = sockdiag_open();
    struct conn half = connect_to(a, "127.0.0.1", "127.0.0.1", 7001);
    ASSERT_OK(shutdown(half.client, SHUT_WR));
    int waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_OK(connect(waiting, &w.any, sizeof w)); /* nobody accepts it */
    int idle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = destroy(fd, &(struct sockdiag_filter){.port = 7001});
    ASSERT_ENDS(n, 2);
    ASSERT(is_dead(waiting));
    ASSERT(is_dead(half.client));
    ASSERT_EQ(destroy(fd, &(struct sockdiag_filter){.port = 7001}), 0);
    ASSERT_OK(connect(idle, &w.any, sizeof w)); /* sockets that are not connected are not touched */
}

TEST(in_any_state)
{
    const char *skipped = in_namespace(other_states);
    if (skipped)
        SKIP(skipped);
}

/* More than one datagram of a dump. */
static void many(void)
{
    static struct conn c[300];
    int a = listen_at("127.0.0.1", 7001), fd = sockdiag_open();
    for (size_t i = 0; i < 300; i++)
        c[i] = connect_to(a, "127.0.0.1", "127.0.0.1", 7001);
    int n = destroy(fd, &(struct sockdiag_filter){.port = 7001});
    ASSERT_ENDS(n, 300);
    for (size_t i = 0; i < 300; i++)
        assert_dead(&c[i]);
}

TEST(hundreds_at_once)
{
    const char *skipped = in_namespace(many);
    if (skipped)
        SKIP(skipped);
}

static void without_rights(void)
{
    int a = listen_at("127.0.0.1", 7001);
    struct conn c = connect_to(a, "127.0.0.1", "127.0.0.1", 7001);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    ASSERT_OK(syscall(SYS_capset, &head, none));
    int fd = sockdiag_open();
    int r = sockdiag_destroy(fd, &(struct sockdiag_filter){.port = 7001});
    if (r == -EOPNOTSUPP)
        _exit(NO_DESTROY);
    ASSERT_EQ(r, -EPERM);
    assert_alive(&c);
    ASSERT_CONTAINS(sockdiag_remedy(r), "CAP_NET_ADMIN");
    ASSERT_CONTAINS(sockdiag_remedy(-EOPNOTSUPP), "CONFIG_INET_DIAG_DESTROY");
}

TEST(refused_without_rights)
{
    const char *skipped = in_namespace(without_rights);
    if (skipped)
        SKIP(skipped);
}
