#include "cmd/finish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "report/report.h"

static const struct report_format *format_of(const char *target, const char **ret_file)
{
    const char *eq = strchr(target, '=');
    if (!eq || !eq[1])
        return NULL;
    char *name CLEANUP(free_p) = xstrndup(target, (size_t)(eq - target));
    *ret_file = eq + 1;
    return report_find(name);
}

/* A report that cannot be written is known before the storm, not after it. */
static int try_file(const char *path)
{
    bool there = access(path, F_OK) == 0;
    FILE *out = fopen(path, "ae");
    if (!out) {
        fprintf(stderr, "squall: report %s: %s\n", path, strerror(errno));
        return EXIT_TARGET;
    }
    fclose(out);
    if (!there)
        unlink(path);
    return 0;
}

int finish_check_targets(const struct option_list *reports)
{
    for (size_t i = 0; i < reports->n; i++) {
        const char *file;
        if (format_of(reports->v[i], &file)) {
            int status = try_file(file);
            if (status)
                return status;
            continue;
        }
        fprintf(stderr, "squall: --report \"%s\" is not FORMAT=FILE; formats:", reports->v[i]);
        for (size_t k = 0; k < report_count(); k++)
            fprintf(stderr, " %s", report_at(k)->name);
        fputc('\n', stderr);
        return EXIT_USAGE;
    }
    return 0;
}

int finish_exit_status(enum verdict verdict)
{
    static const int statuses[] = {[VERDICT_PASS] = EXIT_PASS,
                                   [VERDICT_FAIL] = EXIT_FAIL,
                                   [VERDICT_INCONCLUSIVE] = EXIT_INCONCLUSIVE};
    _Static_assert(ARRAY_SIZE(statuses) == VERDICT_COUNT, "a status for each verdict");
    return statuses[verdict];
}

static int write_file(const char *target, struct record *record,
                      const struct check_results *results)
{
    const char *path = NULL;
    const struct report_format *format = format_of(target, &path);
    FILE *out = fopen(path, "we");
    int r = out ? format->write(out, record, results, false) : -errno;
    if (out && fclose(out) != 0 && r == 0)
        r = -errno;
    if (r < 0)
        fprintf(stderr, "squall: report %s: %s\n", target, strerror(-r));
    return r;
}

static void keep_results(struct record *record, const struct check_results *results)
{
    for (size_t i = 0; i < results->n; i++) {
        const struct check_result *c = &results->v[i];
        record_check_result(record, &(struct record_check){.nr = (int)i,
                                                           .kind = c->kind,
                                                           .name = c->name,
                                                           .value = c->value,
                                                           .limit = c->limit,
                                                           .reason = c->reason,
                                                           .verdict = c->verdict,
                                                           .value_num = c->value_num,
                                                           .limit_num = c->limit_num,
                                                           .margin = c->margin,
                                                           .at_ns = c->at_ns,
                                                           .details = c->details,
                                                           .details_n = c->details_n});
    }
    record_verdict(record, results->verdict, results->reason);
    record_tick(record, 0, true);
}

static void print_briefly(const struct record *record, const struct check_results *results)
{
    printf("%s: %s\n", verdict_names[results->verdict], results->reason);
    for (size_t i = 0; i < results->n; i++)
        if (results->v[i].verdict != VERDICT_PASS)
            printf("  %s: %s: %s\n", verdict_names[results->v[i].verdict], results->v[i].name,
                   results->v[i].value ? results->v[i].value : results->v[i].reason);
    if (results->verdict != VERDICT_PASS)
        printf("  squall report %s\n", record_path(record));
}

int finish_run(struct record *record, const struct option_list *reports,
               const struct report_format *format, bool colour, bool keep)
{
    struct check_results results = {0};
    struct err err = {0};
    if (check_run(record, &results, &err) < 0) {
        char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
        fprintf(stderr, "squall: cannot evaluate the run: %s\n", err_text(&err, text, sizeof text));
        return EXIT_INCONCLUSIVE;
    }
    int status = finish_exit_status(results.verdict);
    if (keep)
        keep_results(record, &results);
    if (format)
        format->write(stdout, record, &results, colour);
    else
        print_briefly(record, &results);
    if (fflush(stdout) != 0)
        fprintf(stderr, "squall: standard output: %s\n", strerror(errno));
    for (size_t i = 0; i < reports->n; i++)
        if (write_file(reports->v[i], record, &results) < 0 && status == EXIT_PASS)
            status = EXIT_TARGET;
    check_results_done(&results);
    return status;
}
