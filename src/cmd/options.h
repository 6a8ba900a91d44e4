/*
 * options.h - a subcommand's command line from one table: parsing, --help and errors.
 *
 * A row names a long option, what its value is (NULL = a switch), the help, and where the value
 * goes: a `bool *` for a switch, a `const char **` for the last value, or an option_list for a
 * repeatable one. `--name=value` and `--name value` both work; `--` ends options.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct option_list {
    const char **v;
    size_t n;
};

struct option_row {
    const char *name;  /* without the dashes */
    const char *value; /* NULL = a switch */
    const char *help;
    bool *flag;
    const char **text;
    struct option_list *list;
};

/* Fills rows and positional (both point into argv). 0 = go on; otherwise *ret_status is what to
 * exit with: 0 after --help, EXIT_USAGE after a mistake that was printed. */
int options_parse(int argc, char **argv, const char *args, const char *about,
                  const struct option_row *rows, size_t n, struct option_list *positional,
                  int *ret_status);
/* For commands without arguments: 0, or EXIT_USAGE after saying so. */
int options_no_words(const char *command, const struct option_list *words);
void option_list_done(struct option_list *l);
