#include "cmd/cmd.h"

int cmd_main(int argc, char **argv)
{
    return EXIT_USAGE;
}
