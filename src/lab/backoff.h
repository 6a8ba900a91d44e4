/*
 * backoff.h - how long to wait before the next start: doubles from `first_ns` up to `max_ns`, and
 * is reset once the service has been ready for BACKOFF_STEADY_NS.
 *
 * Pure, plain data. A first delay of 0 becomes BACKOFF_MIN_NS, so that a service that dies at once
 * cannot keep a processor busy with restarts.
 */
#pragma once
#include <stdint.h>

#include "base/clock.h"

#define BACKOFF_MIN_NS    (10 * NS_PER_MS)
#define BACKOFF_STEADY_NS (10 * NS_PER_S)

struct backoff {
    int64_t first_ns, max_ns, next_ns;
};

static inline void backoff_reset(struct backoff *b)
{
    b->next_ns = b->first_ns;
}

static inline void backoff_init(struct backoff *b, int64_t first_ns, int64_t max_ns)
{
    b->first_ns = first_ns < BACKOFF_MIN_NS ? BACKOFF_MIN_NS : first_ns;
    b->max_ns = max_ns < b->first_ns ? b->first_ns : max_ns;
    backoff_reset(b);
}

static inline int64_t backoff_take(struct backoff *b)
{
    int64_t now = b->next_ns;
    b->next_ns = now > b->max_ns / 2 ? b->max_ns : now * 2;
    return now;
}

/* The service was ready from ready_ns (0 = never) until ended_ns. */
static inline void backoff_note_end(struct backoff *b, int64_t ready_ns, int64_t ended_ns)
{
    if (ready_ns && ended_ns - ready_ns >= BACKOFF_STEADY_NS)
        backoff_reset(b);
}
