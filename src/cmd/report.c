#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/finish.h"
#include "report/report.h"

static int report_run(const char *path, const struct option_list *reports,
                      const struct report_format *format, bool colour)
{
    struct record *record;
    struct err err = {0};
    char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
    if (record_open(path, &record, &err) < 0) {
        fprintf(stderr, "squall report: %s\n", err_text(&err, text, sizeof text));
        return EXIT_USAGE;
    }
    int status = finish_run(record, reports, format, colour, false);
    record_close(record);
    return status;
}

static const struct report_format *find_format(const char *name)
{
    const struct report_format *format = report_find(name);
    if (format)
        return format;
    fprintf(stderr, "squall report: \"%s\" is no format; there are:", name);
    for (size_t i = 0; i < report_count(); i++)
        fprintf(stderr, " %s", report_at(i)->name);
    fputc('\n', stderr);
    return NULL;
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
        const struct report_format *as = find_format(format ? format : "text");
        if (runs.n != 1)
            fprintf(stderr, "squall report: one run file is needed; usage: squall report %s\n",
                    cmd_report.args);
        if (runs.n != 1 || !as) {
            status = EXIT_USAGE;
        } else if ((status = finish_check_targets(&reports)) == 0) {
            status = report_run(runs.v[0], &reports, as,
                                !no_color && !getenv("NO_COLOR") && isatty(STDOUT_FILENO));
        }
    }
    option_list_done(&reports);
    option_list_done(&runs);
    return status;
}

const struct cmd cmd_report = {"report", "RUN [--format FORMAT]",
                               "verdict and reports again, from a run file", report_main};
