#include "load/ledger.h"
#include "tests.h"

#include <pthread.h>
#include <sched.h>

#include "base/rng.h"

/* The naive version: rows in a plain array in opening order, with flags. */
#define MODEL_ROWS 200000
struct model {
    struct {
        uint64_t id;
        bool closed, drained;
        struct ledger_row *row;
    } v[MODEL_ROWS];
    size_t opened, drained;
};
static struct model model;

static void on_row(void *ctx, const struct ledger_row *row)
{
    struct model *m = ctx;
    ASSERT_LT(m->drained, m->opened);
    ASSERT(m->v[m->drained].closed);
    ASSERT_EQ(row->id, m->v[m->drained].id);
    ASSERT_EQ(row->due_ns, (int64_t)row->id * 3);
    ASSERT_EQ(row->fate, row->id % (FATE_COUNT - 1) + 1);
    m->v[m->drained++].drained = true;
}

static void model_open(struct ledger *l, size_t cap, uint64_t id)
{
    struct ledger_row *row = ledger_open(l);
    bool full = model.opened - model.drained == cap;
    ASSERT_EQ(row == NULL, full);
    if (full)
        return;
    ASSERT_EQ(row->fate, FATE_NONE);
    ASSERT_EQ(row->sent_ns, 0);
    row->id = id;
    row->due_ns = (int64_t)id * 3;
    model.v[model.opened].id = id;
    model.v[model.opened++].row = row;
}

static void model_close(struct ledger *l, struct rng *rng)
{
    if (model.opened == model.drained)
        return;
    size_t i = model.drained + rng_below(rng, model.opened - model.drained);
    if (model.v[i].closed)
        return;
    struct ledger_row *row = model.v[i].row;
    ASSERT_EQ(row->id, model.v[i].id);
    row->fate = (uint8_t)(row->id % (FATE_COUNT - 1) + 1);
    row->sent_ns = 9;
    model.v[i].closed = true;
    ledger_close(l, row);
}

static size_t model_can_drain(size_t max)
{
    size_t n = 0;
    while (n < max && model.drained + n < model.opened && model.v[model.drained + n].closed)
        n++;
    return n;
}

TEST(random_steps_against_the_model)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "ledger");
        struct ledger *l = ledger_new(100); /* becomes 128 */
        memset(&model, 0, sizeof model);
        uint64_t id = 0, bias = rng_below(&rng, 3);
        for (int step = 0; step < 20000; step++) {
            uint64_t what = rng_below(&rng, 8);
            if (what < 3 + bias) {
                model_open(l, 128, id++);
            } else if (what < 7) {
                model_close(l, &rng);
            } else {
                size_t max = rng_below(&rng, 40), want = model_can_drain(max);
                ASSERT_EQ(ledger_drain(l, max, on_row, &model), want);
            }
        }
        ASSERT_LT(1000, model.drained);
        ledger_free(l);
    }
}

TEST(full_and_empty)
{
    struct ledger *l = ledger_new(1);
    struct ledger_row *rows[64];
    memset(&model, 0, sizeof model);
    ASSERT_EQ(ledger_drain(l, 10, on_row, &model), 0);
    for (int i = 0; i < 64; i++)
        ASSERT((rows[i] = ledger_open(l)) != NULL);
    ASSERT(ledger_open(l) == NULL);
    rows[1]->fate = FATE_UNSENT; /* the first is still open: nothing drains */
    ledger_close(l, rows[1]);
    ASSERT_EQ(ledger_drain(l, 10, on_row, &model), 0);
    ASSERT(ledger_open(l) == NULL);
    ledger_free(l);
    ledger_free(NULL);
}

/* Two threads, with rows closing out of order: the consumer sees every row whole and in order. */
#define THREAD_ROWS 300000
static _Atomic bool producing;

static void *produce(void *ctx)
{
    struct ledger *l = ctx;
    struct ledger_row *held[8];
    struct rng rng;
    size_t n = 0;
    rng_init(&rng, 7, "produce");
    for (uint64_t id = 0; id < THREAD_ROWS || n > 0;) {
        if (id < THREAD_ROWS && n < 8 && (held[n] = ledger_open(l))) {
            held[n]->id = id++;
            n++;
            continue;
        }
        if (n == 0) {
            sched_yield(); /* full, all closed: the consumer's turn */
            continue;
        }
        size_t i = rng_below(&rng, n);
        struct ledger_row *row = held[i];
        held[i] = held[--n];
        row->due_ns = (int64_t)row->id * 3;
        row->fate = (uint8_t)(row->id % (FATE_COUNT - 1) + 1);
        ledger_close(l, row);
    }
    producing = false;
    return NULL;
}

static void check_row(void *ctx, const struct ledger_row *row)
{
    uint64_t *next = ctx;
    ASSERT_EQ(row->id, *next);
    ASSERT_EQ(row->due_ns, (int64_t)row->id * 3);
    ASSERT_EQ(row->fate, row->id % (FATE_COUNT - 1) + 1);
    ++*next;
}

TEST(two_threads)
{
    struct ledger *l = ledger_new(512);
    uint64_t next = 0;
    pthread_t t;
    producing = true;
    ASSERT_OK(pthread_create(&t, NULL, produce, l));
    while (producing)
        if (ledger_drain(l, 300, check_row, &next) == 0)
            sched_yield();
    pthread_join(t, NULL);
    while (ledger_drain(l, 300, check_row, &next) > 0)
        ;
    ASSERT_EQ(next, THREAD_ROWS);
    ledger_free(l);
}

TEST(names)
{
    for (int i = 0; i < FATE_COUNT; i++)
        ASSERT(fate_names[i] && *fate_names[i]);
    for (int i = 0; i < REASON_COUNT; i++)
        ASSERT(fate_reason_names[i] && *fate_reason_names[i]);
}
