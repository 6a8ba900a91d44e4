#include "role.h"
int gateway_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 1;
}
