/* What squall lab asks and how labs are named; the rest is in tests/scenario/test_labcmd.py. */
#include <errno.h>

#include "cmd/lab_ask.h"
#include "cmd/lab_place.h"
#include "tests.h"

static int parse(const char *text, struct ask *ret)
{
    struct err err = {0};
    int r = ask_parse(text, strlen(text), ret, &err);
    ASSERT_EQ(r, err.code);
    return r;
}

static void refuses(const char *text)
{
    struct ask ask;
    ASSERT_EQ(parse(text, &ask), -EINVAL);
    ask_done(&ask);
}

TEST(what_is_asked_is_understood)
{
    static char text[] = "kind: PodChaos # \"\\\n\ttab";
    const struct ask asks[] = {
        {.kind = ASK_STATUS, .for_ns = -1},
        {.kind = ASK_DOWN, .for_ns = -1},
        {.kind = ASK_ENTER, .name = "redis", .for_ns = -1},
        {.kind = ASK_APPLY, .name = "a b.yaml", .text = text, .for_ns = 5},
        {.kind = ASK_APPLY, .name = "x", .text = text, .for_ns = -1},
        {.kind = ASK_DELETE, .name = "f", .for_ns = -1},
    };
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        struct buf b = {0};
        struct ask got;
        ask_format(&asks[i], &b);
        ASSERT_EQ(parse(buf_str(&b), &got), 0);
        ASSERT_EQ(got.kind, asks[i].kind);
        ASSERT_EQ(got.for_ns, asks[i].for_ns);
        ASSERT_STREQ(got.name, asks[i].name);
        ASSERT_EQ(!got.text, !asks[i].text);
        if (got.text)
            ASSERT_STREQ(got.text, text);
        ask_done(&got);
        buf_done(&b);
    }
}

TEST(what_is_wrong_is_refused)
{
    refuses("");
    refuses("[]");
    refuses("{\"squall\":1}");
    refuses("{\"squall\":\"1\",\"ask\":\"status\"}");
    refuses("{\"squall\":2,\"ask\":\"status\"}");
    refuses("{\"squall\":1,\"ask\":\"sing\"}");
    refuses("{\"squall\":1,\"ask\":\"status\",\"name\":\"x\"}");
    refuses("{\"squall\":1,\"ask\":\"status\",\"ask\":\"down\"}");
    refuses("{\"squall\":1,\"ask\":\"enter\"}");
    refuses("{\"squall\":1,\"ask\":\"enter\",\"name\":\"\"}");
    refuses("{\"squall\":1,\"ask\":\"enter\",\"name\":7}");
    refuses("{\"squall\":1,\"ask\":\"enter\",\"name\":\"a\\u0000b\"}");
    refuses("{\"squall\":1,\"ask\":\"chaos-apply\",\"name\":\"f\"}");
    refuses("{\"squall\":1,\"ask\":\"chaos-apply\",\"name\":\"f\",\"text\":\"\",\"for_ns\":0}");
    refuses("{\"squall\":1,\"ask\":\"chaos-delete\",\"name\":\"f\",\"for_ns\":1}");
}

TEST(sizes_are_bounded)
{
    static char text[ASK_TEXT_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    for (int over = 0; over < 2; over++) {
        struct ask ask = {.kind = ASK_APPLY, .name = "f", .text = text + 1 - over, .for_ns = -1};
        struct buf b = {0};
        struct ask got;
        ask_format(&ask, &b);
        ASSERT_EQ(parse(buf_str(&b), &got), over ? -EINVAL : 0);
        ask_done(&got);
        buf_done(&b);
    }
}

TEST(names_of_labs)
{
    static const char *const good[] = {"a", "demo", "A-b_9", "x--y"};
    static const char *const bad[] = {"", "-a", "a.b", "a/b", "a b", "..", "\xc3\xa4"};
    char name[PLACE_NAME_BYTES], longest[80];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ASSERT(place_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ASSERT(!place_name_ok(bad[i]));
        place_name_from(bad[i], name);
        ASSERT(place_name_ok(name));
    }
    place_name_from("Redis, slow & late!", name);
    ASSERT_STREQ(name, "Redis-slow-late");
    place_name_from("///", name);
    ASSERT_STREQ(name, "lab");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ASSERT(!place_name_ok(longest));
    place_name_from(longest, name);
    ASSERT(place_name_ok(name));
}
