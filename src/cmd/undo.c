#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "fault/guard.h"

static int undo_main(int argc, char **argv)
{
    struct option_list none = {0};
    const char *state_dir = NULL;
    const struct option_row rows[] = {
        {"state-dir", "DIR", "where the journals are (default: as run uses it)",
         .text = &state_dir},
    };
    int status;
    if (options_parse(
            argc, argv, cmd_undo.args,
            "Replays the undo journals of runs whose processes were all killed. Safe to repeat.",
            rows, ARRAY_SIZE(rows), &none, &status) == 0 &&
        (status = options_no_words(argv[0], &none)) == 0) {
        struct stat st;
        if (state_dir && (stat(state_dir, &st) < 0 || !S_ISDIR(st.st_mode))) {
            fprintf(stderr, "squall undo: --state-dir \"%s\" is no folder\n", state_dir);
            return EXIT_USAGE;
        }
        struct buf text = {0};
        struct err err = {0};
        int n = guard_recover(state_dir, &text, &err);
        fputs(buf_str(&text), stdout);
        if (n < 0)
            fprintf(stderr, "squall undo: %s\n", err.msg);
        else
            printf("%d left-over change%s undone\n", n, n == 1 ? "" : "s");
        status = n < 0 ? EXIT_UNDO : 0;
        buf_done(&text);
    }
    option_list_done(&none);
    return status;
}

const struct cmd cmd_undo = {"undo", "[--state-dir DIR]", "undoes what a killed run left behind",
                             undo_main};
