#include "fault/pod.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

/* beyond the grace, for the kernel and the lab to do their part */
#define GONE_WITHIN_NS (10 * NS_PER_S)

static void append(char *buf, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *buf, size_t cap, const char *fmt, ...)
{
    size_t n = strlen(buf);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf + n, cap - n, fmt, ap);
    va_end(ap);
}

int pod_command(struct fault_ctx *c, const struct fault_request *request,
                enum lab_command_kind kind, struct pod_outcome *ret)
{
    struct lab_command commands[FAULT_TARGETS];
    for (uint32_t i = 0; i < request->targets_n; i++)
        commands[i] = (struct lab_command){.kind = kind,
                                           .service = request->targets[i],
                                           .signo = SIGKILL,
                                           .grace_ns = request->grace_ns};
    ret->sent_ns = clock_now_ns();
    return ctx_lab(c, commands, request->targets_n, request->grace_ns + GONE_WITHIN_NS,
                   ret->answers);
}

static int answer_result(const struct lab_answer *a)
{
    if (a->result == -ESRCH || (a->result == 0 && a->refused == 0))
        return -ENODATA;
    return a->result;
}

static void describe(const char *name, const struct lab_answer *a, int64_t sent_ns,
                     struct fault_result *ret)
{
    char took[32];
    units_human_duration(a->t_ns > sent_ns ? a->t_ns - sent_ns : 0, took, sizeof took);
    append(ret->measured, sizeof ret->measured, "%s%s: ", ret->measured[0] ? "; " : "", name);
    if (a->result == -ESRCH)
        append(ret->measured, sizeof ret->measured, "was not running");
    else if (a->result == -ETIMEDOUT)
        append(ret->measured, sizeof ret->measured, "the lab did not confirm in time");
    else if (a->result < 0)
        append(ret->measured, sizeof ret->measured, "%s", strerror(-a->result));
    else
        append(ret->measured, sizeof ret->measured, "process gone after %s%s", took,
               a->refused == 1   ? ", its port refuses connections"
               : a->refused == 0 ? ", but its port still answers"
                                 : ", no port to try");
}

int pod_measure(const struct fault_request *request, const struct pod_outcome *outcome,
                struct fault_result *ret)
{
    int common = 0;
    for (uint32_t i = 0; i < request->targets_n; i++) {
        const struct lab_answer *a = &outcome->answers[i];
        int r = answer_result(a);
        describe(request->target_names[i], a, outcome->sent_ns, ret);
        /* an error outweighs a missing effect, the first of its kind stays */
        if (r < 0 && (common == 0 || (common == -ENODATA && r != -ENODATA)))
            common = r;
    }
    return common;
}
