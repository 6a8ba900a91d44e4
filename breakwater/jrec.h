/*
 * jrec - the records of the gateway's journal file as bytes. Pure.
 *
 * Record: magic "BWJ1" (4), body length (4, little endian), type (1), CRC-32 of type and body (4),
 * body. A reader stops at the first record that is cut or does not check: what lies behind was
 * never acknowledged, because every acknowledged record was followed by fdatasync.
 * CRC-32: IEEE 802.3, reflected, polynomial 0xedb88320.
 */
#ifndef BREAKWATER_JREC_H
#define BREAKWATER_JREC_H

#include "util.h"

#define JREC_HEAD_BYTES 13
#define JREC_BODY_MAX   (1u << 20)

enum jrec_type {
    JREC_IDENTITY = 1, /* body: the gateway's id, 16 hex digits */
    JREC_EPOCH = 2,    /* body: u64, raised at every start */
    JREC_ALERT = 3,    /* body: u64 sequence, i64 received (Unix ms), alert as JSON */
    JREC_DONE = 4,     /* body: u64 sequence */
    JREC_INTENT = 5,   /* body: i64 Unix ms, fingerprint (64), name of the object to be created */
    JREC_SETTLED = 6   /* body: fingerprint (64); its creation has been answered */
};

struct jrec {
    enum jrec_type type;
    const unsigned char *body;
    size_t len;
};

uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n);
void jrec_add(struct buf *out, enum jrec_type type, const void *body, size_t len);
/* Bytes taken, 0 when p does not start with a whole and sound record. */
size_t jrec_take(const unsigned char *p, size_t n, struct jrec *ret_rec);

void jrec_put64(unsigned char out[8], uint64_t v);
uint64_t jrec_get64(const unsigned char *p);

#endif
