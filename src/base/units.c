#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

struct unit {
    const char *name;
    double factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},  {"us", 1e3}, {"µs", 1e3},   {"ms", 1e6},
    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};
static const struct unit size_units[] = {
    {"", 1},     {"B", 1},        {"kB", 1e3},      {"KB", 1e3},         {"MB", 1e6},
    {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576}, {"GiB", 1073741824},
};
static const struct unit rate_units[] = {
    {"s", 1},          {"sec", 1},           {"second", 1},     {"m", 1.0 / 60},
    {"min", 1.0 / 60}, {"minute", 1.0 / 60}, {"h", 1.0 / 3600}, {"hour", 1.0 / 3600},
};

static const struct unit *unit_find(const struct unit *units, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(units[i].name), name))
            return &units[i];
    return NULL;
}

/* Digits with at most one point, no exponent; moves *s behind it. */
static int take_decimal(struct str *s, double *ret)
{
    char digits[64];
    size_t n = 0;
    int points = 0, figures = 0;
    while (n < s->n && n < sizeof digits - 1 &&
           (isdigit((unsigned char)s->p[n]) || s->p[n] == '.')) {
        points += s->p[n] == '.';
        figures += s->p[n] != '.';
        digits[n] = s->p[n];
        n++;
    }
    if (figures == 0 || points > 1)
        return -EINVAL;
    digits[n] = '\0';
    *ret = strtod(digits, NULL);
    s->p += n;
    s->n -= n;
    return 0;
}

static struct str take_unit(struct str *s)
{
    size_t n = 0;
    while (n < s->n && !isdigit((unsigned char)s->p[n]) && s->p[n] != '.')
        n++;
    struct str unit = {s->p, n};
    s->p += n;
    s->n -= n;
    return unit;
}

int units_duration(struct str text, int64_t *ret_ns)
{
    double sign = 1, sum = 0;
    if (text.n && (text.p[0] == '-' || text.p[0] == '+')) {
        sign = text.p[0] == '-' ? -1 : 1;
        text.p++, text.n--;
    }
    if (str_eq(text, STR("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (text.n == 0)
        return -EINVAL;
    while (text.n) {
        double value;
        if (take_decimal(&text, &value) < 0)
            return -EINVAL;
        const struct unit *u =
            unit_find(duration_units, ARRAY_SIZE(duration_units), take_unit(&text));
        if (!u)
            return -EINVAL;
        sum += value * u->factor;
    }
    if (sum >= 9.2e18)
        return -ERANGE;
    *ret_ns = (int64_t)llround(sign * sum);
    return 0;
}

int units_size(struct str text, int64_t *ret_bytes)
{
    double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    const struct unit *u = unit_find(size_units, ARRAY_SIZE(size_units), str_trim(text));
    if (!u)
        return -EINVAL;
    value *= u->factor;
    if (value >= 9.2e18)
        return -ERANGE;
    *ret_bytes = (int64_t)llround(value);
    return 0;
}

int units_rate(struct str text, double *ret_per_s)
{
    double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    text = str_trim(text);
    if (text.n == 0) {
        *ret_per_s = value;
        return 0;
    }
    if (text.p[0] != '/')
        return -EINVAL;
    text.p++, text.n--;
    const struct unit *u = unit_find(rate_units, ARRAY_SIZE(rate_units), str_trim(text));
    if (!u)
        return -EINVAL;
    *ret_per_s = value * u->factor;
    return 0;
}

int units_ratio(struct str text, double *ret_ratio)
{
    double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    text = str_trim(text);
    if (str_eq(text, STR("%")))
        value /= 100;
    else if (text.n)
        return -EINVAL;
    *ret_ratio = value;
    return 0;
}

int units_number(struct str text, double *ret)
{
    char copy[64], *end;
    if (text.n == 0 || text.n >= sizeof copy || isspace((unsigned char)text.p[0]))
        return -EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    for (size_t i = 0; i < text.n; i++)
        if (!isdigit((unsigned char)copy[i]) && !strchr("+-.eE", copy[i]))
            return -EINVAL;
    *ret = strtod(copy, &end);
    if (*end || end == copy)
        return -EINVAL;
    return isfinite(*ret) ? 0 : -ERANGE;
}

int units_int(struct str text, int64_t *ret)
{
    char copy[32], *end;
    if (text.n == 0 || text.n >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (!isdigit((unsigned char)copy[0]) && !(text.n > 1 && (copy[0] == '-' || copy[0] == '+')))
        return -EINVAL;
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno)
        return -ERANGE;
    *ret = value;
    return 0;
}

const char *units_format_duration(int64_t ns, char *buf, size_t cap)
{
    static const struct {
        const char *name;
        int64_t ns;
    } steps[] = {{"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S},
                 {"ms", NS_PER_MS},      {"us", NS_PER_US},    {"ns", 1}};
    size_t n = 0;
    if (ns == 0) {
        snprintf(buf, cap, "0s");
        return buf;
    }
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    buf[0] = '\0';
    if (ns < 0)
        n = (size_t)snprintf(buf, cap, "-");
    for (size_t i = 0; i < ARRAY_SIZE(steps) && n < cap; i++) {
        uint64_t count = left / (uint64_t)steps[i].ns;
        left -= count * (uint64_t)steps[i].ns;
        if (count)
            n += (size_t)snprintf(buf + n, cap - n, "%llu%s", (unsigned long long)count,
                                  steps[i].name);
    }
    return buf;
}

const char *units_human_duration(int64_t ns, char *buf, size_t cap)
{
    static const struct {
        const char *name;
        double ns;
    } steps[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    double size = fabs((double)ns);
    if (size >= 60e9) {
        long long s = llabs((long long)(ns / NS_PER_S));
        snprintf(buf, cap, "%s%lldm%02llds", ns < 0 ? "-" : "", s / 60, s % 60);
        return buf;
    }
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        double value = (double)ns / steps[i].ns;
        if (fabs(value) < 0.9995 && i + 1 < ARRAY_SIZE(steps))
            continue;
        int digits = i + 1 == ARRAY_SIZE(steps) || fabs(value) >= 99.95 ? 0
                     : fabs(value) >= 9.995                             ? 1
                                                                        : 2;
        snprintf(buf, cap, "%.*f%s", digits, value, steps[i].name);
        return buf;
    }
    return buf;
}
