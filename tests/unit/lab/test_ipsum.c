/* The Internet checksum against a naive one and against packets whose checksums are known. */
#include "tests.h"

#include "base/rng.h"
#include "lab/ipsum.h"

static uint16_t naive(const unsigned char *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

TEST(every_length_and_alignment_adds_as_the_naive_sum)
{
    static unsigned char bytes[65536 + 8];
    struct rng rng;
    rng_init(&rng, 1, "ipsum");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)rng_u64(&rng);
    for (size_t n = 0; n < 200; n++)
        for (size_t at = 0; at < 8; at++)
            ASSERT_EQ(ipsum_fold(ipsum_add(0, bytes + at, n)), naive(bytes + at, n));
    ASSERT_EQ(ipsum_fold(ipsum_add(0, bytes, 65535)), naive(bytes, 65535));
    memset(bytes, 0xff, sizeof bytes);
    ASSERT_EQ(ipsum_fold(ipsum_add(0xffffffff, bytes, 65536)), 0xffff);
}

TEST(pieces_and_host_order_values_add_up)
{
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 200);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 2) {
        uint32_t sum = ipsum_add(ipsum_add(0, bytes, cut), bytes + cut, sizeof bytes - cut);
        ASSERT_EQ(ipsum_fold(sum), naive(bytes, sizeof bytes));
    }
    uint32_t sum = (uint32_t)(bytes[0] << 8 | bytes[1]) + (uint32_t)(bytes[2] << 8 | bytes[3]);
    ASSERT_EQ(ipsum_fold(sum), ipsum_fold(ipsum_add(0, bytes, 4)));
}

TEST(a_known_ipv4_header)
{
    const unsigned char h[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                               0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    ASSERT_EQ(ipsum_check(ipsum_add(0, h, sizeof h)), 0);
    ASSERT_EQ(ipsum_check(ipsum_add(ipsum_add(0, h, 10), h + 12, 8)), 0xb861);
}

TEST(pseudo_headers_are_those_of_the_rfcs)
{
    const unsigned char a4[] = {10, 213, 0, 10}, b4[] = {10, 213, 0, 255};
    const unsigned char flat4[] = {10, 213, 0, 10, 10, 213, 0, 255, 0, 6, 0x12, 0x34};
    ASSERT_EQ(ipsum_fold(ipsum_pseudo4(a4, b4, 6, 0x1234)), naive(flat4, sizeof flat4));

    unsigned char flat6[40] = {0xfd, 0x53, [15] = 1, [16] = 0xfd, [31] = 0xfe};
    flat6[33] = 1, flat6[34] = 0xff, flat6[35] = 0xf0, flat6[39] = 58;
    ASSERT_EQ(ipsum_fold(ipsum_pseudo6(flat6, flat6 + 16, 58, 0x1fff0)),
              naive(flat6, sizeof flat6));
}
