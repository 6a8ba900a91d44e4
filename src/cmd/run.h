/*
 * run.h - one run as a state machine: what the files run_*.c share. Only src/cmd includes it.
 *
 *   PREPARING --lab ready--> STORM --last phase--> DRAINING --all rows in--> SETTLING --lists
 * stable--> STOPPING |                      |                      |                          |
 * --lab gone--> DONE
 *       +----------- failure or interruption: run_abort ----------------------------------------^
 *
 * run_set_state is the one place that moves it; it asserts the edge. Everything lives on one loop
 * in main's thread; load workers have theirs.
 */
#pragma once
#include "cmd/bed.h"
#include "cmd/cmd.h"
#include "cmd/crew.h"
#include "cmd/options.h"
#include "cmd/plans.h"
#include "fault/guard.h"
#include "fault/manifest.h"
#include "lab/lab.h"
#include "load/load.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "observe/listing.h"
#include "observe/scrape.h"
#include "record/record.h"
#include "report/live.h"

#define RUN_SLOTS   64 /* half-second slots for the steadiness of a load */
#define RUN_SLOT_NS (500 * NS_PER_MS)

enum run_state {
    RUN_PREPARING,
    RUN_STORM,
    RUN_DRAINING,
    RUN_SETTLING,
    RUN_STOPPING,
    RUN_DONE,
    RUN_STATE_COUNT
};

struct run;

struct run_options {
    const char *out, *seed, *pcap;
    bool quiet, no_color;
    struct option_list sets, reports, plans;
};

struct run_load {
    struct run *run;
    const struct plan_load *plan;
    int index;
    struct load *load; /* NULL when not in this run */
    int first_phase, last_phase;
    bool started, stopped, drained;
    int64_t started_ns, ended_ns; /* run clock */
    uint64_t template_seed;
    /* live figures */
    struct hist *second;
    uint64_t second_answers;
    int64_t second_at_ns, p50_ns, p99_ns;
    double rate_per_s;
    struct {
        uint64_t closed, accepted;
    } slots[RUN_SLOTS];
    struct load_counts slot_base;
    /* settlement */
    struct listing listing;
    bool listing_used;
    bool settled;
};

struct run {
    struct run_options options;
    struct plans_loaded loaded;
    struct plan *plan;                /* loaded.plan */
    const struct manifest *manifests; /* loaded.manifests */
    uint64_t seed;
    char run_id[40], out_path[512], machine[256];
    enum run_state state;
    int64_t start_ns; /* monotonic: zero of the run's clock */
    struct loop loop;
    struct signals signals;
    struct timer tick, phase_timer, limit;
    struct record *record;
    struct live *live;
    struct bed bed; /* not opened when the plan has no services */
    struct series_store *series;
    struct scraper *scraper;
    size_t series_recorded;
    struct crew crew;
    struct run_load *loads;
    int phase;              /* -1 before the storm */
    int64_t phase_start_ns; /* monotonic */
    int64_t phase_end_ns;   /* monotonic, -1 = open */
    bool fault_active, fault_ending;
    int slot;
    int64_t slot_at_ns;
    int interrupted;  /* signal number */
    int exit_status;  /* forced by a failure; 0 = by the verdict */
    bool undo_failed; /* of a fault in time; the bed knows of the rest */
    char failure[ERR_MSG_BYTES];
};

/* run.c */
static inline int64_t run_clock(const struct run *run, int64_t t_ns)
{
    return t_ns - run->start_ns;
}
void run_set_state(struct run *run, enum run_state state);
/* Something makes going on pointless: remember the first reason and exit status, and wind down in
 * order. */
void run_abort(struct run *run, int exit_status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* One event to the run file and one line on the screen. */
void run_event(struct run *run, int64_t t_ns, enum live_tone tone, const char *kind,
               const char *subject, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

void run_on_signal(struct signals *signals, int signo);

/* run_open.c */
int run_set_seed(struct run *run, struct err *err);
int run_open(struct run *run, struct err *err);
void run_close(struct run *run); /* also what is half open */

/* run_lab.c */
int run_lab_open(struct run *run, struct err *err);
void run_lab_close(struct run *run);          /* idempotent; also ends the guard */
void run_lab_tell_recovered(struct run *run); /* what run_lab_open undid of an earlier run */
void run_lab_tell_tier(struct run *run);      /* what a lesser tier lacks and changes */
int run_target_addr(struct run *run, const char *host, uint16_t port, struct addr *ret);
int run_socket(void *run);

/* run_load.c */
int run_loads_open(struct run *run, struct err *err);
int run_loads_phase(struct run *run,
                    struct err *err); /* starts and stops those whose time has come */
void run_loads_stop(struct run *run, int64_t at_ns);
void run_loads_abort(struct run *run);
void run_loads_drain(struct run *run);
bool run_loads_drained(const struct run *run);
uint64_t run_loads_in_flight(const struct run *run);
bool run_loads_steady(const struct run *run,
                      int slots); /* as good as before the faults for the last slots */
void run_loads_slot(struct run *run);
void run_loads_close(struct run *run);

/* run_storm.c */
void run_storm_start(struct run *run);
void run_storm_end(struct run *run); /* of the phase that runs, when winding down early */
void run_storm_guard_event(void *run, const struct guard_event *event);
void run_storm_tick(struct run *run);
void run_storm_done(struct run *run, int64_t now_ns);

/* run_observe.c */
void run_observe_start(struct run *run);
void run_observe_stop(struct run *run);
void run_settle_start(struct run *run);
void run_settle_done(struct run *run);
