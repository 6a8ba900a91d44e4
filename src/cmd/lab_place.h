/*
 * lab_place.h - where a running lab is found: a folder of its own in the state folder.
 *
 *     STATE/squall-lab-NAME.PID/control   socket of the keeper, 0600
 *     STATE/squall-lab-NAME.PID/log       its output, when it runs in the background
 *
 * The folder (0700) is noted with the guard before it is made, so it goes however the keeper ends.
 * A folder whose socket nobody listens on was left by a keeper that was killed with its whole
 * family: place_next says so and nothing else happens to it; `squall undo` removes it. A name is
 * taken by place_make under a lock of the state folder, so two keepers cannot both have it.
 *
 * Trust: the state folder must be this user's and closed to others; the keeper answers its own uid
 * and root. Paths may be longer than a socket address: sockets are reached through their folder's
 * descriptor. Errors: -errno, struct err where a user reads it.
 */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define PLACE_NAME_BYTES 49
#define PLACE_PATH_BYTES 464

struct guard;

struct place {
    char path[PLACE_PATH_BYTES]; /* of the folder */
    int dir_fd, listen_fd;
    int others; /* labs that ran already */
};

/* A name for a lab made from any text, or false when `text` is no such name as it is. */
void place_name_from(const char *text, char ret[PLACE_NAME_BYTES]);
bool place_name_ok(const char *name);

/* Takes the name, makes folder and socket. -EEXIST: a lab of this name runs. */
int place_make(struct place *p, struct guard *guard, const char *name, struct err *err);
int place_log(const struct place *p); /* descriptor, or -errno */
void place_done(struct place *p);     /* closes; the guard removes the folder */

/* Walks the labs: place_open, place_next until false, place_close. */
struct place_walk {
    char dir[PLACE_PATH_BYTES];
    DIR *d; /* NULL = there is no state folder */
};
struct place_found {
    char name[PLACE_NAME_BYTES];
    char path[PLACE_PATH_BYTES];
    int fd; /* connected, the caller's; or -errno: nobody answers */
};
int place_open(struct place_walk *w, struct err *err);
bool place_next(struct place_walk *w, struct place_found *ret);
void place_close(struct place_walk *w);
