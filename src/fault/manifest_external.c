/*
 * manifest_external.c - externalTargets: an address, a network or a host name, each with or without
 * a port.
 *
 * A lab's packets go from service to service and nowhere else, so an address outside its network is
 * told by line and left out. Host names are looked up among the plan's services later.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "fault/manifest_read.h"
#include "lab/switch.h"

#define HOST_BYTES 254

/* "a:80", "[::1]:80", "::1": host without brackets, port 0 when there is none. */
static bool split_port(struct str text, struct str *ret_host, bool *ret_v6, uint16_t *ret_port)
{
    const char *colon = memrchr(text.p, ':', text.n);
    const char *bracket = text.n && text.p[0] == '[' ? memchr(text.p, ']', text.n) : NULL;
    struct str port = {0};
    int64_t number = 0;
    *ret_v6 = bracket || (colon && memchr(text.p, ':', (size_t)(colon - text.p)));
    *ret_host = text;
    if (bracket) {
        *ret_host = (struct str){text.p + 1, (size_t)(bracket - text.p) - 1};
        port = (struct str){bracket + 1, text.n - (size_t)(bracket - text.p) - 1};
        if (port.n && port.p[0] != ':')
            return false;
    } else if (colon && !*ret_v6) {
        *ret_host = (struct str){text.p, (size_t)(colon - text.p)};
        port = (struct str){colon, text.n - ret_host->n};
    }
    *ret_port = 0;
    if (port.n == 0)
        return ret_host->n > 0;
    port = (struct str){port.p + 1, port.n - 1};
    if (units_int(port, &number) < 0 || number < 1 || number > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)number;
    return ret_host->n > 0;
}

/* "10.0.0.0/8" into address and prefix; false when it is no address of this family. */
static bool read_network(struct str host, int family, unsigned char ret_addr[16], int *ret_prefix)
{
    const char *slash = memchr(host.p, '/', host.n);
    struct str addr = slash ? (struct str){host.p, (size_t)(slash - host.p)} : host;
    int max = family == AF_INET ? 32 : 128;
    char text[INET6_ADDRSTRLEN];
    int64_t prefix = max;
    if (addr.n >= sizeof text)
        return false;
    memcpy(text, addr.p, addr.n);
    text[addr.n] = '\0';
    if (inet_pton(family, text, ret_addr) != 1)
        return false;
    if (slash && (units_int((struct str){slash + 1, host.n - addr.n - 1}, &prefix) < 0 ||
                  prefix < 0 || prefix > max))
        return false;
    *ret_prefix = (int)prefix;
    return true;
}

static bool is_host_name(struct str host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    bool digits = true;
    for (size_t i = 0; i < host.n; i++) {
        if (!strchr(letters, host.p[i]))
            return false;
        digits = digits && strchr("0123456789.", host.p[i]);
    }
    return !digits && host.n < HOST_BYTES;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, int n)
{
    return memcmp(a, b, (size_t)n / 8) == 0 &&
           (n % 8 == 0 || (a[n / 8] ^ b[n / 8]) >> (8 - n % 8) == 0);
}

/* The address of a port, in either family; returns how many of its bits are the network's. */
static int port_addr(unsigned port, bool v6, unsigned char ret[16])
{
    uint32_t addr = htonl(switch_addr(port));
    memset(ret, 0, 16);
    if (v6) {
        switch_addr6(port, ret);
        return PORT_PREFIX6;
    }
    memcpy(ret, &addr, sizeof addr);
    return SWITCH_PREFIX;
}

static bool overlaps_lab(const struct manifest_external *x)
{
    unsigned char lab[16];
    int prefix = port_addr(0, x->v6, lab);
    return same_bits(x->addr, lab, prefix < x->prefix ? prefix : x->prefix);
}

bool read_external(struct reader *r, const struct ynode *node, struct manifest_external *ret)
{
    const char *text = read_text(r, node, "spec.externalTargets");
    struct str host;
    if (!text)
        return false;
    *ret = (struct manifest_external){.text = text, .line = node->line};
    bool split = split_port(str_trim(str_of(text)), &host, &ret->v6, &ret->port);
    bool network =
        split && read_network(host, ret->v6 ? AF_INET6 : AF_INET, ret->addr, &ret->prefix);
    if (!split || (!network && (ret->v6 || !is_host_name(host)))) {
        problems_add(&r->errors, node,
                     "'%.100s' is no external target: an address, a network as in 10.0.0.0/8 or a "
                     "host name, each with or without :port",
                     text);
        return false;
    }
    if (!network)
        ret->host = arena_strndup(r->a, host.p, host.n);
    ret->outside = network && !overlaps_lab(ret);
    if (ret->outside)
        problems_add(&r->warnings, node,
                     "'%.100s' cannot be reached from a lab, whose network is 10.213.0.0/16; left "
                     "out",
                     text);
    return true;
}

/* A service by its name, or by the name that it has in a cluster: redis.default.svc... */
static int find_host(const struct plan *plan, const char *host)
{
    struct str rest = str_of(host), name = str_split(&rest, '.');
    struct str namespace = str_split(&rest, '.');
    bool cluster = namespace.n && (rest.n == 0 || str_eq(rest, STR("svc")) ||
                                   str_eq(rest, STR("svc.cluster.local")));
    for (size_t i = 0; i < plan->services_n; i++) {
        struct str service = str_of(plan->services[i].name);
        if (str_eq(service, str_of(host)) || (cluster && str_eq(service, name)))
            return (int)i;
    }
    return -1;
}

unsigned manifest_external_ports(const struct manifest_external *x, const struct plan *plan,
                                 struct port_set *ret)
{
    unsigned n = 0;
    *ret = (struct port_set){0};
    if (x->host) {
        int service = find_host(plan, x->host);
        if (service >= 0)
            port_set_add(ret, (unsigned)service + 1);
        return service >= 0;
    }
    for (unsigned port = 0; !x->outside && port <= plan->services_n; port++) {
        unsigned char addr[16];
        port_addr(port, x->v6, addr);
        if (!same_bits(addr, x->addr, x->prefix))
            continue;
        port_set_add(ret, port);
        n++;
    }
    return n;
}
