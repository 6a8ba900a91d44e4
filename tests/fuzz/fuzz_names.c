/* The lab's name server: the first byte chooses a rule and who asks, the rest is the datagram. An
 * answer belongs to its question, walks by its own lengths to its end, deserves no answer itself,
 * and comes out the same twice. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lab/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct names_entry entries[] = {
    {.name = "redis", .ipv4 = 0x0ad5000a},
    {.name = "gateway", .ipv4 = 0x0ad5000b, .has_ipv6 = true, .ipv6 = {0xfd, [15] = 1}},
};

static size_t skip_name(const unsigned char *p, size_t n, size_t at)
{
    for (;;) {
        assert(at < n);
        if (p[at] >= 0xc0)
            return at + 2;
        if (p[at] == 0)
            return at + 1;
        at += (size_t)p[at] + 1;
    }
}

static void check(const unsigned char *p, size_t n, const uint8_t *question)
{
    assert(n >= 12 && n <= NAMES_ANSWER_BYTES);
    assert(memcmp(p, question, 2) == 0 && p[2] & 0x80);
    size_t at = 12;
    assert(p[4] == 0 && p[5] <= 1 && p[6] == 0 && p[7] <= 1 && p[8] == 0 && p[9] == 0);
    if (p[5]) {
        at = skip_name(p, n, at) + 4;
        assert(at <= n && memcmp(p + 12, question + 12, at - 12) == 0);
    }
    for (int i = p[7] + p[11]; i; i--) {
        at = skip_name(p, n, at);
        assert(at + 10 <= n);
        at += 10 + (size_t)(p[at + 8] << 8 | p[at + 9]);
    }
    assert(at == n);
}

static size_t ask(uint8_t choice, const uint8_t *p, size_t n, unsigned char *out, int64_t *delay_ns)
{
    struct names s;
    struct lab_names rule = {.id = 1, .seed = choice, .action = choice & 3, .delay_ns = 5};
    names_init(&s, entries, 2);
    if (choice & 4) {
        rule.patterns_n = 2;
        memcpy(rule.patterns[0], "redis.prod*", 12);
        memcpy(rule.patterns[1], "?a*", 4);
    }
    port_set_add(&rule.who, 3);
    names_rule_add(&s, &rule);
    size_t r = names_answer(&s, choice >> 4, p, n, out, NAMES_ANSWER_BYTES, delay_ns);
    unsigned char again[NAMES_ANSWER_BYTES];
    int64_t unused;
    assert(!r || names_answer(&s, 3, out, r, again, sizeof again, &unused) == 0);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char one[NAMES_ANSWER_BYTES] = {0}, two[NAMES_ANSWER_BYTES] = {0};
    int64_t one_ns = 0, two_ns = 0;
    if (size == 0)
        return 0;
    size_t n = ask(data[0], data + 1, size - 1, one, &one_ns);
    assert(ask(data[0], data + 1, size - 1, two, &two_ns) == n && one_ns == two_ns);
    assert(memcmp(one, two, n) == 0);
    if (n)
        check(one, n, data + 1);
    return 0;
}
