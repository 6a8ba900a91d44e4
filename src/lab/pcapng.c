#include "lab/pcapng.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_RESOLUTION = 9
};
#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define LINKTYPE_RAW     101
#define BLOCK_HEAD       8 /* type, length */

/* Written in pieces of this size: one write of the whole buffer takes milliseconds, which packets
 * would wait for. */
#define PIECE_BYTES (1u << 16)

/* Fixed parts, options' heads and ends, padding: more than any block has beside its data. */
#define BLOCK_ROOM      128
#define PACKET_ROOM_MAX (BLOCK_ROOM + PCAPNG_SNAPLEN_MAX + PCAPNG_COMMENT_BYTES)
_Static_assert(PACKET_ROOM_MAX <= PCAPNG_BUFFER_BYTES, "a block fits the empty buffer");

static void put(struct pcapng *w, const void *p, size_t n)
{
    assert(n <= PCAPNG_BUFFER_BYTES - w->n);
    if (n)
        memcpy(w->buffer + w->n, p, n);
    w->n += n;
}

static void put16(struct pcapng *w, uint32_t v)
{
    uint16_t le = htole16((uint16_t)v);
    put(w, &le, sizeof le);
}

static void put32(struct pcapng *w, uint32_t v)
{
    uint32_t le = htole32(v);
    put(w, &le, sizeof le);
}

static void put_padded(struct pcapng *w, const void *p, size_t n)
{
    put(w, p, n);
    put(w, "\0\0\0", -n & 3);
}

static void put_option(struct pcapng *w, unsigned code, const void *p, size_t n)
{
    put16(w, code);
    put16(w, (uint32_t)n);
    put_padded(w, p, n);
}

/* Returns what block_end needs. */
static size_t block_begin(struct pcapng *w, uint32_t type)
{
    size_t at = w->n;
    put32(w, type);
    put32(w, 0);
    return at;
}

static void block_end(struct pcapng *w, size_t at)
{
    uint32_t n = (uint32_t)(w->n - at + 4), le = htole32(n);
    put32(w, n);
    memcpy(w->buffer + at + 4, &le, sizeof le);
}

static uint32_t load32(const unsigned char *p)
{
    uint32_t le;
    memcpy(&le, p, sizeof le);
    return le32toh(le);
}

/* Length of the text without a character cut at its end. */
static size_t text_length(const char *s, size_t max)
{
    size_t n = strnlen(s, max + 1);
    if (n <= max)
        return n;
    n = max;
    for (int i = 0; i < 3 && n && (s[n] & 0xc0) == 0x80; i++)
        n--;
    return n;
}

static void put_section(struct pcapng *w)
{
    size_t at = block_begin(w, BLOCK_SECTION);
    put32(w, BYTE_ORDER_MAGIC);
    put16(w, 1);
    put16(w, 0);
    put32(w, ~0u); /* section length: not known */
    put32(w, ~0u);
    put_option(w, SECTION_APPLICATION, "squall", 6);
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

static void put_interface(struct pcapng *w, const char *name)
{
    const unsigned char nanoseconds = 9;
    size_t at = block_begin(w, BLOCK_INTERFACE);
    put16(w, LINKTYPE_RAW);
    put16(w, 0);
    put32(w, w->snaplen);
    put_option(w, INTERFACE_NAME, name, text_length(name, PCAPNG_NAME_BYTES));
    put_option(w, INTERFACE_RESOLUTION, &nanoseconds, 1);
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

int pcapng_init(struct pcapng *w, int fd, const char *const *names, unsigned n, uint32_t snaplen)
{
    assert(snaplen >= 1 && snaplen <= PCAPNG_SNAPLEN_MAX);
    *w = (struct pcapng){.fd = fd, .interfaces_n = n, .snaplen = snaplen};
    if (n > (PCAPNG_BUFFER_BYTES - BLOCK_ROOM) / (BLOCK_ROOM + PCAPNG_NAME_BYTES))
        return -E2BIG;
    w->buffer = xmalloc(PCAPNG_BUFFER_BYTES);
    put_section(w);
    for (unsigned i = 0; i < n; i++)
        put_interface(w, names[i]);
    return 0;
}

/* Only `written` bytes of the buffer reached the file. Cuts the file after the last whole block and
 * counts the packets behind it. What cannot be cut (a pipe) keeps its torn end. */
static void end_log(struct pcapng *w, size_t written, int error)
{
    size_t whole = 0;
    for (size_t at = 0; at < w->n;) {
        uint32_t n = load32(w->buffer + at + 4);
        assert(n >= BLOCK_HEAD + 4 && n <= w->n - at);
        if (at + n <= written)
            whole = at + n;
        else if (load32(w->buffer + at) == BLOCK_PACKET)
            w->lost++;
        at += n;
    }
    off_t end = lseek(w->fd, 0, SEEK_CUR);
    if (written > whole && end >= (off_t)(written - whole)) {
        end -= (off_t)(written - whole);
        if (ftruncate(w->fd, end) == 0)
            lseek(w->fd, end, SEEK_SET);
    }
    w->error = error;
}

int pcapng_flush(struct pcapng *w)
{
    for (size_t done = 0; !w->error && done < w->n;) {
        ssize_t r = write(w->fd, w->buffer + done, w->n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            end_log(w, done, r < 0 ? -errno : -EIO);
        else
            done += (size_t)r;
    }
    w->n = 0;
    return w->error;
}

int pcapng_packet(struct pcapng *w, unsigned interface, int64_t t_ns, const unsigned char *p,
                  size_t n, size_t original_n, const char *comment)
{
    assert(interface < w->interfaces_n && original_n >= n);
    w->packets++;
    if (PCAPNG_BUFFER_BYTES - w->n < PACKET_ROOM_MAX) /* so many interfaces */
        pcapng_flush(w);
    if (w->error) {
        w->lost++;
        return w->error;
    }
    n = n < w->snaplen ? n : w->snaplen;
    size_t at = block_begin(w, BLOCK_PACKET);
    put32(w, interface);
    put32(w, (uint32_t)((uint64_t)t_ns >> 32));
    put32(w, (uint32_t)t_ns);
    put32(w, (uint32_t)n);
    put32(w, (uint32_t)original_n);
    put_padded(w, p, n);
    if (comment && *comment) {
        put_option(w, OPTION_COMMENT, comment, text_length(comment, PCAPNG_COMMENT_BYTES));
        put_option(w, OPTION_END, NULL, 0);
    }
    block_end(w, at);
    return w->n < PIECE_BYTES ? 0 : pcapng_flush(w);
}

int pcapng_done(struct pcapng *w)
{
    if (w->buffer)
        pcapng_flush(w);
    free(w->buffer);
    w->buffer = NULL;
    return w->error;
}
