/* The kube store against a naive model: random writes, lists by label, paging. */
#include <errno.h>

#include "kube_store.h"
#include "tests.h"

#define KIND  "x.io/v1/things"
#define NAMES 60

static struct kube_key key(int i, char name[16])
{
    snprintf(name, 16, "o%02d", i);
    return (struct kube_key){KIND, i % 2 ? "a" : "b", name};
}

static json_t *object(int colour, const char *version)
{
    char c[8];
    snprintf(c, sizeof(c), "c%d", colour);
    json_t *o = json_pack("{s:{s:{s:s, s:s}}}", "metadata", "labels", "colour", c, "all", "1");
    if (version)
        json_object_set_new(json_object_get(o, "metadata"), "resourceVersion",
                            json_string(version));
    return o;
}

static size_t count_items(struct kube_store *s, const char *selector, size_t limit)
{
    struct selector sel;
    struct buf err = {0}, items = {0}, next = {0};
    size_t total = 0, left;
    char after[300] = "";
    ASSERT_OK(selector_parse(selector, &sel, &err));
    do {
        const struct kube_list q = {
            .kind = KIND, .sel = &sel, .limit = limit, .after = after[0] ? after : NULL};
        buf_reset(&items);
        buf_reset(&next);
        kube_store_list(s, &q, &items, &next, &left);
        struct buf text = {0};
        buf_printf(&text, "[%s]", items.p ? items.p : "");
        json_t *list = json_loads(text.p, 0, NULL);
        ASSERT(json_is_array(list));
        ASSERT(!limit || json_array_size(list) <= limit);
        total += json_array_size(list);
        json_decref(list);
        buf_done(&text);
        snprintf(after, sizeof(after), "%s", next.len ? next.p : "");
    } while (after[0]);
    selector_done(&sel);
    buf_done(&items);
    buf_done(&next);
    buf_done(&err);
    return total;
}

TEST(random_against_model)
{
    struct kube_store *s = kube_store_new(NULL, NULL);
    int model[NAMES]; /* colour, -1: not there */
    uint64_t rng = 42;
    for (int i = 0; i < NAMES; i++)
        model[i] = -1;
    for (int step = 0; step < 4000; step++) {
        rng = rng * 6364136223846793005u + 1442695040888963407u;
        int i = (int)(rng >> 33) % NAMES, colour = (int)(rng >> 50) % 4,
            what = (int)(rng >> 45) % 3;
        char name[16];
        struct kube_key k = key(i, name);
        struct buf out = {0};
        json_t *o = object(colour, NULL);
        if (what == 0) {
            ASSERT_EQ(kube_store_create(s, &k, o, &out), model[i] < 0 ? 0 : -EEXIST);
            model[i] = model[i] < 0 ? colour : model[i];
        } else if (what == 1) {
            ASSERT_EQ(kube_store_update(s, &k, o, &out), model[i] < 0 ? -ENOENT : 0);
            model[i] = model[i] < 0 ? -1 : colour;
        } else {
            ASSERT_EQ(kube_store_delete(s, &k, &out), model[i] < 0 ? -ENOENT : 0);
            model[i] = -1;
        }
        json_decref(o);
        buf_done(&out);
        if (step % 100)
            continue;
        for (int c = 0; c < 4; c++) {
            size_t want = 0;
            char selector[32];
            for (int n = 0; n < NAMES; n++)
                want += model[n] == c;
            snprintf(selector, sizeof(selector), "colour=c%d,all", c);
            ASSERT_EQ(count_items(s, selector, 0), want);
            ASSERT_EQ(count_items(s, selector, 3), want);
        }
    }
    struct kube_counts n;
    kube_store_counts(s, &n);
    ASSERT_EQ(count_items(s, "", 7), (size_t)n.objects);
    kube_store_free(s);
}

TEST(stale_version_is_a_conflict)
{
    struct kube_store *s = kube_store_new(NULL, NULL);
    char name[16];
    struct kube_key k = key(1, name);
    struct buf out = {0};
    json_t *o = object(1, NULL), *old = object(2, "1"), *now = object(3, "2");
    ASSERT_OK(kube_store_create(s, &k, o, &out));
    ASSERT_OK(kube_store_update(s, &k, old, &out)); /* version 1 was current */
    json_object_set_new(json_object_get(old, "metadata"), "resourceVersion", json_string("1"));
    ASSERT_EQ(kube_store_update(s, &k, old, &out), -ESTALE);
    ASSERT_OK(kube_store_update(s, &k, now, &out));
    json_decref(o);
    json_decref(old);
    json_decref(now);
    buf_done(&out);
    kube_store_free(s);
}
