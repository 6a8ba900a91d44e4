/*
 * loopback.h - what a lab has instead of namespaces where the machine refuses them.
 *
 * Services share the machine's network and live on its loopback: service i at 127.213.R.(10+i),
 * squall's own sockets at 127.213.R.2. R is this lab's alone: an abstract unix socket named after
 * it is held as long as main or the init lives, and has the same scope as the addresses, the
 * network namespace, whoever the users are. Names are replaced in a copy of the plan
 * (loopback_names.h); each replacement is one line of `remarks`. What a PID namespace would end is
 * known by a mark (mark.h).
 *
 * Lifecycle: loopback_open, loopback_done (also after a failed open; idempotent on a zeroed
 * struct). The plan must outlive it. Limits: LOOPBACK_SERVICES. Errors: struct err; -EADDRINUSE
 * when all ranges are taken.
 */
#pragma once
#include <netinet/in.h>

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"

#define LOOPBACK_NET      0x7fd50000u /* 127.213.0.0/16 */
#define LOOPBACK_FIRST    10
#define LOOPBACK_CLIENT   2
#define LOOPBACK_SERVICES 245
#define LOOPBACK_RANGES   254 /* labs at once */
#define LOOPBACK_REMARKS  200

struct loopback {
    int lock_fd;
    unsigned range; /* R, from 1; 0 = not open */
    uint64_t mark;
    struct plan plan; /* with addresses for names; shares the rest with the original */
    struct arena arena;
    struct buf remarks; /* lines, at most LOOPBACK_REMARKS and one that counts the rest */
    size_t remarks_n, untold;
    char why[ERR_MSG_BYTES];
};

/* why: what refused the better tiers, and the remedy. */
int loopback_open(struct loopback *l, const struct plan *plan, const char *why, struct err *err);
void loopback_done(struct loopback *l);
/* Of a service, or -1 = squall's own sockets. */
struct sockaddr_in loopback_addr(const struct loopback *l, int service, uint16_t port);
/* A socket at squall's own address; IPv4. */
int loopback_socket(const struct loopback *l, int domain, int type);
