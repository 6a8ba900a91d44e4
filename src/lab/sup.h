/*
 * sup.h - the supervisor inside the lab's init: all services, who commands them, who hears of it.
 *
 * sup_step starts what waits for nothing any more (lab start) or stops what nobody needs any more
 * (lab stop); it runs deferred after every change of a state, so no state change calls another.
 * Commands come over two connections (0 = main, 1 = agent) as control.h says, events go to main
 * through an outbox. Thread rule: the init's only thread. Nothing here outlives the init, so the
 * init just exits; sup_done exists for tests.
 */
#pragma once
#include "lab/control.h"
#include "lab/order.h"
#include "lab/service.h"
#include "lab/wire.h"

#define SUP_CONNS 2

struct lab_link;
struct loopback;

struct sup_conn {
    struct io io;
    struct outbox out;
    struct sup *sup;
    int number;
};

struct sup {
    struct loop loop;
    const struct plan *plan;
    const char *run_dir; /* absolute */
    const char *path;    /* PATH of the services */
    struct order order;
    struct service *services;
    size_t n;
    struct sup_conn conns[SUP_CONNS];
    struct io event_io, switch_io;
    struct outbox switch_out; /* orders to the switch, which answers for itself */
    struct outbox events;
    struct deferred step;
    bool started, stopping, told_ready, told_stopped;
    const int *netns_fds;             /* one a port of the switch; for RESET */
    const struct loopback *loopback;  /* NULL = namespaces */
    void (*on_gone)(struct sup *sup); /* main closed its connection */
};

int sup_init(struct sup *sup, const struct plan *plan, const char *run_dir, const char *path,
             struct err *err);
int sup_connect(struct sup *sup, int event_fd, const int conn_fds[SUP_CONNS]);
int sup_connect_switch(struct sup *sup, int fd);
/* boxes and users: one a service, in plan order. */
int sup_add_services(struct sup *sup, const struct box *boxes, const struct spawn_user *users,
                     struct err *err);
void sup_reaped(struct sup *sup, pid_t pid, int status);
void sup_done(struct sup *sup);

/* For service.c. */
void sup_emit(struct sup *sup, const struct lab_event *e);
bool sup_emit_log(struct sup *sup, const struct lab_event *e); /* false = dropped */
void sup_answer(struct sup *sup, int conn, const struct lab_answer *a);
void sup_changed(struct sup *sup); /* a state changed: sup_step will run */
