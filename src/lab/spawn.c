#include "lab/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lab/mark.h"
#include "loop/signals.h"

#define GROUPS_MAX 64

/* Child only: the reason goes up the pipe as text, so that it reads the same everywhere. */
static _Noreturn void give_up(int fd, const char *what, int error)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%s: %s", strerror(error), what);
    if (n > 0)
        (void)!write(fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    _exit(127);
}

/* Only the soft limit moves: an ordinary user could not raise a hard one again. */
static int set_limit(int which, int64_t value)
{
    struct rlimit r;
    if (value < 0)
        return 0;
    if (getrlimit(which, &r) < 0)
        return -1;
    r.rlim_cur = (rlim_t)value < r.rlim_max ? (rlim_t)value : r.rlim_max;
    return setrlimit(which, &r);
}

static int set_limits(const struct plan_limits *l)
{
    return set_limit(RLIMIT_DATA, l->memory_bytes) || set_limit(RLIMIT_NOFILE, l->nofile) ||
           set_limit(RLIMIT_NPROC, l->nproc) || set_limit(RLIMIT_STACK, l->stack_bytes) ||
           set_limit(RLIMIT_FSIZE, l->fsize_bytes) || set_limit(RLIMIT_CORE, l->core_bytes);
}

static int set_user(const struct spawn_user *u)
{
    return setgroups((size_t)u->groups_n, u->groups) || setresgid(u->gid, u->gid, u->gid) ||
           setresuid(u->uid, u->uid, u->uid);
}

static int set_descriptors(const struct spawn *s, int exec_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -1;
    return dup2(null, 0) < 0 || dup2(s->out_fd >= 0 ? s->out_fd : null, 1) < 0 ||
           dup2(s->err_fd >= 0 ? s->err_fd : null, 2) < 0 ||
           close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0;
}

/* As a shell looks for a program; a folder or a file without x bit does not end the search. */
static void exec_search(const struct spawn *s)
{
    char file[PATH_MAX];
    int error = ENOENT;
    char *const *argv = (char *const *)s->argv;
    if (strchr(argv[0], '/')) {
        execve(argv[0], argv, s->envp);
        return;
    }
    for (const char *p = s->path; *p;) {
        size_t n = strcspn(p, ":");
        if (n && (size_t)snprintf(file, sizeof file, "%.*s/%s", (int)n, p, argv[0]) < sizeof file) {
            execve(file, argv, s->envp);
            if (errno == EACCES)
                error = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR)
                return;
        }
        p += n + (p[n] == ':');
    }
    errno = error;
}

static _Noreturn void give_up_exec(int fd, const char *program, int error)
{
    static const char no_path[] =
        "not in PATH of the lab; give an absolute path or {{plan.dir}}/NAME";
    static const char no_loader[] =
        "it is there, but what its first line or its header names is not";
    char what[400];
    bool path = strchr(program, '/');
    const char *hint = error != ENOENT              ? NULL
                       : !path                      ? no_path
                       : access(program, F_OK) == 0 ? no_loader
                                                    : NULL;
    snprintf(what, sizeof what, "%.250s%s%s", program, hint ? ": " : "", hint ? hint : "");
    give_up(fd, what, error);
}

static void enter_box(const struct box *b, int exec_fd)
{
    int r = b->mark ? mark_wear(b->mark) : 0;
    if (r < 0)
        give_up(exec_fd, "wearing the lab's mark", -r);
    if (!b->mark && (setns(b->netns_fd, CLONE_NEWNET) < 0 || setns(b->uts_fd, CLONE_NEWUTS) < 0))
        give_up(exec_fd, "entering the service's namespaces", errno);
}

static _Noreturn void run_child(const struct spawn *s, pid_t parent, int exec_fd)
{
    signals_reset();
    setsid();
    enter_box(s->box, exec_fd);
    if (set_descriptors(s, exec_fd))
        give_up(exec_fd, "descriptors", errno);
    if (set_limits(s->limits))
        give_up(exec_fd, "limits", errno);
    if (s->user->change && set_user(s->user))
        give_up(exec_fd, "changing user", errno);
    /* after the change of user, which resets it (prctl(2)) */
    if (s->box->mark && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        give_up(exec_fd, "its parent has ended", ECHILD);
    if (chdir(s->dir) < 0)
        give_up(exec_fd, s->dir, errno);
    exec_search(s);
    give_up_exec(exec_fd, s->argv[0], errno);
}

pid_t spawn_start(const struct spawn *s, int *ret_exec_fd)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        run_child(s, parent, pipe_fds[1]);
    int r = -errno;
    close(pipe_fds[1]);
    if (pid < 0) {
        close(pipe_fds[0]);
        return r;
    }
    *ret_exec_fd = pipe_fds[0];
    return pid;
}

int spawn_user_find(struct spawn_user *ret, const char *name)
{
    *ret = (struct spawn_user){.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (!name)
        return 0;
    errno = 0;
    struct passwd *pw = getpwnam(name);
    if (!pw)
        return errno && errno != ENOENT && errno != ESRCH ? -errno : -ENOENT;
    if (pw->pw_uid == geteuid() && pw->pw_uid == getuid())
        return 0;
    if (geteuid() != 0)
        return -EPERM;
    *ret = (struct spawn_user){.change = true, .uid = pw->pw_uid, .gid = pw->pw_gid};
    ret->groups = xcalloc(GROUPS_MAX, sizeof *ret->groups);
    ret->groups_n = GROUPS_MAX;
    if (getgrouplist(name, pw->pw_gid, ret->groups, &ret->groups_n) < 0)
        ret->groups_n = GROUPS_MAX;
    return 0;
}

void spawn_user_done(struct spawn_user *u)
{
    free(u->groups);
    *u = (struct spawn_user){0};
}

char **spawn_env_make(const struct plan_service *s, const char *path, const char *dir)
{
    size_t n = 0;
    char **env = xcalloc(s->env_n + 5, sizeof *env);
    env[n++] = xasprintf("PATH=%s", path);
    env[n++] = xasprintf("HOME=%s", dir);
    env[n++] = xasprintf("TMPDIR=%s", dir);
    env[n++] = xstrdup("LANG=C.UTF-8");
    for (size_t i = 0; i < s->env_n; i++) {
        char *item = xasprintf("%s=%s", s->env[i].key, s->env[i].value);
        size_t key_n = strlen(s->env[i].key) + 1, at = 0;
        while (at < n && strncmp(env[at], item, key_n) != 0)
            at++;
        free(env[at]);
        env[at] = item;
        n += at == n;
    }
    return env;
}

void spawn_env_free(char **envp)
{
    for (char **p = envp; p && *p; p++)
        free(*p);
    free(envp);
}
