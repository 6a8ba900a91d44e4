/*
 * pack.h - several plans in one go: each in a process of its own, going on after one that failed.
 */
#pragma once
#include <stdbool.h>

#include "cmd/options.h"

bool pack_is_folder(const char *path);
/* Folders replaced by their plans (*.yaml files that say `squall: 1`, by name); a folder without
 * one is told. */
void pack_expand(const struct option_list *plans, struct option_list *ret);
void pack_done(struct option_list *expanded);
/* Runs `squall run` with the options of argv for every plan (a folder: its *.yaml files that are
 * plans, by name). Prints one line a plan at the end. Returns the worst exit status. */
int pack_run(const struct option_list *plans, int argc, char **argv);
