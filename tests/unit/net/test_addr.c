#include "net/addr.h"
#include "tests.h"

#include <errno.h>

TEST(addr_parse_table)
{
    static const struct {
        const char *text, *back; /* NULL: refused */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},
        {"127.9.8.7:1", "127.9.8.7:1", true},
        {"10.0.0.1:65535", "10.0.0.1:65535", false},
        {"128.0.0.1:80", "128.0.0.1:80", false},
        {"[::1]:80", "[::1]:80", true},
        {"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true},
        {"[2001:db8::1]:443", "[2001:db8::1]:443", false},
        {"", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:0", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:99999999999999999999", NULL, false},
        {"127.0.0.1:80x", NULL, false},
        {"127.0.0.1:-1", NULL, false},
        {"127.0.0.1:+1", NULL, false},
        {"127.1:80", NULL, false},
        {"::1:80", NULL, false},
        {"[127.0.0.1]:80", NULL, false},
        {"[::1]80", NULL, false},
        {"[::1", NULL, false},
        {"[]:80", NULL, false},
        {":80", NULL, false},
        {"localhost:80", NULL, false},
        {"1111111111111111111111111111111111111111111111111111111111111111111:80", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a;
        char text[80];
        int r = addr_parse(str_of(rows[i].text), &a);
        ASSERT_EQ(r, rows[i].back ? 0 : -EINVAL);
        if (r < 0)
            continue;
        ASSERT_STREQ(addr_text(&a, text, sizeof text), rows[i].back);
        ASSERT_EQ(addr_is_loopback(&a), rows[i].loopback);
    }
    struct addr a;
    ASSERT_EQ(addr_parse((struct str){"1.1.1.1\0:80", 11}, &a), -EINVAL);
    ASSERT_EQ(addr_parse((struct str){NULL, 0}, &a), -EINVAL);
}

TEST(addr_text_is_cut_not_overrun)
{
    struct addr a;
    char text[8];
    ASSERT_OK(addr_from_ip("127.0.0.1", 8080, &a));
    ASSERT_STREQ(addr_text(&a, text, sizeof text), "127.0.0");
    struct addr none = {0};
    char wide[40];
    ASSERT_STREQ(addr_text(&none, wide, sizeof wide), "(no address)");
}

TEST(url_table)
{
    static const struct {
        const char *text, *host, *path; /* host NULL: refused */
        int port;
    } rows[] = {
        {"http://gateway:8080/ready", "gateway", "/ready", 8080},
        {"http://gateway", "gateway", "/", 80},
        {"HTTP://Gate.way_1/a?b=c/d", "Gate.way_1", "/a?b=c/d", 80},
        {"http://[::1]:81/", "::1", "/", 81},
        {"http://h/{{id / 4}}", "h", "/{{id / 4}}", 80},
        {"https://gateway/", NULL, NULL, 0},
        {"gateway:8080/", NULL, NULL, 0},
        {"http://", NULL, NULL, 0},
        {"http:///x", NULL, NULL, 0},
        {"http://h:/", NULL, NULL, 0},
        {"http://h:0/", NULL, NULL, 0},
        {"http://h:70000/", NULL, NULL, 0},
        {"http://u:p@h/", NULL, NULL, 0},
        {"http://h/#f", NULL, NULL, 0},
        {"http://h?x=1", NULL, NULL, 0},
        {"http://h/a\tb", NULL, NULL, 0},
        {"http://h/a\r\nX: y", NULL, NULL, 0},
        {"http://a b/", NULL, NULL, 0},
        {"http://[::1/", NULL, NULL, 0},
        {"", NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct url u;
        int r = url_parse(str_of(rows[i].text), &u);
        if (r != (rows[i].host ? 0 : -EINVAL))
            TEST_FAIL("%s gave %d", rows[i].text, r);
        if (r < 0)
            continue;
        ASSERT(str_eq(u.host, str_of(rows[i].host)));
        ASSERT(str_eq(u.path, str_of(rows[i].path)));
        ASSERT_EQ(u.port, rows[i].port);
        ASSERT(str_case_eq(u.scheme, STR("http")));
    }
    struct url u;
    ASSERT_EQ(url_parse((struct str){"http://h\0/", 10}, &u), -EINVAL);
    ASSERT_EQ(url_parse((struct str){"http://h/\0", 10}, &u), -EINVAL);
}
