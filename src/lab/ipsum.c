#include "lab/ipsum.h"

#include <endian.h>
#include <string.h>

static uint16_t fold128(unsigned __int128 wide)
{
    uint64_t a = (uint64_t)wide, b = (uint64_t)(wide >> 64);
    uint64_t s = (a & 0xffffffff) + (a >> 32) + b;
    s = (s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32);
    return ipsum_fold((uint32_t)s);
}

/* Words are added in the machine's order and the result is swapped once: the sum of swapped words
 * is the swapped sum (RFC 1071, 2 B). */
uint32_t ipsum_add(uint32_t sum, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    unsigned __int128 wide = 0;
    uint64_t w;
    for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
        memcpy(&w, p, sizeof w);
        wide += w;
    }
    if (n) {
        w = 0;
        memcpy(&w, p, n);
        wide += w;
    }
    return (uint32_t)ipsum_fold(sum) + be16toh(fold128(wide));
}

uint32_t ipsum_pseudo4(const void *src4, const void *dst4, uint8_t protocol, uint16_t n)
{
    return ipsum_add(ipsum_add((uint32_t)protocol + n, src4, 4), dst4, 4);
}

uint32_t ipsum_pseudo6(const void *src16, const void *dst16, uint8_t protocol, uint32_t n)
{
    uint32_t fixed = protocol + (n >> 16) + (n & 0xffff);
    return ipsum_add(ipsum_add(fixed, src16, 16), dst16, 16);
}
