#include "cmd/pack.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "loop/child.h"
#include "loop/signals.h"

#define PLAN_HEAD_BYTES (1 << 20)

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

static void list_add(struct option_list *list, char *path)
{
    list->v = xrealloc(list->v, list->n + 1, sizeof *list->v);
    list->v[list->n++] = path;
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
        list_add(list, path);
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

/* The run in front, and the signals that are meant for it. It has a process group of its own, so
 * that Ctrl-C reaches it once, through us. */
struct pack {
    struct loop loop;
    struct signals signals;
    struct child child;
    int status;      /* of the run that ended: 0..255, or 128+signal */
    int interrupted; /* signal number: no further run */
};

static void on_signal(struct signals *signals, int signo)
{
    struct pack *pack = container_of(signals, struct pack, signals);
    pack->interrupted = signo;
    child_signal(&pack->child, signo);
}

static void on_end(struct loop *loop, struct child *c, struct child_exit how)
{
    struct pack *pack = container_of(c, struct pack, child);
    pack->status = how.signalled ? 128 + how.status : how.status;
    loop_stop(loop);
}

static void exec_run(const char **args, pid_t parent)
{
    setpgid(0, 0);
    signals_reset();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execv("/proc/self/exe", (char **)args);
    _exit(EXIT_TARGET);
}

/* Runs one plan to its end. 0 or -errno; the exit status is in pack. */
static int run_child(struct pack *pack, const struct option_list *plans, int argc, char **argv,
                     const char *plan)
{
    const char **args = xcalloc((size_t)argc + 3, sizeof *args);
    int n = 0;
    args[n++] = "squall";
    for (int i = 0; i < argc; i++)
        if (!is_positional(plans, argv[i]))
            args[n++] = argv[i];
    args[n++] = plan;
    printf("== %s\n", plan);
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        exec_run(args, parent);
    free(args);
    int r = pid < 0 ? -errno : child_watch(&pack->loop, &pack->child, pid, on_end);
    if (r == 0)
        loop_run(&pack->loop);
    return r;
}

static void print_statuses(const struct option_list *all, const int *statuses, size_t done)
{
    printf("\n%zu of %zu plans run\n", done, all->n);
    for (size_t i = 0; i < done; i++)
        printf("  %-12s %s\n",
               statuses[i] == EXIT_PASS   ? "pass"
               : statuses[i] == EXIT_FAIL ? "FAIL"
                                          : "not proven",
               all->v[i]);
}

static int run_list(const struct option_list *all, const struct option_list *plans, int argc,
                    char **argv)
{
    static const int signos[] = {SIGINT, SIGTERM, SIGHUP};
    struct pack pack = {.child.pidfd = -1, .child.io.fd = -1};
    int *statuses = xcalloc(all->n + 1, sizeof *statuses), worst = 0;
    size_t done = 0;
    int r = loop_init(&pack.loop);
    if (r == 0)
        r = signals_open(&pack.loop, &pack.signals, signos, ARRAY_SIZE(signos), on_signal);
    for (; r == 0 && done < all->n && !pack.interrupted; done++) {
        r = run_child(&pack, plans, argc, argv, all->v[done]);
        statuses[done] = r < 0 ? EXIT_TARGET : pack.status;
        worst = statuses[done] > worst ? statuses[done] : worst;
    }
    if (r < 0) {
        fprintf(stderr, "squall: cannot start a run: %s\n", strerror(-r));
        worst = worst > EXIT_TARGET ? worst : EXIT_TARGET;
    }
    signals_close(&pack.loop, &pack.signals);
    loop_done(&pack.loop);
    print_statuses(all, statuses, done);
    free(statuses);
    return worst;
}

void pack_expand(const struct option_list *plans, struct option_list *ret)
{
    *ret = (struct option_list){0};
    for (size_t i = 0; i < plans->n; i++) {
        size_t before = ret->n;
        if (pack_is_folder(plans->v[i]))
            add_folder(ret, plans->v[i]);
        else
            list_add(ret, xstrdup(plans->v[i]));
        if (ret->n == before)
            fprintf(stderr,
                    "squall: no plan in %s (a plan is a .yaml file that says `squall: 1`)\n",
                    plans->v[i]);
    }
}

void pack_done(struct option_list *expanded)
{
    for (size_t i = 0; i < expanded->n; i++)
        free((char *)expanded->v[i]);
    option_list_done(expanded);
}

int pack_run(const struct option_list *plans, int argc, char **argv)
{
    struct option_list all;
    pack_expand(plans, &all);
    int status = all.n ? run_list(&all, plans, argc, argv) : EXIT_PLAN;
    pack_done(&all);
    return status;
}
