/*
 * lab_keeper.h - the process that keeps a lab for `squall lab up`: what lab_keeper.c, lab_serve.c
 * and lab_faults.c share. Only src/cmd includes it.
 *
 *   STARTING --all ready--> UP --Ctrl-C, lab down--> STOPPING --all services gone--> DONE
 *       +------------ failure, interruption ------------^                              ^
 *       +------------------------- lab lost, second interruption ----------------------+
 *
 * keeper_set_state is the one place that moves it; it asserts the edge. Everything lives on one
 * loop in one thread. Limits: KEEPER_CONNS askers at once, KEEPER_FAULTS faults in the list (the
 * oldest that is over makes room).
 */
#pragma once
#include "cmd/bed.h"
#include "cmd/cmd.h"
#include "cmd/crew.h"
#include "cmd/lab_ask.h"
#include "cmd/lab_place.h"
#include "loop/signals.h"

#define KEEPER_CONNS  16
#define KEEPER_FAULTS 64

enum keeper_state { KEEPER_STARTING, KEEPER_UP, KEEPER_STOPPING, KEEPER_DONE, KEEPER_STATE_COUNT };

enum keeper_fault_state {
    KEEPER_FAULT_APPLYING,
    KEEPER_FAULT_ACTIVE,
    KEEPER_FAULT_NO_EFFECT, /* applied, but nothing seen; it still has to be undone */
    KEEPER_FAULT_ENDING,
    KEEPER_FAULT_ENDED,
    KEEPER_FAULT_DONE, /* one shot: it has happened, there is nothing to undo */
    KEEPER_FAULT_FAILED,
    KEEPER_FAULT_UNDO_FAILED,
    KEEPER_FAULT_STATE_COUNT
};

struct keeper;

struct keeper_conn {
    struct keeper *keeper;
    struct io io;
    struct timer limit; /* for the request to come */
    bool waits_for_end; /* asked for down */
};

struct keeper_fault {
    int number; /* of the guard */
    enum keeper_fault_state state;
    char name[ASK_NAME_BYTES], title[64], targets[FAULT_TEXT_BYTES];
    char asked[FAULT_TEXT_BYTES], measured[FAULT_TEXT_BYTES], text[FAULT_TEXT_BYTES];
    bool one_shot;
    bool no_effect;             /* as far as it is known: some faults are measured to their end */
    int64_t since_ns, ends_ns;  /* run clock; ends_ns -1 = when it is deleted */
    struct keeper_conn *waiter; /* who asked for what is under way; NULL = nobody any more */
};

struct keeper {
    /* given */
    const struct plan *plan;
    uint64_t seed;
    char name[PLACE_NAME_BYTES];
    const char *pcap; /* file for the packet log; NULL = none */
    bool detached, no_color;
    int out_fd;   /* where a person reads the start */
    int err_fd;   /* detached: where a person reads why it did not start; else -1 */
    int ready_fd; /* detached: gets the exit status as one byte when the lab is up; else -1 */
    /* own */
    enum keeper_state state;
    int64_t start_ns;
    struct loop loop;
    struct signals signals;
    struct timer tick;
    struct io ready_io; /* detached: tells when whoever waits for us is gone */
    struct live *live;
    struct bed bed;
    struct crew crew;
    struct place place;
    struct io listen_io;
    struct keeper_conn conns[KEEPER_CONNS];
    struct keeper_fault faults[KEEPER_FAULTS];
    int faults_n, next_fault;
    char message[ASK_BYTES]; /* a request as it came; here, not static: the guard's family locks all
                                that is */
    int interrupted;         /* signal number */
    int exit_status;
    char failure[ERR_MSG_BYTES];
};

/* Keeps the lab until it ends; returns the exit status. err is set when it is not that of a lab
 * that was stopped in order. */
int keeper_run(struct keeper *k, struct err *err);

/* lab_keeper.c, for the others */
void keeper_line(struct keeper *k, int64_t t_ns, enum live_tone tone, const char *area,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void keeper_stop(struct keeper *k, int exit_status, const char *why); /* NULL: as was asked */
const char *keeper_state_name(const struct keeper *k);

/* lab_serve.c */
int keeper_serve(struct keeper *k); /* listens on k->place; 0 or -errno */
void keeper_serve_end(struct keeper *k, int status, const char *error);
void keeper_answer_fault(struct keeper *k, struct keeper_conn *c, int status,
                         const struct keeper_fault *f);
void keeper_refuse(struct keeper *k, struct keeper_conn *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* lab_faults.c: each answers c now or later. */
void keeper_apply(struct keeper *k, struct keeper_conn *c, const struct ask *ask);
void keeper_delete(struct keeper *k, struct keeper_conn *c, const struct ask *ask);
void keeper_guard_event(void *keeper, const struct guard_event *event);
void keeper_forget_waiter(struct keeper *k, const struct keeper_conn *c);
const char *keeper_fault_state_name(enum keeper_fault_state state);
bool keeper_fault_in_force(const struct keeper_fault *f);
