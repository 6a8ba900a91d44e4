#include "cmd/pack.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"

#define PLAN_HEAD_BYTES (1 << 20)

extern char **environ;

bool pack_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A plan says `squall: 1` at the start of a line; manifests and includes in the same folder do not.
 */
static bool is_plan(const char *path)
{
    struct buf text = {0};
    bool found =
        buf_read_file(&text, path, PLAN_HEAD_BYTES) == 0 &&
        (strncmp(buf_str(&text), "squall:", 7) == 0 || strstr(buf_str(&text), "\nsquall:"));
    buf_done(&text);
    return found;
}

static int only_yaml(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return e->d_name[0] != '.' && ((n > 5 && strcmp(e->d_name + n - 5, ".yaml") == 0) ||
                                   (n > 4 && strcmp(e->d_name + n - 4, ".yml") == 0));
}

static void add_folder(struct option_list *list, const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, only_yaml, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
        free(entries[i]);
        if (!is_plan(path)) {
            free(path);
            continue;
        }
        list->v = xrealloc(list->v, list->n + 1, sizeof *list->v);
        list->v[list->n++] = path;
    }
    if (n >= 0)
        free(entries);
}

static bool is_positional(const struct option_list *plans, const char *arg)
{
    for (size_t i = 0; i < plans->n; i++)
        if (plans->v[i] == arg)
            return true;
    return false;
}

/* 0..255, or 128+signal; -1 when it could not be started. */
static int run_child(const struct option_list *plans, int argc, char **argv, const char *plan)
{
    const char **child = xcalloc((size_t)argc + 3, sizeof *child);
    int n = 0, raw;
    pid_t pid;
    posix_spawnattr_t attr; /* the run must meet SIGINT as it would alone */
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    child[n++] = "squall";
    for (int i = 0; i < argc; i++)
        if (!is_positional(plans, argv[i]))
            child[n++] = argv[i];
    child[n++] = plan;
    printf("== %s\n", plan);
    fflush(stdout);
    int r = posix_spawn(&pid, "/proc/self/exe", NULL, &attr, (char **)child, environ);
    posix_spawnattr_destroy(&attr);
    free(child);
    if (r != 0) {
        fprintf(stderr, "squall: cannot start a run: %s\n", strerror(r));
        return -1;
    }
    while (waitpid(pid, &raw, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

static int run_list(const struct option_list *all, const struct option_list *plans, int argc,
                    char **argv)
{
    int *statuses = xcalloc(all->n + 1, sizeof *statuses), worst = 0;
    size_t done = 0;
    /* Ctrl-C reaches the run in front as well: it undoes and ends, then we stop */
    signal(SIGINT, SIG_IGN);
    for (; done < all->n && worst < 128; done++) {
        statuses[done] = run_child(plans, argc, argv, all->v[done]);
        worst = statuses[done] > worst ? statuses[done] : statuses[done] < 0 ? EXIT_TARGET : worst;
    }
    signal(SIGINT, SIG_DFL);
    printf("\n%zu of %zu plans run\n", done, all->n);
    for (size_t i = 0; i < done; i++)
        printf("  %-12s %s\n",
               statuses[i] == 0   ? "pass"
               : statuses[i] == 1 ? "FAIL"
                                  : "not proven",
               all->v[i]);
    free(statuses);
    return worst;
}

int pack_run(const struct option_list *plans, int argc, char **argv)
{
    struct option_list all = {0};
    for (size_t i = 0; i < plans->n; i++) {
        if (pack_is_folder(plans->v[i])) {
            add_folder(&all, plans->v[i]);
        } else {
            all.v = xrealloc(all.v, all.n + 1, sizeof *all.v);
            all.v[all.n++] = xstrdup(plans->v[i]);
        }
    }
    int status = EXIT_PLAN;
    if (all.n == 0)
        fprintf(stderr,
                "squall run: no plan in %s (a plan is a .yaml file that says `squall: 1`)\n",
                plans->v[0]);
    else
        status = run_list(&all, plans, argc, argv);
    for (size_t i = 0; i < all.n; i++)
        free((char *)all.v[i]);
    option_list_done(&all);
    return status;
}
