/*
 * crew.h - what is known of each service from the lab's events, and the line a person reads about
 * it.
 *
 * crew_take notes one event of a service and says what to show. It knows nothing of screens, run
 * files or storms: `run` and `lab up` both show its lines, each in its own way.
 * Lifecycle: crew_init/crew_done; the plan must outlive it.
 */
#pragma once
#include "lab/lab.h"
#include "report/live.h"

#define CREW_LAST_LINES 8

struct crew_member {
    const char *state; /* a word for people */
    bool good;         /* ready */
    bool faulted;      /* down because of a fault */
    int starts;
    pid_t pid;                   /* in the lab, 0 = none */
    char *last[CREW_LAST_LINES]; /* the newest output, for "never became ready" */
    int last_n;
};

struct crew {
    const struct plan *plan;
    struct crew_member *v; /* one a service, in plan order */
};

enum crew_stage { CREW_STARTING, CREW_UP, CREW_STOPPING };

struct crew_news {
    bool shown; /* tone and text are a line about the service */
    enum live_tone tone;
    char text[640];
    bool show_last; /* its newest output explains it */
    bool fatal;     /* the lab cannot be used any more; `why` is the reason */
    char why[640];
};

void crew_init(struct crew *c, const struct plan *plan);
void crew_done(struct crew *c);
/* Of one service (e->service >= 0) only. */
void crew_take(struct crew *c, const struct lab_event *e, enum crew_stage stage,
               struct crew_news *ret);
