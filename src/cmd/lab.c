/* squall lab: a lab kept running for a person to work in. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/group.h"
#include "cmd/lab_parts.h"

static const struct group_member members[] = {
    {"up", "lab up", lab_up_main},
    {"enter", "lab enter", lab_enter_main},
    {"status", "lab status", lab_status_main},
    {"down", "lab down", lab_down_main},
};

static int lab_main(int argc, char **argv)
{
    return group_main("lab", members, ARRAY_SIZE(members), argc, argv);
}

const struct cmd cmd_lab = {"lab", "up|enter|status|down",
                            "keeps a lab running, with a shell into any service", lab_main};
