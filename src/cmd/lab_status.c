/* squall lab status and squall lab down. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/lab_client.h"
#include "cmd/lab_parts.h"
#include "cmd/options.h"

static void print_fault(const json_t *f)
{
    char left[32] = "";
    const json_t *left_ns = json_object_get(f, "left_ns");
    bool in_force = json_is_true(json_object_get(f, "in_force"));
    if (in_force && json_is_integer(left_ns))
        units_human_duration(json_integer_value(left_ns), left, sizeof left);
    bool unseen = json_is_true(json_object_get(f, "no_effect")) && !in_force;
    printf("  %-20s %-12s %s on %s%s%s%s\n", client_str(f, "name"), client_str(f, "state"),
           client_str(f, "fault"), client_str(f, "targets"),
           left[0]    ? ", ends in "
           : in_force ? ", until it is deleted"
                      : "",
           left, unseen ? ", no effect was seen" : "");
    static const char *const rows[] = {"asked", "measured"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (client_str(f, rows[i])[0])
            printf("    %-8s %s\n", rows[i], client_str(f, rows[i]));
    if (client_str(f, "text")[0])
        printf("    %s\n", client_str(f, "text"));
}

void lab_print_faults(const json_t *faults)
{
    size_t i;
    json_t *f;
    json_array_foreach(faults, i, f) print_fault(f);
}

static void print_services(const json_t *services)
{
    size_t i;
    json_t *s;
    printf("  %-20s %-19s %5s  %8s  %s\n", "service", "state", "pid", "restarts", "address");
    json_array_foreach(services, i, s)
    {
        const json_t *pid = json_object_get(s, "pid");
        char text[16] = "-";
        if (json_is_integer(pid))
            snprintf(text, sizeof text, "%d", (int)json_integer_value(pid));
        printf("  %-20s %-19s %5s  %8d  %s\n", client_str(s, "name"), client_str(s, "state"), text,
               (int)client_int(s, "restarts"), client_str(s, "address"));
    }
}

static void print_lab(const json_t *answer)
{
    const json_t *lab = json_object_get(answer, "lab"), *faults = json_object_get(answer, "faults");
    bool background = json_is_true(json_object_get(lab, "background"));
    char age[32];
    printf("%s: %s, started %s ago from %s, %s, seed %lld, kept by process %d\n",
           client_str(lab, "name"), client_str(lab, "state"),
           units_human_duration(client_int(lab, "age_ns"), age, sizeof age),
           client_str(lab, "file"), client_str(lab, "tier"), (long long)client_int(lab, "seed"),
           (int)client_int(lab, "pid"));
    if (background)
        printf("  its log is %s/log\n", client_str(lab, "folder"));
    print_services(json_object_get(answer, "services"));
    puts(json_array_size(faults) ? "faults:" : "no faults");
    lab_print_faults(faults);
}

static int ask_status(const struct place_found *f, json_t **ret)
{
    return client_ask("lab status", f->fd, &(struct ask){.kind = ASK_STATUS}, CLIENT_QUICK_MS, ret,
                      NULL);
}

/* All labs that answer; the status of the first that does not. */
static int collect(json_t *labs, const char *only)
{
    struct place_walk w;
    struct place_found f;
    struct err err = {0};
    int status = 0;
    if (place_open(&w, &err) < 0) {
        fprintf(stderr, "squall lab status: %s\n", err.msg);
        return EXIT_TARGET;
    }
    while (place_next(&w, &f)) {
        json_t *answer;
        if (f.fd == -ECONNREFUSED || f.fd == -ENOENT)
            fprintf(stderr,
                    "squall lab status: note: lab \"%s\" was killed and left %s; `squall undo` "
                    "removes it\n",
                    f.name, f.path);
        if (f.fd < 0)
            continue;
        if (only && strcmp(only, f.name) != 0) {
            close(f.fd);
            continue;
        }
        int r = ask_status(&f, &answer);
        status = status ? status : r;
        if (answer)
            json_array_append_new(labs, answer);
    }
    place_close(&w);
    return status;
}

static int show(const char *lab, bool json)
{
    json_t *labs = json_array(), *answer;
    size_t i;
    int status = collect(labs, lab);
    if (json)
        client_print_json(labs);
    json_array_foreach(labs, i, answer)
    {
        if (json)
            continue;
        if (i)
            putchar('\n');
        print_lab(answer);
    }
    if (json_array_size(labs) == 0 && status == 0) {
        fprintf(stderr,
                "squall lab status: no lab%s%s%s is running; start one with squall lab up "
                "PLAN\n",
                lab ? " \"" : "", lab ? lab : "", lab ? "\"" : "");
        status = EXIT_TARGET;
    }
    json_decref(labs);
    return status;
}

int lab_status_main(int argc, char **argv)
{
    struct option_list none = {0};
    const char *lab = NULL;
    bool json = false;
    const struct option_row rows[] = {
        {"json", NULL, "a JSON array with one object a lab", .flag = &json},
        {"lab", "NAME", "only this one (default: all that run)", .text = &lab},
    };
    int status;
    if (options_parse(argc, argv, "[--lab NAME] [--json]",
                      "Says which labs run, with their services and the faults in force.", rows,
                      ARRAY_SIZE(rows), &none, &status) == 0 &&
        (status = options_no_words(argv[0], &none)) == 0)
        status = show(lab, json);
    option_list_done(&none);
    return status;
}

int lab_down_main(int argc, char **argv)
{
    struct option_list none = {0};
    const char *lab = NULL;
    const struct option_row rows[] = {
        {"lab", "NAME", "which one, when several run", .text = &lab},
    };
    int status;
    json_t *answer = NULL;
    if (options_parse(argc, argv, "[--lab NAME]",
                      "Stops a lab: faults are undone, services stopped, everything removed.", rows,
                      ARRAY_SIZE(rows), &none, &status) == 0 &&
        (status = options_no_words(argv[0], &none)) == 0 &&
        (status = client_ask_lab(argv[0], lab, ASK_DOWN, "", -1, &answer)) == 0)
        puts("the lab is down: its faults are undone, nothing is left");
    json_decref(answer);
    option_list_done(&none);
    return status;
}
