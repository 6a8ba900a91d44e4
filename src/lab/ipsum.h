/*
 * ipsum.h - the Internet checksum in parts: headers, pseudo headers and data are added in any
 * order, then folded (RFC 1071).
 *
 * A sum is a plain number: of the bytes read as big-endian 16-bit words. So 16-bit values in host
 * order may be added to one as they are (`sum + length`), at most 60,000 of them between two calls
 * here. An odd piece counts as if a zero byte followed: only the last piece may be odd. Pure, no
 * lifecycle.
 *
 * To fill a field: set it to 0, add everything, ipsum_check, store big-endian; for UDP a 0 is sent
 * as 0xffff (RFC 768). To verify: add everything with the field in it; ipsum_check is 0. What a
 * kernel's NEEDS_CSUM packet has in its field is the pseudo header's ipsum_fold; adding all bytes
 * from csum_start completes it.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t ipsum_add(uint32_t sum, const void *p, size_t n);

static inline uint16_t ipsum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}
static inline uint16_t ipsum_check(uint32_t sum)
{
    return (uint16_t)~ipsum_fold(sum);
}

/* Pseudo headers: addresses as they lie in the packet's header; n = bytes of the upper protocol
 * with its header. RFC 793, 768; RFC 8200, 8.1 (ICMP of IPv4 has none). */
uint32_t ipsum_pseudo4(const void *src4, const void *dst4, uint8_t protocol, uint16_t n);
uint32_t ipsum_pseudo6(const void *src16, const void *dst16, uint8_t protocol, uint32_t n);
