/*
 * doctor.h - what this machine allows a lab to do, and the remedy for the rest.
 *
 * Each facility is tried for real in a throw-away child (in namespaces of its own, so that nothing
 * outside changes), at most DOCTOR_LIMIT_S each. doctor_run adds one line a facility to text, "ok
 * what" or "no what: reason; remedy", and a last line that sums up; it returns 0 when a lab can
 * run, else -EPERM. doctor_report is the pure half: results in, text out, so that any machine can
 * be imagined in a test.
 */
#pragma once
#include "base/buf.h"
#include "lab/root.h"

#define DOCTOR_LIMIT_S 5

enum doctor_probe {
    DOCTOR_USER_NS,
    DOCTOR_NAMESPACES,
    DOCTOR_PROC,
    DOCTOR_TMPFS,
    DOCTOR_TUN,
    DOCTOR_PACKET,
    DOCTOR_PIDFD,
    DOCTOR_EPOLL,
    DOCTOR_CLOSE_RANGE,
    DOCTOR_CLONE3,
    DOCTOR_PROBE_COUNT
};

int doctor_run(struct buf *text);
int doctor_probe(enum doctor_probe p); /* 0 or -errno */
int doctor_report(struct buf *text, const int results[DOCTOR_PROBE_COUNT],
                  const struct root_facts *facts);
