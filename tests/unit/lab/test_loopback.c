/* The loopback tier: what stands as a host or a listener in a plan's texts, marks, and the lock of
 * a range of addresses. */
#include "tests.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/loopback.h"
#include "lab/loopback_names.h"
#include "lab/loopback_port.h"
#include "lab/mark.h"

static const char *const names[] = {"gateway", "redis", "redis-master", "kube", "h"};
static const char *const addrs[] = {"127.213.4.10", "127.213.4.11", "127.213.4.12", "127.213.4.13",
                                    "127.213.4.14"};
/* $0 is the service's own address (gateway), $1 redis, $2 redis-master, $3 kube */
struct row {
    enum loopback_place place;
    const char *before, *text, *want; /* NULL = as it is */
};

static const struct row rows[] = {
    /* host:port */
    {LOOPBACK_WORD, "", "redis-master:6379", "$2:6379"},
    {LOOPBACK_WORD, "--redis", "redis-master:6379", "$2:6379"},
    {LOOPBACK_WORD, "", "--redis=redis-master:6379", "--redis=$2:6379"},
    {LOOPBACK_WORD, "", "redis-master:6379,redis:6379", "$2:6379,$1:6379"},
    {LOOPBACK_TEXT, "", "addr: \"redis:6379\"\n", "addr: \"$1:6379\"\n"},
    {LOOPBACK_TEXT, "", "server r1 redis:6379 check", "server r1 $1:6379 check"},
    {LOOPBACK_WORD, "", "TCP:redis:6379", "TCP:$1:6379"},
    {LOOPBACK_WORD, "", "redis:70000", NULL},
    {LOOPBACK_WORD, "", "redis:637900", NULL},
    {LOOPBACK_WORD, "", "redis:", NULL},
    {LOOPBACK_WORD, "", "redis:7-alpine", NULL},
    {LOOPBACK_WORD, "", "redis:7.2", NULL},
    {LOOPBACK_WORD, "", "docker.io/library/redis:7", NULL},
    {LOOPBACK_WORD, "", "my-redis:6379", NULL},
    {LOOPBACK_WORD, "", "redis-masters:6379", NULL},
    {LOOPBACK_WORD, "", "redis.example.com:6379", NULL},
    {LOOPBACK_WORD, "", "db.redis:6379", NULL},
    {LOOPBACK_TEXT, "", "redis: 6379", NULL},
    {LOOPBACK_TEXT, "", "{\"redis\":6379}", NULL},
    /* URLs */
    {LOOPBACK_WORD, "", "http://kube:6443", "http://$3:6443"},
    {LOOPBACK_WORD, "", "http://kube", "http://$3"},
    {LOOPBACK_WORD, "", "http://kube/readyz?x=kube", "http://$3/readyz?x=kube"},
    {LOOPBACK_WORD, "", "redis://:secret@redis-master:6379/0", "redis://:secret@$2:6379/0"},
    {LOOPBACK_WORD, "", "redis://:secret@redis-master/0", "redis://:secret@$2/0"},
    {LOOPBACK_WORD, "", "redis://redis", "redis://$1"},
    {LOOPBACK_TEXT, "", "proxy_pass http://kube;", "proxy_pass http://$3;"},
    {LOOPBACK_WORD, "", "/srv/kube/x", NULL},
    {LOOPBACK_WORD, "", "file:///kube", NULL},
    {LOOPBACK_WORD, "", "http://kube.local/", NULL},
    {LOOPBACK_WORD, "", "http://x/kube", NULL},
    {LOOPBACK_TEXT, "", "curl http://kube:6443/a && curl http://redis/b",
     "curl http://$3:6443/a && curl http://$1/b"},
    /* alone, behind a word that speaks of hosts */
    {LOOPBACK_WORD, "-h", "redis-master", "$2"},
    {LOOPBACK_WORD, "--host", "redis", "$1"},
    {LOOPBACK_WORD, "REDIS_HOST", "redis", "$1"},
    {LOOPBACK_WORD, "", "--hostname=kube", "--hostname=$3"},
    {LOOPBACK_WORD, "", "--redis=redis-master", "--redis=$2"},
    {LOOPBACK_TEXT, "", "host=redis port=6379 dbname=kube user=gateway",
     "host=$1 port=6379 dbname=kube user=gateway"},
    {LOOPBACK_TEXT, "", "redis-cli -h redis-master -p 6379 ping", "redis-cli -h $2 -p 6379 ping"},
    {LOOPBACK_TEXT, "", "replicaof redis-master 6379\n", "replicaof $2 6379\n"},
    {LOOPBACK_TEXT, "", "{\"address\": \"redis\", \"port\": 1}",
     "{\"address\": \"$1\", \"port\": 1}"},
    {LOOPBACK_TEXT, "", "server_name gateway;", NULL},
    {LOOPBACK_WORD, "--role", "gateway", NULL},
    {LOOPBACK_WORD, "breakwater", "gateway", NULL},
    {LOOPBACK_WORD, "SERVICE_NAME", "gateway", NULL},
    {LOOPBACK_WORD, "", "app=redis", NULL},
    {LOOPBACK_WORD, "", "gateway", NULL},
    {LOOPBACK_TEXT, "", "host:\nredis\n", NULL},
    {LOOPBACK_TEXT, "", "servers:\n  redis:\n    weight: 1\n", NULL},
    {LOOPBACK_TEXT, "", "[\"redis\", \"kube\"]", NULL},
    {LOOPBACK_WORD, "--host", "redis/0", NULL},
    /* listeners */
    {LOOPBACK_WORD, "--bind", "0.0.0.0", "$0"},
    {LOOPBACK_WORD, "--listen", "0.0.0.0:8080", "$0:8080"},
    {LOOPBACK_WORD, "", "--listen=0.0.0.0:8080", "--listen=$0:8080"},
    {LOOPBACK_WORD, "", "http://0.0.0.0:8080/", "http://$0:8080/"},
    {LOOPBACK_TEXT, "", "bind 0.0.0.0\nport 1\n", "bind $0\nport 1\n"},
    {LOOPBACK_WORD, "--listen", "[::]:8080", "$0:8080"},
    {LOOPBACK_TEXT, "", "listen [::];", "listen $0;"},
    {LOOPBACK_TEXT, "", "bind *:80\n", "bind $0:80\n"},
    {LOOPBACK_WORD, "", "http://*:8080/", "http://$0:8080/"},
    {LOOPBACK_WORD, "--listen", ":8080", "$0:8080"},
    {LOOPBACK_WORD, "", "--web.listen-address=:9090", "--web.listen-address=$0:9090"},
    {LOOPBACK_TEXT, "", "listen :8080", NULL},
    {LOOPBACK_WORD, "", "a:8080", NULL},
    {LOOPBACK_WORD, "", ":8080/ready", NULL},
    {LOOPBACK_WORD, "--allow", "0.0.0.0/0", NULL},
    {LOOPBACK_TEXT, "", "host all all 0.0.0.0/0 trust", NULL},
    {LOOPBACK_WORD, "", "10.0.0.0.0", NULL},
    {LOOPBACK_WORD, "", "10.0.0.0", NULL},
    {LOOPBACK_WORD, "", "v0.0.0.0", NULL},
    {LOOPBACK_TEXT, "", "* * * * * x\n*:x */5", NULL},
    {LOOPBACK_TEXT, "", "OnCalendar=*:0/15", NULL},
    {LOOPBACK_WORD, "", "[::1]:80", NULL},
    {LOOPBACK_WORD, "", "[::", NULL},
    {LOOPBACK_WORD, "--listen", "127.0.0.1:80", NULL},
    /* odd ends */
    {LOOPBACK_WORD, "", "", NULL},
    {LOOPBACK_WORD, "", ":", NULL},
    {LOOPBACK_WORD, "", "*", NULL},
    {LOOPBACK_WORD, "", "//", NULL},
    {LOOPBACK_WORD, "", "@redis", "@$1"},
    {LOOPBACK_WORD, "=", "redis", NULL},
    {LOOPBACK_TEXT, "", "\xff\xfe redis:1\xc3", "\xff\xfe $1:1\xc3"},
};

static void expand(const char *want, struct buf *out)
{
    for (const char *p = want; *p; p++)
        if (*p == '$')
            buf_add_str(out, addrs[*++p - '0']);
        else
            buf_add_char(out, *p);
}

TEST(names_and_listeners_in_texts)
{
    const struct loopback_scope scope = {
        .names = names, .names_n = sizeof names / sizeof *names, .addrs = addrs};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct buf out = {0}, want = {0};
        size_t n = loopback_replace(&scope, r->place, r->before, r->text, &out, NULL, NULL);
        expand(r->want ? r->want : r->text, &want);
        if (strcmp(buf_str(&out), buf_str(&want)) != 0)
            fprintf(stderr, "row %zu: '%s'\n", i, r->text);
        ASSERT_STREQ(buf_str(&out), buf_str(&want));
        ASSERT_EQ(n != 0, r->want != NULL);
        buf_done(&out);
        buf_done(&want);
    }
}

static void note(void *ctx, int line, const char *was, const char *is)
{
    buf_printf(ctx, "%d %s -> %s\n", line, was, is);
}

TEST(every_replacement_is_told_with_its_line)
{
    const struct loopback_scope scope = {
        .names = names, .names_n = sizeof names / sizeof *names, .addrs = addrs, .self = 3};
    struct buf out = {0}, told = {0};
    ASSERT_EQ(loopback_replace(&scope, LOOPBACK_TEXT, "",
                               "listen: 0.0.0.0:80\n# nothing\nredis: redis:6379\n*:5 http://redis",
                               &out, note, &told),
              4);
    ASSERT_STREQ(buf_str(&told), "1 0.0.0.0 -> 127.213.4.13\n3 redis -> 127.213.4.11\n"
                                 "4 * -> 127.213.4.13\n4 redis -> 127.213.4.11\n");
    buf_clear(&told);
    buf_clear(&out);
    ASSERT_EQ(loopback_replace(&scope, LOOPBACK_WORD, "", "--listen=:80", &out, note, &told), 1);
    ASSERT_STREQ(buf_str(&told), "1 :80 -> 127.213.4.13\n");
    buf_done(&out);
    buf_done(&told);
}

TEST(a_mark_is_read_back_from_the_limits)
{
    uint64_t lab = mark_draw();
    char text[256];
    ASSERT(mark_is_lab(lab) && !mark_is_lab(mark_service(lab, 0)));
    ASSERT(mark_service(lab, 0) != mark_service(lab, 1));
    snprintf(text, sizeof text,
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max realtime priority     0                    0                    \n"
             "Max realtime timeout      %llu  unlimited            us        \n",
             (unsigned long long)mark_service(lab, 7));
    ASSERT(mark_in(text) == mark_service(lab, 7));
    ASSERT(mark_in("Max realtime timeout      unlimited            unlimited            us\n") ==
           0);
    ASSERT(mark_in("Max realtime timeout      200000               200000               us\n") ==
           0);
    ASSERT(mark_in("Max realtime timeout      18446744073709551615 unlimited            us\n") ==
           0);
    ASSERT(mark_in("Max realtime timeout") == 0 && mark_in("") == 0);
}

TEST(a_mark_survives_fork_and_exec_with_an_empty_environment)
{
    uint64_t mark = mark_service(mark_draw(), 2);
    int status, fds[2];
    char end;
    ASSERT_OK(pipe2(fds, O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        if (mark_wear(mark) < 0)
            _exit(1);
        char sleep_word[] = "sleep", time_word[] = "60";
        char *const argv[] = {sleep_word, time_word, NULL}, *const envp[] = {NULL};
        setsid();
        execve("/bin/sleep", argv, envp);
        _exit(1);
    }
    close(fds[1]);
    ASSERT_EQ(read(fds[0], &end, 1), 0); /* closed by its exec */
    close(fds[0]);
    ASSERT(mark_of_pid(pid) == mark);
    ASSERT_EQ(mark_kill(mark, 0), 1);
    ASSERT_EQ(mark_kill(mark & ~UINT64_C(0xffff), 0), 1);
    ASSERT_EQ(mark_kill(mark_draw(), 0), 0);
    ASSERT_OK(mark_end(mark, 5000000000, NULL, NULL));
    ASSERT_EQ(mark_of_pid(pid), 0); /* although nobody has reaped it */
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT(WIFSIGNALED(status));
}

TEST(a_hard_limit_in_the_way_is_told)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit low = {1000, 1000};
        if (setrlimit(RLIMIT_RTTIME, &low) < 0)
            _exit(1);
        _exit(mark_wear(mark_draw()) == -EPERM ? 0 : 2);
    }
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
}

static struct plan_file files[] = {
    {.path = "gateway.yaml", .text = "listen: 0.0.0.0:8080\n\nredis: redis-master:6379\n"}};
static struct plan_kv env[] = {{"KUBE_URL", "http://redis-master:6443"}};
static const char *gateway_argv[] = {"gateway", "--redis", "redis-master:6379", "redis-master",
                                     NULL};
static const char *redis_argv[] = {"redis-server", "--bind", "0.0.0.0", NULL};
static struct plan_service services[] = {
    {.name = "redis-master", .argv = redis_argv},
    {.name = "gateway",
     .argv = gateway_argv,
     .env = env,
     .env_n = 1,
     .files = files,
     .files_n = 1,
     .ready = {.kind = PLAN_READY_COMMAND, .command = "redis-cli -h redis-master ping"}}};
static const struct plan plan = {.services = services, .services_n = 2};

TEST(a_plan_gets_addresses_and_the_original_stays)
{
    struct loopback l;
    struct err err = {0};
    char want[512];
    ASSERT_OK(loopback_open(&l, &plan, "because", &err));
    ASSERT(l.range >= 1 && l.range <= LOOPBACK_RANGES);
    const struct plan_service *r = &l.plan.services[0], *g = &l.plan.services[1];
    snprintf(want, sizeof want, "127.213.%u.10", l.range);
    ASSERT_STREQ(r->argv[2], want);
    snprintf(want, sizeof want, "127.213.%u.10:6379", l.range);
    ASSERT_STREQ(g->argv[2], want);
    ASSERT_STREQ(g->argv[0], "gateway"); /* a program of the same name */
    snprintf(want, sizeof want, "http://127.213.%u.10:6443", l.range);
    ASSERT_STREQ(g->env[0].value, want);
    snprintf(want, sizeof want, "listen: 127.213.%u.11:8080\n\nredis: 127.213.%u.10:6379\n",
             l.range, l.range);
    ASSERT_STREQ(g->files[0].text, want);
    snprintf(want, sizeof want, "redis-cli -h 127.213.%u.10 ping", l.range);
    ASSERT_STREQ(g->ready.command, want);
    snprintf(want, sizeof want,
             "gateway, file gateway.yaml line 3: redis-master -> 127.213.%u.10\n", l.range);
    ASSERT_CONTAINS(buf_str(&l.remarks), want);
    snprintf(want, sizeof want, "redis-master, run: 0.0.0.0 -> 127.213.%u.10\n", l.range);
    ASSERT_CONTAINS(buf_str(&l.remarks), want);
    ASSERT_CONTAINS(buf_str(&l.remarks),
                    "gateway, run: \"redis-master\" is left as it is; if it means the service, "
                    "write redis-master:PORT\n");
    ASSERT_STREQ(redis_argv[2], "0.0.0.0");
    ASSERT_STREQ(plan.services[1].files[0].text + 22, "redis: redis-master:6379\n");
    loopback_done(&l);
}

TEST(a_flood_of_replacements_is_counted)
{
    struct buf text = {0};
    for (int i = 0; i < LOOPBACK_REMARKS + 50; i++)
        buf_add_str(&text, "http://a/\n");
    struct plan_file file = {.path = "f", .text = buf_str(&text)};
    struct plan_service service = {.name = "a", .files = &file, .files_n = 1};
    const struct plan one = {.services = &service, .services_n = 1};
    struct loopback l;
    struct err err = {0};
    ASSERT_OK(loopback_open(&l, &one, "", &err));
    ASSERT_CONTAINS(buf_str(&l.remarks), "a, file f line 200: a -> ");
    ASSERT(!strstr(buf_str(&l.remarks), "line 201"));
    ASSERT_CONTAINS(buf_str(&l.remarks), "\n... and 50 more of this kind\n");
    loopback_done(&l);
    buf_done(&text);
}

TEST(two_labs_have_two_ranges_and_give_them_back)
{
    static struct loopback all[20];
    struct err err = {0};
    bool seen[LOOPBACK_RANGES + 1] = {false};
    for (size_t i = 0; i < 20; i++) {
        ASSERT_OK(loopback_open(&all[i], &plan, "", &err));
        ASSERT(!seen[all[i].range]);
        seen[all[i].range] = true;
    }
    for (size_t i = 0; i < 20; i++)
        loopback_done(&all[i]);
    loopback_done(&all[0]);
}

TEST(too_many_services_are_told_with_the_reason)
{
    static struct plan_service many[LOOPBACK_SERVICES + 1];
    const struct plan too_many = {.services = many, .services_n = LOOPBACK_SERVICES + 1};
    struct loopback l;
    struct err err = {0};
    ASSERT_EQ(loopback_open(&l, &too_many, "no namespaces here", &err), -E2BIG);
    ASSERT_CONTAINS(err.msg, "no namespaces here");
    loopback_done(&l);
}

TEST(listeners_are_read_from_the_table)
{
    static const struct {
        const char *line;
        int want; /* 0 = not one, 1 = at the address, 2 = everywhere */
    } lines[] = {
        {"   0: 0A04D57F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
         "0 "
         "777 1 0000000000000000 100 0 0 10 0",
         1},
        {"   1: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
         "0 "
         "777 1 0000000000000000 100 0 0 10 0",
         2},
        {"   2: 00000000000000000000000000000000:18EB 00000000000000000000000000000000:0000 0A "
         "00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 "
         "0",
         2},
        {"   3: 0000000000000000FFFF00000A04D57F:18EB 00000000000000000000000000000000:0000 0A "
         "00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 "
         "0",
         1},
        {"   4: 0B04D57F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1",
         0},
        {"   5: 0A04D57F:18EC 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1",
         0},
        {"   6: 0A04D57F:18EB 0B04D57F:1000 01 00000000:00000000 00:00000000 00000000 0 0 777 1",
         0},
        {"   7: 000000000000000000000000 0A04D57F:18EB", 0},
        {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid", 0},
        {"", 0},
    };
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(6379)};
    at.sin_addr.s_addr = htonl(0x7fd5040a);
    if (htonl(1) == 1)
        SKIP("the lines are of a little-endian machine");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        uint64_t inode = 0;
        bool everywhere = false;
        bool is = loopback_listener_line(str_of(lines[i].line), &at, &inode, &everywhere);
        ASSERT_EQ(is ? 1 + everywhere : 0, lines[i].want);
        ASSERT(!is || inode == 777);
    }
}
