#include "lab/lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/control.h"
#include "lab/init.h"
#include "lab/loopback.h"
#include "lab/mark.h"
#include "lab/mounts.h"
#include "lab/netns.h"
#include "lab/root.h"
#include "lab/wire.h"
#include "lab/world.h"
#include "loop/child.h"

#define UP_LIMIT_MS   15000
#define WORLD_WAIT_MS 1000
#define LOG_FLUSH_MS  1000
#define WAIT_STEP_MS  100
#define EVENTS_A_CALL 1024
#define SOCKET_BYTES  (4 << 20)
#define SERVICES_MAX  (SWITCH_PORTS_MAX - 1)
#define GONE_NS       (10 * NS_PER_S)
#define EXTRA_PATH    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct lab {
    struct lab_config config;
    char run_dir[PATH_MAX];
    char *path;
    struct spawn_user *users;
    struct switch_counters counters;
    void *counters_memory;
    size_t counters_bytes;
    pid_t init_pid;
    int init_pidfd, epoll_fd, event_fd, control_fd, agent_fd, client_netns;
    int agent_wire; /* the lab's end, until the init has it */
    uint32_t serial;
    bool lost, on_loopback;
    struct loopback loopback; /* when on_loopback */
    struct buf warning;
    char tier[64];
};

/* One byte for the NUL that wire_decode sets. */
struct in_message {
    unsigned char bytes[WIRE_BYTES + 1];
};

/* Where services are looked for: beside squall itself, then as anywhere. */
static char *make_path(void)
{
    char exe[PATH_MAX], beside[PATH_MAX + 16];
    struct stat st;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash = NULL;
    if (n > 0) {
        exe[n] = '\0';
        slash = strrchr(exe, '/');
    }
    if (!slash || slash == exe)
        return xstrdup(EXTRA_PATH);
    *slash = '\0';
    /* in a build folder breakwater has a folder of its own */
    snprintf(beside, sizeof beside, "%s/breakwater", exe);
    if (stat(beside, &st) == 0 && S_ISDIR(st.st_mode))
        return xasprintf("%s:%s:" EXTRA_PATH, exe, beside);
    return xasprintf("%s:" EXTRA_PATH, exe);
}

static int check_service(const struct plan_service *s, struct spawn_user *user, struct err *err)
{
    for (size_t i = 0; i < s->files_n; i++)
        if (!mounts_path_ok(s->files[i].path))
            return err_at(err, -EINVAL, s->files[i].pos.file, s->files[i].pos.line,
                          s->files[i].pos.column,
                          "file '%s' of service '%s' is not below its working folder",
                          s->files[i].path, s->name);
    int r = spawn_user_find(user, s->user);
    if (r == -EPERM)
        return err_at(err, r, s->pos.file, s->pos.line, s->pos.column,
                      "service '%s' wants user '%s': only root can change users", s->name, s->user);
    if (r < 0)
        return err_at(err, r, s->pos.file, s->pos.line, s->pos.column,
                      "service '%s' wants user '%s': %s", s->name, s->user,
                      r == -ENOENT ? "there is no such user" : strerror(-r));
    return 0;
}

static int check_plan(struct lab *lab, struct err *err)
{
    const struct plan *plan = lab->config.plan;
    struct order order;
    if (plan->services_n > SERVICES_MAX)
        return err_set(err, -E2BIG, "a lab holds at most %d services", SERVICES_MAX);
    if (!realpath(lab->config.run_dir, lab->run_dir))
        return err_set(err, -errno, "run folder '%s': %s", lab->config.run_dir, strerror(errno));
    int r = order_make(&order, plan->services, plan->services_n, err);
    if (r < 0)
        return r;
    order_done(&order);
    lab->users = xcalloc(plan->services_n + 1, sizeof *lab->users);
    for (size_t i = 0; r == 0 && i < plan->services_n; i++)
        r = check_service(&plan->services[i], &lab->users[i], err);
    return r;
}

static int make_pair(int *ret_ours, int *ret_theirs)
{
    int fds[2], bytes = SOCKET_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
    return 0;
}

/* As fork(), with namespaces (flags) and a pidfd; the child goes on with a copy of this memory. */
static pid_t clone_init(uint64_t flags, int *ret_pidfd)
{
    struct clone_args_v0 {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = {.flags = flags | CLONE_PIDFD,
              .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
              .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0 && errno == ENOSYS) /* container engines answer so to make callers fall back */
        pid = syscall(SYS_clone, args.flags | SIGCHLD, NULL, ret_pidfd, NULL, 0);
    return pid < 0 ? -errno : (pid_t)pid;
}

static struct init_config init_config_of(const struct lab *lab)
{
    return (struct init_config){.plan = lab->on_loopback ? &lab->loopback.plan : lab->config.plan,
                                .run_dir = lab->run_dir,
                                .path = lab->path,
                                .users = lab->users,
                                .counters = lab->counters,
                                .try_tun = !getenv("SQUALL_LAB_NO_TUN"),
                                .loopback = lab->on_loopback ? &lab->loopback : NULL,
                                .main_pidfd = pidfd_open_pid(getpid()),
                                .log_fd = lab->config.log_fd > 0 ? lab->config.log_fd : -1,
                                .epoch_ns = clock_wall_ns() - clock_now_ns(),
                                .event_fd = -1,
                                .conn_fds = {-1, lab->agent_wire}};
}

static int start_init(struct lab *lab, struct err *err)
{
    const uint64_t namespaces =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    struct init_config c = init_config_of(lab);
    int r = c.main_pidfd < 0 ? c.main_pidfd : 0;
    if (r == 0)
        r = make_pair(&lab->event_fd, &c.event_fd);
    if (r == 0)
        r = make_pair(&lab->control_fd, &c.conn_fds[0]);
    if (r < 0) {
        err_set(err, r, "connections of the lab: %s", strerror(-r));
    } else {
        pid_t pid = clone_init(lab->on_loopback ? 0 : namespaces, &lab->init_pidfd);
        if (pid == 0)
            init_run(&c);
        lab->init_pid = pid < 0 ? 0 : pid;
        if (pid < 0 && lab->on_loopback) {
            r = err_set(err, pid, "the lab's init: %s", strerror(-pid));
        } else if (pid < 0) {
            struct root_facts f;
            root_facts_read(&f);
            r = root_refusal(err, pid, "namespaces were refused", &f);
        }
    }
    int theirs[] = {c.main_pidfd, c.event_fd, c.conn_fds[0]};
    for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    return r;
}

/* n < 0: -errno. *ret_fd: a descriptor that came with it, else -1. */
static ssize_t receive(struct lab *lab, struct in_message *in, int flags, int *ret_fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {in->bytes, sizeof in->bytes - 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(lab->event_fd, &m, flags | MSG_CMSG_CLOEXEC);
    *ret_fd = -1;
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    return n < 0 ? -errno : n;
}

/* Of the machine: another time it would say the same. */
static bool is_refusal(int r)
{
    return r == -EPERM || r == -EACCES || r == -ENODEV || r == -EOPNOTSUPP || r == -ENOSYS ||
           r == -EAFNOSUPPORT;
}

static int say_refusal(struct err *err, int r, const char *text)
{
    struct root_facts f;
    root_facts_read(&f);
    bool knows = strstr(text, "remedy: ");
    return err_set(err, r, "%s%s%s (see squall doctor)", text, knows ? "" : "; ",
                   knows ? "" : root_cause(&f, r));
}

/* The init's first message: the lab stands, or why not. */
static int await_up(struct lab *lab, struct err *err)
{
    struct pollfd p = {.fd = lab->event_fd, .events = POLLIN};
    struct in_message in;
    struct lab_event e;
    uint32_t kind;
    int r;
    int left_ms = UP_LIMIT_MS;
    do {
        if (lab->config.on_wait)
            lab->config.on_wait(lab->config.ctx);
        r = poll(&p, 1, WAIT_STEP_MS);
        left_ms -= WAIT_STEP_MS;
    } while ((r < 0 && errno == EINTR) || (r == 0 && left_ms > 0));
    if (r == 0)
        return err_set(err, -ETIMEDOUT, "the lab's init did not answer within %d s",
                       UP_LIMIT_MS / 1000);
    ssize_t n = receive(lab, &in, MSG_DONTWAIT, &lab->client_netns);
    if (n <= 0)
        return err_set(err, -EPIPE, "the lab's init ended before the lab stood");
    if (wire_decode(in.bytes, (size_t)n, &e, &kind) < 0 ||
        (kind != WIRE_UP && kind != WIRE_FAILED) ||
        (kind == WIRE_UP && (lab->client_netns < 0) != lab->on_loopback))
        return err_set(err, -EPROTO, "the lab's init answered nonsense");
    if (kind == WIRE_UP) {
        snprintf(lab->tier, sizeof lab->tier, "%s%.32s", lab->on_loopback ? "" : "namespaces, ",
                 e.text);
        return 0;
    }
    r = e.value < 0 && e.value > -4096 ? (int)e.value : -EIO;
    if (!lab->on_loopback && is_refusal(r))
        return say_refusal(err, r == -EACCES ? -EPERM : r, e.text);
    return err_set(err, r, "%s", e.text);
}

static int watch(struct lab *lab)
{
    int fds[] = {lab->event_fd, lab->control_fd, lab->init_pidfd};
    lab->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (lab->epoll_fd < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fds[i]};
        if (epoll_ctl(lab->epoll_fd, EPOLL_CTL_ADD, fds[i], &ev) < 0)
            return -errno;
    }
    return 0;
}

static int make_counters(struct lab *lab)
{
    unsigned ports_n = (unsigned)lab->config.plan->services_n + 1;
    lab->counters_bytes = switch_counters_bytes(ports_n);
    lab->counters_memory =
        mmap(NULL, lab->counters_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab->counters_memory == MAP_FAILED) {
        lab->counters_memory = NULL;
        return -errno;
    }
    lab->counters = switch_counters_at(lab->counters_memory, ports_n);
    return 0;
}

int lab_wire(int ret_fds[2])
{
    return make_pair(&ret_fds[0], &ret_fds[1]);
}

static void close_fd(int *fd)
{
    close_p(fd);
    *fd = -1;
}

/* The init and what connects it with us. In namespaces the wait ends when the kernel has ended
 * every process in them; what wears the mark we end ourselves. */
static int end_init(struct lab *lab)
{
    int r = 0;
    if (lab->init_pid > 0) {
        pidfd_signal(lab->init_pidfd, SIGKILL);
        while (waitpid(lab->init_pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (lab->on_loopback)
            r = mark_end(lab->loopback.mark, GONE_NS, lab->config.on_wait, lab->config.ctx);
    }
    lab->init_pid = 0;
    close_fd(&lab->init_pidfd);
    close_fd(&lab->event_fd);
    close_fd(&lab->control_fd);
    close_fd(&lab->client_netns);
    return r;
}

static int try_tier(struct lab *lab, struct err *err)
{
    int r = start_init(lab, err);
    return r < 0 ? r : await_up(lab, err);
}

static void warn(struct lab *lab)
{
    const struct plan *plan = lab->config.plan;
    const char *const lost[] = {
        plan->lab_ipv6 ? "there is no IPv6 between services, which the plan asks for" : NULL,
        plan->lab_dns ? "there is no name server, which the plan asks for" : NULL,
        lab->config.log_fd > 0 ? "there are no packets to log" : NULL};
    buf_printf(&lab->warning,
               "the loopback tier, a lesser lab: %s\n"
               "services share this machine's network (at 127.213.%u.*), ports, processes and "
               "/dev/shm; faults of packets and names cannot be applied, and their checks are "
               "inconclusive\n",
               lab->loopback.why, lab->loopback.range);
    for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
        if (lost[i])
            buf_printf(&lab->warning, "%s\n", lost[i]);
}

/* Services of other users must be able to come to their working folders. */
static int open_run_dir(const struct lab *lab)
{
    for (size_t i = 0; i < lab->config.plan->services_n; i++)
        if (lab->users[i].change)
            return chmod(lab->run_dir, 0711) < 0 ? -errno : 0;
    return 0;
}

static int try_loopback(struct lab *lab, const char *why, struct err *err)
{
    int r = loopback_open(&lab->loopback, lab->config.plan, why, err);
    lab->on_loopback = true;
    if (r == 0 && ((r = open_run_dir(lab)) < 0 ||
                   (r = lab->config.on_loopback(lab->config.ctx, lab->loopback.mark)) < 0))
        err_set(err, r, "preparing the loopback tier: %s", strerror(-r));
    if (r == 0 && (r = try_tier(lab, err)) == 0)
        warn(lab);
    return r;
}

static int try_tiers(struct lab *lab, struct err *err)
{
    bool may = lab->config.on_loopback && lab_tier_asked() != LAB_TIER_NAMESPACES;
    const char *wish = getenv(LAB_TIER_VARIABLE);
    int r = -EPERM;
    if (wish && wish[0] && lab_tier_asked() == LAB_TIER_BEST)
        return err_set(err, -EINVAL,
                       LAB_TIER_VARIABLE " is \"%.40s\"; it may be namespaces or loopback", wish);
    if (lab->config.refused)
        err_set(err, r, "%s", lab->config.refused);
    else if ((r = try_tier(lab, err)) == 0 || !is_refusal(r))
        return r;
    if (!may) {
        err_wrap(err, "no lab on this machine");
        return r;
    }
    char why[ERR_MSG_BYTES];
    snprintf(why, sizeof why, "%s", err->msg);
    *err = (struct err){0};
    end_init(lab);
    return try_loopback(lab, why, err);
}

int lab_open(const struct lab_config *config, struct lab **ret, struct err *err)
{
    struct lab *lab = xmalloc(sizeof *lab);
    *lab = (struct lab){.config = *config,
                        .init_pidfd = -1,
                        .epoll_fd = -1,
                        .event_fd = -1,
                        .control_fd = -1,
                        .agent_fd = -1,
                        .agent_wire = config->agent_wire > 0 ? config->agent_wire : -1,
                        .client_netns = -1};
    lab->path = make_path();
    int r = check_plan(lab, err);
    if (r == 0 && (r = make_counters(lab)) < 0)
        err_set(err, r, "counters of the switch: %s", strerror(-r));
    if (r == 0 && lab->agent_wire < 0 && (r = make_pair(&lab->agent_fd, &lab->agent_wire)) < 0)
        err_set(err, r, "connections of the lab: %s", strerror(-r));
    if (r == 0)
        r = try_tiers(lab, err);
    close_fd(&lab->agent_wire);
    if (r == 0 && (r = watch(lab)) < 0)
        err_set(err, r, "watching the lab: %s", strerror(-r));
    if (r < 0) {
        lab_close(lab);
        return r;
    }
    *ret = lab;
    return 0;
}

pid_t lab_init_pid(const struct lab *lab)
{
    return lab->init_pid;
}

const char *lab_tier(const struct lab *lab)
{
    return lab->tier;
}

const char *lab_tier_warning(const struct lab *lab)
{
    return buf_str(&lab->warning);
}

const char *lab_tier_changes(const struct lab *lab)
{
    return lab->on_loopback ? buf_str(&lab->loopback.remarks) : "";
}

int lab_fd(const struct lab *lab)
{
    return lab->epoll_fd;
}

int lab_agent_fd(const struct lab *lab)
{
    return lab->agent_fd;
}

static int tell_lost(struct lab *lab, const struct lab_event *said)
{
    struct lab_event e = {.kind = LAB_LOST,
                          .service = -1,
                          .t_ns = said ? said->t_ns : clock_now_ns(),
                          .text = said ? said->text : "the lab's init ended"};
    if (!lab->lost)
        lab->config.on_event(lab->config.ctx, &e);
    lab->lost = true;
    return -EPIPE;
}

/* Answers to start and stop say nothing that events do not. */
static void discard_answers(struct lab *lab)
{
    struct lab_answer a;
    while (recv(lab->control_fd, &a, sizeof a, MSG_DONTWAIT) > 0)
        ;
}

int lab_dispatch(struct lab *lab)
{
    struct in_message in;
    struct lab_event e;
    uint32_t kind;
    int fd;
    if (lab->lost)
        return -EPIPE;
    discard_answers(lab);
    for (int i = 0; i < EVENTS_A_CALL; i++) {
        ssize_t n = receive(lab, &in, MSG_DONTWAIT, &fd);
        if (fd >= 0)
            close(fd);
        if (n == -EAGAIN)
            return 0;
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return tell_lost(lab, NULL);
        if (wire_decode(in.bytes, (size_t)n, &e, &kind) < 0 || kind >= LAB_EVENT_COUNT)
            continue;
        if (e.kind == LAB_LOST)
            return tell_lost(lab, &e);
        lab->config.on_event(lab->config.ctx, &e);
    }
    return 0;
}

static int command(struct lab *lab, enum lab_command_kind kind)
{
    struct lab_command c = {.kind = kind, .serial = ++lab->serial, .service = -1};
    return send(lab->control_fd, &c, sizeof c, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int lab_start(struct lab *lab)
{
    return command(lab, LAB_CMD_START);
}

int lab_stop(struct lab *lab)
{
    return command(lab, LAB_CMD_STOP);
}

/* The switch is about to be killed; its last packets are to be in the log. */
static void flush_log(struct lab *lab)
{
    struct lab_command c = {.kind = LAB_CMD_LOG_FLUSH, .serial = ++lab->serial};
    struct pollfd p = {.fd = lab->control_fd, .events = POLLIN};
    struct lab_answer a;
    discard_answers(lab);
    if (send(lab->control_fd, &c, sizeof c, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
    while (poll(&p, 1, LOG_FLUSH_MS) > 0 && recv(lab->control_fd, &a, sizeof a, MSG_DONTWAIT) > 0)
        if (a.serial == c.serial) {
            if (lab->config.log_lost)
                *lab->config.log_lost = (uint64_t)a.value;
            return;
        }
}

void lab_close(struct lab *lab)
{
    if (!lab)
        return;
    if (lab->init_pid > 0 && lab->config.log_fd > 0 && lab->control_fd >= 0)
        flush_log(lab);
    end_init(lab);
    close_fd(&lab->epoll_fd);
    close_fd(&lab->agent_fd);
    if (lab->on_loopback)
        loopback_done(&lab->loopback);
    buf_done(&lab->warning);
    for (size_t i = 0; lab->users && i < lab->config.plan->services_n; i++)
        spawn_user_done(&lab->users[i]);
    free(lab->users);
    if (lab->counters_memory)
        munmap(lab->counters_memory, lab->counters_bytes);
    free(lab->path);
    free(lab);
}

/* In the loopback tier everybody is there already. */
int lab_enter_client(void *ctx)
{
    const struct lab *lab = ctx;
    return lab->on_loopback ? 0 : netns_enter(lab->client_netns);
}

int lab_client_socket(struct lab *lab, int domain, int type)
{
    if (lab->on_loopback)
        return loopback_socket(&lab->loopback, domain, type);
    return netns_socket_by_thread(lab->client_netns, domain, type);
}

int lab_resolve(const struct lab *lab, const char *service, uint16_t port, struct addr *ret)
{
    const struct plan *plan = lab->config.plan;
    for (size_t i = 0; i < plan->services_n; i++) {
        if (strcmp(plan->services[i].name, service) != 0)
            continue;
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(switch_addr((unsigned)i + 1))};
        if (lab->on_loopback)
            in = loopback_addr(&lab->loopback, (int)i, port);
        memset(ret, 0, sizeof *ret);
        memcpy(&ret->sa, &in, sizeof in);
        ret->len = sizeof in;
        return 0;
    }
    return -ENOENT;
}

int lab_world(struct lab *lab, int service, struct lab_world *ret)
{
    const struct plan *plan = lab->config.plan;
    int fds[WORLD_FDS];
    if (service < 0 || (size_t)service >= plan->services_n)
        return -ENOENT;
    if (lab->on_loopback)
        return -EOPNOTSUPP;
    struct lab_command c = {.kind = LAB_CMD_WORLD, .serial = ++lab->serial, .service = service};
    if (send(lab->control_fd, &c, sizeof c, MSG_NOSIGNAL) < 0)
        return -errno;
    int r = world_receive(lab->control_fd, c.serial, WORLD_WAIT_MS, fds);
    if (r < 0)
        return r;
    *ret = (struct lab_world){.init_pidfd = lab->init_pidfd,
                              .net_fd = fds[0],
                              .uts_fd = fds[1],
                              .user = &lab->users[service]};
    ret->dir = xasprintf("%s/%s", lab->run_dir, plan->services[service].name);
    ret->env = spawn_env_make(&plan->services[service], lab->path, ret->dir);
    return 0;
}

void lab_world_done(struct lab_world *w)
{
    close(w->net_fd);
    close(w->uts_fd);
    free(w->dir);
    spawn_env_free(w->env);
}

static uint64_t load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int lab_traffic(const struct lab *lab, int from, int to, struct lab_traffic *ret)
{
    int ports_n = (int)lab->config.plan->services_n + 1;
    if (from < -1 || to < -1 || from + 1 >= ports_n || to + 1 >= ports_n)
        return -EINVAL;
    const struct link_counters *c = &lab->counters.links[(from + 1) * ports_n + to + 1];
    *ret = (struct lab_traffic){.packets = load(&c->packets),
                                .bytes = load(&c->bytes),
                                .drops = load(&c->drops_full) + load(&c->drops_fault)};
    return 0;
}
