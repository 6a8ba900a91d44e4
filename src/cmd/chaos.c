/* squall chaos: faults by hand on a lab that squall lab up keeps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/group.h"
#include "cmd/lab_client.h"
#include "cmd/lab_parts.h"
#include "cmd/options.h"
#include "fault/manifest.h"

static int worse(int a, int b)
{
    return a > b ? a : b;
}

/* --- apply ------------------------------------------------------------------------------------ */

/* Mistakes are told before anything is broken. 0 or an exit status. */
static int check_file(const char *path, struct ask *ask)
{
    struct buf text = {0};
    struct arena arena;
    struct manifest m;
    struct plan_errors errors = {0};
    *ask = (struct ask){.kind = ASK_APPLY, .for_ns = -1};
    snprintf(ask->name, sizeof ask->name, "%s", path);
    int r = buf_read_file(&text, path, ASK_TEXT_BYTES), status = 0;
    if (r < 0 || strlen(buf_str(&text)) != text.n) {
        fprintf(stderr, "%s: error: %s\n", path,
                r == -EFBIG ? "larger than 64 KiB, which no manifest is"
                : r < 0     ? strerror(-r)
                            : "holds NUL bytes, so it is no manifest");
        buf_done(&text);
        return EXIT_PLAN;
    }
    arena_init(&arena);
    if (manifest_parse(&arena, path, buf_str(&text), &m, &errors) < 0) {
        fputs(buf_str(&errors.text), stderr);
        status = EXIT_PLAN;
    } else {
        fputs(buf_str(&m.warnings.text), stderr);
        plan_errors_done(&m.warnings);
        ask->text = xstrdup(buf_str(&text));
    }
    plan_errors_done(&errors);
    arena_done(&arena);
    buf_done(&text);
    return status;
}

static void print_outcome(const json_t *f, int status)
{
    const char *name = client_str(f, "name"), *asked = client_str(f, "asked"),
               *measured = client_str(f, "measured"), *text = client_str(f, "text");
    char left[32] = "";
    const json_t *left_ns = json_object_get(f, "left_ns");
    if (json_is_integer(left_ns))
        units_human_duration(json_integer_value(left_ns), left, sizeof left);
    if (status == EXIT_TARGET) {
        printf("%s: could not be applied: %s\n", name, text[0] ? text : measured);
        return;
    }
    bool once = strcmp(client_str(f, "state"), "done") == 0;
    printf("%s: %s on %s: %s%s%s\n", name, client_str(f, "fault"), client_str(f, "targets"),
           status ? "no effect seen"
           : once ? "done"
                  : "in force",
           once      ? ""
           : left[0] ? " for "
                     : " until it is deleted",
           once ? "" : left);
    printf("  asked     %s\n  measured  %s\n", asked, measured);
}

static int apply_one(const char *lab, const struct ask *ask)
{
    struct place_found found;
    json_t *answer;
    int status = client_pick("chaos apply", lab, &found);
    if (status)
        return status;
    status = client_ask("chaos apply", found.fd, ask, -1, &answer, NULL);
    const json_t *f = answer ? json_object_get(answer, "fault") : NULL;
    if (f)
        print_outcome(f, status);
    json_decref(answer);
    return status;
}

static int apply_files(const char *lab, const struct option_list *files, int64_t for_ns)
{
    struct ask *asks = xcalloc(files->n, sizeof *asks);
    int status = 0;
    for (size_t i = 0; i < files->n; i++) {
        status = worse(status, check_file(files->v[i], &asks[i]));
        asks[i].for_ns = for_ns;
    }
    for (size_t i = 0; i < files->n && status != EXIT_PLAN; i++)
        status = worse(status, apply_one(lab, &asks[i]));
    for (size_t i = 0; i < files->n; i++)
        ask_done(&asks[i]);
    free(asks);
    return status;
}

static int apply_main(int argc, char **argv)
{
    struct option_list files = {0};
    const char *lab = NULL, *span = NULL;
    const struct option_row rows[] = {
        {"for", "DURATION",
         "how long, e.g. 30s (default: the manifest's duration, else until deleted)",
         .text = &span},
        {"lab", "NAME", "which lab, when several run", .text = &lab},
    };
    int64_t for_ns = -1;
    int status;
    if (options_parse(argc, argv, "FILE...",
                      "Applies Chaos Mesh manifests to a running lab and says what they did.", rows,
                      ARRAY_SIZE(rows), &files, &status) == 0) {
        if (files.n == 0) {
            fprintf(stderr,
                    "squall chaos apply: which manifest? usage: squall chaos apply FILE...\n");
            status = EXIT_USAGE;
        } else if (span && (units_duration(str_of(span), &for_ns) < 0 || for_ns <= 0)) {
            fprintf(stderr,
                    "squall chaos apply: --for wants a duration with its unit, such as 30s, not "
                    "\"%s\"\n",
                    span);
            status = EXIT_USAGE;
        } else {
            status = apply_files(lab, &files, for_ns);
        }
    }
    option_list_done(&files);
    return status;
}

/* --- list ------------------------------------------------------------------------------------- */

static int list_main(int argc, char **argv)
{
    struct option_list none = {0};
    const char *lab = NULL;
    bool json = false;
    const struct option_row rows[] = {
        {"json", NULL, "a JSON array instead of a table", .flag = &json},
        {"lab", "NAME", "which lab, when several run", .text = &lab},
    };
    json_t *answer = NULL;
    int status;
    if (options_parse(argc, argv, "[--lab NAME] [--json]",
                      "Lists the faults of a running lab: those in force, and what became of the "
                      "others.",
                      rows, ARRAY_SIZE(rows), &none, &status) == 0 &&
        (status = options_no_words(argv[0], &none)) == 0 &&
        (status = client_ask_lab(argv[0], lab, ASK_STATUS, "", CLIENT_QUICK_MS, &answer)) == 0) {
        const json_t *faults = json_object_get(answer, "faults");
        if (json)
            client_print_json(faults);
        else if (json_array_size(faults) == 0)
            puts("no faults");
        else
            lab_print_faults(faults);
    }
    json_decref(answer);
    option_list_done(&none);
    return status;
}

/* --- delete ----------------------------------------------------------------------------------- */

static int delete_one(const char *lab, const char *name)
{
    json_t *answer;
    int status = client_ask_lab("chaos delete", lab, ASK_DELETE, name, -1, &answer);
    const json_t *f = answer ? json_object_get(answer, "fault") : NULL;
    if (f) {
        const char *measured = client_str(f, "measured"), *text = client_str(f, "text");
        bool ended = strcmp(client_str(f, "state"), "ended") == 0;
        if (status == EXIT_UNDO)
            printf("%s: undo not confirmed: %s%s%s\n", name, measured, measured[0] ? ": " : "",
                   text);
        else if (ended && status == EXIT_INCONCLUSIVE)
            printf("%s: undone, but no effect was seen: %s\n", name, measured[0] ? measured : text);
        else if (ended)
            printf("%s: undone: %s\n", name, measured[0] ? measured : text);
        else
            printf("%s: %s, nothing to undo\n", name, client_str(f, "state"));
    }
    json_decref(answer);
    return status;
}

/* Backwards in time, as undo goes. */
static int delete_all(const char *lab)
{
    json_t *answer;
    int status = client_ask_lab("chaos delete", lab, ASK_STATUS, "", CLIENT_QUICK_MS, &answer);
    const json_t *faults = answer ? json_object_get(answer, "faults") : NULL;
    if (status == 0 && json_array_size(faults) == 0)
        puts("no faults");
    for (size_t i = json_array_size(faults); i-- > 0;)
        status = worse(status, delete_one(lab, client_str(json_array_get(faults, i), "name")));
    json_decref(answer);
    return status;
}

static int delete_main(int argc, char **argv)
{
    struct option_list names = {0};
    const char *lab = NULL;
    bool all = false;
    const struct option_row rows[] = {
        {"all", NULL, "all of them", .flag = &all},
        {"lab", "NAME", "which lab, when several run", .text = &lab},
    };
    int status;
    if (options_parse(argc, argv, "NAME... | --all",
                      "Undoes faults of a running lab, by the names of their manifests, and says "
                      "what that did.",
                      rows, ARRAY_SIZE(rows), &names, &status) == 0) {
        if ((names.n == 0) != all) {
            fprintf(stderr, "squall chaos delete: %s\n",
                    all ? "names and --all together"
                        : "which fault? squall chaos list names them; --all means all");
            status = EXIT_USAGE;
        } else if (all) {
            status = delete_all(lab);
        }
        for (size_t i = 0; i < names.n && !all; i++)
            status = worse(status, delete_one(lab, names.v[i]));
    }
    option_list_done(&names);
    return status;
}

static const struct group_member members[] = {
    {"apply", "chaos apply", apply_main},
    {"list", "chaos list", list_main},
    {"delete", "chaos delete", delete_main},
};

static int chaos_main(int argc, char **argv)
{
    return group_main("chaos", members, ARRAY_SIZE(members), argc, argv);
}

const struct cmd cmd_chaos = {"chaos", "apply|list|delete", "faults by hand on a running lab",
                              chaos_main};
