#include "lab/names_wire.h"

#include <assert.h>
#include <string.h>

#include "lab/pkt.h"

enum { CLASS_IN = 1, CLASS_ANY = 255 };
enum {
    FLAG_QR = 0x8000,
    FLAG_OPCODE = 0x7800,
    FLAG_AA = 0x0400,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080
};

#define EDNS_DO    0x8000
#define EDNS_BYTES 1232 /* what we would take in one datagram; DNS flag day 2020 */

/* --- reading -------------------------------------------------------------------------------- */

char names_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static char readable(unsigned char c)
{
    return c == '.' || c < 0x21 ? '\x7f' : names_lower((char)c);
}

/* The uncompressed name at p as text; returns its length on the wire, 0 when it is none. */
static size_t read_name(const unsigned char *p, size_t n, char text[NAMES_NAME_BYTES + 1])
{
    size_t at = 0, out = 0;
    for (;;) {
        if (at >= n || at >= NAMES_NAME_BYTES || p[at] > NAMES_LABEL_BYTES)
            return 0;
        size_t label = p[at++];
        if (label == 0)
            break;
        if (label > n - at || at + label >= NAMES_NAME_BYTES)
            return 0;
        if (out)
            text[out++] = '.';
        for (size_t i = 0; i < label; i++)
            text[out++] = readable(p[at++]);
    }
    text[out] = '\0';
    return at;
}

/* The additional records, of which only OPT is looked at. Their names may end in a pointer, which
 * nobody follows. */
static enum names_rcode read_additional(struct names_question *q, const unsigned char *p, size_t n,
                                        unsigned count)
{
    for (; count; count--) {
        size_t at = 0;
        while (at < n && p[at] && p[at] <= NAMES_LABEL_BYTES)
            at += (size_t)p[at] + 1;
        if (at >= n || (p[at] && p[at] < 0xc0))
            return NAMES_FORMERR;
        bool root = at == 0 && p[0] == 0;
        at += p[at] ? 2 : 1;
        if (at > n || n - at < 10)
            return NAMES_FORMERR;
        const unsigned char *r = p + at;
        size_t data_n = pkt_load16(r + 8);
        if (data_n > n - at - 10)
            return NAMES_FORMERR;
        if (pkt_load16(r) == NAMES_OPT) {
            if (!root || q->edns)
                return NAMES_FORMERR;
            q->edns = true;
            q->edns_version = r[5];
            q->dnssec_ok = pkt_load16(r + 6) & EDNS_DO;
        }
        p += at + 10 + data_n;
        n -= at + 10 + data_n;
    }
    return NAMES_OK;
}

static enum names_rcode read_whole(struct names_question *q, const unsigned char *p, size_t n)
{
    if (q->flags & FLAG_OPCODE)
        return NAMES_NOTIMP;
    if (pkt_load16(p + 4) != 1 || pkt_load16(p + 6) || pkt_load16(p + 8))
        return NAMES_FORMERR;
    size_t at = NAMES_HEADER_BYTES, name_n = read_name(p + at, n - at, q->name);
    if (!name_n || n - at - name_n < 4)
        return NAMES_FORMERR;
    at += name_n;
    q->type = pkt_load16(p + at);
    q->class = pkt_load16(p + at + 2);
    at += 4;
    enum names_rcode r = read_additional(q, p + at, n - at, pkt_load16(p + 10));
    if (r != NAMES_OK)
        return r;
    q->wire_n = name_n + 4;
    if (q->edns_version)
        return NAMES_BADVERS;
    return q->class == CLASS_IN || q->class == CLASS_ANY ? NAMES_OK : NAMES_REFUSED;
}

bool names_question_read(struct names_question *ret, enum names_rcode *ret_rcode,
                         const unsigned char *p, size_t n)
{
    *ret = (struct names_question){0};
    if (n < NAMES_HEADER_BYTES || pkt_load16(p + 2) & FLAG_QR)
        return false;
    ret->id = pkt_load16(p);
    ret->flags = pkt_load16(p + 2);
    *ret_rcode = read_whole(ret, p, n);
    return true;
}

/* --- writing -------------------------------------------------------------------------------- */

struct out {
    unsigned char *p;
    size_t n;
};

static void put(struct out *o, const void *p, size_t n)
{
    assert(n <= NAMES_ANSWER_BYTES - o->n);
    if (n)
        memcpy(o->p + o->n, p, n);
    o->n += n;
}

static void put16(struct out *o, unsigned v)
{
    const unsigned char be[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    put(o, be, sizeof be);
}

static void put32(struct out *o, uint32_t v)
{
    put16(o, v >> 16);
    put16(o, v & 0xffff);
}

void names_reply_set(struct names_reply *r, uint16_t type, const void *p, size_t n)
{
    assert(n <= sizeof r->data);
    r->type = type;
    r->data_n = n;
    memcpy(r->data, p, n);
}

size_t names_reply_write(unsigned char *out, const struct names_question *q,
                         const unsigned char *asked, const struct names_reply *a)
{
    struct out o = {out, 0};
    unsigned known = q->wire_n ? FLAG_AA : 0;
    put16(&o, q->id);
    put16(&o, FLAG_QR | known | FLAG_RA | (q->flags & (FLAG_OPCODE | FLAG_RD)) | (a->rcode & 15));
    put16(&o, q->wire_n != 0);
    put16(&o, a->type != 0);
    put16(&o, 0);
    put16(&o, q->edns);
    put(&o, asked + NAMES_HEADER_BYTES, q->wire_n);
    if (a->type) {
        put16(&o, 0xc000 | NAMES_HEADER_BYTES); /* the name of the question */
        put16(&o, a->type);
        put16(&o, CLASS_IN);
        put32(&o, a->ttl_s);
        put16(&o, (unsigned)a->data_n);
        put(&o, a->data, a->data_n);
    }
    if (q->edns) {
        put(&o, "", 1);
        put16(&o, NAMES_OPT);
        put16(&o, EDNS_BYTES);
        put16(&o, (a->rcode >> 4) << 8);
        put16(&o, q->dnssec_ok ? EDNS_DO : 0);
        put16(&o, 0);
    }
    return o.n;
}
