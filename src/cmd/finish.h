/*
 * finish.h - from a run file to verdict, reports and exit status; the same for `run` and `report`.
 */
#pragma once
#include "cmd/options.h"
#include "record/record.h"
#include "report/report.h"

/* --report FORMAT=FILE arguments: 0, or EXIT_USAGE after printing what is wrong. */
int finish_check_targets(const struct option_list *reports);
/* Evaluates, keeps the results in the run file when it is still being written (keep), prints the
 * run in the format (NULL: a few lines) on standard output, writes the asked reports. Returns the
 * exit status. */
int finish_run(struct record *record, const struct option_list *reports,
               const struct report_format *format, bool colour, bool keep);
int finish_exit_status(enum verdict verdict);
