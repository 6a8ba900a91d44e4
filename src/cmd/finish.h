/*
 * finish.h - from a run file to verdict, reports and exit status; the same for `run` and `report`.
 */
#pragma once
#include "cmd/options.h"
#include "record/record.h"

/* --report FORMAT=FILE arguments: 0, or EXIT_USAGE after printing what is wrong. */
int finish_check_targets(const struct option_list *reports);
/* Evaluates, keeps the results in the run file when it is still being written (keep), prints the
 * text report on standard output, writes the asked reports. Returns the exit status. */
int finish_run(struct record *record, const struct option_list *reports, bool colour, bool quiet,
               bool keep);
int finish_exit_status(enum verdict verdict);
