#include "lab/lane.h"

#include <stdio.h>

static void open_draw(struct draw *d, uint64_t seed, unsigned from, unsigned to, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "link/%u>%u/%s", from, to, what);
    *d = (struct draw){0};
    rng_init(&d->rng, seed, name);
}

void lane_init(struct lane *lane, uint64_t seed, unsigned from, unsigned to)
{
    *lane = (struct lane){.ready = true};
    open_draw(&lane->loss, seed, from, to, "loss");
    open_draw(&lane->duplicate, seed, from, to, "duplicate");
    open_draw(&lane->corrupt, seed, from, to, "corrupt");
    open_draw(&lane->delay, seed, from, to, "delay");
    open_draw(&lane->reorder, seed, from, to, "reorder");
}

/* Uniform in [0, 1) however strong the correlation. */
static double draw(struct draw *d, double correlation)
{
    if (d->any && correlation > 0 && rng_unit(&d->rng) < correlation)
        return d->last;
    d->any = true;
    return d->last = rng_unit(&d->rng);
}

static bool hits(struct draw *d, const struct impair_share *s)
{
    return s->share > 0 && draw(d, s->correlation) < s->share;
}

static int64_t draw_delay(struct lane *lane, const struct impair_spec *spec)
{
    if (spec->jitter_ns == 0)
        return spec->latency_ns;
    double u = draw(&lane->delay, spec->latency_correlation);
    int64_t ns = spec->latency_ns + (int64_t)((2 * u - 1) * (double)spec->jitter_ns);
    return ns > 0 ? ns : 0;
}

/* The counter is netem's: `gap` - 1 packets in order come before each one that may overtake. */
static bool overtakes(struct lane *lane, const struct impair_spec *spec)
{
    if (spec->reorder.share <= 0 || spec->latency_ns + spec->jitter_ns == 0)
        return false;
    uint32_t gap = spec->reorder_gap ? spec->reorder_gap : 1;
    if (lane->in_order + 1 < gap || !hits(&lane->reorder, &spec->reorder)) {
        lane->in_order++;
        return false;
    }
    lane->in_order = 0;
    return true;
}

void lane_fate(struct lane *lane, const struct impair_spec *spec, size_t bytes, struct fate *ret)
{
    *ret = (struct fate){.corrupt_bit = -1};
    ret->lost = hits(&lane->loss, &spec->loss);
    ret->duplicated = hits(&lane->duplicate, &spec->duplicate);
    if (hits(&lane->corrupt, &spec->corrupt) && bytes)
        ret->corrupt_bit = (int64_t)rng_below(&lane->corrupt.rng, bytes * 8);
    ret->overtakes = overtakes(lane, spec);
    ret->delay_ns = ret->overtakes ? 0 : draw_delay(lane, spec);
    if (ret->duplicated)
        ret->copy_delay_ns = draw_delay(lane, spec);
}
