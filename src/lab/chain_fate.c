/* chain_fate.c - what one fault does to a packet, or to a train of packets that is not cut yet. */
#include <string.h>

#include "lab/chain_parts.h"

/* ---- a run of packets inside one fault ---- */

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
    chain_go_on(c, p, im->sequence, now_ns);
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
void chain_arrive(struct chain *c, struct impairment *im, struct parcel *p, const struct run *run,
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
        chain_arrive(c, im, p, run, now_ns);
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
        chain_arrive(c, im, &held->parcel, run, now_ns);
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

void chain_meet(struct chain *c, struct impairment *im, struct parcel *p, int64_t now_ns)
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
