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
    long double factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},  {"us", 1e3}, {"µs", 1e3},   {"\xce\xbcs", 1e3}, {"ms", 1e6},
    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};
static const struct unit size_units[] = {
    {"", 1},     {"B", 1},        {"kB", 1e3},      {"KB", 1e3},         {"MB", 1e6},
    {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576}, {"GiB", 1073741824},
};
static const struct unit rate_units[] = {
    {"s", 1},           {"sec", 1},
    {"second", 1},      {"m", 1.0L / 60},
    {"min", 1.0L / 60}, {"minute", 1.0L / 60},
    {"h", 1.0L / 3600}, {"hour", 1.0L / 3600},
};

static const struct unit *unit_find(const struct unit *units, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(units[i].name), name))
            return &units[i];
    return NULL;
}

/* Digits with at most one point, no exponent; moves *s behind it. In long double, because a double
 * does not hold every nanosecond of more than 104 days. */
static int take_decimal(struct str *s, long double *ret)
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
    *ret = strtold(digits, NULL);
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

static int to_int64(long double value, int64_t *ret)
{
    value = roundl(value);
    if (!(value >= -0x1p63L && value < 0x1p63L))
        return -ERANGE;
    *ret = (int64_t)value;
    return 0;
}

int units_duration(struct str text, int64_t *ret_ns)
{
    long double sign = 1, sum = 0;
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
        long double value;
        if (take_decimal(&text, &value) < 0)
            return -EINVAL;
        const struct unit *u =
            unit_find(duration_units, ARRAY_SIZE(duration_units), take_unit(&text));
        if (!u)
            return -EINVAL;
        sum += value * u->factor;
    }
    return to_int64(sign * sum, ret_ns);
}

int units_size(struct str text, int64_t *ret_bytes)
{
    long double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    const struct unit *u = unit_find(size_units, ARRAY_SIZE(size_units), str_trim(text));
    if (!u)
        return -EINVAL;
    return to_int64(value * u->factor, ret_bytes);
}

int units_rate(struct str text, double *ret_per_s)
{
    long double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    text = str_trim(text);
    if (text.n == 0 || text.p[0] != '/')
        return -EINVAL;
    text.p++, text.n--;
    const struct unit *u = unit_find(rate_units, ARRAY_SIZE(rate_units), str_trim(text));
    if (!u)
        return -EINVAL;
    *ret_per_s = (double)(value * u->factor);
    return 0;
}

int units_ratio(struct str text, double *ret_ratio)
{
    long double value;
    if (take_decimal(&text, &value) < 0)
        return -EINVAL;
    text = str_trim(text);
    if (str_eq(text, STR("%")))
        value /= 100;
    else if (text.n)
        return -EINVAL;
    else if (value > 1)
        return -ERANGE;
    *ret_ratio = (double)value;
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

/* The part below a minute in its largest fitting unit: 1.5s, 250ms, 1.000001ms. Returns what
 * snprintf would. */
static int format_seconds(uint64_t ns, char *buf, size_t cap)
{
    static const struct {
        const char *name;
        uint64_t ns;
        int digits; /* after the point */
    } steps[] = {{"s", NS_PER_S, 9}, {"ms", NS_PER_MS, 6}, {"us", NS_PER_US, 3}, {"ns", 1, 0}};
    size_t i = 0;
    while (ns < steps[i].ns)
        i++;
    char fraction[16];
    int n = snprintf(fraction, sizeof fraction, ".%0*llu", steps[i].digits,
                     (unsigned long long)(ns % steps[i].ns));
    while (n > 0 && (fraction[n - 1] == '0' || fraction[n - 1] == '.'))
        fraction[--n] = '\0';
    return snprintf(buf, cap, "%llu%s%s", (unsigned long long)(ns / steps[i].ns), fraction,
                    steps[i].name);
}

const char *units_format_duration(int64_t ns, char *buf, size_t cap)
{
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    uint64_t hours = left / (3600 * NS_PER_S), minutes = left / (60 * NS_PER_S) % 60;
    uint64_t below = left % (60 * NS_PER_S);
    char h[32] = "", m[8] = "", s[32] = "";
    if (hours)
        snprintf(h, sizeof h, "%lluh", (unsigned long long)hours);
    if (minutes)
        snprintf(m, sizeof m, "%llum", (unsigned long long)minutes);
    if (below)
        format_seconds(below, s, sizeof s);
    snprintf(buf, cap, "%s%s%s%s", ns < 0 ? "-" : "", h, m, ns == 0 ? "0s" : s);
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
