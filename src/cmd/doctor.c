#include <stdio.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "lab/doctor.h"

static int doctor_main(int argc, char **argv)
{
    struct option_list none = {0};
    int status;
    if (options_parse(argc, argv, cmd_doctor.args,
                      "Says what this machine allows a lab to do, and the remedy for the rest.",
                      NULL, 0, &none, &status) == 0 &&
        (status = options_no_words(argv[0], &none)) == 0) {
        struct buf text = {0};
        int r = doctor_run(&text);
        fputs(buf_str(&text), stdout);
        status = r < 0 ? EXIT_TARGET : 0;
        buf_done(&text);
    }
    option_list_done(&none);
    return status;
}

const struct cmd cmd_doctor = {
    "doctor", "", "what this machine allows, and what to do about the rest", doctor_main};
