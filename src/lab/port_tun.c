#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lab/port.h"

#define TUN_MAJOR 10
#define TUN_MINOR 200

void port_tun_path(char *path, size_t cap, const char *dir)
{
    snprintf(path, cap, "/dev/net/tun");
    if (access(path, F_OK) == 0)
        return;
    int n = snprintf(path, cap, "%s/tun", dir);
    bool fits = n > 0 && (size_t)n < cap;
    if (!fits || mknod(path, S_IFCHR | 0600, makedev(TUN_MAJOR, TUN_MINOR)) < 0)
        snprintf(path, cap, "/dev/net/tun");
}

static int tun_make(struct port *p, const struct port_place *place)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    memcpy(ifr.ifr_name, "eth0", sizeof "eth0");
    int fd = open(place->tun_path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    /* persistent: closing the descriptor would otherwise unregister the device there and then, tens
     * of milliseconds each; so the kernel does it for all, behind us, when the namespace dies */
    if (ioctl(fd, TUNSETIFF, &ifr) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0 ||
        ioctl(fd, TUNSETPERSIST, 1) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    p->fd = fd;
    return 0;
}

/* Offload header and packet lie side by side, so that one plain read or write does: readv and
 * writev take a tenth of a microsecond longer, a packet. */
static int tun_read(struct port *p, int fd, struct pkt *ret)
{
    unsigned char *at = ret->p - sizeof ret->vnet;
    ssize_t n = read(fd, at, sizeof ret->vnet + PKT_MAX_BYTES);
    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof ret->vnet)
        return -EBADMSG;
    memcpy(&ret->vnet, at, sizeof ret->vnet);
    ret->n = (size_t)n - sizeof ret->vnet;
    return 0;
}

static int tun_write(struct port *p, const struct pkt *k)
{
    unsigned char *at = k->p - sizeof k->vnet;
    memcpy(at, &k->vnet, sizeof k->vnet);
    return write(p->fd, at, sizeof k->vnet + k->n) < 0 ? -errno : 0;
}

const struct port_ops port_tun = {
    .name = "TUN", .make = tun_make, .read = tun_read, .write = tun_write};
