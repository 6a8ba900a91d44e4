#include "cmd/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

void option_list_done(struct option_list *l)
{
    free(l->v);
    *l = (struct option_list){0};
}

int options_no_words(const char *command, const struct option_list *words)
{
    if (words->n == 0)
        return 0;
    fprintf(stderr, "squall %s: unexpected \"%s\"; see squall %s --help\n", command, words->v[0],
            command);
    return EXIT_USAGE;
}

static void list_add(struct option_list *l, const char *value)
{
    l->v = xrealloc(l->v, l->n + 1, sizeof *l->v);
    l->v[l->n++] = value;
}

static void print_help(const char *name, const char *args, const char *about,
                       const struct option_row *rows, size_t n)
{
    printf("usage: squall %s %s\n\n%s\n", name, args, about);
    if (n)
        puts("\noptions:");
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        printf("  %-24s %s\n", left, rows[i].help);
    }
}

static const struct option_row *row_find(const struct option_row *rows, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, str_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

static int unknown_option(const char *command, struct str name, const struct option_row *rows,
                          size_t n)
{
    const char **names = xcalloc(n + 1, sizeof *names);
    char *wrong = xstrndup(name.p, name.n);
    for (size_t i = 0; i < n; i++)
        names[i] = rows[i].name;
    const char *near = str_nearest(wrong, names, n);
    fprintf(stderr, "squall %s: unknown option --%s%s%s%s; see squall %s --help\n", command, wrong,
            near ? ", did you mean --" : "", near ? near : "", near ? "?" : "", command);
    free(wrong);
    free(names);
    return EXIT_USAGE;
}

static void row_store(const struct option_row *row, const char *value)
{
    if (row->flag)
        *row->flag = true;
    if (row->text)
        *row->text = value;
    if (row->list)
        list_add(row->list, value);
}

/* One option at argv[*i]; moves *i over a value in the next word. 0 or an exit status. */
static int take_option(int argc, char **argv, int *i, const struct option_row *rows, size_t n)
{
    struct str value = str_of(argv[*i] + 2);
    struct str name = str_split(&value, '=');
    bool has_value = argv[*i][2 + name.n] == '=';
    const struct option_row *row = row_find(rows, n, name);
    if (!row)
        return unknown_option(argv[0], name, rows, n);
    if (!row->value && has_value) {
        fprintf(stderr, "squall %s: --%s takes no value\n", argv[0], row->name);
        return EXIT_USAGE;
    }
    if (row->value && !has_value && *i + 1 >= argc) {
        fprintf(stderr, "squall %s: --%s needs a value: --%s %s\n", argv[0], row->name, row->name,
                row->value);
        return EXIT_USAGE;
    }
    row_store(row, !row->value ? NULL : has_value ? value.p : argv[++*i]);
    return 0;
}

int options_parse(int argc, char **argv, const char *args, const char *about,
                  const struct option_row *rows, size_t n, struct option_list *positional,
                  int *ret_status)
{
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        if (only_positional || argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
            list_add(positional, argv[i]);
        } else if (strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(argv[0], args, about, rows, n);
            *ret_status = 0;
            return -ECANCELED;
        } else if (argv[i][1] != '-') {
            fprintf(stderr,
                    "squall %s: unknown option %s; options are words, see squall %s --help\n",
                    argv[0], argv[i], argv[0]);
            *ret_status = EXIT_USAGE;
            return -EINVAL;
        } else if ((*ret_status = take_option(argc, argv, &i, rows, n)) != 0) {
            return -EINVAL;
        }
    }
    return 0;
}
