#include "lab/names.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "lab/switch.h"

#define RANDOM_TTL_S 10

static const unsigned char random_aaaa[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x53};
static const struct names_entry localhost = {
    .name = "localhost", .ipv4 = 0x7f000001, .has_ipv6 = true, .ipv6 = {[15] = 1}};

/* --- what is known -------------------------------------------------------------------------- */

/* True when text is NAME, NAME.NAMESPACE, ....svc or ....svc.cluster.local. */
static bool is_form_of(struct str text, const char *name)
{
    size_t n = strlen(name);
    if (text.n < n || strncasecmp(text.p, name, n) != 0)
        return false;
    if (text.n == n)
        return true;
    if (text.p[n] != '.')
        return false;
    struct str rest = {text.p + n + 1, text.n - n - 1}, namespace = str_split(&rest, '.');
    return namespace.n && (!rest.n || str_case_eq(rest, STR("svc")) ||
                           str_case_eq(rest, STR("svc.cluster.local")));
}

static const struct names_entry *by_name(const struct names *s, const char *name)
{
    struct str text = str_of(name);
    for (size_t i = 0; i < s->entries_n; i++)
        if (is_form_of(text, s->entries[i].name))
            return &s->entries[i];
    return strcmp(name, localhost.name) == 0 ? &localhost : NULL;
}

/* The name that an address is asked for by (RFC 1035, 3.5; RFC 3596, 2.5). */
static void reverse4(uint32_t a, char out[80])
{
    snprintf(out, 80, "%u.%u.%u.%u.in-addr.arpa", a & 255, a >> 8 & 255, a >> 16 & 255, a >> 24);
}

static void reverse6(const unsigned char *a, char out[80])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--) {
        *out++ = digits[a[i] & 15];
        *out++ = '.';
        *out++ = digits[a[i] >> 4];
        *out++ = '.';
    }
    memcpy(out, "ip6.arpa", sizeof "ip6.arpa");
}

static bool is_reverse_of(const char *name, const struct names_entry *e)
{
    char text[80];
    reverse4(e->ipv4, text);
    if (strcmp(name, text) == 0)
        return true;
    if (!e->has_ipv6)
        return false;
    reverse6(e->ipv6, text);
    return strcmp(name, text) == 0;
}

static const struct names_entry *by_reverse(const struct names *s, const char *name)
{
    size_t n = strlen(name);
    if (n < 5 || strcmp(name + n - 5, ".arpa") != 0)
        return NULL;
    for (size_t i = 0; i < s->entries_n; i++)
        if (is_reverse_of(name, &s->entries[i]))
            return &s->entries[i];
    return is_reverse_of(name, &localhost) ? &localhost : NULL;
}

static void set_ipv4(struct names_reply *a, uint32_t ipv4)
{
    const unsigned char p[4] = {(unsigned char)(ipv4 >> 24), (unsigned char)(ipv4 >> 16),
                                (unsigned char)(ipv4 >> 8), (unsigned char)ipv4};
    names_reply_set(a, NAMES_A, p, sizeof p);
}

static struct names_reply right_answer(const struct names *s, const struct names_question *q)
{
    struct names_reply a = {.ttl_s = NAMES_TTL_S};
    const struct names_entry *e = by_reverse(s, q->name);
    if (e) {
        size_t n = strlen(e->name);
        unsigned char wire[NAMES_LABEL_BYTES + 2] = {(unsigned char)n};
        memcpy(wire + 1, e->name, n);
        if (q->type == NAMES_PTR)
            names_reply_set(&a, NAMES_PTR, wire, n + 2);
        return a;
    }
    if (!(e = by_name(s, q->name)))
        a.rcode = NAMES_NXDOMAIN;
    else if (q->type == NAMES_A)
        set_ipv4(&a, e->ipv4);
    else if (q->type == NAMES_AAAA && e->has_ipv6)
        names_reply_set(&a, NAMES_AAAA, e->ipv6, sizeof e->ipv6);
    return a;
}

/* --- rules ---------------------------------------------------------------------------------- */

static bool pattern_meets(const char *pattern, const char *text)
{
    for (; *pattern; pattern++, text++) {
        if (*pattern == '*')
            return true;
        if (*pattern == '.' && !pattern[1] && !*text)
            return true;
        if (!*text || (*pattern != '?' && names_lower(*pattern) != names_lower(*text)))
            return false;
    }
    return !*text;
}

/* The pattern's own second label is the namespace that the service is taken to be in. */
static bool pattern_meets_form(const char *pattern, const char *service)
{
    static const char *const tails[] = {"", ".svc", ".svc.cluster.local"};
    char form[NAMES_LABEL_BYTES + LAB_NAME_BYTES + 32];
    if (pattern_meets(pattern, service))
        return true;
    const char *dot = strchr(pattern, '.'), *namespace = dot ? dot + 1 : "";
    int n = (int)strcspn(namespace, ".*");
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        snprintf(form, sizeof form, "%s.%.*s%s", service, n ? n : 1, n ? namespace : "x", tails[i]);
        if (pattern_meets(pattern, form))
            return true;
    }
    return false;
}

static bool rule_meets(const struct names_rule *r, unsigned port, const char *name,
                       const struct names_entry *e)
{
    if (!port_set_has(&r->spec.who, port))
        return false;
    for (uint32_t i = 0; i < r->spec.patterns_n; i++)
        if (pattern_meets(r->spec.patterns[i], name) ||
            (e && pattern_meets_form(r->spec.patterns[i], e->name)))
            return true;
    return r->spec.patterns_n == 0;
}

/* An address of the lab would be somebody's, one of 0/8 and 127/8 the asker's own. */
static uint32_t nobodys_address(struct rng *rng)
{
    uint32_t a;
    do {
        a = 0;
        for (int i = 0; i < 4; i++)
            a = a << 8 | (uint32_t)rng_below(rng, 255);
    } while (a >> 24 == 0 || a >> 24 == 127 || (a ^ SWITCH_NET) >> (32 - SWITCH_PREFIX) == 0);
    return a;
}

static struct names_reply wrong_answer(struct names_rule *r, const struct names_question *q)
{
    struct names_reply a = {.ttl_s = RANDOM_TTL_S};
    if (r->spec.action == LAB_NAMES_RANDOM && q->type == NAMES_A)
        set_ipv4(&a, nobodys_address(&r->rng));
    else if (r->spec.action == LAB_NAMES_RANDOM && q->type == NAMES_AAAA)
        names_reply_set(&a, NAMES_AAAA, random_aaaa, sizeof random_aaaa);
    else
        a.rcode = NAMES_SERVFAIL;
    return a;
}

static struct names_reply ruled_answer(struct names *s, unsigned port,
                                       const struct names_question *q, int64_t *delay_ns)
{
    const struct names_entry *e = s->rules_n ? by_name(s, q->name) : NULL;
    struct names_rule *wrong = NULL;
    for (unsigned i = 0; i < s->rules_n; i++) {
        struct names_rule *r = &s->rules[i];
        bool delays = r->spec.action == LAB_NAMES_DELAY;
        if ((wrong && !delays) || !rule_meets(r, port, q->name, e))
            continue;
        r->met++;
        if (delays)
            *delay_ns += r->spec.delay_ns;
        else
            wrong = r;
    }
    return wrong ? wrong_answer(wrong, q) : right_answer(s, q);
}

static unsigned rule_find(const struct names *s, uint64_t id)
{
    unsigned i = 0;
    while (i < s->rules_n && s->rules[i].spec.id != id)
        i++;
    return i;
}

static bool pattern_ok(const char pattern[LAB_NAME_BYTES])
{
    size_t n = strnlen(pattern, LAB_NAME_BYTES);
    if (n == 0 || n == LAB_NAME_BYTES)
        return false;
    const char *star = strchr(pattern, '*');
    return !star || star == pattern + n - 1;
}

int names_rule_add(struct names *s, const struct lab_names *spec)
{
    if (rule_find(s, spec->id) < s->rules_n)
        return -EEXIST;
    if (spec->action >= LAB_NAMES_ACTION_COUNT || spec->patterns_n > LAB_NAME_PATTERNS)
        return -EINVAL;
    if (spec->action == LAB_NAMES_DELAY &&
        (spec->delay_ns < 1 || spec->delay_ns > NAMES_DELAY_MAX_NS))
        return -EINVAL;
    for (uint32_t i = 0; i < spec->patterns_n; i++)
        if (!pattern_ok(spec->patterns[i]))
            return -EINVAL;
    if (s->rules_n == LAB_NAMES_MAX)
        return -ENOSPC;
    struct names_rule *r = &s->rules[s->rules_n++];
    *r = (struct names_rule){.spec = *spec};
    rng_init(&r->rng, spec->seed, "names");
    return 0;
}

int names_rule_report(const struct names *s, uint64_t id, uint64_t *ret_met)
{
    unsigned i = rule_find(s, id);
    if (i == s->rules_n)
        return -ENOENT;
    *ret_met = s->rules[i].met;
    return 0;
}

int names_rule_remove(struct names *s, uint64_t id, uint64_t *ret_met)
{
    unsigned i = rule_find(s, id);
    if (i == s->rules_n)
        return -ENOENT;
    *ret_met = s->rules[i].met;
    s->rules_n--;
    memmove(&s->rules[i], &s->rules[i + 1], (s->rules_n - i) * sizeof s->rules[0]);
    return 0;
}

void names_init(struct names *s, const struct names_entry *entries, size_t n)
{
    *s = (struct names){.entries = entries, .entries_n = n};
    for (size_t i = 0; i < n; i++)
        assert(entries[i].name[0] && strlen(entries[i].name) <= NAMES_LABEL_BYTES);
}

size_t names_answer(struct names *s, unsigned asker_port, const unsigned char *question, size_t n,
                    unsigned char *out, size_t cap, int64_t *ret_delay_ns)
{
    struct names_question q;
    struct names_reply a = {0};
    int64_t delay_ns = 0;
    assert(cap >= NAMES_ANSWER_BYTES && asker_port < IMPAIR_PORTS);
    if (n > NAMES_QUESTION_BYTES || !names_question_read(&q, &a.rcode, question, n))
        return 0;
    if (a.rcode == NAMES_OK)
        a = ruled_answer(s, asker_port, &q, &delay_ns);
    *ret_delay_ns = delay_ns;
    return names_reply_write(out, &q, question, &a);
}
