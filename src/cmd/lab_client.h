/*
 * lab_client.h - the asking side of lab_ask.h: finds the lab that is meant, asks, gets the answer.
 *
 * Every call prints what went wrong on standard error, beginning with `squall COMMAND:`, and
 * returns an exit status; 0 = go on. Answers are jansson objects that the caller owns
 * (json_decref).
 */
#pragma once
#include <jansson.h>

#include "cmd/cmd.h"
#include "cmd/lab_ask.h"
#include "cmd/lab_place.h"

#define CLIENT_QUICK_MS 5000 /* for what the keeper answers at once */
#define CLIENT_FDS      3

/* The lab of that name; NULL = the only one that runs. ret->fd is connected, the caller's. */
int client_pick(const char *command, const char *name, struct place_found *ret);
/* Takes fd over. limit_ms -1 = as long as it takes. ret_fds NULL: none are expected. *ret is the
 * answer, also when it is a refusal of which the reason was printed; NULL when there is none. */
int client_ask(const char *command, int fd, const struct ask *ask, int limit_ms, json_t **ret,
               int ret_fds[CLIENT_FDS]);
/* Both, for a request that has only a name ("" = none). */
int client_ask_lab(const char *command, const char *lab, enum ask_kind kind, const char *name,
                   int limit_ms, json_t **ret);

/* Members of an answer; "" and 0 when they are missing or of another type. */
const char *client_str(const json_t *object, const char *key);
int64_t client_int(const json_t *object, const char *key);
void client_print_json(const json_t *value);
