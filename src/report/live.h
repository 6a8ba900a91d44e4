/*
 * live.h - what a person sees while a run goes on.
 *
 * On a terminal: one status block redrawn in place (phase and its time left, rate, p50/p99, errors,
 * state of the lab) below lines that scroll: each phase, fault, restart and error as it happens,
 * with the run's clock. Not a terminal: plain lines only, a status line every 5 s. NO_COLOR is
 * respected. Never blocks the run: output that cannot be written is dropped. Lifecycle:
 * live_open/live_close; all calls from main's thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct live;

enum live_tone { LIVE_PLAIN, LIVE_GOOD, LIVE_WARN, LIVE_BAD, LIVE_DIM };

struct live_load {
    const char *name;
    double rate_per_s;      /* answered in the last second */
    int64_t p50_ns, p99_ns; /* of the last second; -1 = no answers */
    uint64_t accepted, refused, failed, unknown, unsent, open; /* since the start */
};
struct live_service {
    const char *name;
    const char *state; /* ready, down, starting, held, ... */
    bool good;
};
struct live_status {
    int64_t t_ns;
    const char *phase;
    int64_t phase_left_ns; /* -1 = open end */
    const struct live_load *loads;
    int loads_n;
    const struct live_service *services;
    int services_n;
};

struct live *live_open(int fd, int64_t run_start_ns, bool quiet);
void live_close(struct live *l);     /* removes the status block; NULL is fine */
void live_no_colour(struct live *l); /* as with NO_COLOR */
/* One scrolling line: "  12.3s  fault     redis-master stopped (pod-failure), connections refused".
 */
void live_line(struct live *l, int64_t t_ns, enum live_tone tone, const char *area, const char *fmt,
               ...) __attribute__((format(printf, 5, 6)));
void live_status(struct live *l, const struct live_status *status); /* call 4-10 times a second */
