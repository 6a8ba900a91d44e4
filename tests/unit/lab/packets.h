/* packets.h - packets made for tests: UDP and uncut TCP segments with true checksums. */
#pragma once
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "lab/ipsum.h"
#include "lab/pkt.h"

static inline void ip4_head(unsigned char *p, size_t n, unsigned id, unsigned protocol,
                            uint32_t src, uint32_t dst)
{
    memset(p, 0, 20);
    p[0] = 0x45;
    pkt_store16(p + 2, (unsigned)n);
    pkt_store16(p + 4, id);
    p[6] = 0x40; /* do not fragment */
    p[8] = 64;
    p[9] = (unsigned char)protocol;
    pkt_store32(p + 12, src);
    pkt_store32(p + 16, dst);
    pkt_store16(p + 10, ipsum_check(ipsum_add(0, p, 20)));
}

/* n bytes in all, 28 at least; the number is in identification and first payload bytes. */
static inline void udp4(struct pkt *k, size_t n, uint32_t number, uint32_t src, uint32_t dst,
                        unsigned dst_port)
{
    memset(&k->vnet, 0, sizeof k->vnet);
    k->n = n;
    ip4_head(k->p, n, number & 0xffff, IPPROTO_UDP, src, dst);
    unsigned char *udp = k->p + 20;
    pkt_store16(udp, 4000);
    pkt_store16(udp + 2, dst_port);
    pkt_store16(udp + 4, (unsigned)(n - 20));
    pkt_store16(udp + 6, 0);
    for (size_t i = 28; i < n; i++)
        k->p[i] = (unsigned char)(number + i * 7);
    if (n >= 32)
        pkt_store32(k->p + 28, number);
    unsigned sum = ipsum_check(ipsum_add(
        ipsum_pseudo4(k->p + 12, k->p + 16, IPPROTO_UDP, (uint16_t)(n - 20)), udp, n - 20));
    pkt_store16(udp + 6, sum ? sum : 0xffff);
}

/* A TCP segment of `payload` bytes from stream position seq, not cut yet; with 12 bytes of options.
 * Byte i of the stream is i * 31 + i / 251. FIN, PSH and CWR are set. */
static inline unsigned char stream_byte(uint32_t i)
{
    return (unsigned char)(i * 31 + i / 251);
}

static inline void tcp4(struct pkt *k, size_t payload, size_t mss, uint32_t seq, uint32_t src,
                        uint32_t dst)
{
    size_t head = 20 + 32;
    k->n = head + payload;
    ip4_head(k->p, k->n, 700, IPPROTO_TCP, src, dst);
    unsigned char *tcp = k->p + 20;
    memset(tcp, 0, 32);
    pkt_store16(tcp, 5000);
    pkt_store16(tcp + 2, 6379);
    pkt_store32(tcp + 4, seq);
    tcp[12] = 8 << 4;
    tcp[13] = 0x99; /* CWR ACK PSH FIN */
    memset(tcp + 20, 1, 12);
    for (size_t i = 0; i < payload; i++)
        k->p[head + i] = stream_byte(seq + (uint32_t)i);
    pkt_store16(tcp + 16, ipsum_fold(ipsum_pseudo4(k->p + 12, k->p + 16, IPPROTO_TCP,
                                                   (uint16_t)(k->n - 20))));
    k->vnet = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                      .csum_start = 20,
                                      .csum_offset = 16,
                                      .hdr_len = (uint16_t)head};
    if (payload > mss) {
        k->vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        k->vnet.gso_size = (uint16_t)mss;
    }
}

static inline void tcp6(struct pkt *k, size_t payload, size_t mss, uint32_t seq,
                        const unsigned char src[16], const unsigned char dst[16])
{
    unsigned char *own = k->p;
    struct pkt four = {.p = own + 20};
    tcp4(&four, payload, mss, seq, 0, 0); /* its 20 bytes of header are overwritten */
    k->vnet = four.vnet;
    k->n = four.n + 20;
    memset(own, 0, 40);
    own[0] = 0x60;
    pkt_store16(own + 4, (unsigned)(k->n - 40));
    own[6] = IPPROTO_TCP;
    own[7] = 64;
    memcpy(own + 8, src, 16);
    memcpy(own + 24, dst, 16);
    pkt_store16(own + 40 + 16,
                ipsum_fold(ipsum_pseudo6(own + 8, own + 24, IPPROTO_TCP, (uint32_t)(k->n - 40))));
    k->vnet.csum_start = 40;
    k->vnet.hdr_len = 72;
    if (k->vnet.gso_type)
        k->vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
}
