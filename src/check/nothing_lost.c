/*
 * nothing lost: every accepted request is in the final state, exactly once.
 *
 * Speaks about the whole run, whatever phase is named: what was accepted in one phase may be lost
 * in another. Fails when something accepted is missing (lost) or is there more often than it can be
 * (duplicated). What was answered no, or never answered, and is there all the same (unexpected,
 * recovered) is shown but allowed: at worst the sender tries again. Inconclusive when there is
 * nothing to match, or either side of the match is not known to be whole.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/eval.h"
#include "check/kinds.h"
#include "check/settle.h"

#define CANDIDATES_MAX 4 /* requests named in one line */
#define KEY_SHOWN_MAX  120

enum show { SHOW_LOST, SHOW_DUPLICATED, SHOW_UNEXPECTED, SHOW_RECOVERED, SHOW_COUNT };

struct match {
    struct check_eval *e;
    const struct reader_load *load;
    int index;
    struct arena keys; /* of items and objects, while matching */
    struct settle_item *items;
    struct settle_object *objects;
    size_t items_n, items_cap, objects_n, objects_cap;
    struct settle_finding *findings; /* of the kind shown */
    size_t findings_n, findings_cap;
    uint64_t with_items; /* accepted or unknown requests that have a key */
    uint64_t last_request;
    enum show show;
    struct buf when_lost;
};

/* Index of the phase that t_ns lies in, -1 = none. */
static int phase_at(const struct check_eval *e, int64_t t_ns)
{
    for (size_t i = e->phases_n; i-- > 0;)
        if (e->phases[i].start_ns >= 0 && t_ns >= e->phases[i].start_ns)
            return (int)i;
    return -1;
}

static const char *phase_name(const struct check_eval *e, int phase)
{
    return phase < 0 ? "no phase" : e->phases[phase].name;
}

static int add_item(void *ctx, const struct ledger_row *row, struct str key)
{
    struct match *m = ctx;
    if (m->items_n == m->items_cap) {
        m->items_cap = m->items_cap ? m->items_cap * 2 : 1024;
        m->items = xrealloc(m->items, m->items_cap, sizeof *m->items);
    }
    bool matters = row->fate == FATE_ACCEPTED || row->fate == FATE_UNKNOWN;
    if (matters && (m->with_items == 0 || row->id != m->last_request)) {
        m->with_items++;
        m->last_request = row->id;
    }
    m->items[m->items_n++] = (struct settle_item){arena_strndup(&m->keys, key.p, key.n), row->id,
                                                  row->fate, (int16_t)phase_at(m->e, row->due_ns)};
    return 0;
}

static int add_object(void *ctx, struct str key, int64_t count)
{
    struct match *m = ctx;
    if (m->objects_n == m->objects_cap) {
        m->objects_cap = m->objects_cap ? m->objects_cap * 2 : 1024;
        m->objects = xrealloc(m->objects, m->objects_cap, sizeof *m->objects);
    }
    m->objects[m->objects_n++] =
        (struct settle_object){arena_strndup(&m->keys, key.p, key.n), count};
    return 0;
}

/* --- is each side whole? NULL = yes ------------------------------------------------------------
 */

static const char *state_problem(struct match *m, const struct reader_settled *s)
{
    struct check_eval *e = m->e;
    if (!m->load->settled)
        return "the load is not settled; say under `settle:` where its work must be found";
    if (!s->read)
        return "the final state was never read; the run ended before";
    if (s->problem && s->problem[0])
        return arena_printf(e->a, "the final state could not be read: %s", s->problem);
    if (!s->stable)
        return "the final state kept changing; give the settlement a longer `within`";
    return NULL;
}

static const char *rows_problem(struct match *m, const struct reader_fates *f)
{
    struct check_eval *e = m->e;
    const struct record_load *end = &m->load->end;
    if (!m->load->ended)
        return "the generator's own count is missing because the run was cut off; run it again";
    for (int fate = FATE_ACCEPTED; fate < FATE_COUNT; fate++)
        if (f->fates[fate] != end->fates[fate])
            return arena_printf(e->a,
                                "the run file has %s %s requests, the generator counted %s; rows "
                                "are missing, look for errors of the disk",
                                eval_count(e, f->fates[fate]), fate_names[fate],
                                eval_count(e, end->fates[fate]));
    if (f->due != end->due)
        return arena_printf(e->a, "%s requests were due but %s have a fate",
                            eval_count(e, end->due), eval_count(e, f->due));
    if (f->fates[FATE_ACCEPTED] == 0)
        return "no request was accepted, so there was nothing to lose";
    if (m->with_items != f->fates[FATE_ACCEPTED] + f->fates[FATE_UNKNOWN])
        return "some requests have no settlement key in the run file";
    return NULL;
}

/* --- what a person reads ------------------------------------------------------------------------
 */

static void name_request(struct match *m, const struct settle_item *item, struct buf *b)
{
    struct ledger_row row;
    buf_printf(b, "%llu", (unsigned long long)item->request);
    if (reader_request(m->e->r, m->index, item->request, &row))
        return;
    buf_printf(b, " (sent %s", eval_clock(m->e, row.sent_ns));
    if (row.answered_ns)
        buf_printf(b, ", answered %s", eval_clock(m->e, row.answered_ns));
    if (row.fate != FATE_ACCEPTED)
        buf_printf(b, ", %s", fate_names[row.fate]);
    buf_printf(b, ", %s)", phase_name(m->e, phase_at(m->e, row.due_ns)));
}

static void name_requests(struct match *m, const struct settle_finding *f, struct buf *b)
{
    size_t all = 0;
    for (size_t i = 0; i < f->items_n; i++) {
        /* what may be lost is what was accepted */
        if (m->show == SHOW_LOST && f->items[i].fate != FATE_ACCEPTED)
            continue;
        if (all++ >= CANDIDATES_MAX)
            continue;
        buf_add_str(b, all == 1 ? "; request " : ", ");
        name_request(m, &f->items[i], b);
    }
    if (all > CANDIDATES_MAX)
        buf_printf(b, " and %zu more", all - CANDIDATES_MAX);
}

static void show_finding(struct match *m, const struct settle_finding *f)
{
    static const char *const words[] = {"lost", "duplicated", "unexpected", "recovered"};
    _Static_assert(ARRAY_SIZE(words) == SHOW_COUNT, "a word for each");
    struct check_eval *e = m->e;
    if (e->ret->details_n == CHECK_DETAILS_MAX) { /* count it, but look nothing up */
        e->ret->details_all++;
        return;
    }
    struct buf b = {0};
    buf_printf(&b, "%s: '%s': ", words[m->show], eval_quote(e, str_of(f->key), KEY_SHOWN_MAX));
    if (m->load->counted)
        buf_printf(
            &b, "%s of %s accepted%s found", eval_count(e, f->found), eval_count(e, f->accepted),
            f->unknown ? arena_printf(e->a, " and %s unknown", eval_count(e, f->unknown)) : "");
    else
        buf_printf(&b, "accepted %s times, found %s times", eval_count(e, f->accepted),
                   eval_count(e, f->found));
    name_requests(m, f, &b);
    eval_detail(e, "%s", buf_str(&b));
    buf_done(&b);
}

static void keep_finding(void *ctx, const struct settle_finding *f)
{
    struct match *m = ctx;
    const uint64_t n[SHOW_COUNT] = {f->lost, f->duplicated, f->unexpected, f->recovered};
    if (n[m->show] == 0)
        return;
    if (m->findings_n == m->findings_cap) {
        m->findings_cap = m->findings_cap ? m->findings_cap * 2 : 64;
        m->findings = xrealloc(m->findings, m->findings_cap, sizeof *m->findings);
    }
    m->findings[m->findings_n++] = *f;
}

/* In the order in which they were sent; what nobody sent comes last. */
static int by_first_request(const void *pa, const void *pb)
{
    const struct settle_finding *a = pa, *b = pb;
    uint64_t ra = a->items_n ? a->items[0].request : UINT64_MAX;
    uint64_t rb = b->items_n ? b->items[0].request : UINT64_MAX;
    return ra != rb ? (ra < rb ? -1 : 1) : strcmp(a->key, b->key);
}

/* When did it happen? Of keys that are not there at all each accepted request is lost for certain;
 * of the others it is not known which. */
static void say_when_lost(const struct match *m, struct buf *b)
{
    struct check_eval *e = m->e;
    uint64_t *lost = arena_array(e->a, e->phases_n + 1, sizeof *lost), in_part = 0;
    const char *before = "; lost: ";
    for (size_t i = 0; i < m->findings_n; i++) {
        const struct settle_finding *f = &m->findings[i];
        for (size_t k = 0; f->found == 0 && k < f->items_n; k++)
            lost[f->items[k].phase + 1] += f->items[k].fate == FATE_ACCEPTED;
        in_part += f->found ? f->lost : 0;
    }
    for (size_t i = 0; i <= e->phases_n; i++)
        if (lost[i]) {
            buf_printf(b, "%s%s accepted in %s", before, eval_count(e, lost[i]),
                       phase_name(e, (int)i - 1));
            before = ", ";
        }
    if (in_part)
        buf_printf(b, "%s%s of keys that were found in part", before, eval_count(e, in_part));
}

static void match_and_show(struct match *m, struct settle_totals *ret)
{
    settle_sort(m->items, m->items_n, m->objects, m->objects_n);
    for (m->show = SHOW_LOST; m->show < SHOW_COUNT; m->show++) {
        m->findings_n = 0;
        settle_match(m->items, m->items_n, m->objects, m->objects_n, m->load->counted, keep_finding,
                     m, ret);
        if (m->findings_n)
            qsort(m->findings, m->findings_n, sizeof *m->findings, by_first_request);
        if (m->show == SHOW_LOST)
            say_when_lost(m, &m->when_lost);
        for (size_t i = 0; i < m->findings_n; i++)
            show_finding(m, &m->findings[i]);
    }
}

static void say(struct match *m, const struct reader_fates *f, const struct settle_totals *t,
                struct eval_outcome *o)
{
    struct check_eval *e = m->e;
    struct buf b = {0};
    buf_printf(&b, "%s of %s lost", eval_count(e, t->lost), eval_count(e, t->fates[FATE_ACCEPTED]));
    if (t->duplicated)
        buf_printf(&b, ", %s duplicated", eval_count(e, t->duplicated));
    if (t->fates[FATE_UNKNOWN])
        buf_printf(&b, "; %s unknown, %s recovered", eval_count(e, t->fates[FATE_UNKNOWN]),
                   eval_count(e, t->recovered));
    if (t->unexpected)
        buf_printf(&b, "; %s unexpected", eval_count(e, t->unexpected));
    o->value = arena_strdup(e->a, buf_str(&b));
    o->limit = "none lost, none twice";
    o->value_num = (double)(t->lost + t->duplicated);
    o->limit_num = 0;
    buf_clear(&b);
    buf_printf(&b, "due %s = %s accepted + %s refused + %s failed + %s unknown + %s unsent; ",
               eval_count(e, f->due), eval_count(e, f->fates[FATE_ACCEPTED]),
               eval_count(e, f->fates[FATE_REFUSED]), eval_count(e, f->fates[FATE_FAILED]),
               eval_count(e, f->fates[FATE_UNKNOWN]), eval_count(e, f->fates[FATE_UNSENT]));
    buf_printf(&b, "accepted %s%s = %s found + %s lost", eval_count(e, t->fates[FATE_ACCEPTED]),
               t->fates[FATE_ACCEPTED] == f->fates[FATE_ACCEPTED] ? "" : " items",
               eval_count(e, t->accepted_found), eval_count(e, t->lost));
    buf_add_str(&b, buf_str(&m->when_lost));
    o->reason = arena_strdup(e->a, buf_str(&b));
    buf_done(&b);
}

static int match_all(struct match *m, const struct reader_settled *settled, const char *spoiled)
{
    struct check_eval *e = m->e;
    const char *problem = state_problem(m, settled);
    if (problem)
        return eval_inconclusive(e, "%s", problem);
    struct reader_fates f;
    int rc = reader_fates(e->r, m->index, READER_ALL, &f);
    if (rc == 0)
        rc = reader_items(e->r, m->index, add_item, m);
    if (rc == 0)
        rc = reader_objects(e->r, m->index, add_object, m);
    if (rc)
        return rc;
    if ((problem = rows_problem(m, &f)))
        return eval_inconclusive(e, "%s", problem);
    struct settle_totals t;
    struct eval_outcome o = EVAL_OUTCOME;
    match_and_show(m, &t);
    say(m, &f, &t, &o);
    o.verdict = t.lost || t.duplicated ? VERDICT_FAIL : VERDICT_PASS;
    if (spoiled) {
        o.verdict = VERDICT_INCONCLUSIVE;
        o.reason = spoiled;
    }
    return eval_conclude(e, &o);
}

static int nothing_lost_run(struct record *r, const struct plan *plan,
                            const struct plan_check *check, struct check_results *out,
                            struct check_result *ret)
{
    struct plan_check whole = {.kind = check->kind, .load = check->load, .when = PLAN_ALWAYS};
    struct check_eval e;
    struct match m = {.e = &e};
    int rc = eval_open(&e, r, &whole, out, ret);
    if (rc || !(m.load = eval_load(&e, &m.index)))
        return rc;
    struct reader_settled settled;
    if ((rc = reader_settled(r, e.a, m.index, &settled)))
        return rc;
    struct eval_window *windows;
    size_t n;
    eval_windows(&e, &windows, &n);
    arena_init(&m.keys);
    rc = match_all(&m, &settled, windows[0].spoiled);
    arena_done(&m.keys);
    buf_done(&m.when_lost);
    free(m.items);
    free(m.objects);
    free(m.findings);
    return rc;
}

const struct check_kind check_nothing_lost = {
    .name = "nothing lost",
    .help = "every accepted request is in the final state, exactly once",
    .run = nothing_lost_run,
};
