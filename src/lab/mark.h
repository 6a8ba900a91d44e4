/*
 * mark.h - the processes of a lab without a PID namespace, known by a resource limit.
 *
 * Without a namespace nothing outside of a daemon tells whose it is: it has left its session and
 * closed its descriptors, and its environment is its own memory (redis-server, nginx and PostgreSQL
 * write their title over it, so that /proc/PID/environ is empty). Resource limits are kept by
 * fork(2) and execve(2) and read by everybody in /proc/PID/limits (proc(5), getrlimit(2)). The mark
 * is a soft RLIMIT_RTTIME of more than 2^62 us: 146,000 years of real-time processor time, which
 * limits nobody, with random bits by which one lab is told from another, and the number of the
 * service. A program that sets this limit itself loses the mark; real-time audio does, services do
 * not.
 *
 * No state. A process that has ended but is not reaped counts as gone. Errors: -errno; -EPERM from
 * mark_wear where the hard limit is lower.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MARK_WHO_BITS 16

uint64_t mark_draw(void);                         /* of a lab; never 0 */
uint64_t mark_service(uint64_t lab, int service); /* the same lab's, for one of its services */
bool mark_is_lab(uint64_t mark);                  /* a lab's own, and well-formed */

int mark_wear(uint64_t mark);       /* this process and all that it starts from now on */
uint64_t mark_of_pid(pid_t pid);    /* 0 = none, or gone */
uint64_t mark_in(const char *text); /* the same from the text of /proc/PID/limits. Pure. */

/* Signals every process with this mark - a lab's own stands for all of its services too - but never
 * the caller. Returns how many there were. */
int mark_kill(uint64_t mark, int signo);
/* Kills them until none is left. -ETIMEDOUT: some are. `beat` is called every few milliseconds; may
 * be NULL. */
int mark_end(uint64_t mark, int64_t timeout_ns, void (*beat)(void *arg), void *arg);
