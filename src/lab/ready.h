/*
 * ready.h - asks a service again and again whether it is ready: tcp, http, command, log line.
 *
 * The first questions come after READY_FIRST_NS and at doubled distances up to the plan's `every`,
 * so that a quick service is not kept waiting; each has the plan's `timeout`. Sockets are made in
 * the service's own network namespace and go to its lab address, so a service that listens on
 * loopback only does not count as ready. `done` is called once, from the loop, when the answer is
 * yes; until then ready_seen says what was last seen. Limits over all attempts are the caller's.
 *
 * Lifecycle: ready_init once (compiles the pattern), ready_start/ready_stop any number of times,
 * ready_done. The caller forwards output lines (ready_line) and reaped pids (ready_reaped).
 */
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lab/spawn.h"
#include "net/fetch.h"

#define READY_FIRST_NS   (2 * NS_PER_MS)
#define READY_SEEN_BYTES 256

struct ready;
typedef void ready_fn(struct ready *r, const char *text);

struct ready {
    struct loop *loop;
    const struct plan_ready *plan;
    struct addr addr;   /* lab address and port */
    struct spawn spawn; /* how to run a command: argv is set here */
    ready_fn *done;
    bool running;
    int64_t wait_ns;     /* distance to the next question */
    struct timer timer;  /* next question, or limit of the one asked */
    struct io io;        /* tcp: the connecting socket */
    struct fetch fetch;  /* http */
    pid_t pid;           /* command */
    int listener;        /* tcp, http in the loopback tier: enum loopback_listener */
    pcre2_code *pattern; /* log */
    pcre2_match_data *match;
    char seen[READY_SEEN_BYTES];
};

int ready_init(struct ready *r, struct loop *loop, const struct plan_ready *plan,
               const struct addr *addr, const struct spawn *spawn, ready_fn *done, struct err *err);
void ready_done(struct ready *r);
void ready_start(struct ready *r);
void ready_stop(struct ready *r);
void ready_line(struct ready *r, const char *line, size_t n);
bool ready_reaped(struct ready *r, pid_t pid, int status); /* true: it was this one's command */
/* In the text of /proc/net/tcp: there are listeners at the port, all on loopback. */
bool ready_loopback_only(const char *table, uint16_t port);
/* "exited with 1", "killed by SIGKILL" for a wait status. */
const char *ready_exit_text(int status, char *buf, size_t cap);
