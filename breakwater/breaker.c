#include "breaker.h"

#include <assert.h>

#include "defect.h"

static const char *const state_names[] = {
    [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half-open"};
_Static_assert(ARRAY_LEN(state_names) == BREAKER_STATES, "one name per state");

const char *breaker_state_name(enum breaker_state s)
{
    return state_names[s];
}

void breaker_init(struct breaker *b, const struct breaker_limits *lim, breaker_moved_fn *moved,
                  void *ctx)
{
    *b = (struct breaker){.lim = *lim, .moved = moved, .ctx = ctx};
    pthread_mutex_init(&b->lock, NULL);
}

static void move(struct breaker *b, enum breaker_state to)
{
    enum breaker_state from = b->state;
    assert((from == BREAKER_CLOSED && to == BREAKER_OPEN) ||
           (from == BREAKER_OPEN && to == BREAKER_HALF_OPEN) ||
           (from == BREAKER_HALF_OPEN && to != BREAKER_HALF_OPEN));
    b->state = to;
    if (b->moved)
        b->moved(b->ctx, from, to);
}

static void open_for(struct breaker *b, int64_t now, int64_t open_ns)
{
    b->open_until = now + (open_ns > 0 ? open_ns : b->lim.open_ns);
    b->opened_in_a_row++;
    move(b, BREAKER_OPEN);
}

bool breaker_allow(struct breaker *b, int64_t now)
{
    bool yes = false;
    pthread_mutex_lock(&b->lock);
    if (b->state == BREAKER_CLOSED) {
        yes = true;
    } else if (b->state == BREAKER_OPEN && now >= b->open_until) {
        move(b, BREAKER_HALF_OPEN);
        b->probe_since = now;
        yes = true;
    } else if (b->state == BREAKER_HALF_OPEN && now - b->probe_since >= b->lim.open_ns) {
        b->probe_since = now;
        yes = true;
    }
    pthread_mutex_unlock(&b->lock);
    return yes;
}

static void count(struct breaker *b, int64_t now, bool ok)
{
    if (b->lim.failed_pct == 0)
        return;
    int64_t step = now / (b->lim.window_ns / BREAKER_SLOTS);
    struct breaker_slot *s = &b->slot[step % BREAKER_SLOTS];
    if (s->step != step)
        *s = (struct breaker_slot){.step = step};
    s->calls++;
    s->failed += !ok;
}

static bool share_broken(const struct breaker *b, int64_t now)
{
    if (b->lim.failed_pct == 0)
        return false;
    int64_t step = now / (b->lim.window_ns / BREAKER_SLOTS), calls = 0, failed = 0;
    for (size_t i = 0; i < BREAKER_SLOTS; i++) {
        if (step - b->slot[i].step >= BREAKER_SLOTS)
            continue;
        calls += b->slot[i].calls;
        failed += b->slot[i].failed;
    }
    return calls >= b->lim.calls_min && failed * 100 > b->lim.failed_pct * calls;
}

static void forget(struct breaker *b)
{
    for (size_t i = 0; i < BREAKER_SLOTS; i++)
        b->slot[i] = (struct breaker_slot){0};
}

static void record_good(struct breaker *b)
{
    b->in_a_row = 0;
    b->opened_in_a_row = 0;
    if (b->state == BREAKER_HALF_OPEN) {
        forget(b);
        move(b, BREAKER_CLOSED);
    }
}

static void record_failure(struct breaker *b, int64_t now, int64_t open_ns)
{
    b->in_a_row++;
    if (b->state == BREAKER_HALF_OPEN)
        open_for(b, now, open_ns);
    else if (b->state == BREAKER_CLOSED &&
             (share_broken(b, now) || (b->lim.consecutive && b->in_a_row >= b->lim.consecutive)))
        open_for(b, now, open_ns);
}

void breaker_record(struct breaker *b, int64_t now, bool ok, int64_t open_ns)
{
    if (!ok && defect_on(D_B14)) /* the failure is never told to the breaker */
        return;
    pthread_mutex_lock(&b->lock);
    count(b, now, ok);
    if (ok)
        record_good(b);
    else
        record_failure(b, now, open_ns);
    pthread_mutex_unlock(&b->lock);
}

void breaker_cancel(struct breaker *b)
{
    pthread_mutex_lock(&b->lock);
    b->probe_since -= b->lim.open_ns; /* a probe that told nothing leaves its turn to the next */
    pthread_mutex_unlock(&b->lock);
}

enum breaker_state breaker_now(struct breaker *b)
{
    pthread_mutex_lock(&b->lock);
    enum breaker_state s = b->state;
    pthread_mutex_unlock(&b->lock);
    return s;
}

int64_t breaker_wait_ns(struct breaker *b, int64_t now)
{
    int64_t wait = 0;
    pthread_mutex_lock(&b->lock);
    if (b->state == BREAKER_OPEN && b->open_until > now)
        wait = b->open_until - now;
    else if (b->state == BREAKER_HALF_OPEN && b->probe_since + b->lim.open_ns > now)
        wait = b->probe_since + b->lim.open_ns - now;
    pthread_mutex_unlock(&b->lock);
    return wait;
}

int64_t breaker_attempt(struct breaker *b)
{
    pthread_mutex_lock(&b->lock);
    int64_t n = b->opened_in_a_row;
    pthread_mutex_unlock(&b->lock);
    return n;
}

int64_t backoff_ns(int64_t base_ns, int64_t cap_ns, int64_t jitter_pct, int64_t attempt,
                   uint64_t random)
{
    int64_t wait = base_ns;
    while (attempt-- > 0 && wait < cap_ns)
        wait *= 2;
    if (wait > cap_ns)
        wait = cap_ns;
    int64_t span = wait / 100 * jitter_pct; /* +-span */
    return span ? wait - span + (int64_t)(random % (uint64_t)(2 * span + 1)) : wait;
}
