/*
 * names_wire.h - a DNS question taken apart and an answer put together, for names.c.
 *
 * RFC 1035, section 4; EDNS as RFC 6891 has it. Pure, plain data. Input is hostile: a name in the
 * question may not be compressed, is at most 255 bytes, and reads as text in which a dot always
 * parts labels: bytes that would look like something else (a dot in a label, blanks, control
 * characters) become DEL, which no name of ours has.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_ANSWER_BYTES 512 /* no answer is longer */
#define NAMES_HEADER_BYTES 12
#define NAMES_NAME_BYTES   255 /* on the wire */
#define NAMES_LABEL_BYTES  63

enum names_type { NAMES_A = 1, NAMES_PTR = 12, NAMES_AAAA = 28, NAMES_OPT = 41 };
enum names_rcode {
    NAMES_OK = 0,
    NAMES_FORMERR = 1,
    NAMES_SERVFAIL = 2,
    NAMES_NXDOMAIN = 3,
    NAMES_NOTIMP = 4,
    NAMES_REFUSED = 5,
    NAMES_BADVERS = 16
};

struct names_question {
    uint16_t id, flags, type, class;
    char name[NAMES_NAME_BYTES + 1]; /* lower case, no dot at the end; root is "" */
    size_t wire_n; /* name, type and class behind the header; 0 = not to be repeated */
    bool edns, dnssec_ok;
    uint8_t edns_version;
};

struct names_reply {
    enum names_rcode rcode;
    uint16_t type; /* of the one record, 0 = none */
    uint32_t ttl_s;
    unsigned char data[NAMES_LABEL_BYTES + 2];
    size_t data_n;
};

char names_lower(char c); /* ASCII */

/* False when n bytes are no question and deserve no answer. Else *ret is filled as far as it could
 * be read, and *ret_rcode is what is wrong with it. */
bool names_question_read(struct names_question *ret, enum names_rcode *ret_rcode,
                         const unsigned char *p, size_t n);
void names_reply_set(struct names_reply *r, uint16_t type, const void *p, size_t n);
/* asked: the datagram that q was read from. out: NAMES_ANSWER_BYTES. Returns the length. */
size_t names_reply_write(unsigned char *out, const struct names_question *q,
                         const unsigned char *asked, const struct names_reply *r);
