/*
 * manifest_links.c - who of a NetworkChaos cannot talk to whom: sets of switch ports.
 *
 * `to` are packets from the source to the other side, `from` those back. A pair of ports that both
 * ways would name is named once, so that no packet meets the same fault twice. Without target and
 * externalTargets the other side is everybody, the load generator (port 0) included.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fault/manifest.h"
#include "fault/network_words.h"

#define WORDS IMPAIR_PORTS / 64
#define NAMES 8 /* at most so many in a text */

static struct port_set without(const struct port_set *a, const struct port_set *b)
{
    struct port_set s;
    for (size_t i = 0; i < WORDS; i++)
        s.bits[i] = a->bits[i] & ~b->bits[i];
    return s;
}

static struct port_set common(const struct port_set *a, const struct port_set *b)
{
    struct port_set s;
    for (size_t i = 0; i < WORDS; i++)
        s.bits[i] = a->bits[i] & b->bits[i];
    return s;
}

static void add(struct port_set *to, const struct port_set *more)
{
    for (size_t i = 0; i < WORDS; i++)
        to->bits[i] |= more->bits[i];
}

static unsigned count(const struct port_set *s)
{
    unsigned n = 0;
    for (size_t i = 0; i < WORDS; i++)
        n += (unsigned)__builtin_popcountll(s->bits[i]);
    return n;
}

/* Pairs of two different ports: the switch carries nothing from a port to itself. */
static unsigned pairs(const struct port_set *from, const struct port_set *to)
{
    struct port_set both = common(from, to);
    return count(from) * count(to) - count(&both);
}

struct sides {
    struct port_set source, other; /* other: on all ports */
    struct port_set ports[FAULT_LINKS];
    uint16_t port[FAULT_LINKS]; /* and on this one only */
    size_t ports_n;
};

static void add_external(struct sides *s, uint16_t port, const struct port_set *who)
{
    size_t i = 0;
    if (port == 0) {
        add(&s->other, who);
        return;
    }
    while (i < s->ports_n && s->port[i] != port)
        i++;
    assert(i < FAULT_LINKS);
    s->port[i] = port;
    add(&s->ports[i], who);
    s->ports_n = i == s->ports_n ? i + 1 : s->ports_n;
}

static void add_everybody(const struct plan *plan, struct port_set *ret)
{
    for (unsigned port = 0; port <= plan->services_n; port++)
        port_set_add(ret, port);
}

/* The other side; false and why, when nobody is there. */
static bool find_other(const struct manifest_network *n, const struct plan *plan, uint64_t seed,
                       const char *stream, struct sides *s, struct buf *why)
{
    int32_t targets[IMPAIR_PORTS];
    char name[160];
    struct rng rng;
    snprintf(name, sizeof name, "%.140s/target", stream);
    rng_init(&rng, seed, name);
    int picked =
        n->has_target ? manifest_pick(&n->target, plan, &rng, targets, IMPAIR_PORTS - 1) : 0;
    for (int i = 0; i < picked; i++)
        port_set_add(&s->other, (unsigned)targets[i] + 1);
    bool reached = false;
    for (size_t i = 0; i < n->externals_n; i++) {
        struct port_set who;
        reached = manifest_external_ports(&n->externals[i], plan, &who) > 0 || reached;
        add_external(s, n->externals[i].port, &who);
    }
    if (!n->has_target && !n->has_externals)
        add_everybody(plan, &s->other);
    else if (picked == 0 && !reached)
        buf_add_str(why,
                    n->has_target
                        ? "no service matches the selector of its target, or its mode drew none"
                        : "none of its externalTargets is in the lab");
    return why->n == 0;
}

struct parts {
    struct fault_network *network;
    struct rng rng;
};

static void add_part(struct parts *p, const struct port_set *from, const struct port_set *to,
                     uint16_t port)
{
    struct fault_network *n = p->network;
    unsigned count_pairs = pairs(from, to);
    if (count_pairs == 0)
        return;
    assert(n->links_n < FAULT_LINKS);
    n->links[n->links_n++] =
        (struct fault_link){.from = *from, .to = *to, .dst_port = port, .seed = rng_u64(&p->rng)};
    n->pairs_n += count_pairs;
}

static void add_way_to(struct parts *p, const struct sides *s)
{
    add_part(p, &s->source, &s->other, 0);
    for (size_t i = 0; i < s->ports_n; i++) {
        struct port_set rest = without(&s->ports[i], &s->other);
        add_part(p, &s->source, &rest, s->port[i]);
    }
}

/* beside: the way to is impaired as well, so what it has already is left out */
static void add_way_from(struct parts *p, const struct sides *s, bool beside)
{
    if (!beside) {
        add_part(p, &s->other, &s->source, 0);
        return;
    }
    struct port_set only = without(&s->other, &s->source), shared = common(&s->other, &s->source);
    struct port_set rest = without(&s->source, &s->other);
    add_part(p, &only, &s->source, 0);
    add_part(p, &shared, &rest, 0);
}

/* --- in words --------------------------------------------------------------------------------- */

static void add_names(const struct port_set *set, const struct plan *plan, const char *suffix,
                      struct buf *out)
{
    unsigned all = count(set), told = 0;
    for (unsigned port = 0; port <= plan->services_n && told < NAMES; port++)
        if (port_set_has(set, port))
            buf_printf(out, "%s%s%s", told++ ? ", " : "",
                       port ? plan->services[port - 1].name : "the load generator", suffix);
    if (all > told)
        buf_printf(out, " and %u more", all - told);
}

static bool is_everybody_else(const struct sides *s, const struct plan *plan)
{
    struct port_set all = s->other;
    add(&all, &s->source);
    return count(&all) == plan->services_n + 1;
}

static void add_other(const struct sides *s, const struct plan *plan, struct buf *out)
{
    char suffix[8];
    if (is_everybody_else(s, plan))
        buf_add_str(out, "everybody");
    else
        add_names(&s->other, plan, "", out);
    for (size_t i = 0; i < s->ports_n; i++) {
        struct port_set rest = without(&s->ports[i], &s->other);
        if (count(&rest) == 0)
            continue;
        snprintf(suffix, sizeof suffix, ":%u", (unsigned)s->port[i]);
        buf_add_str(out, out->n ? ", " : "");
        add_names(&rest, plan, suffix, out);
    }
}

static void describe(const struct manifest_network *n, const struct sides *s,
                     const struct plan *plan, struct fault_network *ret)
{
    struct buf source = {0}, other = {0}, what = {0};
    add_names(&s->source, plan, "", &source);
    add_other(s, plan, &other);
    bool back = n->direction == DIRECTION_FROM;
    snprintf(ret->where, sizeof ret->where, "%s -> %s%s", buf_str(back ? &other : &source),
             buf_str(back ? &source : &other), n->direction == DIRECTION_BOTH ? ", both ways" : "");
    network_words(&n->spec, &what);
    snprintf(ret->text, sizeof ret->text, "%s", buf_str(&what));
    buf_done(&source);
    buf_done(&other);
    buf_done(&what);
}

uint32_t manifest_links(const struct manifest *m, const struct plan *plan, uint64_t seed,
                        const char *stream, const struct port_set *sources,
                        struct fault_network *ret, struct buf *why)
{
    const struct manifest_network *n = m->network;
    struct sides s = {.source = *sources};
    struct parts parts = {.network = ret};
    char name[160];
    snprintf(name, sizeof name, "%.140s/packets", stream);
    rng_init(&parts.rng, seed, name);
    *ret = (struct fault_network){.spec = n->spec};
    if (!find_other(n, plan, seed, stream, &s, why))
        return 0;
    bool reset = strcmp(m->fault, "network-reset") == 0;
    if (reset || n->direction != DIRECTION_FROM)
        add_way_to(&parts, &s);
    if (!reset && n->direction != DIRECTION_TO)
        add_way_from(&parts, &s, n->direction == DIRECTION_BOTH);
    if (ret->links_n == 0)
        buf_add_str(why, "both of its sides are the same one service");
    describe(n, &s, plan, ret);
    return ret->links_n;
}
