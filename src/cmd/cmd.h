/*
 * cmd.h - the subcommands: one file each, one row in cmd_list.h.
 */
#pragma once

/* Exit statuses, in rising order of what they override (design: undo not confirmed stands above
 * everything). */
enum exit_status {
    EXIT_PASS = 0,
    EXIT_FAIL = 1,
    EXIT_USAGE = 2,
    EXIT_PLAN = 3,
    EXIT_TARGET = 4,
    EXIT_INCONCLUSIVE = 5,
    EXIT_UNDO = 6,
    EXIT_SIGINT = 130,
    EXIT_SIGTERM = 143
};

struct cmd {
    const char *name;
    const char *args; /* for the usage line */
    const char *help; /* one sentence; NULL = internal, not listed */
    int (*run)(int argc,
               char **argv); /* argv[0] is the subcommand's name; returns an exit status */
};

#define X(NAME) extern const struct cmd cmd_##NAME;
#include "cmd/cmd_list.h"
#undef X

int cmd_main(int argc, char **argv);
