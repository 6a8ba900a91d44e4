/*
 * undo_lab.c - ends what was done inside the lab: the hold of a service (the lab starts it again
 * and says when it is ready), impairments of links, rules for names.
 *
 * A lab that is gone needs no undo: all of this lived in its own processes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fault/ctx.h"

/* the lab itself bounds the wait by the service's own ready limit; this only bounds a hung lab */
#define RELEASE_WITHIN_NS (120 * NS_PER_S)
#define REMOVE_WITHIN_NS  (10 * NS_PER_S)

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

static bool lab_gone(const struct fault_ctx *c, int r, const struct lab_answer *answer)
{
    /* -ESHUTDOWN: the lab is being stopped, nothing in it will run again */
    return (r == 0 && answer->result == -ESHUTDOWN) ||
           (r == -EPIPE && (c->lab_fd >= 0 || noted_processes_gone(c->journal)));
}

int undo_lab_hold(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    struct lab_command command = {.kind = LAB_CMD_RELEASE, .service = (int32_t)e->value};
    struct lab_answer answer;
    int r = ctx_lab(c, &command, 1, RELEASE_WITHIN_NS, &answer);
    if (lab_gone(c, r, &answer)) {
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

/* What the lab does not have (any more) is undone. */
static int remove_rule(struct fault_ctx *c, const struct lab_command *order, const char *what,
                       char *text, size_t cap)
{
    struct lab_command command = *order;
    struct lab_answer answer;
    int r = ctx_lab(c, &command, 1, REMOVE_WITHIN_NS, &answer);
    if (lab_gone(c, r, &answer)) {
        snprintf(text, cap, "%s ended with its lab", what);
        return 0;
    }
    if (r == 0)
        r = answer.result == -ENOENT ? 0 : answer.result;
    if (r < 0)
        snprintf(text, cap, "%s is still in force: %s", what, strerror(-r));
    else
        snprintf(text, cap, "%s is lifted", what);
    return r;
}

int undo_lab_link(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    struct lab_command order = {.kind = LAB_CMD_LINK_REMOVE, .link.id = (uint64_t)e->value};
    char what[200];
    snprintf(what, sizeof what, "the fault on the links %.150s", e->path);
    return remove_rule(c, &order, what, text, cap);
}

int undo_lab_names(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    struct lab_command order = {.kind = LAB_CMD_NAMES_REMOVE, .names.id = (uint64_t)e->value};
    char what[200];
    snprintf(what, sizeof what, "the fault on names (%.150s)", e->path);
    return remove_rule(c, &order, what, text, cap);
}
