/*
 * udp_delay - how long UDP packets take one way, for bench/switch.py: both ends read the same
 * CLOCK_MONOTONIC, so sender and receiver run on one machine, in namespaces of their own.
 *
 * usage: udp_delay send ADDRESS PORT INTERVAL_US: numbered, stamped packets at fixed times, until
 *        killed; a receiver that is not there yet is no error.
 *        udp_delay receive PORT SKIP COUNT ASKED_US: leaves out the first SKIP packets, takes
 * COUNT, prints one JSON line: percentiles (nearest rank) of delay - ASKED_US in us, and how many
 *        packets are missing or came after a later one. Exit status 1 when none comes for
 *        SILENCE_S.
 * The stamp is taken right before send and right after recv: both calls and the receiver's wake-up
 * are in the figure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SILENCE_S 5
#define COUNT_MAX 10000000L

struct stamp {
    uint64_t number;
    int64_t sent_ns;
};

struct tally {
    int64_t *error_ns;
    size_t n;
    uint64_t first, last; /* highest number */
    uint64_t late;        /* came after a higher number */
};

static int fail(const char *what)
{
    fprintf(stderr, "udp_delay: %s: %s\n", what, strerror(errno));
    return 1;
}

static int make_socket(const char *address, const char *port, struct sockaddr_in *ret)
{
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &ret->sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int send_packets(const char *address, const char *port, int64_t interval_ns)
{
    struct sockaddr_in to;
    int fd = make_socket(address, port, &to);
    if (fd < 0)
        return fail(address);
    struct stamp s = {0};
    for (int64_t due_ns = clock_now_ns();; due_ns += interval_ns, s.number++) {
        struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            ;
        s.sent_ns = clock_now_ns();
        if (sendto(fd, &s, sizeof s, 0, (struct sockaddr *)&to, sizeof to) < 0 &&
            errno != ECONNREFUSED && errno != ENOBUFS)
            return fail("send");
    }
}

static void take(struct tally *t, const struct stamp *s, int64_t now_ns, int64_t asked_ns)
{
    t->error_ns[t->n++] = now_ns - s->sent_ns - asked_ns;
    if (t->n == 1)
        t->first = t->last = s->number;
    else if (s->number > t->last)
        t->last = s->number;
    else
        t->late++;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const struct tally *t, double share)
{
    size_t rank = (size_t)(share * (double)t->n);
    if ((double)rank < share * (double)t->n)
        rank++;
    return (double)t->error_ns[rank ? rank - 1 : 0] / NS_PER_US;
}

static void print(struct tally *t)
{
    qsort(t->error_ns, t->n, sizeof *t->error_ns, compare);
    int64_t missing = (int64_t)(t->last - t->first + 1) - (int64_t)t->n;
    printf("{\"n\": %zu, \"min_us\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
           "\"p999_us\": %.1f, \"max_us\": %.1f, \"missing\": %" PRId64 ", \"late\": %" PRIu64
           "}\n",
           t->n, percentile_us(t, 0), percentile_us(t, 0.5), percentile_us(t, 0.9),
           percentile_us(t, 0.99), percentile_us(t, 0.999), percentile_us(t, 1), missing, t->late);
}

static int receive_packets(const char *port, long skip, long count, int64_t asked_ns)
{
    struct sockaddr_in at;
    struct timeval silence = {.tv_sec = SILENCE_S};
    struct stamp s;
    int fd = make_socket("0.0.0.0", port, &at);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return fail("socket");
    struct tally t = {.error_ns = xcalloc((size_t)count, sizeof *t.error_ns)};
    memset(t.error_ns, 1, (size_t)count * sizeof *t.error_ns); /* no page faults later */
    while (t.n < (size_t)count) {
        if (recv(fd, &s, sizeof s, 0) != sizeof s)
            return fail("receive");
        int64_t now_ns = clock_now_ns();
        if (skip > 0)
            skip--;
        else
            take(&t, &s, now_ns, asked_ns);
    }
    print(&t);
    free(t.error_ns);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (argc == 5 && strcmp(argv[1], "send") == 0 && atoll(argv[4]) > 0)
        return send_packets(argv[2], argv[3], atoll(argv[4]) * NS_PER_US);
    if (argc == 6 && strcmp(argv[1], "receive") == 0 && atol(argv[4]) > 0 &&
        atol(argv[4]) <= COUNT_MAX)
        return receive_packets(argv[2], atol(argv[3]), atol(argv[4]), atoll(argv[5]) * NS_PER_US);
    fprintf(stderr, "usage: udp_delay send ADDRESS PORT INTERVAL_US\n"
                    "       udp_delay receive PORT SKIP COUNT ASKED_US\n");
    return 2;
}
