#include "lab/chain.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lab/gso.h"

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

static void go_on(struct chain *c, struct parcel *p, uint64_t after, int64_t now_ns);

/* ---- a run of packets inside one fault ---- */

/* Packets first to first + n - 1 of a parcel that share their fate. */
struct run {
    unsigned first, n;
    int64_t came_ns; /* into the fault */
    int64_t asked_ns, due_ns;
    int64_t corrupt_bit; /* of a run of one; -1 = intact */
    bool in_bucket;
    const char *note;
};

static void drop(struct chain *c, struct impairment *im, const struct parcel *p,
                 const struct gso_train *t, unsigned i, unsigned n, int64_t now_ns, const char *why)
{
    if (!c->config.lost)
        return;
    struct held *room = hold_take(&c->hold, gso_run_bytes(&p->pkt, t, i, n));
    if (!room)
        return;
    struct parcel *view = &room->parcel;
    unsigned char *bytes = view->pkt.p;
    *view = (struct parcel){.link = p->link, .came_ns = p->came_ns, .pkt.p = bytes};
    gso_cut(&p->pkt, t, i, n, &view->pkt);
    memcpy(view->note, p->note, sizeof view->note);
    parcel_note(view, "%s: %s", im->order.name, why);
    c->config.lost(c->config.ctx, view, now_ns);
    hold_give(&c->hold, room);
}

static void leave(struct chain *c, struct impairment *im, struct parcel *p, const struct run *run,
                  unsigned n, size_t bytes, int64_t now_ns)
{
    impairment_left(im, now_ns, n, bytes);
    if (run->asked_ns > 0)
        impairment_delayed(im, n, run->asked_ns, now_ns - run->came_ns);
    if (c->config.notes && run->asked_ns > 0)
        parcel_note(p, "%s: delayed %.6f s, asked %.6f s", im->order.name,
                    (double)(now_ns - run->came_ns) / 1e9, (double)run->asked_ns / 1e9);
    go_on(c, p, im->sequence, now_ns);
}

static size_t wire_bytes(const struct pkt *k, const struct gso_train *t)
{
    return k->n + (t->n - 1) * t->header_bytes;
}

static void flip(struct pkt *k, int64_t bit)
{
    gso_finish_checksum(k);
    k->p[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

/* Sends the run on its way: now, or into the hold until it is due. */
static void emit(struct chain *c, struct impairment *im, struct parcel *p,
                 const struct gso_train *t, const struct run *run, int64_t now_ns);

/* The second half of a fault: every packet waits for its tokens. */
static void into_bucket(struct chain *c, struct impairment *im, struct parcel *p,
                        const struct run *before, int64_t now_ns)
{
    struct shaper *shaper = impairment_shaper(im, p->link->from);
    struct gso_train t;
    gso_look(&p->pkt, &t);
    for (unsigned i = 0; i < t.n; i++) {
        int64_t at_ns =
            shaper_bucket(shaper, &im->order.spec.bandwidth, now_ns, gso_bytes(&p->pkt, &t, i));
        if (at_ns < 0) {
            im->figures.over_limit++;
            drop(c, im, p, &t, i, 1, now_ns, "lost, the queue is full");
            continue;
        }
        struct run run = {.first = i,
                          .n = 1,
                          .came_ns = before->came_ns,
                          .asked_ns = before->asked_ns + at_ns - now_ns,
                          .due_ns = at_ns,
                          .corrupt_bit = -1,
                          .in_bucket = true};
        emit(c, im, p, &t, &run, now_ns);
    }
}

/* What is done with a run whose time has come, in a parcel of its own. */
static void arrive(struct chain *c, struct impairment *im, struct parcel *p, const struct run *run,
                   int64_t now_ns)
{
    struct gso_train t;
    gso_look(&p->pkt, &t);
    size_t bytes = wire_bytes(&p->pkt, &t);
    if (run->in_bucket)
        shaper_left(impairment_shaper(im, p->link->from), bytes);
    else if (im->order.spec.bandwidth.rate_bytes_per_s) {
        into_bucket(c, im, p, run, now_ns);
        return;
    }
    leave(c, im, p, run, t.n, bytes, now_ns);
}

static struct held *copy_run(struct chain *c, const struct parcel *p, const struct gso_train *t,
                             const struct run *run)
{
    struct held *held = hold_take(&c->hold, gso_run_bytes(&p->pkt, t, run->first, run->n));
    if (!held)
        return NULL;
    held->parcel.link = p->link;
    held->parcel.came_ns = p->came_ns;
    held->parcel.note[0] = '\0';
    if (c->config.notes)
        memcpy(held->parcel.note, p->note, sizeof held->parcel.note);
    gso_cut(&p->pkt, t, run->first, run->n, &held->parcel.pkt);
    return held;
}

static void emit(struct chain *c, struct impairment *im, struct parcel *p,
                 const struct gso_train *t, const struct run *run, int64_t now_ns)
{
    bool whole = run->n == t->n && run->corrupt_bit < 0 && !run->note;
    if (run->due_ns <= now_ns && whole) {
        arrive(c, im, p, run, now_ns);
        return;
    }
    struct held *held = copy_run(c, p, t, run);
    if (!held) {
        im->figures.overflow += run->n;
        if (run->in_bucket)
            shaper_left(impairment_shaper(im, p->link->from), gso_bytes(&p->pkt, t, run->first));
        drop(c, im, p, t, run->first, run->n, now_ns, "lost, the switch has no room");
        return;
    }
    if (run->corrupt_bit >= 0)
        flip(&held->parcel.pkt, run->corrupt_bit);
    if (run->note && c->config.notes)
        parcel_note(&held->parcel, "%s: %s", im->order.name, run->note);
    if (run->due_ns <= now_ns) {
        arrive(c, im, &held->parcel, run, now_ns);
        hold_give(&c->hold, held);
        return;
    }
    held->in = im;
    held->came_ns = run->came_ns;
    held->asked_ns = run->asked_ns;
    held->in_bucket = run->in_bucket;
    held->packets = run->n;
    im->figures.held += run->n;
    hold_put(&c->hold, held, run->due_ns);
}

/* ---- the first half of a fault: the fate of each packet ---- */

/* -ENOBUFS: the queue of the rate is full. */
static int64_t due_of(struct impairment *im, const struct parcel *p, size_t bytes, int64_t delay_ns,
                      bool overtakes, int64_t now_ns)
{
    if (im->order.spec.rate_bits_per_s == 0 || overtakes)
        return now_ns + delay_ns;
    return shaper_rate(impairment_shaper(im, p->link->from), &im->order.spec, now_ns,
                       now_ns + delay_ns, bytes);
}

static void emit_alone(struct chain *c, struct impairment *im, struct parcel *p,
                       const struct gso_train *t, unsigned i, int64_t due_ns, int64_t corrupt_bit,
                       const char *note, int64_t now_ns)
{
    emit(c, im, p, t,
         &(struct run){.first = i,
                       .n = 1,
                       .came_ns = now_ns,
                       .asked_ns = due_ns - now_ns,
                       .due_ns = due_ns,
                       .corrupt_bit = corrupt_bit,
                       .note = note},
         now_ns);
}

static void flush(struct chain *c, struct impairment *im, struct parcel *p,
                  const struct gso_train *t, struct run *run, int64_t now_ns)
{
    if (run->n)
        emit(c, im, p, t, run, now_ns);
    run->n = 0;
}

static void add_to_run(struct chain *c, struct impairment *im, struct parcel *p,
                       const struct gso_train *t, struct run *run, unsigned i, int64_t due_ns,
                       int64_t now_ns)
{
    if (run->n && (run->due_ns != due_ns || run->first + run->n != i))
        flush(c, im, p, t, run, now_ns);
    if (run->n == 0)
        *run = (struct run){.first = i,
                            .came_ns = now_ns,
                            .asked_ns = due_ns - now_ns,
                            .due_ns = due_ns,
                            .corrupt_bit = -1};
    run->n++;
}

static void copy_of(struct chain *c, struct impairment *im, struct parcel *p,
                    const struct gso_train *t, unsigned i, int64_t delay_ns, int64_t now_ns)
{
    int64_t due_ns = due_of(im, p, gso_bytes(&p->pkt, t, i), delay_ns, false, now_ns);
    im->figures.duplicated++;
    if (due_ns >= 0)
        emit_alone(c, im, p, t, i, due_ns, -1, "copy", now_ns);
    else
        im->figures.over_limit++;
}

static void one_packet(struct chain *c, struct impairment *im, struct parcel *p,
                       const struct gso_train *t, unsigned i, struct run *run, int64_t now_ns)
{
    struct fate fate;
    size_t bytes = gso_bytes(&p->pkt, t, i);
    lane_fate(impairment_lane(im, p->link->from, p->link->to), &im->order.spec, bytes, &fate);
    int64_t due_ns = fate.lost ? 0 : due_of(im, p, bytes, fate.delay_ns, fate.overtakes, now_ns);
    if (fate.lost || due_ns < 0) {
        flush(c, im, p, t, run, now_ns);
        im->figures.lost += fate.lost;
        im->figures.over_limit += !fate.lost;
        drop(c, im, p, t, i, 1, now_ns, fate.lost ? "lost" : "lost, the queue is full");
        return;
    }
    im->figures.reordered += fate.overtakes;
    im->figures.corrupted += fate.corrupt_bit >= 0;
    if (fate.corrupt_bit >= 0 || fate.overtakes) {
        flush(c, im, p, t, run, now_ns);
        emit_alone(c, im, p, t, i, due_ns, fate.corrupt_bit,
                   fate.corrupt_bit < 0 ? "ahead of its turn" : "corrupted", now_ns);
    } else {
        add_to_run(c, im, p, t, run, i, due_ns, now_ns);
    }
    if (fate.duplicated) {
        flush(c, im, p, t, run, now_ns);
        copy_of(c, im, p, t, i, fate.copy_delay_ns, now_ns);
    }
}

static void meet(struct chain *c, struct impairment *im, struct parcel *p, int64_t now_ns)
{
    struct gso_train t;
    gso_look(&p->pkt, &t);
    im->figures.packets += t.n;
    im->figures.bytes += wire_bytes(&p->pkt, &t);
    if (im->order.spec.partition) {
        im->figures.partitioned += t.n;
        drop(c, im, p, &t, 0, t.n, now_ns, "partitioned");
        return;
    }
    struct run run = {.corrupt_bit = -1};
    if (!im->per_packet) {
        int64_t latency_ns = im->order.spec.latency_ns;
        run = (struct run){.n = t.n,
                           .came_ns = now_ns,
                           .asked_ns = latency_ns,
                           .due_ns = now_ns + latency_ns,
                           .corrupt_bit = -1};
        emit(c, im, p, &t, &run, now_ns);
        return;
    }
    for (unsigned i = 0; i < t.n; i++)
        one_packet(c, im, p, &t, i, &run, now_ns);
    flush(c, im, p, &t, &run, now_ns);
}

static void go_on(struct chain *c, struct parcel *p, uint64_t after, int64_t now_ns)
{
    struct impairment *im = next_fault(c, p, after);
    if (im)
        meet(c, im, p, now_ns);
    else
        c->config.out(c->config.ctx, p, now_ns);
}

void chain_enter(struct chain *c, struct parcel *p)
{
    go_on(c, p, 0, p->came_ns);
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
    struct run run = {.n = held->packets,
                      .came_ns = held->came_ns,
                      .asked_ns = held->asked_ns,
                      .due_ns = now_ns,
                      .corrupt_bit = -1,
                      .in_bucket = held->in_bucket};
    im->figures.held -= held->packets;
    arrive(c, im, &held->parcel, &run, now_ns);
    hold_give(&c->hold, held);
    if (im->ended && im->figures.held == 0)
        forget(c, im);
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
