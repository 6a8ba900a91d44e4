/* The lab's name server: what it answers, to whom, under which rules; and glibc's resolver as its
 * client. */
#include "tests.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/names.h"

enum { A = 1, NS = 2, PTR = 12, AAAA = 28, ANY = 255 };

static const struct names_entry entries[] = {
    {.name = "redis-master", .ipv4 = 0x0ad5000a},
    {.name = "Gateway",
     .ipv4 = 0x0ad5000b,
     .has_ipv6 = true,
     .ipv6 = {0xfd, 0x53, 0x71, [14] = 1, [15] = 0x0b}},
};

struct msg {
    unsigned char p[600];
    size_t n;
};

static void add(struct msg *m, const void *p, size_t n)
{
    ASSERT_LE(m->n + n, sizeof m->p);
    memcpy(m->p + m->n, p, n);
    m->n += n;
}

static void add16(struct msg *m, unsigned v)
{
    add(m, (unsigned char[]){(unsigned char)(v >> 8), (unsigned char)v}, 2);
}

static void add_name(struct msg *m, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        add(m, (unsigned char[]){(unsigned char)n}, 1);
        add(m, name, n);
        name += n + (name[n] == '.');
    }
    add(m, "", 1);
}

static struct msg ask_header(unsigned flags, unsigned questions, unsigned additional)
{
    struct msg m = {.n = 0};
    add16(&m, 0xbeef);
    add16(&m, flags);
    add16(&m, questions);
    add16(&m, 0);
    add16(&m, 0);
    add16(&m, additional);
    return m;
}

static struct msg ask(const char *name, unsigned type)
{
    struct msg m = ask_header(0x0100, 1, 0);
    add_name(&m, name);
    add16(&m, type);
    add16(&m, 1);
    return m;
}

struct reply {
    unsigned char p[NAMES_ANSWER_BYTES];
    size_t n;
    int64_t delay_ns;
};

static struct reply answer_to(struct names *s, unsigned port, const struct msg *m)
{
    struct reply r = {.delay_ns = -1};
    /* exact size, so that a sanitizer sees a read behind the end */
    unsigned char *exact = malloc(m->n ? m->n : 1);
    memcpy(exact, m->p, m->n);
    r.n = names_answer(s, port, exact, m->n, r.p, sizeof r.p, &r.delay_ns);
    free(exact);
    if (r.n) {
        ASSERT_LE(12, r.n);
        ASSERT_EQ(r.p[0] << 8 | r.p[1], m->p[0] << 8 | m->p[1]);
        ASSERT_EQ(r.p[2] >> 7, 1);
        ASSERT_LE(0, r.delay_ns);
    }
    return r;
}

static int rcode(const struct reply *r)
{
    ASSERT_LE(12, r->n);
    return r->p[3] & 15;
}

/* "RCODE" or "RCODE TTL DATA" of the only record, which must belong to the question as asked. */
static const char *brief(const struct reply *r, const struct msg *m)
{
    static char text[200];
    int n = snprintf(text, sizeof text, "%d", rcode(r));
    ASSERT_EQ(r->p[5], 1);
    ASSERT(memcmp(r->p + 12, m->p + 12, m->n - 12) == 0);
    if (r->p[7] == 0) {
        ASSERT_EQ(r->n, m->n);
        return text;
    }
    const unsigned char *a = r->p + m->n;
    ASSERT_EQ(r->p[7], 1);
    ASSERT_EQ(a[0] << 8 | a[1], 0xc00c);
    ASSERT(memcmp(a + 2, m->p + m->n - 4, 4) == 0); /* type and class as asked */
    size_t data_n = (size_t)a[10] << 8 | a[11];
    ASSERT_EQ(r->n, m->n + 12 + data_n);
    n += snprintf(text + n, sizeof text - (size_t)n, " %u ", (unsigned)a[8] << 8 | a[9]);
    for (size_t i = 0; i < data_n; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%02x", a[12 + i]);
    return text;
}

static const char *look_up(struct names *s, unsigned port, const char *name, unsigned type)
{
    struct msg m = ask(name, type);
    struct reply r = answer_to(s, port, &m);
    return brief(&r, &m);
}

static struct names server(void)
{
    struct names s;
    names_init(&s, entries, ARRAY_SIZE(entries));
    return s;
}

TEST(services_and_localhost_in_all_forms)
{
    static const struct {
        const char *name;
        unsigned type;
        const char *want;
    } rows[] = {
        {"redis-master", A, "0 5 0ad5000a"},
        {"REDIS-Master", A, "0 5 0ad5000a"},
        {"redis-master.prod", A, "0 5 0ad5000a"},
        {"redis-master.prod.svc", A, "0 5 0ad5000a"},
        {"redis-master.prod.svc.cluster.local", A, "0 5 0ad5000a"},
        {"redis-master.x.SVC.Cluster.Local", A, "0 5 0ad5000a"},
        {"gateway", A, "0 5 0ad5000b"},
        {"gateway.ns", AAAA, "0 5 fd53710000000000000000000000010b"},
        {"redis-master", AAAA, "0"},
        {"redis-master", NS, "0"},
        {"redis-master", ANY, "0"},
        {"redis-maste", A, "3"},
        {"redis-masterx", A, "3"},
        {"redis-master.prod.sv", A, "3"},
        {"redis-master.prod.svc.cluster", A, "3"},
        {"redis-master.prod.svc.cluster.local.x", A, "3"},
        {"redis-master.a.b", A, "3"},
        {"prod.redis-master", A, "3"},
        {"example.com", A, "3"},
        {"example.com", NS, "3"},
        {"", A, "3"},
        {"localhost", A, "0 5 7f000001"},
        {"localhost", AAAA, "0 5 00000000000000000000000000000001"},
        {"10.0.213.10.in-addr.arpa", PTR, "0 5 0c72656469732d6d617374657200"},
        {"10.0.213.10.IN-ADDR.ARPA", PTR, "0 5 0c72656469732d6d617374657200"},
        {"10.0.213.10.in-addr.arpa", A, "0"},
        {"1.0.0.127.in-addr.arpa", PTR, "0 5 096c6f63616c686f737400"},
        {"12.0.213.10.in-addr.arpa", PTR, "3"},
        {"010.0.213.10.in-addr.arpa", PTR, "3"},
        {"b.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.7.3.5.d.f.ip6.arpa", PTR,
         "0 5 074761746577617900"},
        {"c.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.7.3.5.d.f.ip6.arpa", PTR, "3"},
    };
    struct names s = server();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = look_up(&s, 1, rows[i].name, rows[i].type);
        if (strcmp(got, rows[i].want) != 0)
            TEST_FAIL("%s %u: %s, not %s", rows[i].name, rows[i].type, got, rows[i].want);
    }
}

TEST(flags_of_an_answer)
{
    struct names s = server();
    struct msg m = ask("gateway", A);
    struct reply r = answer_to(&s, 0, &m);
    ASSERT_EQ(r.p[2], 0x85); /* QR AA RD */
    ASSERT_EQ(r.p[3], 0x80); /* RA */
    ASSERT_EQ(r.delay_ns, 0);
    m.p[2] = 0;
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(r.p[2], 0x84);
}

TEST(a_dot_inside_a_label_is_no_separator)
{
    struct names s = server();
    struct msg m = ask_header(0x0100, 1, 0);
    add(&m, "\x11redis-master.prod", 19);
    add16(&m, A);
    add16(&m, 1);
    struct reply r = answer_to(&s, 0, &m);
    ASSERT_STREQ(brief(&r, &m), "3");
}

/* --- what is no good question ------------------------------------------------------------------
 */

TEST(refusals)
{
    struct names s = server();
    struct msg m = ask("gateway", A);
    struct reply r;

    m.p[2] |= 0x80; /* an answer */
    ASSERT_EQ(answer_to(&s, 0, &m).n, 0);
    m = ask("gateway", A);
    for (m.n = 0; m.n < 12; m.n++)
        ASSERT_EQ(answer_to(&s, 0, &m).n, 0);

    m = ask("gateway", A);
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        m.p[2] = (unsigned char)(opcode << 3 | 1);
        r = answer_to(&s, 0, &m);
        ASSERT_EQ(rcode(&r), 4);
        ASSERT_EQ(r.n, 12);
        ASSERT_EQ(r.p[2] & 0x7f, m.p[2]);
    }
    for (unsigned questions = 0; questions < 4; questions++) {
        m = ask("gateway", A);
        m.p[5] = (unsigned char)questions;
        r = answer_to(&s, 0, &m);
        ASSERT_EQ(rcode(&r), questions == 1 ? 0 : 1);
        ASSERT(questions == 1 || r.n == 12);
    }
    m = ask("gateway", A);
    size_t whole = m.n;
    for (m.n = 12; m.n < whole; m.n++) {
        r = answer_to(&s, 0, &m);
        ASSERT_EQ(rcode(&r), 1);
        ASSERT_EQ(r.n, 12);
    }
    m = ask("gateway", A);
    m.p[m.n - 1] = 3; /* class CH */
    r = answer_to(&s, 0, &m);
    ASSERT_STREQ(brief(&r, &m), "5");

    m = ask_header(0x0100, 1, 0);
    add(&m, "\xc0\x0c\0\1\0\1", 6); /* a pointer, here to itself */
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 1);
    m = ask_header(0x0100, 1, 0);
    add(&m, "\7gateway\xc0\x0c\0\1\0\1", 14);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 1);
}

TEST(names_have_255_bytes_at_most)
{
    struct names s = server();
    char name[300] = "";
    for (int i = 0; i < 126; i++)
        strcat(name, "x."); /* 252 bytes and the root: 253 */
    struct msg m = ask(name, A);
    struct reply r = answer_to(&s, 0, &m);
    ASSERT_STREQ(brief(&r, &m), "3");
    strcat(name, "x.");
    m = ask(name, A);
    r = answer_to(&s, 0, &m);
    ASSERT_STREQ(brief(&r, &m), "3");
    strcat(name, "x.");
    m = ask(name, A);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 1);
    ASSERT_EQ(r.n, 12);
}

static void add_opt(struct msg *m, unsigned version, unsigned flags, size_t data_n)
{
    add(m, "", 1);
    add16(m, 41);
    add16(m, 4096);
    add16(m, version);
    add16(m, flags);
    add16(m, (unsigned)data_n);
    for (size_t i = 0; i < data_n; i++)
        add(m, "o", 1);
}

TEST(edns_is_answered)
{
    struct names s = server();
    struct msg plain = ask("gateway", A), m = plain;
    struct reply r;
    m.p[11] = 1;
    add_opt(&m, 0, 0x8000, 12);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 0);
    ASSERT_EQ(r.p[7], 1);
    ASSERT_EQ(r.p[11], 1);
    static const unsigned char opt[] = {0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0, 0, 0};
    ASSERT(memcmp(r.p + r.n - 11, opt, 11) == 0);
    for (size_t whole = m.n--; m.n >= plain.n; m.n--) { /* cut anywhere */
        r = answer_to(&s, 0, &m);
        ASSERT_EQ(rcode(&r), 1);
        ASSERT_LT(m.n, whole);
    }

    m = plain; /* a version that nobody has */
    m.p[11] = 1;
    add_opt(&m, 1, 0, 0);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 0);
    ASSERT_EQ(r.p[7], 0);
    ASSERT_EQ(r.p[r.n - 6], 1); /* 16 = BADVERS */
    ASSERT_EQ(r.p[r.n - 5], 0);

    m = plain; /* two of them */
    m.p[11] = 2;
    add_opt(&m, 0, 0, 0);
    add_opt(&m, 0, 0, 0);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 1);

    m = plain; /* other additional records before it, their names by pointer */
    m.p[11] = 2;
    add(&m, "\1x\xc0\x0c\0\1\0\1\0\0\0\1\0\4abcd", 18);
    add_opt(&m, 0, 0, 0);
    r = answer_to(&s, 0, &m);
    ASSERT_EQ(rcode(&r), 0);
    ASSERT_EQ(r.p[11], 1);
}

/* --- rules -------------------------------------------------------------------------------------
 */

static struct lab_names rule(uint64_t id, enum lab_names_action action, const char *pattern)
{
    struct lab_names n = {.id = id, .seed = 7, .action = action};
    if (action == LAB_NAMES_DELAY)
        n.delay_ns = 1000;
    if (pattern) {
        n.patterns_n = 1;
        snprintf(n.patterns[0], LAB_NAME_BYTES, "%s", pattern);
    }
    port_set_add(&n.who, 1);
    port_set_add(&n.who, 511);
    return n;
}

static uint64_t met(const struct names *s, uint64_t id)
{
    uint64_t n = 0;
    ASSERT_OK(names_rule_report(s, id, &n));
    return n;
}

TEST(an_error_for_who_asks_from_there)
{
    struct names s = server();
    struct lab_names n = rule(1, LAB_NAMES_ERROR, NULL);
    ASSERT_OK(names_rule_add(&s, &n));
    ASSERT_STREQ(look_up(&s, 1, "gateway", A), "2");
    ASSERT_STREQ(look_up(&s, 511, "example.com", NS), "2");
    ASSERT_STREQ(look_up(&s, 2, "gateway", A), "0 5 0ad5000b");
    ASSERT_STREQ(look_up(&s, 0, "gateway", A), "0 5 0ad5000b");
    uint64_t count = 0;
    ASSERT_OK(names_rule_remove(&s, 1, &count));
    ASSERT_EQ(count, 2);
    ASSERT_STREQ(look_up(&s, 1, "gateway", A), "0 5 0ad5000b");
    ASSERT_EQ(names_rule_remove(&s, 1, &count), -ENOENT);
    ASSERT_EQ(names_rule_report(&s, 1, &count), -ENOENT);
}

TEST(bad_questions_meet_no_rule)
{
    struct names s = server();
    struct lab_names n = rule(1, LAB_NAMES_ERROR, NULL);
    ASSERT_OK(names_rule_add(&s, &n));
    struct msg m = ask("gateway", A);
    m.n--;
    struct reply r = answer_to(&s, 1, &m);
    ASSERT_EQ(rcode(&r), 1);
    ASSERT_EQ(met(&s, 1), 0);
}

TEST(random_addresses_are_nobodys_and_the_same_for_a_seed)
{
    struct names s = server(), other = server();
    struct lab_names n = rule(1, LAB_NAMES_RANDOM, NULL), before = rule(9, LAB_NAMES_RANDOM, "no");
    ASSERT_OK(names_rule_add(&s, &n));
    ASSERT_OK(names_rule_add(&other, &before));
    ASSERT_OK(names_rule_add(&other, &n));
    int highest = 0, different = 0;
    char first[100] = "";
    for (int i = 0; i < 300000; i++) {
        struct msg m = ask("gateway", A);
        struct reply r = answer_to(&s, 1, &m);
        const unsigned char *a = r.p + r.n - 4;
        ASSERT_EQ(rcode(&r), 0);
        ASSERT_EQ(a[-3], 10); /* ttl */
        for (int k = 0; k < 4; k++) {
            ASSERT_NE(a[k], 255);
            highest = a[k] > highest ? a[k] : highest;
        }
        ASSERT(a[0] != 0 && a[0] != 127 && !(a[0] == 10 && a[1] == 213));
        if (i < 100) {
            char text[100];
            snprintf(text, sizeof text, "%s", brief(&r, &m));
            ASSERT_STREQ(look_up(&other, 1, "anything.else", A), text);
            if (!i)
                strcpy(first, text);
            different += strcmp(first, text) != 0;
        }
    }
    ASSERT_EQ(highest, 254);
    ASSERT_EQ(different, 99);
    ASSERT_STREQ(look_up(&s, 1, "gateway", AAAA), "0 10 20010db8000000000000000000000053");
    ASSERT_STREQ(look_up(&s, 1, "x", PTR), "2");
    ASSERT_EQ(met(&s, 1), 300002);
    n.seed++;
    other = server();
    ASSERT_OK(names_rule_add(&other, &n));
    ASSERT(strcmp(look_up(&other, 1, "gateway", A), first) != 0);
}

TEST(delays_add_up_and_the_first_wrong_answer_decides)
{
    struct names s = server();
    struct lab_names slow = rule(1, LAB_NAMES_DELAY, "gate*"),
                     slower = rule(2, LAB_NAMES_DELAY, NULL);
    struct lab_names error = rule(3, LAB_NAMES_ERROR, "gateway"),
                     any = rule(4, LAB_NAMES_RANDOM, NULL);
    slower.delay_ns = NAMES_DELAY_MAX_NS;
    ASSERT_OK(names_rule_add(&s, &slow));
    ASSERT_OK(names_rule_add(&s, &error));
    ASSERT_OK(names_rule_add(&s, &any));
    ASSERT_OK(names_rule_add(&s, &slower));
    struct msg m = ask("gateway", A);
    struct reply r = answer_to(&s, 1, &m);
    ASSERT_STREQ(brief(&r, &m), "2");
    ASSERT_EQ(r.delay_ns, NAMES_DELAY_MAX_NS + 1000);
    ASSERT_EQ(met(&s, 4), 0); /* it did nothing */
    m = ask("redis-master", AAAA);
    r = answer_to(&s, 1, &m);
    ASSERT_STREQ(brief(&r, &m), "0 10 20010db8000000000000000000000053");
    ASSERT_EQ(r.delay_ns, NAMES_DELAY_MAX_NS);
    uint64_t count;
    ASSERT_OK(names_rule_remove(&s, 3, &count));
    ASSERT_EQ(count, 1);
    ASSERT_OK(names_rule_remove(&s, 4, &count));
    ASSERT_EQ(count, 1);
    m = ask("gateway", A);
    r = answer_to(&s, 1, &m);
    ASSERT_STREQ(brief(&r, &m), "0 5 0ad5000b");
    ASSERT_EQ(r.delay_ns, NAMES_DELAY_MAX_NS + 1000);
    ASSERT_EQ(met(&s, 1), 2);
    ASSERT_EQ(met(&s, 2), 3);
    r = answer_to(&s, 2, &m);
    ASSERT_EQ(r.delay_ns, 0);
}

TEST(patterns)
{
    static const struct {
        const char *pattern, *name;
        bool meets;
    } rows[] = {
        {"chaos-mesh.*", "chaos-mesh.org", true},
        {"chaos-mesh.*", "chaos-mesh", false},
        {"chaos-mesh.*", "chaos-meshes.org", false},
        {"chaos-mes?.org", "chaos-mesh.org", true},
        {"chaos-mes?.org", "chaos-mes.org", false},
        {"CHAOS-mesh.Org", "chaos-MESH.orG", true},
        {"example.com", "www.example.com", false},
        {"example.com", "example.com.x", false},
        {"example.com.", "example.com", true},
        {"*", "anything.at.all", true},
        {"e*", "x", false},
        /* a service by any of its forms */
        {"redis-master", "redis-master.prod.svc.cluster.local", true},
        {"redis-master.prod.svc.cluster.local", "redis-master", true},
        {"redis-master.prod.svc", "redis-master.other", true},
        {"redis-master.prod", "redis-master", true},
        {"redis-master.*", "redis-master", true},
        {"redis-master.prod.*", "redis-master", true},
        {"redis-master.pr*", "redis-master", true},
        {"redis-?aster.prod.svc*", "redis-master", true},
        {"redis-*", "redis-master.prod", true},
        {"REDIS-master.prod", "redis-MASTER", true},
        {"redis-master.prod.svc.other", "redis-master", false},
        {"redis-maste", "redis-master", false},
        {"gateway.prod", "redis-master", false},
        {"nobody.prod", "nobody", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct names s = server();
        struct lab_names n = rule(1, LAB_NAMES_ERROR, rows[i].pattern);
        ASSERT_OK(names_rule_add(&s, &n));
        look_up(&s, 1, rows[i].name, A);
        if (met(&s, 1) != rows[i].meets)
            TEST_FAIL("'%s' and '%s': %d", rows[i].pattern, rows[i].name, !rows[i].meets);
    }
    /* one of several is enough */
    struct names s = server();
    struct lab_names n = rule(1, LAB_NAMES_ERROR, "no");
    n.patterns_n = 2;
    strcpy(n.patterns[1], "example.*");
    ASSERT_OK(names_rule_add(&s, &n));
    ASSERT_STREQ(look_up(&s, 1, "example.com", A), "2");
    ASSERT_STREQ(look_up(&s, 1, "other", A), "3");
}

TEST(rules_that_cannot_be)
{
    static const char *const bad[] = {"", "*.org", "a*b", "**"};
    struct names s = server();
    struct lab_names n;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        n = rule(1, LAB_NAMES_ERROR, "x");
        strcpy(n.patterns[0], bad[i]);
        ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    }
    n = rule(1, LAB_NAMES_ERROR, "x");
    memset(n.patterns[0], 'x', LAB_NAME_BYTES);
    ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    n = rule(1, LAB_NAMES_ERROR, "x");
    n.patterns_n = LAB_NAME_PATTERNS + 1;
    ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    n = rule(1, LAB_NAMES_ACTION_COUNT, NULL);
    ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    n = rule(1, LAB_NAMES_DELAY, NULL);
    n.delay_ns = 0;
    ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    n.delay_ns = NAMES_DELAY_MAX_NS + 1;
    ASSERT_EQ(names_rule_add(&s, &n), -EINVAL);
    ASSERT_EQ(s.rules_n, 0);

    for (uint64_t id = 0; id < LAB_NAMES_MAX; id++) {
        n = rule(id, LAB_NAMES_ERROR, NULL);
        ASSERT_OK(names_rule_add(&s, &n));
        ASSERT_EQ(names_rule_add(&s, &n), -EEXIST);
    }
    n.id = 99;
    ASSERT_EQ(names_rule_add(&s, &n), -ENOSPC);
    uint64_t count;
    ASSERT_OK(names_rule_remove(&s, 3, &count));
    ASSERT_OK(names_rule_add(&s, &n));
    for (uint64_t id = 0; id < LAB_NAMES_MAX; id++)
        if (id != 3)
            ASSERT_EQ(met(&s, id), 0);
}

/* --- a client that we did not write ------------------------------------------------------------
 */

static _Noreturn void serve(int fd)
{
    struct names s = server();
    struct lab_names n = rule(1, LAB_NAMES_ERROR, "broken.*");
    names_rule_add(&s, &n);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(30);
    for (;;) {
        unsigned char in[2000], out[NAMES_ANSWER_BYTES];
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        int64_t delay;
        ssize_t r = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_n);
        if (r < 0)
            _exit(1);
        size_t k = names_answer(&s, 1, in, (size_t)r, out, sizeof out, &delay);
        if (k)
            sendto(fd, out, k, 0, (struct sockaddr *)&from, from_n);
    }
}

TEST(glibc_understands_the_answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_n = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_OK(bind(fd, (struct sockaddr *)&at, sizeof at));
    ASSERT_OK(getsockname(fd, (struct sockaddr *)&at, &at_n));
    pid_t pid = fork();
    if (pid == 0)
        serve(fd);
    close(fd);

    struct __res_state state = {0};
    unsigned char out[1000];
    ASSERT_OK(res_ninit(&state));
    state.nscount = 1;
    state.nsaddr_list[0] = at;
    state.retrans = 5;
    state.retry = 1;
    state.options |= RES_USE_EDNS0;
    int n = res_nquery(&state, "redis-master", C_IN, A, out, sizeof out);
    ASSERT_LT(12, n);
    ASSERT_EQ(out[7], 1);
    n = res_nquery(&state, "nobody", C_IN, A, out, sizeof out);
    ASSERT_EQ(n, -1);
    ASSERT_EQ(state.res_h_errno, HOST_NOT_FOUND);
    n = res_nquery(&state, "redis-master", C_IN, AAAA, out, sizeof out);
    ASSERT_EQ(n, -1);
    ASSERT_EQ(state.res_h_errno, NO_DATA);
    n = res_nquery(&state, "broken.example", C_IN, A, out, sizeof out);
    ASSERT_EQ(n, -1);
    ASSERT_EQ(state.res_h_errno, TRY_AGAIN);
    res_nclose(&state);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
