#include "cmd/lab_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define ANSWER_BYTES (512u << 10)

const char *client_str(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

int64_t client_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

void client_print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}

/* --- which lab -------------------------------------------------------------------------------- */

static void add_name(struct buf *list, const char *name)
{
    buf_printf(list, "%s%s", list->n ? ", " : "", name);
}

static void tell_silent(const char *command, const struct place_found *f)
{
    if (f->fd == -ECONNREFUSED || f->fd == -ENOENT)
        fprintf(stderr,
                "squall %s: note: lab \"%s\" was killed and left %s; `squall undo` removes it\n",
                command, f->name, f->path);
    else
        fprintf(stderr, "squall %s: note: lab \"%s\" does not answer: %s\n", command, f->name,
                strerror(-f->fd));
}

static int tell_none(const char *command, const char *name, const char *running)
{
    if (name && running[0])
        fprintf(stderr, "squall %s: no lab \"%s\" is running, but these are: %s\n", command, name,
                running);
    else
        fprintf(stderr, "squall %s: no lab%s%s%s is running; start one with squall lab up PLAN\n",
                command, name ? " \"" : "", name ? name : "", name ? "\"" : "");
    return EXIT_TARGET;
}

int client_pick(const char *command, const char *name, struct place_found *ret)
{
    struct place_walk w;
    struct place_found f;
    struct buf running = {0};
    struct err err = {0};
    int n = 0, status = 0;
    ret->fd = -1;
    if (place_open(&w, &err) < 0) {
        fprintf(stderr, "squall %s: %s\n", command, err.msg);
        return EXIT_TARGET;
    }
    while (place_next(&w, &f)) {
        if (f.fd < 0) {
            tell_silent(command, &f);
            continue;
        }
        add_name(&running, f.name);
        bool meant = !name || strcmp(name, f.name) == 0;
        n += meant;
        if (meant && ret->fd < 0)
            *ret = f;
        else
            close(f.fd);
    }
    place_close(&w);
    if (n == 0)
        status = tell_none(command, name, buf_str(&running));
    if (n > 1) {
        fprintf(stderr, "squall %s: several labs are running (%s); name one with --lab NAME\n",
                command, buf_str(&running));
        close(ret->fd);
        status = EXIT_USAGE;
    }
    buf_done(&running);
    return status;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* n or -errno; -ETIMEDOUT. */
static ssize_t receive(int fd, struct buf *text, int limit_ms, int ret_fds[CLIENT_FDS])
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(CLIENT_FDS * sizeof(int))];
    } control;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r;
    while ((r = poll(&p, 1, limit_ms)) < 0 && errno == EINTR)
        ;
    if (r <= 0)
        return r == 0 ? -ETIMEDOUT : -errno;
    buf_reserve(text, ANSWER_BYTES);
    struct iovec v = {text->p, ANSWER_BYTES};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (ret_fds) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
    }
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    struct cmsghdr *c = ret_fds ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(CLIENT_FDS * sizeof(int)))
        memcpy(ret_fds, CMSG_DATA(c), CLIENT_FDS * sizeof(int));
    if (m.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    text->n = (size_t)n;
    return n;
}

static int exchange(int fd, const struct buf *request, struct buf *answer, int limit_ms,
                    int ret_fds[CLIENT_FDS])
{
    if (request->n > ASK_BYTES)
        return -EMSGSIZE;
    if (send(fd, request->p, request->n, MSG_NOSIGNAL) < 0)
        return -errno;
    ssize_t n = receive(fd, answer, limit_ms, ret_fds);
    return n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
}

static const char *failure(int r)
{
    return r == -ETIMEDOUT                   ? "the lab does not answer"
           : r == -EPIPE || r == -ECONNRESET ? "the lab has ended"
           : r == -EMSGSIZE                  ? "the request or its answer is too long"
                                             : strerror(-r);
}

int client_ask(const char *command, int fd, const struct ask *ask, int limit_ms, json_t **ret,
               int ret_fds[CLIENT_FDS])
{
    struct buf request = {0}, answer = {0};
    int status;
    *ret = NULL;
    for (int i = 0; ret_fds && i < CLIENT_FDS; i++)
        ret_fds[i] = -1;
    ask_format(ask, &request);
    int r = exchange(fd, &request, &answer, limit_ms, ret_fds);
    if (r == 0)
        *ret = json_loadb(answer.p, answer.n, 0, NULL);
    if (r < 0 || !json_is_object(*ret) || client_int(*ret, "squall") != ASK_VERSION) {
        fprintf(stderr, "squall %s: %s\n", command,
                r < 0 ? failure(r) : "the lab is kept by another version of squall");
        json_decref(*ret);
        *ret = NULL;
        status = EXIT_TARGET;
    } else {
        const char *error = client_str(*ret, "error");
        status = (int)client_int(*ret, "status");
        if (error[0])
            fprintf(stderr, "squall %s: %s%s", command, error,
                    error[strlen(error) - 1] == '\n' ? "" : "\n");
    }
    buf_done(&request);
    buf_done(&answer);
    close(fd);
    return status;
}

int client_ask_lab(const char *command, const char *lab, enum ask_kind kind, const char *name,
                   int limit_ms, json_t **ret)
{
    struct place_found found;
    struct ask ask = {.kind = kind, .for_ns = -1};
    *ret = NULL;
    if (strlen(name) >= sizeof ask.name) {
        fprintf(stderr, "squall %s: \"%.40s...\" is too long for a name\n", command, name);
        return EXIT_USAGE;
    }
    snprintf(ask.name, sizeof ask.name, "%s", name);
    int status = client_pick(command, lab, &found);
    return status ? status : client_ask(command, found.fd, &ask, limit_ms, ret, NULL);
}
