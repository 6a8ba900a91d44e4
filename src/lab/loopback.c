#include "lab/loopback.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/loopback_names.h"
#include "lab/mark.h"

/* Whose text is being replaced, for the lines about it. */
struct telling {
    struct loopback *l;
    const char *service, *what;
    bool lines;
};

static void add_remark(struct loopback *l, const char *line)
{
    if (l->remarks_n == LOOPBACK_REMARKS)
        l->untold++;
    else if (!strstr(buf_str(&l->remarks), line)) { /* twice in one line is told once */
        buf_add_str(&l->remarks, line);
        l->remarks_n++;
    }
}

static void tell(void *ctx, int line, const char *was, const char *is)
{
    const struct telling *t = ctx;
    char text[512], where[32] = "";
    if (t->lines)
        snprintf(where, sizeof where, " line %d", line);
    snprintf(text, sizeof text, "%s, %.200s%s: %s -> %s\n", t->service, t->what, where, was, is);
    add_remark(t->l, text);
}

static const char *replace(struct loopback *l, const struct loopback_scope *scope,
                           struct telling *t, enum loopback_place place, const char *before,
                           const char *text)
{
    struct buf out = {0};
    const char *ret = text;
    if (text && loopback_replace(scope, place, before, text, &out, tell, t))
        ret = arena_strdup(&l->arena, buf_str(&out));
    buf_done(&out);
    return ret;
}

/* A name alone that nothing says is a host: whoever meets a name that is not known shall find this
 * line. */
static void tell_left(struct loopback *l, const struct loopback_scope *scope,
                      const struct telling *t, const char *text, const char *now)
{
    bool is_name = false;
    for (size_t i = 0; i < scope->names_n; i++)
        is_name = is_name || strcmp(scope->names[i], text) == 0;
    if (!is_name || now != text)
        return;
    char line[512];
    snprintf(line, sizeof line,
             "%s, %.150s: \"%.64s\" is left as it is; if it means the service, write %.64s:PORT\n",
             t->service, t->what, text, text);
    add_remark(l, line);
}

static void replace_words(struct loopback *l, const struct loopback_scope *scope,
                          struct plan_service *s)
{
    struct telling t = {.l = l, .service = s->name, .what = "run"};
    size_t n = 0;
    while (s->argv && s->argv[n])
        n++;
    const char **argv = arena_array(&l->arena, n + 1, sizeof *argv);
    for (size_t i = 0; i < n; i++) {
        argv[i] = s->argv[i];
        if (i == 0) /* a program, whatever it is called */
            continue;
        const char *option = s->argv[i - 1][0] == '-' ? s->argv[i - 1] : "";
        argv[i] = replace(l, scope, &t, LOOPBACK_WORD, option, s->argv[i]);
        tell_left(l, scope, &t, s->argv[i], argv[i]);
    }
    s->argv = argv;
}

static void replace_env(struct loopback *l, const struct loopback_scope *scope,
                        struct plan_service *s)
{
    struct plan_kv *env = arena_array(&l->arena, s->env_n + 1, sizeof *env);
    for (size_t i = 0; i < s->env_n; i++) {
        struct telling t = {
            .l = l, .service = s->name, .what = arena_printf(&l->arena, "env %s", s->env[i].key)};
        env[i] = s->env[i];
        env[i].value = replace(l, scope, &t, LOOPBACK_WORD, env[i].key, env[i].value);
        tell_left(l, scope, &t, s->env[i].value, env[i].value);
    }
    s->env = env;
}

static void replace_files(struct loopback *l, const struct loopback_scope *scope,
                          struct plan_service *s)
{
    struct plan_file *files = arena_array(&l->arena, s->files_n + 1, sizeof *files);
    for (size_t i = 0; i < s->files_n; i++) {
        struct telling t = {.l = l,
                            .service = s->name,
                            .what = arena_printf(&l->arena, "file %s", s->files[i].path),
                            .lines = true};
        files[i] = s->files[i];
        files[i].text = replace(l, scope, &t, LOOPBACK_TEXT, "", files[i].text);
    }
    s->files = files;
}

static void replace_ready(struct loopback *l, const struct loopback_scope *scope,
                          struct plan_service *s)
{
    struct telling t = {.l = l, .service = s->name, .what = "ready command"};
    s->ready.command = replace(l, scope, &t, LOOPBACK_TEXT, "", s->ready.command);
}

static void replace_all(struct loopback *l, const struct plan *plan)
{
    size_t n = plan->services_n;
    const char **names = arena_array(&l->arena, n + 1, sizeof *names);
    const char **addrs = arena_array(&l->arena, n + 1, sizeof *addrs);
    struct plan_service *services = arena_array(&l->arena, n + 1, sizeof *services);
    for (size_t i = 0; i < n; i++) {
        char text[INET_ADDRSTRLEN];
        struct sockaddr_in in = loopback_addr(l, (int)i, 0);
        inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
        names[i] = plan->services[i].name;
        addrs[i] = arena_strdup(&l->arena, text);
    }
    for (size_t i = 0; i < n; i++) {
        const struct loopback_scope scope = {
            .names = names, .names_n = n, .addrs = addrs, .self = i};
        services[i] = plan->services[i];
        replace_words(l, &scope, &services[i]);
        replace_env(l, &scope, &services[i]);
        replace_files(l, &scope, &services[i]);
        replace_ready(l, &scope, &services[i]);
    }
    if (l->untold)
        buf_printf(&l->remarks, "... and %zu more of this kind\n", l->untold);
    l->plan = *plan;
    l->plan.services = services;
}

/* 0: ours; -EADDRINUSE: another lab's. */
static int lock_range(struct loopback *l, unsigned range)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "squall-lab-127.213.%u", range);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&un,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    l->lock_fd = fd;
    l->range = range;
    return 0;
}

/* From a place of its own each time, so that connections which wait out their end (TIME_WAIT) at an
 * earlier lab's addresses are in nobody's way. */
static int take_range(struct loopback *l, struct err *err)
{
    unsigned first = (unsigned)(mark_draw() >> 32) % LOOPBACK_RANGES;
    int r = -EADDRINUSE;
    for (unsigned i = 0; i < LOOPBACK_RANGES && r == -EADDRINUSE; i++)
        r = lock_range(l, (first + i) % LOOPBACK_RANGES + 1);
    if (r < 0)
        return err_set(err, r, "no addresses for the lab in 127.213.0.0/16: %s", strerror(-r));
    int fd CLEANUP(close_p) = loopback_socket(l, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
    if (fd < 0)
        return err_set(err, fd, "no lab on this machine: not even addresses in 127.213.%u.0/24: %s",
                       l->range, strerror(-fd));
    return 0;
}

int loopback_open(struct loopback *l, const struct plan *plan, const char *why, struct err *err)
{
    *l = (struct loopback){.lock_fd = -1, .mark = mark_draw()};
    arena_init(&l->arena);
    snprintf(l->why, sizeof l->why, "%s", why);
    if (plan->services_n > LOOPBACK_SERVICES)
        return err_set(err, -E2BIG, "a lab in the loopback tier holds at most %d services (%.300s)",
                       LOOPBACK_SERVICES, why);
    int r = take_range(l, err);
    if (r == 0)
        replace_all(l, plan);
    return r;
}

void loopback_done(struct loopback *l)
{
    if (l->range)
        close(l->lock_fd);
    l->range = 0;
    arena_done(&l->arena);
    buf_done(&l->remarks);
}

struct sockaddr_in loopback_addr(const struct loopback *l, int service, uint16_t port)
{
    assert(service >= -1 && service < LOOPBACK_SERVICES);
    unsigned host = service < 0 ? LOOPBACK_CLIENT : LOOPBACK_FIRST + (unsigned)service;
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(LOOPBACK_NET | l->range << 8 | host)};
}

int loopback_socket(const struct loopback *l, int domain, int type)
{
    int one = 1;
    if (domain != AF_INET)
        return -EAFNOSUPPORT;
    int fd = socket(domain, type, 0);
    if (fd < 0)
        return -errno;
    struct sockaddr_in own = loopback_addr(l, -1, 0);
    /* the port is chosen when it connects: then one port serves for many peers */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&own, sizeof own) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}
