/*
 * pcapng.h - writes a packet log that tshark and Wireshark read: one interface per port of the
 * switch, each packet with its time and, as a comment, what became of it.
 *
 * draft-ietf-opsawg-pcapng, little-endian: a section header, an interface description per port
 * (LINKTYPE_RAW: packets begin with their IP header; times in ns since 1970), then enhanced packet
 * blocks. The same calls make the same bytes.
 *
 * Lifecycle: pcapng_init takes the caller's open file at its end and one buffer; pcapng_done
 * flushes and frees, the file stays the caller's. No allocation in between. Blocks go out by
 * blocking writes: at pcapng_flush, and when some 64 KiB are together.
 *
 * Errors: 0 or -errno. The first failed write (disk full) ends the log: the file is cut back to the
 * last whole block, so that it can be read, and every packet that is not in it, before or after,
 * counts as lost. A limit on file sizes and a closed pipe raise SIGXFSZ and SIGPIPE: ignore them.
 *
 * Limits: PCAPNG_NAME_BYTES of a name, PCAPNG_COMMENT_BYTES of a comment, snaplen of a packet; the
 * rest is cut. One thread.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_BUFFER_BYTES  (1u << 20)
#define PCAPNG_NAME_BYTES    255
#define PCAPNG_COMMENT_BYTES 1024
#define PCAPNG_SNAPLEN_MAX   65536

struct pcapng {
    int fd;
    int error; /* -errno that ended the log, 0 = it is being written */
    uint32_t interfaces_n, snaplen;
    unsigned char *buffer;
    size_t n;         /* bytes in it */
    uint64_t packets; /* asked for */
    uint64_t lost;    /* of those, not in the file; final after pcapng_done or an error */
};

/* snaplen: 1 to PCAPNG_SNAPLEN_MAX. Names are UTF-8. -E2BIG when they do not fit the buffer. */
int pcapng_init(struct pcapng *w, int fd, const char *const *names, unsigned n, uint32_t snaplen);
/* n bytes of a packet that had original_n >= n; comment: UTF-8, NULL = none. */
int pcapng_packet(struct pcapng *w, unsigned interface, int64_t t_ns, const unsigned char *p,
                  size_t n, size_t original_n, const char *comment);
int pcapng_flush(struct pcapng *w);
int pcapng_done(struct pcapng *w); /* the error that ended the log, or 0 */
