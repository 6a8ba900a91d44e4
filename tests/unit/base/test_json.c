#include "base/json.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "json_read.h"
#include "tests.h"

static void write_sample(struct json *j)
{
    json_object(j);
    json_key(j, "name");
    json_str(j, "redis \"outage\"");
    json_key(j, "none");
    json_str(j, NULL);
    json_key(j, "list");
    json_array(j);
    json_int(j, -7);
    json_num(j, 0.5);
    json_bool(j, true);
    json_null(j);
    json_raw(j, "[1]");
    json_object(j);
    json_end_object(j);
    json_array(j);
    json_end_array(j);
    json_end_array(j);
    json_end_object(j);
}

TEST(commas_and_nesting)
{
    struct buf b = {0};
    struct json j;
    json_init(&j, &b, 0);
    write_sample(&j);
    ASSERT_STREQ(buf_str(&b), "{\"name\":\"redis \\\"outage\\\"\",\"none\":null,"
                              "\"list\":[-7,0.5,true,null,[1],{},[]]}");
    buf_done(&b);
}

TEST(indented_output_is_the_same_value)
{
    struct buf flat = {0}, tall = {0};
    struct json j;
    json_init(&j, &flat, 0);
    write_sample(&j);
    json_init(&j, &tall, 2);
    write_sample(&j);
    ASSERT_CONTAINS(buf_str(&tall), "{\n  \"name\": \"redis");
    ASSERT(json_read_equal(&flat, &tall));
    buf_done(&flat);
    buf_done(&tall);
}

TEST(every_byte_as_a_string_comes_back_or_becomes_the_replacement_character)
{
    for (int c = 0; c < 256; c++) {
        struct buf b = {0};
        struct json j;
        char s[1] = {(char)c};
        json_init(&j, &b, 0);
        json_strn(&j, s, 1);
        ASSERT(json_read_is_string(&b, c < 0x80 ? s : "\xef\xbf\xbd", c < 0x80 ? 1 : 3));
        buf_done(&b);
    }
}

TEST(utf8)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},             /* two bytes */
        {"\xe2\x82\xac", "\xe2\x82\xac"},                         /* three */
        {"\xf0\x9f\x8c\xa9", "\xf0\x9f\x8c\xa9"},                 /* four */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong '/' */
        {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong, three bytes */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* > U+10FFFF */
        {"a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd"}, /* cut off at the end */
        {"\xe2\x82x", "\xef\xbf\xbd\xef\xbf\xbdx"}, /* cut off in the middle */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf b = {0};
        struct json j;
        json_init(&j, &b, 0);
        json_str(&j, rows[i].in);
        ASSERT(json_read_is_string(&b, rows[i].out, strlen(rows[i].out)));
        buf_done(&b);
    }
}

TEST(random_bytes_are_always_valid_json)
{
    struct rng rng;
    rng_init(&rng, 13, "json");
    for (int i = 0; i < 20000; i++) {
        char s[24];
        size_t n = rng_below(&rng, sizeof s);
        for (size_t k = 0; k < n; k++)
            s[k] = (char)(rng_below(&rng, 2) ? rng_below(&rng, 256) : 0x80 + rng_below(&rng, 128));
        struct buf b = {0};
        struct json j;
        json_init(&j, &b, 0);
        json_strn(&j, s, n);
        ASSERT(json_read_ok(&b));
        buf_done(&b);
    }
}

static double through(double v)
{
    struct buf b = {0};
    struct json j;
    json_init(&j, &b, 0);
    json_num(&j, v);
    double back = strtod(buf_str(&b), NULL);
    ASSERT(json_read_ok(&b));
    buf_done(&b);
    return back;
}

TEST(numbers_read_back_the_same)
{
    static const double rows[] = {0,    0.1,  1.0 / 3, 1e15, 123456789012345678.0, 5e-324, 1e308,
                                  -2.5, 1e21, 100,     0.001};
    struct rng rng;
    rng_init(&rng, 14, "num");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ASSERT(through(rows[i]) == rows[i]);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_u64(&rng);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v))
            ASSERT(through(v) == v);
    }
}

TEST(numbers_are_short_and_never_nan)
{
    struct buf b = {0};
    struct json j;
    json_init(&j, &b, 0);
    json_array(&j);
    json_num(&j, 0.1);
    json_num(&j, 100);
    json_num(&j, NAN);
    json_num(&j, INFINITY);
    json_int(&j, INT64_MIN);
    json_end_array(&j);
    ASSERT_STREQ(buf_str(&b), "[0.1,100,null,null,-9223372036854775808]");
    buf_done(&b);
}
