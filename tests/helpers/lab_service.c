/*
 * lab_service - services that behave, and services that do not, for the lab's tests.
 *
 * usage: lab_service MODE [PORT] [N]. PORT to listen on may be ADDRESS:PORT. echo PORT: answers
 * each line with its host name and the line. http PORT FILE: 200 when FILE exists, else 503. daemon
 * PORT N: a daemonised grandchild listens, main exits with 3 after N ms. stubborn: ignores SIGTERM.
 * flood: writes without end. binary: a line of all byte values. herd N: leaves N daemons behind,
 * then waits. hide: a child in a network namespace of its own. die N: exits with N. connect NAME
 * PORT: one line to NAME, prints the answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "lab_service: %s: %s\n", what, strerror(errno));
    return 1;
}

static _Noreturn void wait_for_ever(void)
{
    for (;;)
        pause();
}

static int listen_on(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET};
    const char *colon = strchr(port, ':');
    char address[64];
    snprintf(address, sizeof address, "%.*s", colon ? (int)(colon - port) : 7,
             colon ? port : "0.0.0.0");
    inet_pton(AF_INET, address, &a.sin_addr);
    a.sin_port = htons((uint16_t)atoi(colon ? colon + 1 : port));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0)
        return -1;
    return fd;
}

static void echo_one(int fd)
{
    char line[512], host[64] = "";
    FILE *f = fdopen(fd, "r+");
    gethostname(host, sizeof host);
    while (f && fgets(line, sizeof line, f)) {
        fprintf(f, "%s says %s", host, line);
        fflush(f);
    }
    if (f)
        fclose(f);
}

static int run_echo(const char *port)
{
    int fd = listen_on(port);
    if (fd < 0)
        return fail("bind");
    signal(SIGCHLD, SIG_IGN);
    printf("listening on %s\n", port);
    fflush(stdout);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (fork() == 0) {
            echo_one(c);
            _exit(0);
        }
        close(c);
    }
}

static int run_http(const char *port, const char *file)
{
    char request[2048];
    int fd = listen_on(port);
    if (fd < 0)
        return fail("bind");
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (read(c, request, sizeof request) > 0)
            dprintf(c, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                    access(file, F_OK) == 0 ? "200 OK" : "503 Service Unavailable");
        close(c);
    }
}

static void daemonise(void)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    if (fork() > 0)
        _exit(0);
}

static int run_daemon(const char *port, int ms)
{
    int fds[2];
    char ok = 0;
    if (pipe(fds) < 0)
        return fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        daemonise();
        ok = listen_on(port) >= 0 ? 'y' : 'n';
        if (write(fds[1], &ok, 1) != 1 || ok == 'n')
            _exit(1);
        wait_for_ever();
    }
    if (read(fds[0], &ok, 1) != 1 || ok != 'y') {
        errno = EADDRINUSE;
        return fail("the daemon's port");
    }
    printf("daemon listens\n");
    fflush(stdout);
    usleep((useconds_t)ms * 1000);
    return 3;
}

static _Noreturn void run_herd(int n)
{
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            daemonise();
            signal(SIGTERM, SIG_IGN);
            wait_for_ever();
        }
        waitpid(pid, NULL, 0);
    }
    printf("herd is out\n");
    fflush(stdout);
    wait_for_ever();
}

static int run_hide(void)
{
    if (fork() == 0) {
        daemonise();
        if (unshare(CLONE_NEWNET) < 0)
            return fail("unshare");
        printf("hidden\n");
        fflush(stdout);
        wait_for_ever();
    }
    wait_for_ever();
}

static _Noreturn void run_stubborn(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    printf("stubborn\n");
    fflush(stdout);
    wait_for_ever();
}

static _Noreturn void run_flood(void)
{
    for (unsigned long i = 0;; i++)
        printf("flood line %lu of a service that does not know when to stop\n", i);
}

static _Noreturn void run_binary(void)
{
    for (int c = 0; c < 256; c++)
        if (c != '\n')
            putchar(c);
    putchar('\n');
    for (int i = 0; i < 10000; i++)
        putchar('z');
    printf("\nno newline at the end");
    fflush(stdout);
    wait_for_ever();
}

/* The backlog takes what the others connect meanwhile. */
static int run_mesh(const char *port, int n)
{
    int fd = listen_on(port), reached = 0;
    char name[32];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (fd < 0)
        return fail("bind");
    printf("listening on %s\n", port);
    fflush(stdout);
    close(accept(fd, NULL, NULL));
    for (int i = 0, tries = 0; i < n && tries < 1000; tries++) {
        snprintf(name, sizeof name, "s%d", i);
        int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (getaddrinfo(name, port, &hints, &found) != 0)
            return fail("resolve");
        bool there = connect(c, found->ai_addr, found->ai_addrlen) == 0;
        freeaddrinfo(found);
        close(c);
        i += there;
        reached = i;
        if (!there) /* it does not listen yet */
            usleep(10000);
    }
    printf("reached %d of %d\n", reached, n);
    fflush(stdout);
    wait_for_ever();
}

static int run_connect(const char *name, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char got[512];
    int e = getaddrinfo(name, port, &hints, &found);
    if (e) {
        printf("cannot resolve %s: %s\n", name, gai_strerror(e));
        return 1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        return fail("connect");
    dprintf(fd, "hello\n");
    ssize_t n = read(fd, got, sizeof got - 1);
    printf("answer: %.*s", (int)(n > 0 ? n : 0), got);
    fflush(stdout);
    wait_for_ever();
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "", *one = argc > 2 ? argv[2] : "0",
               *two = argc > 3 ? argv[3] : "0";
    if (strcmp(mode, "echo") == 0)
        return run_echo(one);
    if (strcmp(mode, "http") == 0)
        return run_http(one, two);
    if (strcmp(mode, "daemon") == 0)
        return run_daemon(one, atoi(two));
    if (strcmp(mode, "herd") == 0)
        run_herd(atoi(one));
    if (strcmp(mode, "hide") == 0)
        return run_hide();
    if (strcmp(mode, "stubborn") == 0)
        run_stubborn();
    if (strcmp(mode, "flood") == 0)
        run_flood();
    if (strcmp(mode, "binary") == 0)
        run_binary();
    if (strcmp(mode, "mesh") == 0)
        return run_mesh(one, atoi(two));
    if (strcmp(mode, "connect") == 0)
        return run_connect(one, two);
    if (strcmp(mode, "die") == 0)
        return atoi(one);
    fprintf(stderr, "lab_service: unknown mode '%s'\n", mode);
    return 2;
}
