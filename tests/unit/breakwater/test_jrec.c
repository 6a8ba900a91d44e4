/* Journal records: what comes back, and what a torn or changed tail does. */
#include "jrec.h"
#include "tests.h"

static const unsigned char *bytes(const struct buf *b, size_t at)
{
    return (const unsigned char *)b->p + at;
}

/* The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms. */
TEST(crc_check_value)
{
    ASSERT_EQ(crc32_ieee(0, "123456789", 9), 0xcbf43926);
    ASSERT_EQ(crc32_ieee(crc32_ieee(0, "1234", 4), "56789", 5), 0xcbf43926);
    ASSERT_EQ(crc32_ieee(0, "", 0), 0);
}

TEST(round_trip)
{
    struct buf b = {0};
    struct jrec r;
    jrec_add(&b, JREC_ALERT, "hello", 5);
    jrec_add(&b, JREC_DONE, "", 0);
    size_t n = jrec_take(bytes(&b, 0), b.len, &r);
    ASSERT_EQ(n, JREC_HEAD_BYTES + 5);
    ASSERT_EQ(r.type, JREC_ALERT);
    ASSERT(r.len == 5 && memcmp(r.body, "hello", 5) == 0);
    ASSERT_EQ(jrec_take(bytes(&b, n), b.len - n, &r), JREC_HEAD_BYTES);
    ASSERT_EQ(r.type, JREC_DONE);
    ASSERT_EQ(jrec_take(bytes(&b, b.len), 0, &r), 0);
    buf_done(&b);
}

TEST(every_cut_is_noticed)
{
    struct buf b = {0};
    struct jrec r;
    jrec_add(&b, JREC_ALERT, "some alert text", 15);
    for (size_t n = 0; n < b.len; n++)
        ASSERT_EQ(jrec_take(bytes(&b, 0), n, &r), 0);
    buf_done(&b);
}

TEST(every_flipped_bit_is_noticed)
{
    struct buf b = {0};
    struct jrec r;
    jrec_add(&b, JREC_ALERT, "some alert text", 15);
    for (size_t i = 0; i < b.len * 8; i++) {
        b.p[i / 8] ^= (char)(1 << (i % 8));
        ASSERT_EQ(jrec_take(bytes(&b, 0), b.len, &r), 0);
        b.p[i / 8] ^= (char)(1 << (i % 8));
    }
    ASSERT_EQ(jrec_take(bytes(&b, 0), b.len, &r), b.len);
    buf_done(&b);
}

TEST(numbers)
{
    unsigned char b[8];
    static const uint64_t v[] = {0, 1, 0x8000000000000000u, UINT64_MAX, 0x0123456789abcdefu};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        jrec_put64(b, v[i]);
        ASSERT(jrec_get64(b) == v[i]);
    }
    jrec_put64(b, 0x0123456789abcdefu);
    ASSERT_EQ(b[0], 0xef);
}
