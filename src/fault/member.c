#include "fault/member.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "fault/family.h"
#include "loop/child.h"

#define FD_FIRST       3
#define FD_COUNT       4
#define HEADROOM_BYTES (1 << 20)

extern char **environ;

static bool is_kept(const char *variable)
{
    return strncmp(variable, "XDG_RUNTIME_DIR=", 16) == 0 || strncmp(variable, "TMPDIR=", 7) == 0 ||
           strstr(variable, "SAN_OPTIONS=");
}

/* Where the run has its files, by which others tell whose process this is, and what the sanitizers
 * read; the family needs no environment and should not show main's. */
static void pick_environment(char *ret[8])
{
    size_t n = 0;
    for (char **e = environ; *e && n < 7; e++)
        if (is_kept(*e))
            ret[n++] = *e;
    ret[n] = NULL;
}

static int add_fds(posix_spawn_file_actions_t *actions, const struct member_fds *fds,
                   int copies[FD_COUNT])
{
    const int from[FD_COUNT] = {fds->journal, fds->control, fds->lab, fds->watch};
    for (int i = 0; i < 3; i++)
        if (posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0) != 0)
            return -ENOMEM;
    /* the journal is never duplicated here: closing the copy would drop this process's role */
    assert(fds->journal == FD_FIRST || fds->journal >= FD_FIRST + FD_COUNT);
    if (posix_spawn_file_actions_adddup2(actions, fds->journal, FD_FIRST) != 0)
        return -ENOMEM;
    for (int i = 1; i < FD_COUNT; i++) {
        if (from[i] < 0)
            continue;
        /* out of the way first, so that no dup2 overwrites the source of the next */
        copies[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 64);
        if (copies[i] < 0)
            return -errno;
        if (posix_spawn_file_actions_adddup2(actions, copies[i], FD_FIRST + i) != 0)
            return -ENOMEM;
    }
    return posix_spawn_file_actions_addclosefrom_np(actions, FD_FIRST + FD_COUNT) == 0 ? 0
                                                                                       : -ENOMEM;
}

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all;
    sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attr, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    return -r;
}

static int spawn(const char *name, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr,
                 const struct member_fds *fds, pid_t *ret_pid)
{
    static char exe[] = "/proc/self/exe";
    char text[FD_COUNT][12], *env[8];
    const int from[FD_COUNT] = {fds->journal, fds->control, fds->lab, fds->watch};
    for (int i = 0; i < FD_COUNT; i++)
        snprintf(text[i], sizeof text[i], "%d", from[i] < 0 ? -1 : FD_FIRST + i);
    char *argv[] = {(char *)"squall",
                    (char *)name,
                    (char *)"--journal-fd",
                    text[0],
                    (char *)"--control-fd",
                    text[1],
                    (char *)"--lab-fd",
                    text[2],
                    (char *)"--watch-fd",
                    text[3],
                    NULL};
    pick_environment(env);
    return -posix_spawn(ret_pid, exe, actions, attr, argv, env);
}

int member_spawn(const char *name, const struct member_fds *fds, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int copies[FD_COUNT] = {-1, -1, -1, -1};
    int r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attr);
    if (r < 0)
        goto out_actions;
    r = add_fds(&actions, fds, copies);
    if (r == 0)
        r = set_attributes(&attr);
    if (r == 0)
        r = spawn(name, &actions, &attr, fds, ret_pid);
    for (int i = 0; i < FD_COUNT; i++)
        close_p(&copies[i]);
    posix_spawnattr_destroy(&attr);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int parse_fds(int argc, char **argv, struct member_fds *fds)
{
    const struct {
        const char *name;
        int *fd;
    } options[] = {{"--journal-fd", &fds->journal},
                   {"--control-fd", &fds->control},
                   {"--lab-fd", &fds->lab},
                   {"--watch-fd", &fds->watch}};
    *fds = (struct member_fds){-1, -1, -1, -1};
    for (int i = 1; i + 1 < argc; i += 2) {
        int64_t value = -2;
        for (size_t k = 0; k < ARRAY_SIZE(options); k++)
            if (strcmp(argv[i], options[k].name) == 0 &&
                units_int(str_of(argv[i + 1]), &value) == 0 && value >= -1 && value < 1024)
                *options[k].fd = (int)value;
        if (value == -2)
            return -EINVAL;
    }
    return fds->journal < 0 || fds->control < 0 ? -EINVAL : 0;
}

static void ignore_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD)
            (void)sigaction(s, &ignore, NULL);
    /* SIGCHLD stays default: an ignored one would reap the agent before its status is read */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Near the limit MCL_FUTURE would make any later mapping fail, the stack of a new process too:
 * worse than being paged out. */
static void lock_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        return;
    void *room =
        mmap(NULL, HEADROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room != MAP_FAILED)
        munmap(room, HEADROOM_BYTES);
    else
        (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
}

/* What can be refused without harm: being the last to be killed or paged out is a wish. */
static void harden(const char *name)
{
    int fd CLEANUP(close_p) = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    (void)setsid();
    (void)prctl(PR_SET_NAME, name);
    lock_memory();
    if (fd >= 0)
        (void)!write(fd, "-900", 4);
    if (chdir("/") < 0)
        (void)0;
}

static void open_main(struct member *m)
{
    const struct journal_owner *owner = &m->journal.header->owner[JOURNAL_MAIN];
    int fd = procid_open(owner->pid, owner->start);
    m->main_pidfd = fd < 0 ? -1 : fd;
}

int member_init(struct member *m, enum journal_role role, int argc, char **argv)
{
    *m = (struct member){.role = role, .main_pidfd = -1, .journal.fd = -1};
    ignore_signals();
    harden(role == JOURNAL_AGENT ? "squall-agent" : "squall-undertaker");
    int r = parse_fds(argc, argv, &m->fds);
    if (r < 0)
        return r;
    const int all[] = {m->fds.journal, m->fds.control, m->fds.lab, m->fds.watch};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i] >= 0 && fcntl(all[i], F_SETFD, FD_CLOEXEC) < 0)
            return -errno;
    r = journal_attach(&m->journal, m->fds.journal);
    if (r < 0)
        return r;
    /* in another PID namespace the journal's pids mean nothing, and "gone" would be a lie */
    if (m->journal.header->namespace != procid_namespace())
        return -EXDEV;
    r = journal_take_role(&m->journal, role);
    if (r < 0)
        return r;
    journal_beat(&m->journal, role);
    open_main(m);
    return 0;
}

void member_done(struct member *m)
{
    close_p(&m->main_pidfd);
    close_p(&m->fds.control);
    close_p(&m->fds.lab);
    close_p(&m->fds.watch);
    journal_done(&m->journal);
}

bool member_beat_missed(struct member_beat *b, const struct journal *j, enum journal_role role,
                        int64_t limit_ns, int64_t now_ns)
{
    int64_t beat_ns = atomic_load_explicit(&j->header->beat_ns[role], memory_order_relaxed);
    bool slept = now_ns - b->looked_ns > MEMBER_STALL_NS;
    if (slept || beat_ns != b->seen_ns)
        b->changed_ns = now_ns;
    b->seen_ns = beat_ns;
    b->looked_ns = now_ns;
    return now_ns - b->changed_ns > limit_ns;
}

bool member_main_gone(struct member *m)
{
    return m->main_pidfd < 0 || procid_wait_gone(m->main_pidfd, 0) == 0 ||
           member_beat_missed(&m->main_beat, &m->journal, JOURNAL_MAIN, MEMBER_BEAT_LIMIT_NS,
                              clock_now_ns());
}

int member_open(const struct journal *j, enum journal_role role)
{
    pid_t pid = journal_holder(j, role);
    int fd = pid > 0 ? pidfd_open_pid(pid) : -ESRCH;
    /* still the holder: so the descriptor is its, not that of a process with the same pid since */
    if (fd >= 0 && journal_holder(j, role) == pid)
        return fd;
    close_p(&fd);
    return -ESRCH;
}
