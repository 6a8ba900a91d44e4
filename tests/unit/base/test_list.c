#include "base/list.h"

#include "base/rng.h"
#include "tests.h"

struct item {
    int id;
    struct list link;
};

static int ids(struct list *head, int *out, int cap)
{
    int n = 0;
    list_for_each (l, head) {
        ASSERT(l->next->prev == l && l->prev->next == l);
        ASSERT_LT(n, cap);
        out[n++] = container_of(l, struct item, link)->id;
    }
    return n;
}

TEST(random_edits_against_an_array)
{
    enum { N = 32 };
    struct item items[N];
    struct list head;
    int model[N], seen[N], n = 0;
    struct rng rng;
    rng_init(&rng, 4, "list");
    list_init(&head);
    for (int i = 0; i < N; i++) {
        items[i].id = i;
        list_init(&items[i].link);
    }
    for (int step = 0; step < 20000; step++) {
        int pick = (int)rng_below(&rng, N), at = 0;
        while (at < n && model[at] != pick)
            at++;
        if (at == n) {
            ASSERT(list_empty(&items[pick].link));
            list_append(&head, &items[pick].link);
            model[n++] = pick;
        } else {
            list_remove(&items[pick].link);
            list_remove(&items[pick].link);
            memmove(model + at, model + at + 1, (size_t)(--n - at) * sizeof *model);
        }
        ASSERT_EQ(list_empty(&head), n == 0);
        ASSERT_EQ(ids(&head, seen, N), n);
        ASSERT_OK(memcmp(seen, model, (size_t)n * sizeof *model));
    }
}
