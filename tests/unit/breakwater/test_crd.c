/* The RemediationRequest: counting, markers, names. */
#include "crd.h"
#include "tests.h"

static json_t *make(int64_t count, uint64_t seq)
{
    static const char text[] = "{\"alerts\":[{\"labels\":{\"alertname\":\"A "
                               "b:c\",\"namespace\":\"prod\",\"pod\":\"p\"}}]}";
    struct alerts a;
    struct buf err = {0};
    ASSERT_OK(alerts_parse_prometheus(text, strlen(text), &a, &err));
    json_t *o = crd_new(&a.v[0], "rr-x", 1000, 2000, count, "gw", seq);
    alerts_done(&a);
    ASSERT(o != NULL);
    return o;
}

TEST(count_and_marker_move_together)
{
    json_t *o = make(1, 5);
    ASSERT_EQ(crd_occurrences(o), 1);
    ASSERT_EQ(crd_applied(o, "gw"), 5);
    ASSERT_EQ(crd_applied(o, "other"), 0);
    crd_count(o, 3, 3000, "gw", 9);
    ASSERT_EQ(crd_occurrences(o), 4);
    ASSERT_EQ(crd_applied(o, "gw"), 9);
    crd_count(o, 1, 4000, "other", 2);
    ASSERT_EQ(crd_occurrences(o), 5);
    ASSERT_EQ(crd_applied(o, "gw"), 9);
    ASSERT_EQ(crd_applied(o, "other"), 2);
    ASSERT_STREQ(crd_first_seen(o), "1970-01-01T00:00:01.000Z");
    ASSERT(json_equal(json_object_get(json_object_get(o, "spec"), "deduplication"),
                      json_object_get(json_object_get(o, "status"), "deduplication")));
    json_decref(o);
}

TEST(labels)
{
    json_t *o = make(1, 1);
    const json_t *l = json_object_get(json_object_get(o, "metadata"), "labels");
    ASSERT_EQ(strlen(json_string_value(json_object_get(l, CRD_LABEL))), 63);
    ASSERT_STREQ(json_string_value(json_object_get(l, "alert-name")), "Abc");
    json_decref(o);
}

TEST(finished)
{
    json_t *o = make(1, 1);
    ASSERT(!crd_finished(o));
    json_object_set_new(json_object_get(o, "status"), "overallPhase", json_string("executing"));
    ASSERT(!crd_finished(o));
    json_object_set_new(json_object_get(o, "status"), "overallPhase", json_string("completed"));
    ASSERT(crd_finished(o));
    json_decref(o);
}

TEST(markers)
{
    struct buf b = {0}, next = {0};
    applied_set(NULL, "a", 1, &b);
    ASSERT_STREQ(b.p, "a=1");
    applied_set(b.p, "b", 18446744073709551615u, &next);
    ASSERT_STREQ(next.p, "b=18446744073709551615 a=1");
    ASSERT(applied_get(next.p, "b") == UINT64_MAX);
    ASSERT_EQ(applied_get(next.p, "a"), 1);
    ASSERT_EQ(applied_get("ab=3 a=4", "a"), 4);
    ASSERT_EQ(applied_get("ab=3", "a"), 0);
    ASSERT_EQ(applied_get("", "a"), 0);
    buf_done(&b);
    buf_done(&next);
}

TEST(markers_are_bounded)
{
    struct buf old = {0};
    for (int i = 0; i < 20; i++) {
        char gw[16];
        struct buf next = {0};
        snprintf(gw, sizeof(gw), "g%d", i);
        applied_set(old.p, gw, (uint64_t)i + 1, &next);
        buf_done(&old);
        old = next;
    }
    for (int i = 0; i < 20; i++) {
        char gw[16];
        snprintf(gw, sizeof(gw), "g%d", i);
        ASSERT_EQ(applied_get(old.p, gw), i >= 20 - CRD_MARKERS_MAX ? i + 1 : 0);
    }
    buf_done(&old);
}

TEST(names)
{
    char name[CRD_NAME_BYTES];
    crd_make_name("0123456789abcdef", 1700000000123, 42, name);
    ASSERT_STREQ(name, "rr-0123456789ab-1700000000123-42");
}
