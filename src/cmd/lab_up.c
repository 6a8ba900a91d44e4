/* squall lab up: checks the plan, then keeps its lab, here or in the background. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/lab_keeper.h"
#include "cmd/lab_parts.h"
#include "cmd/plans.h"
#include "loop/child.h"

struct up_options {
    const char *seed, *name, *pcap;
    bool detach, no_color;
    struct option_list sets, words;
};

static void print_error(int fd, const struct err *err)
{
    char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
    if (err->code)
        dprintf(fd, "squall: %s\n", err_text(err, text, sizeof text));
}

static int up_here(struct keeper *k)
{
    struct err err = {0};
    k->out_fd = STDOUT_FILENO;
    k->ready_fd = k->err_fd = -1;
    int status = keeper_run(k, &err);
    print_error(STDERR_FILENO, &err);
    return status;
}

/* --- in the background ------------------------------------------------------------------------ */

/* Nothing of the lab may hold what the caller gave us, or the caller would wait for the lab's end:
 * from here on 0, 1 and 2 lead nowhere, and once there is a log, into it. */
static int let_go(int *ret_out, int *ret_err)
{
    int null CLEANUP(close_p) = open("/dev/null", O_RDWR | O_CLOEXEC);
    *ret_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    *ret_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (null < 0 || *ret_out < 0 || *ret_err < 0)
        return -errno;
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            return -errno;
    return 0;
}

static int keep_in_background(struct keeper *k, int ready_fd)
{
    struct err err = {0};
    setsid();
    k->detached = true;
    k->ready_fd = ready_fd;
    int r = let_go(&k->out_fd, &k->err_fd);
    int status = r < 0 ? EXIT_TARGET : keeper_run(k, &err);
    if (r < 0)
        err_set(&err, r, "going into the background: %s", strerror(-r));
    print_error(k->err_fd >= 0 ? k->err_fd : STDERR_FILENO, &err);
    char byte = (char)status;
    if (k->ready_fd >= 0)
        (void)!write(k->ready_fd, &byte, 1);
    return status;
}

static volatile pid_t background; /* for the handler */

static void pass_on(int signo)
{
    kill(background, signo);
}

/* 0 when the lab is up, or the exit status of its keeper. */
static int await_ready(int ready_fd)
{
    unsigned char status = EXIT_TARGET;
    struct sigaction sa = {.sa_handler = pass_on};
    static const int signos[] = {SIGINT, SIGTERM, SIGHUP};
    ssize_t n;
    for (size_t i = 0; i < ARRAY_SIZE(signos); i++)
        sigaction(signos[i], &sa, NULL);
    while ((n = read(ready_fd, &status, 1)) < 0 && errno == EINTR)
        ;
    if (n != 1)
        fprintf(stderr, "squall: the process that was to keep the lab ended at once\n");
    return n == 1 ? status : EXIT_TARGET;
}

static int up_in_background(struct keeper *k)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        fprintf(stderr, "squall: pipe: %s\n", strerror(errno));
        return EXIT_TARGET;
    }
    fflush(stdout);
    background = fork();
    if (background == 0) {
        close(fds[0]);
        return keep_in_background(k, fds[1]);
    }
    int status = EXIT_TARGET;
    close(fds[1]);
    if (background < 0)
        fprintf(stderr, "squall: fork: %s\n", strerror(errno));
    else
        status = await_ready(fds[0]);
    close(fds[0]);
    if (background > 0 && status != 0)
        waitpid(background, NULL, 0);
    return status;
}

/* --- the command line ------------------------------------------------------------------------- */

static int up_plan(const struct up_options *o, const struct plan *plan)
{
    struct keeper *k = xmalloc(sizeof *k);
    struct err err = {0};
    int status;
    k->plan = plan;
    k->no_color = o->no_color;
    k->pcap = o->pcap;
    if (o->name)
        snprintf(k->name, sizeof k->name, "%s", o->name);
    else
        place_name_from(plan->name, k->name);
    if (plan->services_n == 0) {
        fprintf(stderr, "%s: error: the plan has no lab: `lab: {services: ...}` is needed\n",
                plan->file);
        status = EXIT_PLAN;
    } else if (plans_seed(plan, o->seed, &k->seed, &err) < 0) {
        print_error(STDERR_FILENO, &err);
        status = EXIT_USAGE;
    } else {
        status = o->detach ? up_in_background(k) : up_here(k);
    }
    free(k);
    return status;
}

static int up(const struct up_options *o)
{
    struct plans_loaded loaded;
    if (o->words.n != 1) {
        fprintf(stderr, "squall lab up: %s; usage: squall lab up PLAN\n",
                o->words.n ? "one plan at a time" : "which plan?");
        return EXIT_USAGE;
    }
    if (o->name && !place_name_ok(o->name)) {
        fprintf(stderr,
                "squall lab up: --name \"%s\" is no name: letters, digits, - and _, at most %d\n",
                o->name, PLACE_NAME_BYTES - 1);
        return EXIT_USAGE;
    }
    int status =
        plans_load(o->words.v[0], &o->sets, &loaded) < 0 ? EXIT_PLAN : up_plan(o, loaded.plan);
    plans_unload(&loaded);
    return status;
}

int lab_up_main(int argc, char **argv)
{
    static char detach[] = "--detach";
    struct up_options o = {0};
    bool no_color = false;
    const struct option_row rows[] = {
        {"detach", NULL, "or -d: comes back when the lab is up, and leaves it running",
         .flag = &o.detach},
        {"name", "NAME", "the lab's name (default: the plan's)", .text = &o.name},
        {"pcap", "FILE", "also write a packet log (pcapng) with the fate of each packet",
         .text = &o.pcap},
        {"set", "PATH=VALUE", "override one key of the plan, as for run; repeatable",
         .list = &o.sets},
        {"seed", "N", "the seed of every draw of a fault (default: the plan's, else a new one)",
         .text = &o.seed},
        {"no-color", NULL, "no colours (as with NO_COLOR)", .flag = &no_color},
    };
    int status;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-d") == 0)
            argv[i] = detach;
    if (options_parse(argc, argv, "PLAN",
                      "Starts the lab of a plan and keeps it until Ctrl-C or squall lab down.",
                      rows, ARRAY_SIZE(rows), &o.words, &status) == 0) {
        o.no_color = no_color || getenv("NO_COLOR") || !isatty(STDOUT_FILENO);
        status = up(&o);
    }
    option_list_done(&o.sets);
    option_list_done(&o.words);
    return status;
}
