/*
 * lab_enter.c - squall lab enter: a shell or command where a service lives, on the caller's
 * terminal.
 *
 *     squall lab enter          outside the PID namespace; ignores Ctrl-C, which is the command's
 *     monitor -- the command    in it, on the same terminal and in the same session
 *
 * This process joins the lab's user, mount, IPC, network and UTS namespaces and its children the
 * PID namespace: when the lab ends the kernel ends them. The command is a process group of its own
 * in front of the terminal, as a shell does it with its jobs. The monitor is its parent; it is
 * forked by a child that ends at once and so belongs to the lab's init. Thus nobody outside has to
 * reap anybody inside: a PID namespace ends only when the last zombie in it is reaped, and a `lab
 * enter` that is stopped, or killed and left to a lazy reaper, would hold up the end of its lab.
 * The two talk over a socket: how the command ended or stopped, and that it shall go on; its end is
 * the other's end. See pid_namespaces(7), setns(2), credentials(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/lab_client.h"
#include "cmd/lab_parts.h"
#include "cmd/options.h"
#include "loop/signals.h"

#define GROUPS_MAX  64
#define ORDER_FRONT 'f' /* go on, with the terminal */
#define ORDER_BACK  'b' /* go on */

/* What the keeper said. */
struct visit {
    const char *service;
    json_t *answer;
    int fds[CLIENT_FDS]; /* the init's pidfd, network, UTS */
    int root_fd;         /* the init's root */
    char **argv;
    int wire[2]; /* ours, the monitor's: wait statuses to us, one of ORDER_* to it */
    bool on_terminal;
};

static int fail(const struct visit *v, const char *what)
{
    int e = errno;
    fprintf(stderr, "squall lab enter: %s: %s: %s\n", v->service, what, strerror(e));
    return EXIT_TARGET;
}

/* --- going in --------------------------------------------------------------------------------- */

/* To join the user namespace that one is in already is an error. */
static bool other_user_namespace(int64_t pid)
{
    char path[64];
    struct stat own, its;
    snprintf(path, sizeof path, "/proc/%lld/ns/user", (long long)pid);
    return stat("/proc/self/ns/user", &own) == 0 && stat(path, &its) == 0 &&
           own.st_ino != its.st_ino;
}

/* The init of a lab made in a chroot has a root of its own within its mount namespace. */
static int change_root(int root_fd)
{
    struct stat its, ours;
    if (fstat(root_fd, &its) < 0 || stat("/", &ours) < 0)
        return -1;
    if (its.st_ino == ours.st_ino && its.st_dev == ours.st_dev)
        return 0;
    return fchdir(root_fd) < 0 || chroot(".") < 0 ? -1 : 0;
}

static int go_in(struct visit *v)
{
    int64_t pid = client_int(v->answer, "init_pid");
    int flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC;
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/root", (long long)pid);
    v->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (v->root_fd < 0)
        return fail(v, "the lab's root");
    if (other_user_namespace(pid))
        flags |= CLONE_NEWUSER;
    if (setns(v->fds[0], flags) < 0)
        return fail(v, "entering the lab's namespaces");
    if (setns(v->fds[1], CLONE_NEWNET) < 0 || setns(v->fds[2], CLONE_NEWUTS) < 0)
        return fail(v, "entering the service's namespaces");
    if (change_root(v->root_fd) < 0)
        return fail(v, "the lab's root");
    if (chdir(client_str(v->answer, "dir")) < 0)
        return fail(v, "its working folder");
    return 0;
}

/* --- inside ----------------------------------------------------------------------------------- */

static int change_user(const json_t *user)
{
    gid_t groups[GROUPS_MAX], gid = (gid_t)client_int(user, "gid");
    uid_t uid = (uid_t)client_int(user, "uid");
    const json_t *list = json_object_get(user, "groups");
    size_t n = 0;
    for (; n < json_array_size(list) && n < GROUPS_MAX; n++)
        groups[n] = (gid_t)json_integer_value(json_array_get(list, n));
    return setgroups(n, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ? -1 : 0;
}

static char **make_environment(const json_t *env)
{
    const char *term = getenv("TERM");
    char **e = xcalloc(json_array_size(env) + 2, sizeof *e);
    size_t n = 0, i;
    json_t *item;
    json_array_foreach(env, i, item) e[n++] =
        xstrdup(json_string_value(item) ? json_string_value(item) : "");
    if (term)
        e[n++] = xasprintf("TERM=%s", term);
    return e;
}

static _Noreturn void run_command(const struct visit *v)
{
    const json_t *user = json_object_get(v->answer, "user");
    signals_reset();
    if (user && change_user(user) < 0) {
        fail(v, "changing to its user");
        _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGHUP); /* after the change of user, which would clear it */
    environ = make_environment(json_object_get(v->answer, "env"));
    execvp(v->argv[0], v->argv);
    int status = errno == ENOENT ? 127 : 126;
    fail(v, v->argv[0]);
    _exit(status);
}

static pid_t start_command(const struct visit *v)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (v->on_terminal) {
            setpgid(0, 0);
            tcsetpgrp(STDIN_FILENO, getpgrp());
        }
        run_command(v);
    }
    if (pid > 0 && v->on_terminal)
        setpgid(pid, pid); /* whoever comes first */
    return pid;
}

/* True when the command has ended. */
static bool tell_state(const struct visit *v, pid_t pid)
{
    int status;
    pid_t r;
    while ((r = waitpid(pid, &status, WNOHANG | (v->on_terminal ? WUNTRACED : 0))) > 0) {
        (void)!write(v->wire[1], &status, sizeof status);
        if (!WIFSTOPPED(status))
            return true;
    }
    return r < 0;
}

/* False when those outside are gone. */
static bool take_order(const struct visit *v, pid_t pid)
{
    char order;
    ssize_t n = read(v->wire[1], &order, 1);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (order == ORDER_FRONT)
        tcsetpgrp(STDIN_FILENO, pid);
    kill(v->on_terminal ? -pid : pid, SIGCONT);
    return true;
}

/* Never stops itself: Ctrl-Z is the command's, and those outside are told. */
static _Noreturn void monitor(const struct visit *v)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTOU, SIGPIPE};
    sigset_t child;
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t pid = child_fd < 0 ? -1 : start_command(v);
    if (pid < 0)
        _exit(fail(v, "fork"));
    struct pollfd p[] = {{.fd = child_fd, .events = POLLIN}, {.fd = v->wire[1], .events = POLLIN}};
    struct signalfd_siginfo info;
    while (!tell_state(v, pid)) {
        poll(p, ARRAY_SIZE(p), -1);
        (void)!read(child_fd, &info, sizeof info);
        if (p[1].revents && !take_order(v, pid)) {
            kill(v->on_terminal ? -pid : pid, SIGHUP);
            kill(v->on_terminal ? -pid : pid, SIGCONT);
            break;
        }
    }
    _exit(0);
}

/* --- outside ---------------------------------------------------------------------------------- */

/* The monitor's parent ends at once; the kernel reaps it, because SIGCHLD is ignored here. */
static int start_monitor(struct visit *v)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, v->wire) < 0)
        return fail(v, "socketpair");
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        close(v->wire[0]);
        pid = fork();
        if (pid == 0)
            monitor(v);
        _exit(pid < 0 ? fail(v, "fork") : 0);
    }
    if (pid < 0)
        return fail(v, "starting a process in the lab");
    close(v->wire[1]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

/* What was stopped in the lab is a stopped job of the shell outside; with `fg` both go on. */
static void stop_too(const struct visit *v)
{
    tcsetpgrp(STDIN_FILENO, getpgrp());
    raise(SIGSTOP);
    char order = tcgetpgrp(STDIN_FILENO) == getpgrp() ? ORDER_FRONT : ORDER_BACK;
    (void)!write(v->wire[0], &order, 1);
}

static int await_command(const struct visit *v)
{
    int status;
    for (;;) {
        ssize_t n = read(v->wire[0], &status, sizeof status);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof status)
            break;
        if (!WIFSTOPPED(status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        stop_too(v);
    }
    fprintf(stderr, "squall lab enter: the lab has ended, and with it what ran in it\n");
    return 128 + SIGKILL;
}

static int run_inside(struct visit *v)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGTTOU, SIGPIPE};
    struct termios terminal;
    v->on_terminal =
        tcgetattr(STDIN_FILENO, &terminal) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    int status = start_monitor(v);
    if (status == 0)
        status = await_command(v);
    if (v->on_terminal) { /* one that was killed has not given it back, nor set it right */
        tcsetpgrp(STDIN_FILENO, getpgrp());
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
    }
    return status;
}

static int visit(struct visit *v, const char *lab)
{
    struct place_found found;
    struct ask ask = {.kind = ASK_ENTER, .for_ns = -1};
    if (strlen(v->service) >= sizeof ask.name || !v->service[0]) {
        fprintf(stderr, "squall lab enter: no service has such a name\n");
        return EXIT_USAGE;
    }
    snprintf(ask.name, sizeof ask.name, "%s", v->service);
    int status = client_pick("lab enter", lab, &found);
    if (status == 0)
        status = client_ask("lab enter", found.fd, &ask, CLIENT_QUICK_MS, &v->answer, v->fds);
    if (status == 0 && v->fds[CLIENT_FDS - 1] < 0) {
        fprintf(stderr, "squall lab enter: the lab did not give its namespaces away\n");
        status = EXIT_TARGET;
    }
    if (status)
        return status;
    status = go_in(v);
    if (status == 0)
        status = run_inside(v);
    /* every further child would be born in the lab: exit handlers, of a sanitizer say, that want
     * one would wait for ever */
    fflush(stdout);
    _exit(status);
}

static char **command_of(const struct option_list *words)
{
    const char *shell = getenv("SHELL");
    char **argv = xcalloc(words->n + 1, sizeof *argv);
    for (size_t i = 1; i < words->n; i++)
        argv[i - 1] = (char *)words->v[i];
    if (words->n == 1)
        argv[0] =
            (char *)(shell && shell[0] == '/' && access(shell, X_OK) == 0 ? shell : "/bin/sh");
    return argv;
}

int lab_enter_main(int argc, char **argv)
{
    struct option_list words = {0};
    const char *lab = NULL;
    const struct option_row rows[] = {
        {"lab", "NAME", "which lab, when several run", .text = &lab},
    };
    struct visit v = {.root_fd = -1, .fds = {-1, -1, -1}};
    int status;
    if (options_parse(argc, argv, "SERVICE [-- COMMAND...]",
                      "A shell, or a command, where a service lives: its network, files and "
                      "environment.",
                      rows, ARRAY_SIZE(rows), &words, &status) == 0) {
        if (words.n == 0) {
            fprintf(stderr, "squall lab enter: which service? usage: squall lab enter SERVICE [-- "
                            "COMMAND...]\n");
            status = EXIT_USAGE;
        } else {
            v.service = words.v[0];
            v.argv = command_of(&words);
            status = visit(&v, lab);
        }
    }
    for (int i = 0; i < CLIENT_FDS; i++)
        close_p(&v.fds[i]);
    close_p(&v.root_fd);
    json_decref(v.answer);
    free(v.argv);
    option_list_done(&words);
    return status;
}
