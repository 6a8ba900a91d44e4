#include "base/heap.h"

#include "base/rng.h"
#include "tests.h"

enum { N = 300 };

/* The earliest by (key, order of insertion), found the slow way. */
struct model {
    bool in[N];
    int64_t key[N];
    uint64_t order[N];
};

static int model_first(const struct model *m)
{
    int best = -1;
    for (int i = 0; i < N; i++)
        if (m->in[i] && (best < 0 || m->key[i] < m->key[best] ||
                         (m->key[i] == m->key[best] && m->order[i] < m->order[best])))
            best = i;
    return best;
}

TEST(random_inserts_and_removals_against_a_scan)
{
    static struct heap_node nodes[N];
    static struct model m;
    struct heap h;
    struct rng rng;
    uint64_t order = 0;
    rng_init(&rng, 5, "heap");
    heap_init(&h, 1);
    for (int i = 0; i < N; i++)
        heap_node_init(&nodes[i]);
    for (int step = 0; step < 40000; step++) {
        int pick = (int)rng_below(&rng, N);
        if (!m.in[pick]) {
            m.key[pick] = (int64_t)rng_below(&rng, 50) - 25; /* few keys, so many ties */
            m.order[pick] = order++;
            heap_insert(&h, &nodes[pick], m.key[pick]);
        } else {
            heap_remove(&h, &nodes[pick]);
        }
        m.in[pick] = !m.in[pick];
        ASSERT_EQ(heap_contains(&nodes[pick]), m.in[pick]);
        int want = model_first(&m);
        ASSERT(heap_first(&h) == (want < 0 ? NULL : &nodes[want]));
    }
    for (int want; (want = model_first(&m)) >= 0; m.in[want] = false) {
        ASSERT(heap_first(&h) == &nodes[want]);
        heap_remove(&h, &nodes[want]);
    }
    ASSERT_EQ(h.n, 0);
    heap_done(&h);
}

TEST(equal_keys_leave_in_the_order_they_came)
{
    struct heap_node nodes[100];
    struct heap h;
    heap_init(&h, 0);
    for (int i = 0; i < 100; i++) {
        heap_node_init(&nodes[i]);
        heap_insert(&h, &nodes[i], 7);
    }
    for (int i = 0; i < 100; i++) {
        ASSERT(heap_first(&h) == &nodes[i]);
        heap_remove(&h, &nodes[i]);
    }
    heap_done(&h);
}

TEST(extreme_keys)
{
    static const int64_t keys[] = {INT64_MAX, 0, INT64_MIN, -1, 1};
    struct heap_node nodes[5];
    struct heap h;
    int64_t last = INT64_MIN;
    heap_init(&h, 2);
    for (int i = 0; i < 5; i++) {
        heap_node_init(&nodes[i]);
        heap_insert(&h, &nodes[i], keys[i]);
    }
    while (heap_first(&h)) {
        ASSERT_LE(last, heap_first(&h)->key);
        last = heap_first(&h)->key;
        heap_remove(&h, heap_first(&h));
    }
    ASSERT_EQ(last, INT64_MAX);
    heap_done(&h);
}
