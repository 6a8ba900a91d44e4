/*
 * procid.h - a process named for good: pid and start time, so that a reused pid is another process.
 *
 * The start time is field 22 of /proc/PID/stat (proc(5)), clock ticks since boot; it is unique
 * together with the pid and the boot id. A process that has ended but is not reaped yet counts as
 * gone. Errors: -ESRCH gone or another process now. No state, no threads.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BOOT_ID_BYTES 40

uint64_t procid_start(pid_t pid); /* 0 = no such process */
char procid_state(pid_t pid);     /* R, S, D, T, Z ...; 0 = no such process */
/* A pidfd of exactly this process, or -errno. */
int procid_open(pid_t pid, uint64_t start);
bool procid_alive(pid_t pid, uint64_t start);
/* Waits until the process behind the pidfd has ended. 0 or -ETIMEDOUT. */
int procid_wait_gone(int pidfd, int64_t timeout_ns);
void procid_boot_id(char ret[BOOT_ID_BYTES]); /* "" when unknown */
uint64_t procid_namespace(void);              /* inode of this PID namespace; 0 = unknown */
