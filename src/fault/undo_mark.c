/*
 * undo_mark.c - kills all that a lab without a PID namespace has started, daemons too.
 *
 * The mark (lab/mark.h) is written down before the lab's first process exists and is worn by all of
 * them; a process without it is never touched. The entry may come from anybody who can write the
 * journal, so a value that is no lab's mark is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fault/ctx.h"
#include "lab/mark.h"

#define GONE_WITHIN_NS (10 * NS_PER_S)

static void beat(void *ctx)
{
    ctx_beat(ctx);
}

int undo_mark(struct fault_ctx *c, const struct journal_entry *e, char *text, size_t cap)
{
    uint64_t mark = (uint64_t)e->value;
    int r = mark_is_lab(mark) ? mark_end(mark, GONE_WITHIN_NS, beat, c) : -EINVAL;
    if (r == 0)
        snprintf(text, cap, "no process of the lab is left");
    else
        snprintf(text, cap, "processes of the lab with the mark %llx could not be ended: %s",
                 (unsigned long long)mark, strerror(-r));
    return r;
}
