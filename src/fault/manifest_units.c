/*
 * manifest_units.c - quantities as Chaos Mesh writes them, which is not as our plans do.
 *
 * Rates are tc's (tc(8), "UNITS"): `bit` is bits a second and `bps` bytes a second, prefixes are
 * powers of 1000.
 */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "fault/manifest_read.h"

#define DELAY_MAX_NS (3600 * NS_PER_S)

bool go_duration(const char *text, int64_t *ret_ns)
{
    char copy[64];
    size_t n = strlen(text);
    if (n >= sizeof copy || strchr(text, 'd'))
        return false;
    memcpy(copy, text, n + 1);
    /* Go takes both code points for micro: U+00B5 and U+03BC */
    for (char *p = copy; (p = strstr(p, "\xce\xbc"));)
        memcpy(p, "\xc2\xb5", 2);
    return units_duration(str_of(copy), ret_ns) == 0;
}

bool read_percent(struct reader *r, const struct ynode *node, const char *what, double *ret_share)
{
    const char *text = read_text(r, node, what);
    double percent;
    if (!text)
        return false;
    struct str number = str_trim(str_of(text));
    if (number.n && number.p[number.n - 1] == '%') {
        number = str_trim((struct str){number.p, number.n - 1});
        problems_add(&r->warnings, node, "%s takes no %% sign in a cluster; taken as %.*s percent",
                     what, (int)(number.n < 40 ? number.n : 40), number.p);
    }
    if (units_number(number, &percent) < 0) {
        problems_add(&r->errors, node,
                     "%s must be a number of percent, as in \"25.5\", not '%.60s'", what, text);
        return false;
    }
    if (percent < 0 || percent > 100) {
        problems_add(&r->errors, node, "%s must be 0 to 100 percent, not %.60s", what, text);
        return false;
    }
    *ret_share = percent / 100;
    return true;
}

/* digits[.digits] and one unit */
static bool is_single(const char *text)
{
    static const char *const units[] = {"ns", "us", "ms", "s", "m", "h"};
    size_t n = strspn(text, "0123456789");
    if (n == 0)
        return false;
    if (text[n] == '.') {
        size_t more = strspn(text + n + 1, "0123456789");
        if (more == 0)
            return false;
        n += 1 + more;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strcmp(text + n, units[i]) == 0)
            return true;
    return false;
}

bool read_delay(struct reader *r, const struct ynode *node, const char *what, int64_t *ret_ns)
{
    const char *text = read_text(r, node, what);
    int64_t ns;
    if (!text)
        return false;
    if (!go_duration(text, &ns)) {
        problems_add(&r->errors, node,
                     "%s '%.60s' is no duration: a number and one unit of ns, us, ms, s, m or h, "
                     "as in 500ms",
                     what, text);
        return false;
    }
    if (ns < 0 || ns > DELAY_MAX_NS) {
        problems_add(&r->errors, node, "%s must be 0 to 1h, not %.60s", what, text);
        return false;
    }
    if (!is_single(text))
        problems_add(&r->warnings, node,
                     "%s '%.60s' is refused by Chaos Mesh since 2.8, which wants a number and one "
                     "unit; taken as before",
                     what, text);
    *ret_ns = ns;
    return true;
}

struct rate_unit {
    uint64_t bits;
    bool bytes; /* written as bytes a second */
};

/* "", or a prefix, and then bit or bps. */
static bool rate_unit(struct str text, struct rate_unit *ret)
{
    static const char prefixes[] = "kmgt";
    uint64_t scale = 1;
    bool bit = false, bps = false;
    if (text.n == 4) {
        const char *at = strchr(prefixes, tolower((unsigned char)text.p[0]));
        if (!at || !*at)
            return false;
        for (const char *p = prefixes; p <= at; p++)
            scale *= 1000;
        text.p++;
        text.n--;
    }
    bit = str_case_eq(text, STR("bit"));
    bps = str_case_eq(text, STR("bps"));
    *ret = (struct rate_unit){bps ? scale * 8 : scale, bps};
    return bit || bps;
}

bool read_rate(struct reader *r, const struct ynode *node, const char *what, uint64_t *ret_bits)
{
    const char *text = read_text(r, node, what);
    struct rate_unit unit;
    int64_t number;
    if (!text)
        return false;
    struct str all = str_trim(str_of(text));
    size_t digits = strspn(all.p, "0123456789");
    struct str word = str_trim((struct str){all.p + digits, all.n - digits});
    if (digits == 0 || !rate_unit(word, &unit)) {
        problems_add(&r->errors, node,
                     "%s '%.60s' is no rate: a whole number and a unit, as in 10mbit (bits a "
                     "second) or 100kbps (bytes a second)",
                     what, text);
        return false;
    }
    if (units_int((struct str){all.p, digits}, &number) < 0 ||
        __builtin_mul_overflow((uint64_t)number, unit.bits, ret_bits) || *ret_bits > INT64_MAX) {
        problems_add(&r->errors, node, "%s '%.60s' is too much", what, text);
        return false;
    }
    if (number == 0) {
        problems_add(&r->errors, node, "%s must be more than 0; to let nothing pass use partition",
                     what);
        return false;
    }
    if (unit.bytes && isupper((unsigned char)word.p[0]))
        problems_add(&r->warnings, node,
                     "%s: bps is BYTES a second, here and in Chaos Mesh; for bits write %.*s %c%s",
                     what, (int)(digits < 20 ? digits : 20), all.p,
                     tolower((unsigned char)word.p[0]), word.n == 4 ? "bit" : "it");
    return true;
}
