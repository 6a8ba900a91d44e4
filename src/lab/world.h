/*
 * world.h - the namespaces of one service, handed from the lab's init to main for `lab_world`.
 *
 * The init keeps a network and a UTS namespace for every service, also while nothing runs in them,
 * so only it can give them away. The answer to LAB_CMD_WORLD carries both as descriptors
 * (SCM_RIGHTS, unix(7)). It does not go through the outbox, which knows no descriptors, and may so
 * overtake other answers: whoever asks looks for its serial. Errors: -errno.
 */
#pragma once
#include "lab/control.h"

#define WORLD_FDS 2 /* network, UTS */

int world_send(int socket_fd, const struct lab_answer *answer, const int fds[WORLD_FDS]);
/* Waits at most limit_ms for the answer with this serial; others that come are dropped. The
 * descriptors are the caller's. -ETIMEDOUT; -EPIPE when the init is gone. */
int world_receive(int socket_fd, uint32_t serial, int limit_ms, int ret_fds[WORLD_FDS]);
