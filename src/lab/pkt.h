/*
 * pkt.h - one IP packet in the switch, with the offload header the kernel gave with it.
 *
 * A packet may be a 64 KiB segment that the kernel has not cut yet (vnet.gso_type, virtio 1.2,
 * 5.1.6); offsets in `vnet` count from the IP header, whatever port it came from. Contents come
 * from the services and are hostile: bytes are reached only through pkt_get, which returns NULL out
 * of range; multi-byte fields through the load helpers. Plain data, no lifecycle. RFC 791, 8200.
 */
#pragma once
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PKT_MAX_BYTES  65536
#define PKT_HEAD_BYTES 32 /* before the IP header: for what a port puts in front of it */

struct pkt {
    struct virtio_net_hdr vnet;
    unsigned char *p; /* IP header; room for PKT_MAX_BYTES, and PKT_HEAD_BYTES before it */
    size_t n;
};

static inline const unsigned char *pkt_get(const struct pkt *k, size_t off, size_t len)
{
    return len <= k->n && off <= k->n - len ? k->p + off : NULL;
}
static inline uint16_t pkt_load16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void pkt_store16(unsigned char *p, unsigned v)
{
    p[0] = (unsigned char)(v >> 8);
    p[1] = (unsigned char)v;
}
static inline void pkt_store32(unsigned char *p, uint32_t v)
{
    pkt_store16(p, v >> 16);
    pkt_store16(p + 2, v & 0xffff);
}
static inline uint32_t pkt_load32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* True when k is an IPv4 packet whose header and total length fit; then its destination. */
static inline bool pkt_ipv4_dst(const struct pkt *k, uint32_t *ret_dst)
{
    const unsigned char *h = pkt_get(k, 0, 20);
    if (!h || h[0] >> 4 != 4)
        return false;
    size_t header = (size_t)(h[0] & 15) * 4, total = pkt_load16(h + 2);
    if (header < 20 || total < header || total > k->n)
        return false;
    *ret_dst = pkt_load32(h + 16);
    return true;
}

/* The same for IPv6 (RFC 8200); jumbograms have no place here. */
static inline bool pkt_ipv6_dst(const struct pkt *k, unsigned char ret_dst[16])
{
    const unsigned char *h = pkt_get(k, 0, 40);
    if (!h || h[0] >> 4 != 6 || pkt_load16(h + 4) + 40u > k->n)
        return false;
    memcpy(ret_dst, h + 24, 16);
    return true;
}
