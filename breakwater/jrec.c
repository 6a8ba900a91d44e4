#include "jrec.h"

#include <string.h>

static const char magic[4] = {'B', 'W', 'J', '1'};

uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n)
{
    static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *s = p;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc = nibble[(crc ^ s[i]) & 15] ^ (crc >> 4);
        crc = nibble[(crc ^ (s[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

static void put32(unsigned char *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void jrec_put64(unsigned char out[8], uint64_t v)
{
    put32(out, (uint32_t)v);
    put32(out + 4, (uint32_t)(v >> 32));
}

uint64_t jrec_get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

void jrec_add(struct buf *out, enum jrec_type type, const void *body, size_t len)
{
    unsigned char head[JREC_HEAD_BYTES];
    memcpy(head, magic, 4);
    put32(head + 4, (uint32_t)len);
    head[8] = (unsigned char)type;
    put32(head + 9, crc32_ieee(crc32_ieee(0, head + 8, 1), body, len));
    buf_add(out, head, sizeof(head));
    buf_add(out, body, len);
}

size_t jrec_take(const unsigned char *p, size_t n, struct jrec *ret_rec)
{
    if (n < JREC_HEAD_BYTES || memcmp(p, magic, 4) != 0)
        return 0;
    uint32_t len = get32(p + 4);
    if (len > JREC_BODY_MAX || n - JREC_HEAD_BYTES < len)
        return 0;
    if (get32(p + 9) != crc32_ieee(crc32_ieee(0, p + 8, 1), p + JREC_HEAD_BYTES, len))
        return 0;
    if (p[8] < JREC_IDENTITY || p[8] > JREC_SETTLED)
        return 0;
    *ret_rec = (struct jrec){(enum jrec_type)p[8], p + JREC_HEAD_BYTES, len};
    return JREC_HEAD_BYTES + len;
}
