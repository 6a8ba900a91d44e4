#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "version.h"

static const struct cmd *const commands[] = {
#define X(NAME) &cmd_##NAME,
#include "cmd/cmd_list.h"
#undef X
};

static void usage(FILE *out)
{
    fputs("squall " SQUALL_VERSION
          ": puts a gateway through the storm before production does\n\nusage:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i]->help)
            fprintf(out, "  squall %-8s %-28s %s\n", commands[i]->name, commands[i]->args,
                    commands[i]->help);
    fputs("\nexit status: 0 pass, 1 fail, 2 usage, 3 plan invalid, 4 target not prepared or "
          "reached,\n"
          "5 inconclusive, 6 undo not confirmed, 130/143 interrupted (after undo)\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *names[ARRAY_SIZE(commands)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i]->help)
            names[n++] = commands[i]->name;
    const char *near = str_nearest(name, names, n);
    fprintf(stderr, "squall: unknown command \"%s\"%s%s%s; see squall --help\n", name,
            near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return EXIT_USAGE;
}

int cmd_main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc == 3) { /* squall help run = squall run --help */
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("squall " SQUALL_VERSION);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    return unknown_command(argv[1]);
}
