/* chain.c - which fault a packet meets next, what is due, and orders. */
#include "lab/chain.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lab/chain_parts.h"

#define LATENCY_MAX_NS (3600 * NS_PER_S)
#define FRAGMENT_BITS  0x1fff

int chain_init(struct chain *c, const struct chain_config *config)
{
    *c = (struct chain){.config = *config};
    return hold_init(&c->hold);
}

void chain_done(struct chain *c)
{
    for (unsigned i = 0; i < LAB_LINKS_MAX; i++)
        impairment_free(c->slots[i]);
    hold_done(&c->hold);
    *c = (struct chain){0};
}

void parcel_note(struct parcel *p, const char *fmt, ...)
{
    size_t n = strlen(p->note);
    va_list ap;
    if (n + 3 >= sizeof p->note)
        return;
    if (n) {
        memcpy(p->note + n, "; ", 3);
        n += 2;
    }
    va_start(ap, fmt);
    vsnprintf(p->note + n, sizeof p->note - n, fmt, ap);
    va_end(ap);
}

/* ---- which fault is next ---- */

static unsigned dst_port_of(const struct pkt *k)
{
    const unsigned char *ip = k->p;
    bool six = ip[0] >> 4 == 6;
    size_t l4 = six ? 40 : (size_t)(ip[0] & 15) * 4;
    unsigned protocol = six ? ip[6] : ip[9];
    const unsigned char *ports = pkt_get(k, l4, 4);
    if (!ports || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) ||
        (!six && pkt_load16(ip + 6) & FRAGMENT_BITS))
        return 0;
    return pkt_load16(ports + 2);
}

static struct impairment *next_fault(struct chain *c, const struct parcel *p, uint64_t after)
{
    uint32_t mask = p->link->impaired;
    for (unsigned i = 0; mask && i < c->ordered_n; i++) {
        struct impairment *im = c->ordered[i];
        if (im->sequence <= after || !(mask & 1u << im->slot))
            continue;
        if (im->order.dst_port == 0 || im->order.dst_port == dst_port_of(&p->pkt))
            return im;
    }
    return NULL;
}

void chain_go_on(struct chain *c, struct parcel *p, uint64_t after, int64_t now_ns)
{
    struct impairment *im = next_fault(c, p, after);
    if (im)
        chain_meet(c, im, p, now_ns);
    else
        c->config.out(c->config.ctx, p, now_ns);
}

void chain_enter(struct chain *c, struct parcel *p)
{
    chain_go_on(c, p, 0, p->came_ns);
}

/* ---- time ---- */

static void forget(struct chain *c, struct impairment *im)
{
    unsigned at = 0;
    while (c->ordered[at] != im)
        at++;
    memmove(c->ordered + at, c->ordered + at + 1, (c->ordered_n - at - 1) * sizeof c->ordered[0]);
    c->ordered_n--;
    c->slots[im->slot] = NULL;
    impairment_free(im);
}

static void release(struct chain *c, struct held *held, int64_t now_ns)
{
    struct impairment *im = held->in;
    if (!im) {
        c->config.out(c->config.ctx, &held->parcel, now_ns);
        hold_give(&c->hold, held);
        return;
    }
    struct run run = {.n = held->packets,
                      .came_ns = held->came_ns,
                      .asked_ns = held->asked_ns,
                      .due_ns = now_ns,
                      .corrupt_bit = -1,
                      .in_bucket = held->in_bucket};
    im->figures.held -= held->packets;
    chain_arrive(c, im, &held->parcel, &run, now_ns);
    hold_give(&c->hold, held);
    if (im->ended && im->figures.held == 0)
        forget(c, im);
}

void chain_keep(struct chain *c, struct held *held, int64_t due_ns)
{
    held->in = NULL;
    hold_put(&c->hold, held, due_ns);
}

int64_t chain_run_due(struct chain *c)
{
    struct held *held;
    while (hold_next_ns(&c->hold) != INT64_MAX) {
        int64_t now_ns = c->config.now(c->config.ctx);
        if (!(held = hold_due(&c->hold, now_ns)))
            break;
        release(c, held, now_ns);
    }
    return hold_next_ns(&c->hold);
}

/* ---- orders ---- */

static struct impairment *find(const struct chain *c, uint64_t id)
{
    for (unsigned i = 0; i < c->ordered_n; i++)
        if (c->ordered[i]->order.id == id && !c->ordered[i]->ended)
            return c->ordered[i];
    return NULL;
}

static bool share_ok(const struct impair_share *s)
{
    return s->share >= 0 && s->share <= 1 && s->correlation >= 0 && s->correlation <= 1;
}

static bool sensible(const struct chain *c, const struct lab_link *o)
{
    const struct impair_spec *s = &o->spec;
    for (unsigned i = c->config.ports_n; i < IMPAIR_PORTS; i++)
        if (port_set_has(&o->from, i) || port_set_has(&o->to, i))
            return false;
    return memchr(o->name, '\0', sizeof o->name) && s->latency_ns >= 0 && s->jitter_ns >= 0 &&
           s->latency_ns <= LATENCY_MAX_NS && s->jitter_ns <= LATENCY_MAX_NS &&
           s->latency_correlation >= 0 && s->latency_correlation <= 1 && share_ok(&s->loss) &&
           share_ok(&s->duplicate) && share_ok(&s->corrupt) && share_ok(&s->reorder);
}

static void mark_links(struct chain *c, const struct impairment *im, bool on)
{
    unsigned n = c->config.ports_n;
    for (unsigned i = 0; i < n * n; i++) {
        struct link *l = &c->config.links[i];
        uint32_t bit = 1u << im->slot;
        if (impairment_covers(im, l->from, l->to))
            l->impaired = on ? l->impaired | bit : l->impaired & ~bit;
    }
}

int chain_add(struct chain *c, const struct lab_link *order)
{
    unsigned slot = 0;
    if (!sensible(c, order))
        return -EINVAL;
    if (find(c, order->id))
        return -EEXIST;
    while (slot < LAB_LINKS_MAX && c->slots[slot])
        slot++;
    if (slot == LAB_LINKS_MAX)
        return -ENOSPC;
    struct impairment *im = impairment_new(order, ++c->sequence);
    im->slot = slot;
    c->slots[slot] = im;
    c->ordered[c->ordered_n++] = im;
    mark_links(c, im, true);
    return 0;
}

int chain_remove(struct chain *c, uint64_t id, struct impair_report *ret)
{
    struct impairment *im = find(c, id);
    if (!im)
        return -ENOENT;
    impairment_report(im, ret);
    mark_links(c, im, false);
    im->ended = true;
    if (im->figures.held == 0)
        forget(c, im);
    return 0;
}

int chain_report(const struct chain *c, uint64_t id, struct impair_report *ret)
{
    const struct impairment *im = find(c, id);
    if (!im)
        return -ENOENT;
    impairment_report(im, ret);
    return 0;
}
