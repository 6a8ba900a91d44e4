/* The packet log: byte by byte, by its own length fields, on full disks, and read by tshark. */
#include "tests.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lab/pcapng.h"

static const char *const names[] = {"outside", "redis"};

/* 10.213.0.10:1000 -> 10.213.0.11:53, UDP, four bytes */
static const unsigned char udp[] = {0x45, 0,  0,   32, 0,  1,  0,   0,   64,  17, 0,
                                    0,    10, 213, 0,  10, 10, 213, 0,   11,  3,  0xe8,
                                    0,    53, 0,   12, 0,  0,  'p', 'i', 'n', 'g'};

static int memory_file(void)
{
    int fd = memfd_create("pcapng", MFD_CLOEXEC);
    ASSERT_LE(0, fd);
    return fd;
}

static struct buf contents(int fd)
{
    struct buf b = {0};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ASSERT_OK(buf_read_file(&b, path, 1 << 28));
    return b;
}

static uint32_t le32(const struct buf *b, size_t at)
{
    const unsigned char *p = (const unsigned char *)b->p + at;
    ASSERT_LE(at + 4, b->n);
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Walks a whole file by its lengths; returns how many packets it holds. */
static uint64_t count_packets(const struct buf *b)
{
    uint64_t packets = 0;
    for (size_t at = 0; at < b->n;) {
        uint32_t n = le32(b, at + 4);
        ASSERT(n >= 12 && n % 4 == 0);
        ASSERT_EQ(le32(b, at + n - 4), n);
        packets += le32(b, at) == 6;
        at += n;
    }
    return packets;
}

TEST(a_small_file_byte_by_byte)
{
    static const unsigned char golden[] = {
        /* section header: length 44, magic, version 1.0, length unknown, "squall" */
        0x0a, 0x0d, 0x0d, 0x0a, 44, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 4, 0, 6, 0, 's', 'q', 'u', 'a', 'l', 'l', 0, 0, 0, 0, 0, 0,
        44, 0, 0, 0,
        /* interface 0: raw, snaplen 8, name, ns */
        1, 0, 0, 0, 44, 0, 0, 0, 101, 0, 0, 0, 8, 0, 0, 0, 2, 0, 7, 0, 'o', 'u', 't', 's', 'i', 'd',
        'e', 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0,
        /* interface 1 */
        1, 0, 0, 0, 44, 0, 0, 0, 101, 0, 0, 0, 8, 0, 0, 0, 2, 0, 5, 0, 'r', 'e', 'd', 'i', 's', 0,
        0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0,
        /* packet on 1 at 0x0102030405060708 ns: 5 of 5 bytes, "lost" */
        6, 0, 0, 0, 52, 0, 0, 0, 1, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 5, 0, 0, 0, 5, 0, 0, 0, 'a',
        'b', 'c', 'd', 'e', 0, 0, 0, 1, 0, 4, 0, 'l', 'o', 's', 't', 0, 0, 0, 0, 52, 0, 0, 0,
        /* packet on 0 at 1 ns: 8 of 20 bytes, no comment */
        6, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 20, 0, 0, 0, '0',
        '1', '2', '3', '4', '5', '6', '7', 40, 0, 0, 0};
    struct pcapng w;
    int fd = memory_file();
    ASSERT_OK(pcapng_init(&w, fd, names, 2, 8));
    ASSERT_OK(
        pcapng_packet(&w, 1, 0x0102030405060708, (const unsigned char *)"abcde", 5, 5, "lost"));
    ASSERT_OK(pcapng_packet(&w, 0, 1, (const unsigned char *)"0123456789", 10, 20, NULL));
    ASSERT_OK(pcapng_done(&w));
    struct buf b = contents(fd);
    ASSERT_EQ(b.n, sizeof golden);
    for (size_t i = 0; i < sizeof golden; i++)
        if ((unsigned char)b.p[i] != golden[i])
            TEST_FAIL("byte %zu: %02x, not %02x", i, (unsigned char)b.p[i], golden[i]);
    ASSERT_EQ(w.packets, 2);
    ASSERT_EQ(w.lost, 0);
    buf_done(&b);
    close(fd);
}

TEST(many_packets_of_every_size)
{
    static unsigned char p[PCAPNG_SNAPLEN_MAX];
    struct pcapng w;
    int fd = memory_file();
    ASSERT_OK(pcapng_init(&w, fd, names, 2, PCAPNG_SNAPLEN_MAX));
    for (size_t i = 0; i < 3000; i++)
        ASSERT_OK(pcapng_packet(&w, i % 2, (int64_t)i, p, i * 21, i * 21, i % 3 ? "x" : ""));
    ASSERT_OK(pcapng_done(&w));
    struct buf b = contents(fd);
    ASSERT_EQ(count_packets(&b), 3000);
    buf_done(&b);
    close(fd);
}

TEST(long_texts_are_cut_between_characters)
{
    struct pcapng w;
    char comment[PCAPNG_COMMENT_BYTES + 10];
    int fd = memory_file();
    memset(comment, 'c', sizeof comment - 1);
    comment[sizeof comment - 1] = '\0';
    memcpy(comment + PCAPNG_COMMENT_BYTES - 1, "\xc3\xa4", 2);
    ASSERT_OK(pcapng_init(&w, fd, names, 2, 100));
    ASSERT_OK(pcapng_packet(&w, 0, 0, udp, 1, 1, comment));
    ASSERT_OK(pcapng_done(&w));
    struct buf b = contents(fd);
    ASSERT_EQ(count_packets(&b), 1);
    size_t option = 44 * 3 + 28 + 4;
    ASSERT_EQ(le32(&b, option), 1 | (PCAPNG_COMMENT_BYTES - 1) << 16);
    buf_done(&b);
    close(fd);
}

TEST(more_names_than_fit)
{
    static const char *many[5000];
    struct pcapng w;
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = "x";
    int fd = memory_file();
    ASSERT_EQ(pcapng_init(&w, fd, many, ARRAY_SIZE(many), 100), -E2BIG);
    pcapng_done(&w);
    ASSERT_OK(pcapng_init(&w, fd, many, 513, 100));
    ASSERT_OK(pcapng_done(&w));
    struct buf b = contents(fd);
    ASSERT_EQ(count_packets(&b), 0);
    buf_done(&b);
    close(fd);
}

/* The disk is full after `limit` bytes. */
static void fill(rlim_t limit)
{
    struct rlimit before, small;
    struct pcapng w;
    FILE *f = tmpfile();
    ASSERT(f);
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_OK(getrlimit(RLIMIT_FSIZE, &before));
    small = (struct rlimit){limit, before.rlim_max};
    ASSERT_OK(setrlimit(RLIMIT_FSIZE, &small));
    ASSERT_OK(pcapng_init(&w, fileno(f), names, 2, 1000));
    for (int i = 0; i < 30000; i++)
        pcapng_packet(&w, 0, i, udp, sizeof udp, sizeof udp, "passed");
    ASSERT_EQ(pcapng_flush(&w), -EFBIG);
    ASSERT_EQ(pcapng_packet(&w, 0, 1, udp, sizeof udp, sizeof udp, NULL), -EFBIG);
    ASSERT_EQ(pcapng_done(&w), -EFBIG);
    ASSERT_OK(setrlimit(RLIMIT_FSIZE, &before));

    struct buf b = contents(fileno(f));
    ASSERT_LE(b.n, limit);
    ASSERT_LT(limit, b.n + (b.n < 132 ? 44 : 80)); /* no block was cut that was whole */
    ASSERT_EQ(w.packets, 30001);
    ASSERT_EQ(count_packets(&b) + w.lost, w.packets);
    buf_done(&b);
    fclose(f);
}

TEST(a_file_that_may_not_grow_ends_with_a_whole_block)
{
    /* in the headers, at a border of blocks, in the first piece written, in a later one */
    for (rlim_t limit = 0; limit < 250; limit++)
        fill(limit);
    fill(100001);
    fill(PCAPNG_BUFFER_BYTES + 12345);
}

TEST(a_full_device)
{
    struct pcapng w;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        SKIP("no /dev/full on this machine");
    ASSERT_OK(pcapng_init(&w, fd, names, 2, 1000));
    ASSERT_OK(pcapng_packet(&w, 0, 0, udp, sizeof udp, sizeof udp, NULL));
    ASSERT_EQ(pcapng_done(&w), -ENOSPC);
    ASSERT_EQ(w.lost, 1);
    close(fd);
}

static bool have_tshark(void)
{
    return system("command -v tshark >/dev/null 2>&1") == 0;
}

TEST(tshark_reads_packets_and_comments)
{
    char path[] = "/tmp/squall-test-pcapng-XXXXXX", command[300], line[300];
    struct pcapng w;
    if (!have_tshark())
        SKIP("tshark (Debian package tshark) is not installed");
    int fd = mkstemp(path);
    ASSERT_LE(0, fd);
    ASSERT_OK(pcapng_init(&w, fd, names, 2, 1000));
    ASSERT_OK(pcapng_packet(&w, 1, 1700000000123456789, udp, sizeof udp, sizeof udp,
                            "redis -> gateway: dropped by 'loss 10 %'"));
    ASSERT_OK(pcapng_packet(&w, 0, 1700000000123456790, udp, 30, 32, NULL));
    ASSERT_OK(pcapng_done(&w));
    close(fd);
    snprintf(command, sizeof command,
             "tshark -r %s -T fields -E separator='|' -e frame.time_epoch -e frame.interface_name "
             "-e ip.dst -e udp.srcport -e frame.cap_len -e frame.len -e frame.comment 2>/dev/null",
             path);
    FILE *f = popen(command, "r");
    ASSERT(f);
    ASSERT(fgets(line, sizeof line, f));
    ASSERT_STREQ(line, "1700000000.123456789|redis|10.213.0.11|1000|32|32|"
                       "redis -> gateway: dropped by 'loss 10 %'\n");
    ASSERT(fgets(line, sizeof line, f));
    ASSERT_STREQ(line, "1700000000.123456790|outside|10.213.0.11|1000|30|32|\n");
    ASSERT(!fgets(line, sizeof line, f));
    ASSERT_OK(pclose(f));
    unlink(path);
}
