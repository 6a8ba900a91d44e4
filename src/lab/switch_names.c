/* switch_names.c - questions to the lab's resolver (10.213.0.1): UDP in, an answer back to whoever
 * asked, at once or when a fault wants it later. IPv4 only; the kernel of the service took care of
 * the question's checksums. */
#include <netinet/in.h>
#include <string.h>

#include "lab/ipsum.h"
#include "lab/switch.h"

#define IP_BYTES      20
#define UDP_BYTES     8
#define FRAGMENT_BITS 0x3fff /* more fragments, or not the first */

/* Offset of the question; 0 = it is none, or not from the port's own address. */
static size_t question_at(const struct pkt *k, unsigned from, size_t *ret_n)
{
    size_t l4 = (size_t)(k->p[0] & 15) * 4;
    const unsigned char *udp = pkt_get(k, l4, UDP_BYTES);
    if (!udp || k->p[9] != IPPROTO_UDP || pkt_load16(k->p + 6) & FRAGMENT_BITS ||
        pkt_load16(udp + 2) != NAMES_PORT || pkt_load32(k->p + 12) != switch_addr(from))
        return 0;
    size_t n = pkt_load16(udp + 4);
    if (n < UDP_BYTES || !pkt_get(k, l4, n))
        return 0;
    *ret_n = n - UDP_BYTES;
    return l4 + UDP_BYTES;
}

/* Headers of an answer of n bytes that lies behind them already. */
static void address(struct pkt *out, const struct pkt *question, size_t n)
{
    const unsigned char *asked = question->p, *udp = asked + (asked[0] & 15) * 4;
    unsigned char *ip = out->p, *to = out->p + IP_BYTES;
    size_t udp_n = UDP_BYTES + n;
    memset(&out->vnet, 0, sizeof out->vnet);
    out->n = IP_BYTES + udp_n;
    memset(ip, 0, IP_BYTES + UDP_BYTES);
    ip[0] = 0x45;
    pkt_store16(ip + 2, (unsigned)out->n);
    ip[6] = 0x40; /* do not fragment */
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, asked + 16, 4);
    memcpy(ip + 16, asked + 12, 4);
    pkt_store16(ip + 10, ipsum_check(ipsum_add(0, ip, IP_BYTES)));
    pkt_store16(to, NAMES_PORT);
    memcpy(to + 2, udp, 2);
    pkt_store16(to + 4, (unsigned)udp_n);
    uint32_t pseudo = ipsum_pseudo4(ip + 12, ip + 16, IPPROTO_UDP, (uint16_t)udp_n);
    unsigned sum = ipsum_check(ipsum_add(pseudo, to, udp_n));
    pkt_store16(to + 6, sum ? sum : 0xffff);
}

void switch_question(struct vswitch *sw, unsigned from)
{
    const struct pkt *k = &sw->scratch.pkt;
    int64_t now_ns = sw->config.now(sw->config.ctx), delay_ns = 0;
    size_t n = 0, at = question_at(k, from, &n);
    struct held *held =
        at ? hold_take(&sw->chain.hold, IP_BYTES + UDP_BYTES + NAMES_ANSWER_BYTES) : NULL;
    if (!held)
        return;
    struct parcel *p = &held->parcel;
    p->link = switch_link(sw, from, from);
    p->came_ns = now_ns;
    p->note[0] = '\0';
    size_t answer_n = names_answer(&sw->names, from, k->p + at, n, p->pkt.p + IP_BYTES + UDP_BYTES,
                                   NAMES_ANSWER_BYTES, &delay_ns);
    if (answer_n == 0) {
        hold_give(&sw->chain.hold, held);
        return;
    }
    address(&p->pkt, k, answer_n);
    if (sw->logging && delay_ns)
        parcel_note(p, "answer delayed by %.6f s", (double)delay_ns / 1e9);
    chain_keep(&sw->chain, held, now_ns + delay_ns);
}
