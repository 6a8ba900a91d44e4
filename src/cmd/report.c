#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/finish.h"
#include "report/report.h"

static int report_run(const char *path, const struct option_list *reports, const char *format,
                      bool colour)
{
    struct record *record;
    struct check_results results;
    struct err err = {0};
    char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
    if (record_open(path, &record, &err) < 0) {
        fprintf(stderr, "squall report: %s\n", err_text(&err, text, sizeof text));
        return EXIT_USAGE;
    }
    int status;
    if (!format) {
        status = finish_run(record, reports, colour, false, false);
    } else if (check_run(record, &results, &err) < 0) {
        fprintf(stderr, "squall report: %s\n", err_text(&err, text, sizeof text));
        status = EXIT_INCONCLUSIVE;
    } else {
        report_find(format)->write(stdout, record, &results, colour);
        status = finish_exit_status(results.verdict);
        check_results_done(&results);
    }
    record_close(record);
    return status;
}

static int report_main(int argc, char **argv)
{
    struct option_list reports = {0}, runs = {0};
    const char *format = NULL;
    bool no_color = false;
    const struct option_row rows[] = {
        {"format", "FORMAT", "what to print: text (default), json, junit, markdown",
         .text = &format},
        {"report", "FORMAT=FILE", "also write a report to a file; repeatable", .list = &reports},
        {"no-color", NULL, "no colours (as with NO_COLOR)", .flag = &no_color},
    };
    int status;
    if (options_parse(argc, argv, cmd_report.args,
                      "Derives verdict and reports again, from the run file alone.", rows,
                      ARRAY_SIZE(rows), &runs, &status) == 0) {
        if (runs.n != 1 || (format && !report_find(format))) {
            fprintf(stderr, "squall report: %s; usage: squall report %s\n",
                    runs.n != 1 ? "one run file is needed" : "unknown format", cmd_report.args);
            status = EXIT_USAGE;
        } else if ((status = finish_check_targets(&reports)) == 0) {
            status = report_run(runs.v[0], &reports, format,
                                !no_color && !getenv("NO_COLOR") && isatty(STDOUT_FILENO));
        }
    }
    option_list_done(&reports);
    option_list_done(&runs);
    return status;
}

const struct cmd cmd_report = {"report", "RUN [--format FORMAT]",
                               "verdict and reports again, from a run file", report_main};
