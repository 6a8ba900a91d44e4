#include "cmd/group.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

#define MEMBERS_MAX 8

static int run_member(const struct group_member *m, int argc, char **argv)
{
    argv[0] = (char *)m->full_name;
    return m->run(argc, argv);
}

static int help_all(const struct group_member *members, size_t n)
{
    static char help[] = "--help";
    for (size_t i = 0; i < n; i++) {
        char *argv[] = {NULL, help, NULL};
        if (i)
            putchar('\n');
        run_member(&members[i], 2, argv);
    }
    return 0;
}

int group_main(const char *group, const struct group_member *members, size_t n, int argc,
               char **argv)
{
    const char *names[MEMBERS_MAX] = {0};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help_all(members, n);
    for (size_t i = 0; i < n; i++) {
        names[i] = members[i].name;
        if (argc > 1 && strcmp(argv[1], names[i]) == 0)
            return run_member(&members[i], argc - 1, argv + 1);
    }
    const char *near = argc > 1 ? str_nearest(argv[1], names, n) : NULL;
    fprintf(stderr, "squall %s: ", group);
    if (argc > 1)
        fprintf(stderr, "unknown command \"%s\"", argv[1]);
    if (near)
        fprintf(stderr, ", did you mean \"%s\"?", near);
    else
        for (size_t i = 0; i < n; i++)
            fprintf(stderr, "%s%s",
                    i == 0 && argc > 1 ? "; one of: "
                    : i == 0           ? "one of: "
                                       : ", ",
                    names[i]);
    fprintf(stderr, "; see squall %s --help\n", group);
    return EXIT_USAGE;
}
