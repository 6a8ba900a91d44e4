/* breakwater - the reference gateway of squall: picks the role and hands over. */
#include <stdio.h>
#include <string.h>

#include "defect.h"
#include "role.h"

static int help(FILE *to, int status)
{
    struct buf b = {0};
    buf_puts(&b, "usage: breakwater ROLE [options]   (breakwater ROLE --help lists them)\n"
                 "       breakwater defects | --version | --help\nroles:\n");
    role_list(&b);
    fputs(b.p, to);
    buf_done(&b);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(stdout, EXIT_GRACEFUL);
    if (strcmp(argv[1], "--version") == 0) {
        puts("breakwater " BREAKWATER_VERSION);
        return EXIT_GRACEFUL;
    }
    if (strcmp(argv[1], "defects") == 0) {
        struct buf b = {0};
        defect_table(&b);
        fputs(b.p, stdout);
        buf_done(&b);
        return EXIT_GRACEFUL;
    }
    const struct role *role = role_find(argv[1]);
    if (!role) {
        fprintf(stderr, "breakwater: unknown role '%.40s'\n", argv[1]);
        return help(stderr, EXIT_USAGE);
    }
    return role->main(argc - 2, argv + 2);
}
