#include "lab/gso.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "lab/ipsum.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define IP4_BYTES 20
#define IP6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define TCP_FLAGS 13 /* offset in the header */
#define TCP_FIN   0x01
#define TCP_PSH   0x08
#define TCP_CWR   0x80
#define CSUM_TCP  16
#define CSUM_UDP  6

static bool is_ip6(const struct pkt *k)
{
    return k->p[0] >> 4 == 6;
}

/* Offset of the transport header as the kernel gave it, when it fits the IP header; 0 = no. */
static size_t l4_of(const struct pkt *k)
{
    size_t l4 = k->vnet.csum_start;
    if (!(k->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !pkt_get(k, 0, IP4_BYTES))
        return 0;
    if (is_ip6(k))
        return l4 >= IP6_BYTES && l4 < k->n ? l4 : 0;
    return k->p[0] >> 4 == 4 && l4 >= IP4_BYTES && l4 == (size_t)(k->p[0] & 15) * 4 ? l4 : 0;
}

static size_t header_of(const struct pkt *k, size_t l4, bool udp)
{
    if (udp)
        return pkt_get(k, l4, UDP_BYTES) && k->vnet.csum_offset == CSUM_UDP ? l4 + UDP_BYTES : 0;
    const unsigned char *tcp = pkt_get(k, l4, TCP_BYTES);
    size_t n = tcp ? (size_t)(tcp[12] >> 4) * 4 : 0;
    return n >= TCP_BYTES && pkt_get(k, l4, n) && k->vnet.csum_offset == CSUM_TCP ? l4 + n : 0;
}

void gso_look(const struct pkt *k, struct gso_train *ret)
{
    unsigned type = k->vnet.gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;
    bool udp = type == VIRTIO_NET_HDR_GSO_UDP_L4;
    *ret = (struct gso_train){.n = 1};
    if ((!udp && type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6) ||
        k->vnet.gso_size == 0)
        return;
    size_t l4 = l4_of(k), header = l4 ? header_of(k, l4, udp) : 0;
    if (header == 0 || k->n - header <= k->vnet.gso_size)
        return;
    *ret = (struct gso_train){.header_bytes = header,
                              .payload_bytes = k->n - header,
                              .size = k->vnet.gso_size,
                              .l4 = l4,
                              .udp = udp};
    ret->n = (unsigned)((ret->payload_bytes + ret->size - 1) / ret->size);
}

static size_t payload_to(const struct gso_train *t, unsigned end)
{
    size_t n = end * t->size;
    return n < t->payload_bytes ? n : t->payload_bytes;
}

size_t gso_run_bytes(const struct pkt *k, const struct gso_train *t, unsigned first, unsigned n)
{
    assert(n >= 1 && first + n <= t->n);
    if (n == t->n)
        return k->n;
    return t->header_bytes + payload_to(t, first + n) - payload_to(t, first);
}

size_t gso_bytes(const struct pkt *k, const struct gso_train *t, unsigned i)
{
    return gso_run_bytes(k, t, i, 1);
}

/* Length, identification and header checksum of a packet that was cut out as number `first`. */
static void mend_ip(struct pkt *out, unsigned first)
{
    unsigned char *ip = out->p;
    if (is_ip6(out)) {
        pkt_store16(ip + 4, (unsigned)(out->n - IP6_BYTES));
        return;
    }
    pkt_store16(ip + 2, (unsigned)out->n);
    pkt_store16(ip + 4, (pkt_load16(ip + 4) + first) & 0xffff);
    pkt_store16(ip + 10, 0);
    pkt_store16(ip + 10, ipsum_check(ipsum_add(0, ip, (size_t)(ip[0] & 15) * 4)));
}

static uint32_t pseudo(const struct pkt *k, size_t l4, uint8_t protocol)
{
    const unsigned char *ip = k->p;
    size_t n = k->n - l4;
    return is_ip6(k) ? ipsum_pseudo6(ip + 8, ip + 24, protocol, (uint32_t)n)
                     : ipsum_pseudo4(ip + 12, ip + 16, protocol, (uint16_t)n);
}

static void mend_l4(struct pkt *out, const struct gso_train *t, unsigned first, bool last)
{
    unsigned char *l4 = out->p + t->l4;
    if (t->udp) {
        pkt_store16(l4 + 4, (unsigned)(out->n - t->l4));
        pkt_store16(l4 + CSUM_UDP, ipsum_fold(pseudo(out, t->l4, IPPROTO_UDP)));
        return;
    }
    pkt_store32(l4 + 4, pkt_load32(l4 + 4) + first * (uint32_t)t->size);
    if (!last)
        l4[TCP_FLAGS] &= (unsigned char)~(TCP_FIN | TCP_PSH);
    if (first > 0)
        l4[TCP_FLAGS] &= (unsigned char)~TCP_CWR;
    pkt_store16(l4 + CSUM_TCP, ipsum_fold(pseudo(out, t->l4, IPPROTO_TCP)));
}

void gso_cut(const struct pkt *k, const struct gso_train *t, unsigned first, unsigned n,
             struct pkt *out)
{
    out->vnet = k->vnet;
    out->n = gso_run_bytes(k, t, first, n);
    if (n == t->n) {
        memcpy(out->p, k->p, k->n);
        return;
    }
    memcpy(out->p, k->p, t->header_bytes);
    memcpy(out->p + t->header_bytes, k->p + t->header_bytes + payload_to(t, first),
           out->n - t->header_bytes);
    if (n == 1) {
        out->vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        out->vnet.gso_size = 0;
    } else if (first > 0) {
        out->vnet.gso_type &= (unsigned char)~VIRTIO_NET_HDR_GSO_ECN;
    }
    out->vnet.hdr_len = (uint16_t)t->header_bytes;
    mend_ip(out, first);
    mend_l4(out, t, first, first + n == t->n);
}

void gso_finish_checksum(struct pkt *k)
{
    size_t start = k->vnet.csum_start, at = start + k->vnet.csum_offset;
    if (!(k->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !pkt_get(k, at, 2) || start > at)
        return;
    unsigned sum = ipsum_check(ipsum_add(0, k->p + start, k->n - start));
    pkt_store16(k->p + at, sum == 0 && k->vnet.csum_offset == CSUM_UDP ? 0xffff : sum);
    k->vnet.flags &= (unsigned char)~VIRTIO_NET_HDR_F_NEEDS_CSUM;
    k->vnet.csum_start = k->vnet.csum_offset = 0;
}
