/*
 * lab_driver - a lab without plan files or storms, for tests: services from a plain list, commands
 * on standard input, events on standard output, one line each.
 *
 * usage: lab_driver RUN_DIR SPEC. SPEC has one word and its value a line; `service NAME` begins a
 * service. Commands: start, stop, hold NAME, release NAME, kill NAME SIGNAL GRACE_MS, query NAME,
 * talk NAME PORT BYTES (from outside: connects, sends BYTES and a newline, prints what comes),
 * visit (the same from a thread that lives outside), traffic FROM TO ("-" = outside), link ID FROM
 * TO KEY=VALUE..., linked ID, unlink ID, reset 0 FROM TO [port=N], names ID WHO ACTION PATTERN
 * [DELAY_MS], unnames ID, quit. `ipv6 on`, `dns on`, `pcap PATH` in SPEC are of the whole lab.
 * Standard input's end closes the lab. In the loopback tier `mark NUMBER` and the tier's lines come
 * before the events.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/control.h"
#include "lab/lab.h"

#define SERVICES 64
#define WORDS    32

static struct plan plan;
static struct plan_service services[SERVICES];
static struct lab *lab;
static uint32_t serial;
static bool done, deaf; /* deaf: the agent's connection has ended, lab_dispatch will say why */

static const char *const kinds[] = {"STARTING",    "READY",     "NOT_READY",   "EXITED",  "BACKOFF",
                                    "GAVE_UP",     "WARNING",   "HELD",        "STOPPED", "LOG",
                                    "LOG_DROPPED", "LAB_READY", "LAB_STOPPED", "LAB_LOST"};
_Static_assert(ARRAY_SIZE(kinds) == LAB_EVENT_COUNT, "a name for each event");

static const char *service_name(int i)
{
    return i >= 0 && (size_t)i < plan.services_n ? services[i].name : "-";
}

static int service_index(const char *name)
{
    for (size_t i = 0; name && i < plan.services_n; i++)
        if (strcmp(services[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void on_event(void *ctx, const struct lab_event *e)
{
    printf("event %s %s %lld %lld %d %d %s\n", kinds[e->kind], service_name(e->service),
           (long long)e->t_ns, (long long)e->value, e->pid, e->stream, e->text ? e->text : "");
}

/* Whoever opens a lab in the loopback tier writes its mark down; tests read it here. */
static int on_loopback(void *ctx, uint64_t mark)
{
    printf("mark %llu\n", (unsigned long long)mark);
    return 0;
}

/* Splits at spaces, in place; "~" inside a word stands for a space. */
static const char **words(char *text, size_t *ret_n)
{
    const char **v = arena_array(&plan.arena, WORDS + 1, sizeof *v);
    size_t n = 0;
    for (char *save, *w = strtok_r(text, " ", &save); w && n < WORDS;
         w = strtok_r(NULL, " ", &save)) {
        for (char *p = w; (p = strchr(p, '~'));)
            *p = ' ';
        v[n++] = arena_strdup(&plan.arena, w);
    }
    *ret_n = n;
    return v;
}

static void set_ready(struct plan_ready *r, char *value)
{
    size_t n;
    const char **w = words(value, &n);
    const char *arg = n > 1 ? w[1] : "";
    if (strcmp(w[0], "tcp") == 0)
        r->kind = PLAN_READY_TCP, r->port = (uint16_t)atoi(arg);
    else if (strcmp(w[0], "http") == 0)
        r->kind = PLAN_READY_HTTP, r->port = (uint16_t)atoi(arg), r->path = w[2];
    else if (strcmp(w[0], "command") == 0)
        r->kind = PLAN_READY_COMMAND, r->command = arg;
    else
        r->kind = PLAN_READY_LOG, r->matches = arg;
}

static int64_t ms(const char *text)
{
    return atoll(text) * NS_PER_MS;
}

static void set_restart(struct plan_service *s, const char *value)
{
    s->restart = strcmp(value, "always") == 0       ? PLAN_RESTART_ALWAYS
                 : strcmp(value, "on-failure") == 0 ? PLAN_RESTART_ON_FAILURE
                                                    : PLAN_RESTART_NEVER;
}

static void add_pair(struct plan_kv **v, size_t *n, char *value, char separator)
{
    char *at = strchr(value, separator);
    *at = '\0';
    struct plan_kv *old = *v;
    *v = arena_array(&plan.arena, *n + 1, sizeof **v);
    if (*n)
        memcpy(*v, old, *n * sizeof **v);
    (*v)[(*n)++] =
        (struct plan_kv){arena_strdup(&plan.arena, value), arena_strdup(&plan.arena, at + 1)};
}

static void add_file(struct plan_service *s, char *value)
{
    struct plan_kv *kv = NULL;
    size_t n = 0;
    add_pair(&kv, &n, value, ' ');
    struct plan_file *old = s->files;
    s->files = arena_array(&plan.arena, s->files_n + 1, sizeof *s->files);
    if (s->files_n)
        memcpy(s->files, old, s->files_n * sizeof *old);
    s->files[s->files_n++] = (struct plan_file){.path = kv->key, .text = kv->value};
}

static void begin_service(const char *name)
{
    struct plan_service *s = &services[plan.services_n++];
    *s = (struct plan_service){.name = arena_strdup(&plan.arena, name),
                               .backoff_ns = 100 * NS_PER_MS,
                               .backoff_max_ns = NS_PER_S,
                               .stop_signal = SIGTERM,
                               .stop_grace_ns = 2 * NS_PER_S,
                               .limits = {-1, -1, -1, -1, -1, -1}};
    s->ready = (struct plan_ready){
        .within_ns = 10 * NS_PER_S, .every_ns = 100 * NS_PER_MS, .timeout_ns = NS_PER_S};
}

static char pcap_path[4096];

static int set_lab(const char *key, const char *value)
{
    if (strcmp(key, "ipv6") == 0)
        plan.lab_ipv6 = true;
    else if (strcmp(key, "dns") == 0)
        plan.lab_dns = true;
    else if (strcmp(key, "pcap") == 0)
        snprintf(pcap_path, sizeof pcap_path, "%s", value);
    else
        return -EINVAL;
    return 0;
}

static int set(const char *key, char *value)
{
    struct plan_service *s = &services[plan.services_n ? plan.services_n - 1 : 0];
    size_t n;
    if (strcmp(key, "service") == 0)
        begin_service(value);
    else if (strcmp(key, "run") == 0)
        s->argv = words(value, &n);
    else if (strcmp(key, "ready") == 0)
        set_ready(&s->ready, value);
    else if (strcmp(key, "needs") == 0)
        s->needs.v = words(value, &s->needs.n);
    else if (strcmp(key, "restart") == 0)
        set_restart(s, value);
    else if (strcmp(key, "backoff") == 0)
        s->backoff_ns = ms(value);
    else if (strcmp(key, "backoff_max") == 0)
        s->backoff_max_ns = ms(value);
    else if (strcmp(key, "within") == 0)
        s->ready.within_ns = ms(value);
    else if (strcmp(key, "timeout") == 0)
        s->ready.timeout_ns = ms(value);
    else if (strcmp(key, "every") == 0)
        s->ready.every_ns = ms(value);
    else if (strcmp(key, "grace") == 0)
        s->stop_grace_ns = ms(value);
    else if (strcmp(key, "nofile") == 0)
        s->limits.nofile = atoll(value);
    else if (strcmp(key, "user") == 0)
        s->user = arena_strdup(&plan.arena, value);
    else if (strcmp(key, "env") == 0)
        add_pair(&s->env, &s->env_n, value, '=');
    else if (strcmp(key, "file") == 0)
        add_file(s, value);
    else
        return set_lab(key, value);
    return 0;
}

static int read_spec(const char *path)
{
    char line[8192];
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = '\0';
        if (set(line, value) < 0) {
            fprintf(stderr, "lab_driver: unknown word '%s'\n", line);
            fclose(f);
            return -EINVAL;
        }
    }
    fclose(f);
    plan.services = services;
    return 0;
}

static void send_command(enum lab_command_kind kind, const char *name, int signo, int64_t grace_ns)
{
    struct lab_command c = {.kind = kind,
                            .serial = ++serial,
                            .service = service_index(name),
                            .signo = signo,
                            .grace_ns = grace_ns};
    if (send(lab_agent_fd(lab), &c, sizeof c, MSG_NOSIGNAL) < 0)
        printf("answer %u %d - 0 -1\n", serial, -errno);
}

static void on_answer(const struct lab_answer *a)
{
    const struct impair_report *r = &a->report;
    printf("answer %u %d %u %d %d\n", a->serial, a->result, a->state, a->pid, a->refused);
    printf("report %u value=%lld packets=%llu lost=%llu partitioned=%llu duplicated=%llu "
           "corrupted=%llu reordered=%llu over_limit=%llu overflow=%llu passed=%llu held=%llu "
           "added_p50=%lld added_p99=%lld late_p50=%lld late_p99=%lld\n",
           a->serial, (long long)a->value, (unsigned long long)r->packets,
           (unsigned long long)r->lost, (unsigned long long)r->partitioned,
           (unsigned long long)r->duplicated, (unsigned long long)r->corrupted,
           (unsigned long long)r->reordered, (unsigned long long)r->over_limit,
           (unsigned long long)r->overflow, (unsigned long long)r->passed,
           (unsigned long long)r->held, (long long)r->added.p50, (long long)r->added.p99,
           (long long)r->late.p50, (long long)r->late.p99);
}

static void on_answers(void)
{
    struct lab_answer a;
    ssize_t n;
    while ((n = recv(lab_agent_fd(lab), &a, sizeof a, MSG_DONTWAIT)) == sizeof a)
        on_answer(&a);
    deaf = n == 0;
}

/* Names separated by commas; "-" = outside. */
static void set_ports(struct port_set *set, const char *list)
{
    char text[512];
    snprintf(text, sizeof text, "%s", list);
    for (char *save, *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save))
        port_set_add(set, (unsigned)(service_index(w) + 1));
}

static void set_spec(struct lab_link *l, const char *word)
{
    struct impair_spec *s = &l->spec;
    struct impair_bandwidth *b = &s->bandwidth;
    const char *eq = strchr(word, '=');
    size_t n = eq ? (size_t)(eq - word) : strlen(word);
    double v = eq ? atof(eq + 1) : 1;
    const struct {
        const char *name;
        double *share;
        int64_t *ns;
        uint64_t *u;
    } keys[] = {
        {"loss", &s->loss.share, NULL, NULL},       {"duplicate", &s->duplicate.share, NULL, NULL},
        {"corrupt", &s->corrupt.share, NULL, NULL}, {"reorder", &s->reorder.share, NULL, NULL},
        {"latency_us", NULL, &s->latency_ns, NULL}, {"jitter_us", NULL, &s->jitter_ns, NULL},
        {"rate", NULL, NULL, &s->rate_bits_per_s},  {"bandwidth", NULL, NULL, &b->rate_bytes_per_s},
        {"limit", NULL, NULL, &b->limit_bytes},     {"buffer", NULL, NULL, &b->buffer_bytes}};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strlen(keys[i].name) != n || strncmp(keys[i].name, word, n) != 0)
            continue;
        if (keys[i].share)
            *keys[i].share = v;
        else if (keys[i].ns)
            *keys[i].ns = (int64_t)(v * 1000);
        else
            *keys[i].u = (uint64_t)v;
    }
    s->partition |= strncmp(word, "partition", n) == 0;
    if (strncmp(word, "port", n) == 0)
        l->dst_port = (uint16_t)v;
}

static void send_link(enum lab_command_kind kind, const char **w, size_t n)
{
    struct lab_command c = {.kind = kind, .serial = ++serial};
    c.link.id = (uint64_t)atoll(w[1]);
    c.link.seed = 1;
    snprintf(c.link.name, sizeof c.link.name, "%.60s", w[1]);
    if (n > 3) {
        set_ports(&c.link.from, w[2]);
        set_ports(&c.link.to, w[3]);
    }
    for (size_t i = 4; i < n; i++)
        set_spec(&c.link, w[i]);
    if (send(lab_agent_fd(lab), &c, sizeof c, MSG_NOSIGNAL) < 0)
        printf("answer %u %d - 0 -1\n", serial, -errno);
}

static void send_names(enum lab_command_kind kind, const char **w, size_t n)
{
    struct lab_command c = {.kind = kind, .serial = ++serial};
    c.names.id = (uint64_t)atoll(w[1]);
    if (n > 4) {
        set_ports(&c.names.who, w[2]);
        c.names.action = (uint32_t)atoi(w[3]);
        c.names.patterns_n = 1;
        snprintf(c.names.patterns[0], sizeof c.names.patterns[0], "%.60s", w[4]);
        c.names.delay_ns = n > 5 ? ms(w[5]) : 0;
    }
    if (send(lab_agent_fd(lab), &c, sizeof c, MSG_NOSIGNAL) < 0)
        printf("answer %u %d - 0 -1\n", serial, -errno);
}

static int talk_on(int fd, const struct addr *to, const char *text)
{
    char got[512];
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&to->sa, to->len) < 0 ||
        dprintf(fd, "%s\r\n", text) < 0)
        return -errno;
    ssize_t n = recv(fd, got, sizeof got - 1, 0);
    if (n < 0)
        return -errno;
    got[n] = '\0';
    got[strcspn(got, "\r\n")] = '\0';
    printf("talk 0 %s\n", got);
    return 0;
}

/* As a load worker does: a thread that moves to the client namespace for good. */
struct visit {
    struct addr to;
    const char *text;
    int result;
};

static void *run_visit(void *ctx)
{
    struct visit *v = ctx;
    v->result = lab_enter_client(lab);
    int fd = v->result < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        v->result = talk_on(fd, &v->to, v->text);
    close(fd);
    return NULL;
}

static void visit(const char *name, const char *port, const char *text)
{
    struct visit v = {.text = text};
    pthread_t thread;
    v.result = lab_resolve(lab, name, (uint16_t)atoi(port), &v.to);
    if (v.result == 0 && pthread_create(&thread, NULL, run_visit, &v) == 0)
        pthread_join(thread, NULL);
    if (v.result < 0)
        printf("talk %d %s\n", v.result, strerror(-v.result));
}

static void talk(const char *name, const char *port, const char *text)
{
    struct addr to;
    int r = lab_resolve(lab, name, (uint16_t)atoi(port), &to);
    int fd = r < 0 ? r : lab_client_socket(lab, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
    r = fd < 0 ? fd : talk_on(fd, &to, text);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        printf("talk %d %s\n", r, strerror(-r));
}

static void traffic(int from, int to)
{
    struct lab_traffic t;
    int r = lab_traffic(lab, from, to, &t);
    printf("traffic %d %llu %llu %llu\n", r, (unsigned long long)t.packets,
           (unsigned long long)t.bytes, (unsigned long long)t.drops);
}

static void run_command(char *line)
{
    size_t n;
    const char **w = words(line, &n);
    const char *name = n > 1 ? w[1] : NULL;
    if (n == 0)
        printf("error empty\n");
    else if (strcmp(w[0], "start") == 0)
        lab_start(lab);
    else if (strcmp(w[0], "stop") == 0)
        lab_stop(lab);
    else if (strcmp(w[0], "hold") == 0)
        send_command(LAB_CMD_HOLD, name, 0, 0);
    else if (strcmp(w[0], "release") == 0)
        send_command(LAB_CMD_RELEASE, name, 0, 0);
    else if (strcmp(w[0], "query") == 0)
        send_command(LAB_CMD_QUERY, name, 0, 0);
    else if (strcmp(w[0], "kill") == 0 && n == 4)
        send_command(LAB_CMD_KILL, name, atoi(w[2]), ms(w[3]));
    else if (strcmp(w[0], "talk") == 0 && n == 4)
        talk(name, w[2], w[3]);
    else if (strcmp(w[0], "visit") == 0 && n == 4)
        visit(name, w[2], w[3]);
    else if (strcmp(w[0], "traffic") == 0 && n == 3)
        traffic(service_index(name), service_index(w[2]));
    else if (strcmp(w[0], "link") == 0 && n > 3)
        send_link(LAB_CMD_LINK_ADD, w, n);
    else if (strcmp(w[0], "unlink") == 0 && n == 2)
        send_link(LAB_CMD_LINK_REMOVE, w, n);
    else if (strcmp(w[0], "linked") == 0 && n == 2)
        send_link(LAB_CMD_LINK_REPORT, w, n);
    else if (strcmp(w[0], "reset") == 0 && n > 3)
        send_link(LAB_CMD_RESET, w, n);
    else if (strcmp(w[0], "names") == 0 && n > 4)
        send_names(LAB_CMD_NAMES_ADD, w, n);
    else if (strcmp(w[0], "unnames") == 0 && n == 2)
        send_names(LAB_CMD_NAMES_REMOVE, w, n);
    else if (strcmp(w[0], "quit") == 0)
        done = true;
    else
        printf("error %s\n", w[0]);
}

static void on_input(void)
{
    static char text[65536];
    static size_t have;
    ssize_t n = read(0, text + have, sizeof text - have - 1);
    if (n <= 0) {
        done = true;
        return;
    }
    have += (size_t)n;
    text[have] = '\0';
    char *at = text;
    for (char *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        run_command(at);
    }
    have -= (size_t)(at - text);
    memmove(text, at, have);
}

static void serve(void)
{
    while (!done) {
        struct pollfd p[] = {{.fd = 0, .events = POLLIN},
                             {.fd = lab_fd(lab), .events = POLLIN},
                             {.fd = deaf ? -1 : lab_agent_fd(lab), .events = POLLIN}};
        if (poll(p, 3, -1) < 0)
            break;
        if (p[1].revents && lab_dispatch(lab) < 0)
            done = true;
        if (!done && p[2].revents)
            on_answers();
        if (!done && p[0].revents)
            on_input();
    }
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct lab_config config = {
        .plan = &plan, .run_dir = argv[1], .on_event = on_event, .on_loopback = on_loopback};
    struct err refused = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    arena_init(&plan.arena);
    if (argc != 3 || read_spec(argv[2]) < 0)
        return 2;
    if (pcap_path[0])
        config.log_fd = open(pcap_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int64_t begin = clock_now_ns();
    if (lab_become_root(&refused) < 0)
        config.refused = refused.msg;
    if (lab_open(&config, &lab, &err) < 0) {
        char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
        printf("open %d %s\n", err.code, err_text(&err, text, sizeof text));
        arena_done(&plan.arena);
        return 4;
    }
    printf("open 0 %d %lld %s\n", lab_init_pid(lab), (long long)(clock_now_ns() - begin),
           lab_tier(lab));
    printf("%s%s", lab_tier_warning(lab), lab_tier_changes(lab));
    serve();
    begin = clock_now_ns();
    lab_close(lab);
    printf("closed %lld\n", (long long)(clock_now_ns() - begin));
    arena_done(&plan.arena);
    return 0;
}
