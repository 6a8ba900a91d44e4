/*
 * group.h - a subcommand with subcommands of its own: `squall lab up`, `squall chaos apply`.
 *
 * `squall GROUP --help` is the help of all of them, one after the other. argv[0] of a member is its
 * whole name ("lab up"), as messages and usage lines want it.
 */
#pragma once
#include <stddef.h>

struct group_member {
    const char *name, *full_name;
    int (*run)(int argc, char **argv);
};

int group_main(const char *group, const struct group_member *members, size_t n, int argc,
               char **argv);
