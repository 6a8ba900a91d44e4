#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"

const char *figures_count(uint64_t n, char *buf, size_t cap)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t out = 0;
    for (int i = 0; i < len && out + 2 < cap; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buf[out++] = ',';
        buf[out++] = digits[i];
    }
    buf[out] = '\0';
    return buf;
}

const char *figures_clock(int64_t ns, char *buf, size_t cap)
{
    double s = (double)ns / (double)NS_PER_S;
    snprintf(buf, cap, "%.1fs", s > -0.05 && s < 0 ? 0.0 : s);
    return buf;
}

const char *figures_rate(double per_s, char *buf, size_t cap)
{
    char count[FIGURES_BYTES];
    if (per_s < 99.95)
        snprintf(buf, cap, "%.1f/s", per_s);
    else
        snprintf(buf, cap, "%s/s", figures_count((uint64_t)(per_s + 0.5), count, sizeof count));
    return buf;
}

const char *figures_share(double ratio, char *buf, size_t cap)
{
    double pct = ratio * 100;
    if (isnan(ratio))
        snprintf(buf, cap, "-");
    else if (pct == 0 || pct == 100)
        snprintf(buf, cap, "%.0f %%", pct);
    else if (pct < 0.01)
        snprintf(buf, cap, "<0.01 %%");
    else if (pct > 99.9)
        snprintf(buf, cap, ">99.9 %%");
    else
        snprintf(buf, cap, pct < 1 ? "%.2f %%" : "%.1f %%", pct);
    return buf;
}

const char *figures_latency(int64_t ns, char *buf, size_t cap)
{
    if (ns < 0)
        snprintf(buf, cap, "-");
    else
        units_human_duration(ns, buf, cap);
    return buf;
}

const char *figures_block(double value, double max, bool ascii)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", "-", "=", "+", "*", "%", "#"};
    double share = max > 0 ? value / max : 0;
    int level = !(share > 0) ? 0 : (int)ceil(share * 7);
    level = level > 7 ? 7 : level;
    return ascii ? plain[level] : blocks[level];
}
