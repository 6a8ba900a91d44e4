#include "base/units.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests.h"

#define BAD   (-EINVAL)
#define RANGE (-ERANGE)

TEST(durations)
{
    static const struct {
        const char *text;
        int result;
        int64_t ns;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"1ns", 0, 1},
        {"250ms", 0, 250 * NS_PER_MS},
        {"1.5s", 0, 1500 * NS_PER_MS},
        {".5s", 0, 500 * NS_PER_MS},
        {"1.s", 0, NS_PER_S},
        {"2us", 0, 2000},
        {"2\xc2\xb5s", 0, 2000},
        {"2\xce\xbcs", 0, 2000},
        {"1m30s", 0, 90 * NS_PER_S},
        {"1h2m3s4ms5us6ns", 0, 3723004005006},
        {"1d", 0, 86400 * NS_PER_S},
        {"-1.5h", 0, -5400 * NS_PER_S},
        {"+3s", 0, 3 * NS_PER_S},
        {"1s1s", 0, 2 * NS_PER_S},
        {"0.5ns", 0, 1},
        {"9223372036854775807ns", 0, INT64_MAX},
        {"-9223372036854775808ns", 0, INT64_MIN},
        {"9223372036854775808ns", RANGE, 0},
        {"300y", BAD, 0},
        {"106752d", RANGE, 0},
        {"-106752d", RANGE, 0},
        {"", BAD, 0},
        {"-", BAD, 0},
        {"5", BAD, 0},
        {"s", BAD, 0},
        {"1 s", BAD, 0},
        {"1s ", BAD, 0},
        {" 1s", BAD, 0},
        {"1S", BAD, 0},
        {"1e3s", BAD, 0},
        {"1..5s", BAD, 0},
        {".s", BAD, 0},
        {"--1s", BAD, 0},
        {"1s-1s", BAD, 0},
        {"1sec", BAD, 0},
        {"0x5s", BAD, 0},
        {"nan", BAD, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ns = 0;
        int r = units_duration(str_of(rows[i].text), &ns);
        if (r != rows[i].result || ns != rows[i].ns)
            TEST_FAIL("\"%s\": %d, %" PRId64, rows[i].text, r, ns);
    }
}

TEST(sizes)
{
    static const struct {
        const char *text;
        int result;
        int64_t bytes;
    } rows[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"1B", 0, 1},
        {"1kB", 0, 1000},
        {"1KB", 0, 1000},
        {"1MB", 0, 1000000},
        {"2GB", 0, 2000000000},
        {"64KiB", 0, 65536},
        {"256MiB", 0, 268435456},
        {"1GiB", 0, 1 << 30},
        {"1.5KiB", 0, 1536},
        {"64 KiB", 0, 65536},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", RANGE, 0},
        {"8589934592GiB", RANGE, 0},
        {"-1", BAD, 0},
        {"", BAD, 0},
        {"KiB", BAD, 0},
        {"1kib", BAD, 0},
        {"1 K", BAD, 0},
        {"1e3", BAD, 0},
        {"1KiBx", BAD, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t bytes = 0;
        int r = units_size(str_of(rows[i].text), &bytes);
        if (r != rows[i].result || bytes != rows[i].bytes)
            TEST_FAIL("\"%s\": %d, %" PRId64, rows[i].text, r, bytes);
    }
}

TEST(rates_and_ratios)
{
    static const struct {
        const char *text;
        int result;
        double value;
    } rates[] =
        {
            {"50", BAD, 0},         {"50/s", 0, 50},
            {"10/min", 0, 1.0 / 6}, {"10 / minute", 0, 1.0 / 6},
            {"3600/h", 0, 1},       {"1.5/sec", 0, 1.5},
            {"0", BAD, 0},          {"0/s", 0, 0},
            {"", BAD, 0},           {"/s", BAD, 0},
            {"5/", BAD, 0},         {"5/day", BAD, 0},
            {"5s", BAD, 0},         {"-5/s", BAD, 0},
            {"5/s/s", BAD, 0},
        },
      ratios[] = {
          {"1%", 0, 0.01},    {"99.9%", 0, 0.999}, {"0", 0, 0},      {"1", 0, 1},
          {"0.5", 0, 0.5},    {"50 %", 0, 0.5},    {"150%", 0, 1.5}, {"60", RANGE, 0},
          {"1.01", RANGE, 0}, {"%", BAD, 0},       {"1%%", BAD, 0},  {"", BAD, 0},
          {"-1%", BAD, 0},    {"x", BAD, 0},
      };
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        double v = 0;
        if (units_rate(str_of(rates[i].text), &v) != rates[i].result || v != rates[i].value)
            TEST_FAIL("rate \"%s\": %.17g", rates[i].text, v);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ratios); i++) {
        double v = 0;
        if (units_ratio(str_of(ratios[i].text), &v) != ratios[i].result || v != ratios[i].value)
            TEST_FAIL("ratio \"%s\": %.17g", ratios[i].text, v);
    }
}

TEST(plain_numbers)
{
    static const struct {
        const char *text;
        int result;
        double value;
    } numbers[] = {
        {"1", 0, 1},    {"-1.5", 0, -1.5},   {"+2", 0, 2},    {"1e3", 0, 1000}, {".5", 0, 0.5},
        {"", BAD, 0},   {"nan", BAD, 0},     {"inf", BAD, 0}, {"0x10", BAD, 0}, {" 1", BAD, 0},
        {"1 ", BAD, 0}, {"1e999", RANGE, 0}, {"1e", BAD, 0},  {"--1", BAD, 0},  {".", BAD, 0},
    };
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } ints[] = {
        {"0", 0, 0},
        {"-7", 0, -7},
        {"+7", 0, 7},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", RANGE, 0},
        {"-9223372036854775808", 0, INT64_MIN},
        {"", BAD, 0},
        {"-", BAD, 0},
        {"1.0", BAD, 0},
        {" 1", BAD, 0},
        {"1 ", BAD, 0},
        {"- 1", BAD, 0},
        {"1e3", BAD, 0},
        {"0x1", BAD, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        double v = 0;
        int r = units_number(str_of(numbers[i].text), &v);
        if (r != numbers[i].result || (r == 0 && v != numbers[i].value))
            TEST_FAIL("number \"%s\": %d, %g", numbers[i].text, r, v);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ints); i++) {
        int64_t v = 0;
        int r = units_int(str_of(ints[i].text), &v);
        if (r != ints[i].result || (r == 0 && v != ints[i].value))
            TEST_FAIL("int \"%s\": %d, %" PRId64, ints[i].text, r, v);
    }
}

TEST(text_need_not_be_terminated)
{
    int64_t v;
    ASSERT_OK(units_duration((struct str){"5sx", 2}, &v));
    ASSERT_EQ(v, 5 * NS_PER_S);
    ASSERT_OK(units_int((struct str){"123", 2}, &v));
    ASSERT_EQ(v, 12);
}

TEST(formatted_durations_are_short)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500, "1.5us"},
        {250 * NS_PER_MS, "250ms"},
        {1500 * NS_PER_MS, "1.5s"},
        {90 * NS_PER_S, "1m30s"},
        {3600 * NS_PER_S, "1h"},
        {3600 * NS_PER_S + 1, "1h1ns"},
        {-1000001, "-1.000001ms"},
        {61 * NS_PER_S + 1, "1m1.000000001s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    char text[64];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ASSERT_STREQ(units_format_duration(rows[i].ns, text, sizeof text), rows[i].text);
}

TEST(formatted_durations_read_back_the_same)
{
    struct rng rng;
    char text[64];
    rng_init(&rng, 6, "units");
    for (int i = 0; i < 100000; i++) {
        int64_t ns = (int64_t)(rng_u64(&rng) >> rng_below(&rng, 64)), back;
        if (i % 2)
            ns = -ns;
        if (i % 3 == 0)
            ns -= ns % NS_PER_MS;
        units_format_duration(ns, text, sizeof text);
        ASSERT_OK(units_duration(str_of(text), &back));
        if (back != ns)
            TEST_FAIL("%" PRId64 " -> %s -> %" PRId64, ns, text, back);
    }
}

TEST(durations_for_people)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0ns"},
        {999, "999ns"},
        {12300000, "12.3ms"},
        {1500 * NS_PER_MS, "1.50s"},
        {125 * NS_PER_S, "2m05s"},
        {-125 * NS_PER_S, "-2m05s"},
        {-1500 * NS_PER_MS, "-1.50s"},
        {999999, "1.00ms"},
        {123456789, "123ms"},
        {99960000, "100ms"},
        {9996000, "10.0ms"},
    };
    char text[64];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ASSERT_STREQ(units_human_duration(rows[i].ns, text, sizeof text), rows[i].text);
}
