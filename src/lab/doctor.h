/*
 * doctor.h - what this machine allows a lab to do, in which tier it would run, and the remedy for
 * the rest.
 *
 * Each facility is tried for real in a throw-away child (in namespaces of its own, so that nothing
 * outside changes), at most DOCTOR_LIMIT_S each. doctor_run adds one line a facility to text, "ok
 * what" or "no what: reason; remedy", then the tier that a lab would use now, what cannot be done
 * in it, and what each better tier lacks. It returns 0 when a lab can run, in whatever tier, else
 * -EPERM. doctor_report is the pure half: results in, text out, so that any machine can be imagined
 * in a test.
 */
#pragma once
#include "base/buf.h"
#include "lab/lab.h"
#include "lab/root.h"

#define DOCTOR_LIMIT_S 5

enum doctor_probe {
    DOCTOR_USER_NS,
    DOCTOR_NAMESPACES,
    DOCTOR_PROC,
    DOCTOR_TMPFS,
    DOCTOR_TUN,
    DOCTOR_PACKET,
    DOCTOR_LOOPBACK,
    DOCTOR_PIDFD,
    DOCTOR_EPOLL,
    DOCTOR_CLOSE_RANGE,
    DOCTOR_CLONE3,
    DOCTOR_PROBE_COUNT
};

enum doctor_tier { /* best first */
                   DOCTOR_TIER_TUN,
                   DOCTOR_TIER_PACKET,
                   DOCTOR_TIER_LOOPBACK,
                   DOCTOR_TIER_NONE,
                   DOCTOR_TIER_COUNT
};

struct doctor_machine {
    int results[DOCTOR_PROBE_COUNT]; /* 0 or -errno */
    struct root_facts facts;
    enum lab_tier_wish wish; /* SQUALL_LAB_TIER */
    bool no_tun;             /* SQUALL_LAB_NO_TUN */
};

int doctor_run(struct buf *text);
int doctor_probe(enum doctor_probe p);                        /* 0 or -errno */
enum doctor_tier doctor_tier(const struct doctor_machine *m); /* as lab_open chooses */
int doctor_report(struct buf *text, const struct doctor_machine *m);
