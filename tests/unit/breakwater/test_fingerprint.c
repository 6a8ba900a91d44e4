/* Fingerprints against sha256sum, and the two body parsers. */
#include "alert.h"
#include "tests.h"

static int parse(const char *text, struct alerts *a)
{
    struct buf err = {0};
    int rc = alerts_parse_prometheus(text, strlen(text), a, &err);
    if (rc < 0)
        ASSERT(err.len > 0); /* a refusal always says why */
    buf_done(&err);
    return rc;
}

/* printf %s 'PodCrashed:prod:Pod:web-1' | sha256sum, and so on */
TEST(vectors)
{
    char fp[SHA256_HEX_BYTES];
    fingerprint("PodCrashed", "prod", "Pod", "web-1", fp);
    ASSERT_STREQ(fp, "90c86992ea0e09e76a25395a934e4e2c5c1edc0b2c2450f56809a54fdaf0892b");
    fingerprint("", "", "", "", fp);
    ASSERT_STREQ(fp, "f1ae2a75ed1f99721f02ef869e2fb3d4df102fdd73e2d00b424a222f9c1ea69c");
    fingerprint("X", "default", "Unknown", "", fp);
    ASSERT_STREQ(fp, "086d144d1cb9e7ee8a21bf2b840ab0ae47d5ca786dee150e35159efce01b15e4");
}

TEST(identity_from_labels)
{
    struct alerts a;
    ASSERT_OK(
        parse("{\"alerts\":[{\"labels\":{\"alertname\":\"PodCrashed\",\"namespace\":\"prod\","
              "\"deployment\":\"d\",\"pod\":\"web-1\"}},"
              "{\"labels\":{\"alertname\":\"X\"}},"
              "{\"labels\":{\"alertname\":\"N\",\"exported_namespace\":\"ex\",\"service\":\"s\","
              "\"node\":\"n1\",\"severity\":\"critical\"},\"status\":\"resolved\"}]}",
              &a));
    ASSERT_EQ(a.n, 3);
    ASSERT_STREQ(a.v[0].fingerprint,
                 "90c86992ea0e09e76a25395a934e4e2c5c1edc0b2c2450f56809a54fdaf0892b");
    ASSERT_STREQ(a.v[0].severity, "warning");
    ASSERT_STREQ(a.v[1].fingerprint,
                 "086d144d1cb9e7ee8a21bf2b840ab0ae47d5ca786dee150e35159efce01b15e4");
    ASSERT_STREQ(a.v[2].kind, "Node");
    ASSERT_STREQ(a.v[2].resource, "n1");
    ASSERT_STREQ(a.v[2].namespace, "ex");
    ASSERT_STREQ(a.v[2].severity, "critical");
    ASSERT(a.v[2].resolved && !a.v[0].resolved);
    alerts_done(&a);
}

TEST(namespace_tells_apart)
{
    struct alerts a;
    ASSERT_OK(
        parse("{\"alerts\":[{\"labels\":{\"alertname\":\"A\",\"namespace\":\"one\",\"pod\":\"p\"}},"
              "{\"labels\":{\"alertname\":\"A\",\"namespace\":\"two\",\"pod\":\"p\"}}]}",
              &a));
    ASSERT(strcmp(a.v[0].fingerprint, a.v[1].fingerprint) != 0);
    alerts_done(&a);
}

TEST(bad_bodies)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "[]",
                                      "{}",
                                      "null",
                                      "{\"alerts\":1}",
                                      "{\"alerts\":[]}",
                                      "{\"alerts\":[1],\"alerts\":[1]}",
                                      "{\"alerts\":[{}]} x"};
    struct alerts a;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ASSERT_NE(parse(bad[i], &a), 0);
        alerts_done(&a);
    }
}

/* One bad element is refused by itself and leaves the others alone. */
TEST(bad_elements)
{
    static const char *const bad[] = {
        "1",
        "{}",
        "{\"labels\":[]}",
        "{\"labels\":{\"alertname\":\"\"}}",
        "{\"labels\":{\"alertname\":\"A\",\"namespace\":\"../../x\"}}",
        "{\"labels\":{\"alertname\":\"A\",\"namespace\":\"UPPER\"}}",
        "{\"labels\":{\"alertname\":\"A\",\"pod\":3}}",
        "{\"labels\":{\"alertname\":\"A\"},\"status\":\"burning\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct alerts a;
        struct buf b = {0};
        buf_printf(&b, "{\"alerts\":[%s,{\"labels\":{\"alertname\":\"Good\"}}]}", bad[i]);
        ASSERT_OK(parse(b.p, &a));
        ASSERT(a.v[0].reason[0] != '\0');
        ASSERT_STREQ(a.v[1].reason, "");
        alerts_done(&a);
        buf_done(&b);
    }
}

TEST(event)
{
    static const char text[] =
        "{\"type\":\"Warning\",\"reason\":\"BackOff\",\"message\":\"m\","
        "\"involvedObject\":{\"kind\":\"Pod\",\"namespace\":\"prod\",\"name\":\"w\"}}";
    struct alerts a;
    struct buf err = {0};
    char fp[SHA256_HEX_BYTES];
    ASSERT_OK(alerts_parse_event(text, strlen(text), &a, &err));
    fingerprint("BackOff", "prod", "Pod", "w", fp);
    ASSERT_STREQ(a.v[0].fingerprint, fp);
    alerts_done(&a);
    ASSERT_NE(alerts_parse_event("{\"type\":\"Normal\"}", 17, &a, &err), 0);
    alerts_done(&a);
    buf_done(&err);
}

TEST(journal_form_round_trip)
{
    struct alerts a;
    struct alert back;
    ASSERT_OK(parse(
        "{\"alerts\":[{\"labels\":{\"alertname\":\"A\",\"namespace\":\"prod\",\"pod\":\"p\","
        "\"x\":\"\\u00e4\"},\"annotations\":{\"s\":\"t\"},\"startsAt\":\"2026-01-01T00:00:00Z\"}]}",
        &a));
    json_t *o = alert_to_json(&a.v[0]);
    ASSERT_OK(alert_from_json(o, &back));
    ASSERT_STREQ(back.fingerprint, a.v[0].fingerprint);
    ASSERT_STREQ(back.starts_at, "2026-01-01T00:00:00Z");
    ASSERT(json_equal(back.labels, a.v[0].labels) &&
           json_equal(back.annotations, a.v[0].annotations));
    json_object_del(o, "name");
    struct alert none;
    ASSERT_NE(alert_from_json(o, &none), 0);
    json_decref(o);
    alert_done(&back);
    alerts_done(&a);
}
