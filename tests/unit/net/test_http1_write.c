#include "net/http1_write.h"
#include "tests.h"

#include <errno.h>

static size_t write_sample(struct http1_write *w, char *out, size_t cap)
{
    http1_write_start(w, out, cap, STR("POST"), STR("/a b/\x7f\xc3\xa4%20?q=1"), STR("h:8080"));
    http1_write_header(w, STR("X-Id"), STR("7"));
    http1_write_body(w, STR("hello"));
    return w->n;
}

static const char sample[] = "POST /a%20b/%7F%C3%A4%20?q=1 HTTP/1.1\r\nHost: h:8080\r\nX-Id: 7\r\n"
                             "Content-Length: 5\r\n\r\nhello";

TEST(a_request)
{
    char out[256];
    struct http1_write w;
    size_t n = 0;
    write_sample(&w, out, sizeof out);
    ASSERT_OK(http1_write_end(&w, &n));
    ASSERT_EQ(n, sizeof sample - 1);
    ASSERT(memcmp(out, sample, n) == 0);
}

TEST(every_size_too_small_is_refused_without_an_overrun)
{
    for (size_t cap = 0; cap < sizeof sample - 1; cap++) {
        char *out = malloc(cap ? cap : 1); /* exact, so that the sanitizer sees one byte too many */
        struct http1_write w;
        size_t n = 77;
        ASSERT_EQ(write_sample(&w, out, cap), sizeof sample - 1);
        ASSERT_EQ(http1_write_end(&w, &n), -ENOSPC);
        ASSERT_EQ(n, 77);
        free(out);
    }
}

TEST(lengths_by_method)
{
    static const struct {
        const char *method, *body;
        bool length;
    } rows[] = {{"GET", "", false},  {"DELETE", "", false}, {"POST", "", true}, {"PUT", "", true},
                {"PATCH", "", true}, {"GET", "x", true},    {"HEAD", "", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[256] = "";
        struct http1_write w;
        size_t n = 0;
        http1_write_start(&w, out, sizeof out, str_of(rows[i].method), STR("/"), STR("h"));
        http1_write_body(&w, str_of(rows[i].body));
        ASSERT_OK(http1_write_end(&w, &n));
        ASSERT_EQ(strstr(out, "Content-Length") != NULL, rows[i].length);
    }
}

static int try_write(struct str method, struct str target, struct str host, struct str name,
                     struct str value)
{
    char out[256];
    struct http1_write w;
    size_t n;
    http1_write_start(&w, out, sizeof out, method, target, host);
    http1_write_header(&w, name, value);
    http1_write_body(&w, STR(""));
    return http1_write_end(&w, &n);
}

TEST(what_would_break_the_request_is_refused)
{
    struct str get = STR("GET"), path = STR("/"), host = STR("h"), name = STR("A"), v = STR("b");
    ASSERT_OK(try_write(get, path, host, name, v));
    ASSERT_EQ(try_write(STR("G ET"), path, host, name, v), -EINVAL);
    ASSERT_EQ(try_write(STR(""), path, host, name, v), -EINVAL);
    ASSERT_EQ(try_write(get, STR(""), host, name, v), -EINVAL);
    ASSERT_EQ(try_write(get, path, STR("h\r\nX: y"), name, v), -EINVAL);
    ASSERT_EQ(try_write(get, path, host, STR("A:"), v), -EINVAL);
    ASSERT_EQ(try_write(get, path, host, STR(""), v), -EINVAL);
    ASSERT_EQ(try_write(get, path, host, name, STR("b\r\nC: d")), -EINVAL);
    ASSERT_EQ(try_write(get, path, host, name, STR("b\0")), -EINVAL);
    /* a path cannot end the line either: its line ends are encoded */
    ASSERT_OK(try_write(get, STR("/ HTTP/1.1\r\nX: y"), host, name, v));
}

TEST(host_and_decimal)
{
    char text[64];
    ASSERT_EQ(http1_host_text(STR("h"), 80, text, sizeof text), 1);
    ASSERT_STREQ(text, "h");
    http1_host_text(STR("h"), 8080, text, sizeof text);
    ASSERT_STREQ(text, "h:8080");
    http1_host_text(STR("::1"), 80, text, sizeof text);
    ASSERT_STREQ(text, "[::1]");
    http1_host_text(STR("::1"), 81, text, sizeof text);
    ASSERT_STREQ(text, "[::1]:81");
    static const unsigned long values[] = {0, 9, 10, 99, 100, 12345, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char want[24];
        size_t n = http1_decimal(text, values[i]);
        text[n] = 0;
        snprintf(want, sizeof want, "%lu", values[i]);
        ASSERT_STREQ(text, want);
    }
}
