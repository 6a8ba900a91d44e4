#include "fault/network_measure.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "fault/network_words.h"

/* With so little chance something may be absent, or a share be so far off, without a fault of the
 * switch. */
#define CHANCE_ABSENT 0.001
#define SIGMAS        4.42 /* one in 100,000 */
#define LATE_NS       NS_PER_MS
#define RATE_ROOM     1.05
#define PACKET_BYTES  1500

struct measure {
    const struct fault_network *asked;
    const struct impair_report *reports;
    const bool *told;
    struct impair_report all;
    unsigned told_n;
    struct buf text, absent, inexact; /* what was seen; sentences */
};

static void add_delays(struct impair_delay *to, const struct impair_delay *d)
{
    if (d->count == 0)
        return;
    double share = (double)d->count / (double)(to->count + d->count);
    to->min = to->count == 0 || d->min < to->min ? d->min : to->min;
    to->mean += (int64_t)(share * (double)(d->mean - to->mean));
    to->p50 += (int64_t)(share * (double)(d->p50 - to->p50));
    to->p99 = to->count == 0 || d->p99 > to->p99 ? d->p99 : to->p99;
    to->max = to->count == 0 || d->max > to->max ? d->max : to->max;
    to->count += d->count;
}

static void add_report(struct impair_report *to, const struct impair_report *r)
{
    to->packets += r->packets;
    to->bytes += r->bytes;
    to->partitioned += r->partitioned;
    to->lost += r->lost;
    to->duplicated += r->duplicated;
    to->corrupted += r->corrupted;
    to->reordered += r->reordered;
    to->over_limit += r->over_limit;
    to->overflow += r->overflow;
    to->passed += r->passed;
    to->passed_bytes += r->passed_bytes;
    to->held += r->held;
    add_delays(&to->asked, &r->asked);
    add_delays(&to->added, &r->added);
    add_delays(&to->late, &r->late);
}

static void seen(struct measure *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void seen(struct measure *m, const char *fmt, ...)
{
    va_list ap;
    buf_add_str(&m->text, m->text.n ? ", " : "");
    va_start(ap, fmt);
    buf_vprintf(&m->text, fmt, ap);
    va_end(ap);
}

static void sentence(struct buf *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void sentence(struct buf *to, const char *fmt, ...)
{
    va_list ap;
    buf_add_str(to, to->n ? "; " : "");
    va_start(ap, fmt);
    buf_vprintf(to, fmt, ap);
    va_end(ap);
}

/* --- shares ----------------------------------------------------------------------------------- */

/* How often one fate is to be expected, and how far from that chance leads. */
struct expected {
    double share, sigma; /* of all n packets; of the number of those that meet it */
    double independent;  /* so many independent draws n packets are worth */
};

/* `gap` - 1 packets in order before each one that may overtake (netem's counter): hits are renewals
 * whose distance is on average gap - 1 + 1 / p, with the variance of the geometric part. */
static struct expected expect(const struct impair_share *asked, double n, uint32_t gap)
{
    double p = asked->share, c = asked->correlation;
    double distance = gap - 1 + 1 / p, spread = (1 - p) / (p * p);
    double worth = (1 - c) / (1 + c); /* sigma is infinite when one draw holds for ever */
    return (struct expected){.share = 1 / distance,
                             .sigma = sqrt(n * spread / pow(distance, 3) / worth),
                             .independent = n * worth};
}

/* n packets of which `hit` met this fate. */
static void judge_share(struct measure *m, const char *name, const char *past,
                        const struct impair_share *asked, uint64_t n, uint64_t hit, uint32_t gap)
{
    if (asked->share <= 0)
        return;
    struct expected e = expect(asked, (double)n, gap);
    double percent = e.share * 100, leading = (double)m->asked->pairs_n * (gap - 1);
    if (hit == 0) {
        double draws = e.independent - leading;
        bool told = draws > 0 && pow(1 - asked->share, draws) < CHANCE_ABSENT;
        seen(m, "none %s", past);
        if (told)
            sentence(&m->absent, "%s of %.4g %% did not show", name, percent);
        else
            sentence(&m->absent,
                     "too few packets to tell %s of %.4g %%: more load, or a longer phase", name,
                     percent);
        return;
    }
    double share = (double)hit / (double)n * 100;
    seen(m, "%s %.3g %% (asked %.4g %%)", past, share, percent);
    /* less than one packet off is nothing, nor is one cycle on each link that is not complete */
    double off = fabs((double)hit - e.share * (double)n) - 1 - (gap > 1 ? m->asked->pairs_n : 0);
    if (e.independent * e.share >= 10 && off > SIGMAS * e.sigma)
        sentence(&m->inexact, "%s was %.3g %% where %.4g %% was asked", name, share, percent);
}

static void judge_shares(struct measure *m)
{
    const struct impair_spec *s = &m->asked->spec;
    const struct impair_report *r = &m->all;
    uint64_t rest = r->packets - (r->lost < r->packets ? r->lost : r->packets);
    judge_share(m, "loss", "lost", &s->loss, r->packets, r->lost, 1);
    /* what the rate's full queue took has no further fate; how much of it was the rate's is not
     * known beside a token bucket, so only sure ones count */
    if (r->over_limit && s->rate_bits_per_s)
        rest -= r->over_limit < rest ? r->over_limit : rest;
    judge_share(m, "duplication", "duplicated", &s->duplicate, rest, r->duplicated, 1);
    judge_share(m, "corruption", "corrupted", &s->corrupt, rest, r->corrupted, 1);
    if (s->latency_ns)
        judge_share(m, "reordering", "sent ahead", &s->reorder, rest, r->reordered,
                    s->reorder_gap ? s->reorder_gap : 1);
}

/* --- delay ------------------------------------------------------------------------------------ */

static void judge_delay(struct measure *m)
{
    const struct impair_spec *s = &m->asked->spec;
    const struct impair_report *r = &m->all;
    char p50[32], p99[32], latency[32], jitter[40] = "";
    if (s->latency_ns == 0 && s->jitter_ns == 0)
        return;
    if (r->added.count == 0) {
        sentence(&m->absent, r->held ? "no packet had left again when it ended: make the phase "
                                       "longer than the delay"
                                     : "no packet was delayed");
        return;
    }
    units_format_duration(s->latency_ns, latency, sizeof latency);
    if (s->jitter_ns) {
        char text[32];
        snprintf(jitter, sizeof jitter, " +-%s",
                 units_format_duration(s->jitter_ns, text, sizeof text));
    }
    seen(m, "added %s p50, %s p99 (asked %s%s)",
         units_human_duration(r->added.p50, p50, sizeof p50),
         units_human_duration(r->added.p99, p99, sizeof p99), latency, jitter);
}

static void judge_lateness(struct measure *m)
{
    const struct impair_spec *s = &m->asked->spec;
    char late[32];
    int64_t room_ns = LATE_NS;
    if (m->all.late.count == 0)
        return;
    room_ns = s->jitter_ns > room_ns ? s->jitter_ns : room_ns;
    room_ns = s->latency_ns / 10 > room_ns ? s->latency_ns / 10 : room_ns;
    units_human_duration(m->all.late.p99, late, sizeof late);
    seen(m, "lateness p99 %s", late);
    if (m->all.late.p99 > room_ns)
        sentence(&m->inexact,
                 "packets left up to %s (p99) later than asked: the machine was too busy; run it "
                 "on a quieter one, or with less load",
                 late);
}

/* --- rates ------------------------------------------------------------------------------------ */

static unsigned senders(const struct port_set *s)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(s->bits); i++)
        n += (unsigned)__builtin_popcountll(s->bits[i]);
    return n;
}

/* One limit for each port that sends; `bucket` bytes of it pass at once. */
static bool too_fast(const struct fault_link *l, const struct impair_report *r, double bytes_per_s,
                     double bucket)
{
    double span_s = (double)(r->last_ns - r->first_ns) / 1e9;
    double most =
        senders(&l->from) * (bytes_per_s * span_s * RATE_ROOM + bucket + 2 * PACKET_BYTES);
    return (double)r->passed_bytes > most;
}

static void judge_one_rate(struct measure *m, const char *name, double bytes_per_s, double bucket)
{
    double fastest = 0;
    bool fast = false;
    for (uint32_t i = 0; i < m->asked->links_n; i++) {
        const struct impair_report *r = &m->reports[i];
        if (!m->told[i] || r->last_ns <= r->first_ns)
            continue;
        double rate = (double)r->passed_bytes / ((double)(r->last_ns - r->first_ns) / 1e9);
        fastest = rate > fastest ? rate : fastest;
        fast = fast || too_fast(&m->asked->links[i], r, bytes_per_s, bucket);
    }
    struct buf text = {0};
    words_bytes((uint64_t)fastest, &text);
    seen(m, "%s passed", buf_str(&text));
    if (fast)
        sentence(&m->inexact, "%s passed, more than the %s asked", buf_str(&text), name);
    buf_done(&text);
}

static void judge_rates(struct measure *m)
{
    const struct impair_spec *s = &m->asked->spec;
    const struct impair_bandwidth *b = &s->bandwidth;
    const struct impair_report *r = &m->all;
    if (!s->rate_bits_per_s && !b->rate_bytes_per_s)
        return;
    if (s->rate_bits_per_s)
        judge_one_rate(m, "rate", (double)s->rate_bits_per_s / 8, 0);
    if (b->rate_bytes_per_s)
        judge_one_rate(m, "bandwidth", (double)b->rate_bytes_per_s, (double)b->buffer_bytes);
    if (r->over_limit) {
        seen(m, "%llu dropped at the full queue", (unsigned long long)r->over_limit);
        return;
    }
    /* beside a delay nobody can say which of the two made a packet wait */
    if (r->asked.count == 0 && r->held == 0 && !s->latency_ns && !s->jitter_ns)
        sentence(&m->absent, "no packet had to wait: the traffic stayed below what was asked; send "
                             "more, or ask for less");
}

/* --- together --------------------------------------------------------------------------------- */

static void judge(struct measure *m)
{
    const struct impair_report *r = &m->all;
    if (m->told_n < m->asked->links_n)
        sentence(&m->absent, m->told_n ? "only some of its links could be measured; see the events "
                                         "of the run"
                                       : "its links could not be measured; see the events of the "
                                         "run");
    else if (r->packets == 0)
        sentence(&m->absent,
                 "no packet met it: nobody talked over %s while it lasted; give it load, or make "
                 "the phase longer",
                 m->asked->where);
    if (r->packets == 0)
        return;
    if (m->asked->spec.partition) {
        seen(m, r->partitioned == r->packets ? "none passed" : "some passed");
        if (r->partitioned < r->packets)
            sentence(&m->inexact, "%llu of them passed a partition",
                     (unsigned long long)(r->packets - r->partitioned));
        return;
    }
    judge_delay(m);
    judge_shares(m);
    judge_rates(m);
    judge_lateness(m);
    if (r->held)
        seen(m, "%llu still on their way", (unsigned long long)r->held);
    if (r->overflow)
        sentence(&m->inexact,
                 "the switch had no room for %llu packets; ask for less delay, or send less",
                 (unsigned long long)r->overflow);
}

void network_measure(const struct fault_network *asked, const struct impair_report *reports,
                     const bool *told, struct fault_result *ret)
{
    struct measure m = {.asked = asked, .reports = reports, .told = told};
    struct buf count = {0};
    for (uint32_t i = 0; i < asked->links_n; i++) {
        if (!told[i])
            continue;
        m.told_n++;
        add_report(&m.all, &reports[i]);
    }
    judge(&m);
    words_count(m.all.packets, &count);
    snprintf(ret->measured, sizeof ret->measured, "%s packet%s met it%s%s", buf_str(&count),
             m.all.packets == 1 ? "" : "s", m.text.n ? ": " : "", buf_str(&m.text));
    ret->result = m.absent.n || m.inexact.n ? -ENODATA : 0;
    snprintf(ret->why, sizeof ret->why, "%s%s",
             m.absent.n    ? ""
             : m.inexact.n ? "not exact: "
                           : "",
             buf_str(m.absent.n ? &m.absent : &m.inexact));
    buf_done(&count);
    buf_done(&m.text);
    buf_done(&m.absent);
    buf_done(&m.inexact);
}
