/*
 * lab_enter.c - squall lab enter: a shell or command where a service lives, on the caller's
 * terminal.
 *
 *     squall lab enter (this process, outside)      waits; ignores Ctrl-C, which is the command's
 *       `- monitor (in the lab's PID namespace)     waits for the command, tells its exit status
 *            `- the command
 *
 * This process stays in the session and on the terminal where it was called, so job control works
 * as for any command; it joins the lab's user, mount, IPC, network and UTS namespaces, and its
 * children the PID namespace: when the lab ends the kernel ends them. The monitor is there so that
 * nobody outside has to reap anybody inside: a PID namespace ends only when the last zombie in it
 * is reaped, and a stopped `lab enter` (Ctrl-Z) would hold up the end of its lab. The monitor
 * itself is reaped by the kernel, because this process ignores SIGCHLD; the exit status comes
 * through a pipe. See pid_namespaces(7), setns(2).
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/lab_client.h"
#include "cmd/lab_parts.h"
#include "cmd/options.h"
#include "loop/signals.h"

#define GROUPS_MAX 64

/* What the keeper said. */
struct visit {
    const char *service;
    json_t *answer;
    int fds[CLIENT_FDS]; /* the init's pidfd, network, UTS */
    int root_fd;         /* the init's root */
    char **argv;
    int pipe[2]; /* the command's wait status */
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

/* Ctrl-Z is the command's; once that has stopped, the monitor stops too, which those outside see.
 */
static void wait_for_command(pid_t pid, int *ret_status)
{
    for (;;) {
        pid_t r = waitpid(pid, ret_status, WUNTRACED);
        if (r == pid && !WIFSTOPPED(*ret_status))
            return;
        assert(r == pid || errno == EINTR);
        if (r == pid) {
            raise(SIGSTOP);
            kill(-getpgid(pid), SIGCONT);
        }
    }
}

static _Noreturn void monitor(const struct visit *v)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTOU};
    int status;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    if (v->on_terminal) {
        setpgid(0, 0);
        tcsetpgrp(STDIN_FILENO, getpgrp());
    }
    pid_t pid = fork();
    if (pid == 0)
        run_command(v);
    if (pid < 0)
        _exit(fail(v, "fork"));
    wait_for_command(pid, &status);
    (void)!write(v->pipe[1], &status, sizeof status);
    _exit(0);
}

/* --- outside ---------------------------------------------------------------------------------- */

/* What was stopped in the lab is a stopped job of the shell outside; with `fg` both go on. */
static void stop_with(pid_t pid, const struct visit *v)
{
    if (v->on_terminal)
        tcsetpgrp(STDIN_FILENO, getpgrp());
    raise(SIGSTOP);
    if (v->on_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetpgrp(STDIN_FILENO, pid);
    kill(v->on_terminal ? -pid : pid, SIGCONT);
}

/* Until the monitor is gone, and reaped by the kernel: nobody else shall have to. */
static int await_command(struct visit *v, pid_t pid)
{
    int status;
    close(v->pipe[1]);
    for (;;) {
        pid_t r = waitpid(pid, &status, WUNTRACED);
        if (r == pid && WIFSTOPPED(status))
            stop_with(pid, v);
        else if (r == pid || errno != EINTR)
            break;
    }
    if (read(v->pipe[0], &status, sizeof status) == (ssize_t)sizeof status)
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(stderr, "squall lab enter: the lab has ended, and with it what ran in it\n");
    return 128 + SIGKILL;
}

/* On a terminal what runs inside is a process group of its own: a shell asks which group it found
 * in front, and ours has no number in there. Signals of the terminal then reach the command alone.
 */
static int run_inside(struct visit *v)
{
    struct termios terminal;
    v->on_terminal =
        tcgetattr(STDIN_FILENO, &terminal) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
    if (pipe2(v->pipe, O_CLOEXEC) < 0)
        return fail(v, "pipe");
    signal(SIGCHLD, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = fork();
    if (pid < 0)
        return fail(v, "starting a process in the lab");
    if (pid == 0) {
        close(v->pipe[0]);
        monitor(v);
    }
    int status = await_command(v, pid);
    if (v->on_terminal) { /* one that was killed has not given it back, nor set it right */
        tcsetpgrp(STDIN_FILENO, getpgrp());
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
    }
    close(v->pipe[0]);
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
