/*
 * names.h - the lab's name server: one question in, one answer out, as the rules in force have it.
 *
 * Knows the services by NAME and by the forms they have in Kubernetes (NAME.NAMESPACE, ....svc,
 * ....svc.cluster.local, any namespace), and localhost; A, AAAA and the PTR of their addresses.
 * Other names do not exist (NXDOMAIN), other types are empty. RFC 1035; EDNS is answered but not
 * needed (RFC 6891); several questions are FORMERR (RFC 9619), other opcodes NOTIMP. What is no
 * question at all deserves no answer. TTL NAMES_TTL_S, as Kubernetes' own; 10 in random answers.
 *
 * Rules (struct lab_names of control.h) meet questions by who asks and by pattern. A pattern meets
 * the name as asked, without its last dot, and all forms of a service's name when it meets one of
 * them: a manifest for "redis.prod.svc.cluster.local" meets a lab that asks for "redis". Of ERROR
 * and RANDOM rules that meet a question the one added first decides; delays add up. A rule counts
 * the questions it acted on. As Chaos Mesh does it: ERROR is SERVFAIL; RANDOM is an A of four
 * octets of 0 to 254, one AAAA that is the same for all, and SERVFAIL for other types. An address
 * of the lab or of the asker itself (0/8, 127/8) is not given: it is to be one that nobody has.
 *
 * Pure: no I/O, no clock, no allocation. Draws come from a stream per rule. Input is hostile and
 * bounded; compression in a question is refused. Lifecycle: names_init over the caller's entries,
 * which must stay; nothing to free. Errors: -errno. One thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "lab/control.h"
#include "lab/names_wire.h"

#define NAMES_PORT           53
#define NAMES_QUESTION_BYTES 4096 /* longer ones get no answer */
#define NAMES_TTL_S          5
#define NAMES_DELAY_MAX_NS   (3600 * INT64_C(1000000000))

struct names_entry {
    const char *name; /* one label, case does not matter */
    uint32_t ipv4;    /* host order */
    bool has_ipv6;
    unsigned char ipv6[16];
};

struct names_rule {
    struct lab_names spec;
    struct rng rng;
    uint64_t met;
};

struct names {
    const struct names_entry *entries;
    size_t entries_n;
    struct names_rule rules[LAB_NAMES_MAX]; /* in the order they were added */
    unsigned rules_n;
};

void names_init(struct names *s, const struct names_entry *entries, size_t n);

/* Length of the answer to a datagram of n bytes from a port of the switch, 0 = none. cap: at least
 * NAMES_ANSWER_BYTES. *ret_delay_ns: how long it has to wait. */
size_t names_answer(struct names *s, unsigned asker_port, const unsigned char *question, size_t n,
                    unsigned char *out, size_t cap, int64_t *ret_delay_ns);

/* -EEXIST (id), -ENOSPC, -EINVAL (a pattern that is empty, too long, or has a '*' before its end;
 * more than LAB_NAME_PATTERNS; DELAY not in 1 to NAMES_DELAY_MAX_NS). */
int names_rule_add(struct names *s, const struct lab_names *spec);
/* -ENOENT; *ret_met: questions it acted on */
int names_rule_remove(struct names *s, uint64_t id, uint64_t *ret_met);
int names_rule_report(const struct names *s, uint64_t id, uint64_t *ret_met);
