/* undo_lab.c - ends the hold of a service: the lab starts it again and says when it is ready. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fault/ctx.h"

/* the lab itself bounds the wait by the service's own ready limit; this only bounds a hung lab */
#define RELEASE_WITHIN_NS (120 * NS_PER_S)

/* A lab without a wire to it: its end is certain when every process that main noted is gone. */
static bool noted_processes_gone(const struct journal *j)
{
    for (int i = 0; i < JOURNAL_MAIN_SLOTS; i++) {
        struct journal_entry e;
        if (journal_read(j, i, &e) > 0 && e.kind == ACTION_PROCESS && procid_alive(e.pid, e.start))
            return false;
    }
    return true;
}

int undo_lab_hold(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    struct lab_command command = {.kind = LAB_CMD_RELEASE, .service = (int32_t)e->value};
    struct lab_answer answer;
    int r = ctx_lab(c, &command, 1, RELEASE_WITHIN_NS, &answer);
    /* -ESHUTDOWN: the lab is being stopped, nothing in it will run again */
    bool stopping = r == 0 && answer.result == -ESHUTDOWN;
    if (stopping || (r == -EPIPE && (c->lab_fd >= 0 || noted_processes_gone(c->journal)))) {
        snprintf(text, cap, "service %s ended with its lab", e->path);
        return 0;
    }
    if (r == 0)
        r = answer.result;
    if (r < 0)
        snprintf(text, cap, "service %s is not ready again: %s", e->path, strerror(-r));
    else
        snprintf(text, cap, "service %s is ready again", e->path);
    return r;
}
