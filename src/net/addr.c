#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IP_TEXT_BYTES 64 /* INET6_ADDRSTRLEN is 46 */

int addr_from_ip(const char *ip, uint16_t port, struct addr *ret)
{
    struct addr a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.sa;

    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        a.len = sizeof *v4;
    } else if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        a.len = sizeof *v6;
    } else {
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

static int port_parse(struct str text, uint16_t *ret)
{
    unsigned port = 0;
    if (text.n == 0 || text.n > 5)
        return -EINVAL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(text.p[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

/* Cuts "host:port", "[v6]:port" or either without a port; a bare v6 address is ambiguous and
 * refused. `ret_port` stays untouched when there is none. */
static int host_port(struct str text, struct str *ret_host, uint16_t *ret_port)
{
    const char *close, *colon;
    struct str host = text, rest;

    if (text.n > 0 && text.p[0] == '[') {
        close = memchr(text.p, ']', text.n);
        if (!close)
            return -EINVAL;
        host = (struct str){text.p + 1, (size_t)(close - text.p) - 1};
        rest = (struct str){close + 1, text.n - host.n - 2};
    } else {
        colon = memchr(text.p ? text.p : "", ':', text.n);
        host.n = colon ? (size_t)(colon - text.p) : text.n;
        rest = (struct str){text.p + host.n, text.n - host.n};
    }
    if (host.n == 0)
        return -EINVAL;
    if (rest.n > 0) {
        if (rest.p[0] != ':' || port_parse((struct str){rest.p + 1, rest.n - 1}, ret_port) < 0)
            return -EINVAL;
    }
    *ret_host = host;
    return 0;
}

int addr_parse(struct str text, struct addr *ret)
{
    char ip[IP_TEXT_BYTES];
    struct str host;
    uint16_t port = 0;

    if (host_port(text, &host, &port) < 0 || port == 0 || host.n >= sizeof ip)
        return -EINVAL;
    bool brackets = text.p[0] == '[', six = memchr(host.p, ':', host.n) != NULL;
    if (brackets != six)
        return -EINVAL;
    memcpy(ip, host.p, host.n);
    ip[host.n] = 0;
    if (strlen(ip) != host.n)
        return -EINVAL;
    return addr_from_ip(ip, port, ret);
}

bool addr_is_loopback(const struct addr *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;

    if (a->sa.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    if (a->sa.ss_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return v6->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

const char *addr_text(const struct addr *a, char *buf, size_t cap)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;
    char ip[IP_TEXT_BYTES];

    if (a->sa.ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip))
        snprintf(buf, cap, "%s:%u", ip, ntohs(v4->sin_port));
    else if (a->sa.ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip))
        snprintf(buf, cap, "[%s]:%u", ip, ntohs(v6->sin6_port));
    else
        snprintf(buf, cap, "(no address)");
    return buf;
}

static bool host_ok(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_' || c == ':';
        if (!ok)
            return false;
    }
    return true;
}

int url_parse(struct str text, struct url *ret)
{
    static const struct str scheme = {"http://", 7};
    struct url u = {.port = 80};

    if (text.n < scheme.n || !str_case_eq((struct str){text.p, scheme.n}, scheme))
        return -EINVAL;
    u.scheme = (struct str){text.p, 4};
    struct str rest = {text.p + scheme.n, text.n - scheme.n};
    size_t authority = 0;
    while (authority < rest.n && !strchr("/?#", rest.p[authority]))
        authority++; /* strchr also stops at a NUL byte, which host_ok or the path then refuses */
    if (host_port((struct str){rest.p, authority}, &u.host, &u.port) < 0 || !host_ok(u.host))
        return -EINVAL;
    u.path = (struct str){rest.p + authority, rest.n - authority};
    if (u.path.n == 0)
        u.path = STR("/");
    if (u.path.p[0] != '/')
        return -EINVAL;
    for (size_t i = 0; i < u.path.n; i++)
        if ((unsigned char)u.path.p[i] < 0x20 || u.path.p[i] == 0x7f || u.path.p[i] == '#')
            return -EINVAL;
    *ret = u;
    return 0;
}

int addr_connect(int fd, const struct addr *a)
{
    if (connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0)
        return 0;
    /* an interrupted connect goes on in the background, like one in progress */
    if (errno == EINPROGRESS || errno == EINTR)
        return -EINPROGRESS;
    int code = -errno;
    close(fd);
    return code;
}
