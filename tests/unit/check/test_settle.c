#include <errno.h>

#include "base/rng.h"
#include "check/settle.h"
#include "tests.h"

#define KEYS 6

/* The naive model: hands out what was found one by one, key by key, in the order of claims. */
static void model(const struct settle_item *items, size_t n, const struct settle_object *objects,
                  size_t m, bool counted, struct settle_totals *ret)
{
    memset(ret, 0, sizeof *ret);
    for (char k = 'a'; k < 'a' + KEYS + 2; k++) {
        uint64_t found = 0, sent = 0, claims[FATE_COUNT] = {0};
        for (size_t i = 0; i < n; i++)
            if (items[i].key[0] == k) {
                claims[items[i].fate]++;
                ret->fates[items[i].fate]++;
                sent++;
            }
        for (size_t o = 0; o < m; o++)
            if (objects[o].key[0] == k)
                found += counted ? (objects[o].count > 0 ? (uint64_t)objects[o].count : 0) : 1;
        ret->found += found;
        ret->keys += sent > 0;
        uint64_t denied = claims[FATE_REFUSED] + claims[FATE_FAILED];
        bool possible = claims[FATE_ACCEPTED] + claims[FATE_UNKNOWN] + denied > 0;
        if (!possible) {
            ret->unexpected += found;
        } else if (counted) {
            for (; found; found--) {
                if (claims[FATE_ACCEPTED]) {
                    claims[FATE_ACCEPTED]--;
                    ret->accepted_found++;
                } else if (claims[FATE_UNKNOWN]) {
                    claims[FATE_UNKNOWN]--;
                    ret->recovered++;
                } else if (denied) {
                    denied--;
                    ret->unexpected++;
                } else {
                    ret->duplicated++;
                }
            }
            ret->lost += claims[FATE_ACCEPTED];
        } else if (found == 0) {
            ret->lost += claims[FATE_ACCEPTED];
        } else {
            ret->accepted_found += claims[FATE_ACCEPTED];
            ret->duplicated += found - 1;
            if (!claims[FATE_ACCEPTED] && claims[FATE_UNKNOWN])
                ret->recovered++;
            else if (!claims[FATE_ACCEPTED])
                ret->unexpected++;
        }
    }
}

static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

TEST(the_same_as_the_naive_model)
{
    struct rng rng;
    rng_init(&rng, 1, "settle");
    uint64_t seen[6] = {0};
    for (int round = 0; round < 20000; round++) {
        struct settle_item items[20];
        struct settle_object objects[10];
        size_t n = rng_below(&rng, 20), m = rng_below(&rng, 10);
        for (size_t i = 0; i < n; i++)
            items[i] = (struct settle_item){keys[rng_below(&rng, KEYS)], i,
                                            (uint8_t)(1 + rng_below(&rng, 5))};
        for (size_t i = 0; i < m; i++)
            objects[i] = (struct settle_object){keys[1 + rng_below(&rng, KEYS + 1)],
                                                (int64_t)rng_below(&rng, 6) - 1};
        bool counted = round % 2;
        struct settle_totals want, got;
        model(items, n, objects, m, counted, &want);
        settle_sort(items, n, objects, m);
        settle_match(items, n, objects, m, counted, NULL, NULL, &got);
        if (memcmp(&want, &got, sizeof want))
            TEST_FAIL("round %d: lost %" PRIu64 " against %" PRIu64, round, got.lost, want.lost);
        ASSERT_EQ(got.fates[FATE_ACCEPTED], got.accepted_found + got.lost);
        if (counted)
            ASSERT_EQ(got.found,
                      got.accepted_found + got.recovered + got.unexpected + got.duplicated);
        seen[0] += got.lost;
        seen[1] += got.recovered;
        seen[2] += got.unexpected;
        seen[3] += got.duplicated;
    }
    for (int i = 0; i < 4; i++)
        ASSERT_LT(0, seen[i]); /* the rounds did reach every case */
}

struct one {
    int n;
    struct settle_finding last;
};

static void keep(void *ctx, const struct settle_finding *f)
{
    struct one *one = ctx;
    one->n++;
    one->last = *f;
}

TEST(a_finding_names_its_requests)
{
    struct settle_item items[] = {{"b", 9, FATE_ACCEPTED},
                                  {"a", 7, FATE_ACCEPTED},
                                  {"b", 3, FATE_ACCEPTED},
                                  {"b", 5, FATE_REFUSED}};
    struct settle_object objects[] = {{"b", 1}, {"a", 1}};
    struct settle_totals t;
    struct one one = {0};
    settle_sort(items, 4, objects, 2);
    settle_match(items, 4, objects, 2, true, keep, &one, &t);
    ASSERT_EQ(one.n, 1);
    ASSERT_STREQ(one.last.key, "b");
    ASSERT_EQ(one.last.lost, 1);
    ASSERT_EQ(one.last.items_n, 3);
    ASSERT_EQ(one.last.items[0].request, 3);
    ASSERT_EQ(one.last.items[2].request, 9);
}

TEST(nothing_at_all)
{
    struct settle_totals t;
    settle_sort(NULL, 0, NULL, 0);
    settle_match(NULL, 0, NULL, 0, true, NULL, NULL, &t);
    ASSERT_EQ(t.keys + t.found + t.lost, 0);
}
