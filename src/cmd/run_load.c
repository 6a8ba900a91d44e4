/* The loads in a run: when each starts and stops, its rows into the run file, its figures for the
 * screen and for "steady". */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cmd/run.h"

#define DRAIN_ROWS 65536

/* The first and last phase the load runs in; a load runs through from one to the other. */
static void find_phases(struct run_load *l, const struct plan *plan)
{
    l->first_phase = 0;
    l->last_phase = (int)plan->phases_n - 1;
    if (l->plan->phases.n == 0)
        return;
    l->first_phase = (int)plan->phases_n;
    l->last_phase = -1;
    for (size_t i = 0; i < l->plan->phases.n; i++) {
        int phase = plan_find_phase(plan, l->plan->phases.v[i]);
        assert(phase >= 0);
        l->first_phase = phase < l->first_phase ? phase : l->first_phase;
        l->last_phase = phase > l->last_phase ? phase : l->last_phase;
    }
}

int run_loads_open(struct run *run, struct err *err)
{
    run->loads = xcalloc(run->plan->loads_n + 1, sizeof *run->loads);
    for (size_t i = 0; i < run->plan->loads_n; i++) {
        struct run_load *l = &run->loads[i];
        *l = (struct run_load){
            .run = run, .plan = &run->plan->loads[i], .index = (int)i, .p50_ns = -1, .p99_ns = -1};
        l->template_seed = load_template_seed(run->seed, l->plan->name);
        l->second = hist_new();
        find_phases(l, run->plan);
        struct load_config config = {.plan = l->plan,
                                     .seed = run->seed,
                                     .run_start_ns = run->start_ns,
                                     .enter_ctx = run->bed.lab};
        /* a loopback address is outside: a service that somebody else started */
        if (run->bed.lab && plan_find_service(run->plan, l->plan->host))
            config.enter = lab_enter_client;
        int r = run_target_addr(run, l->plan->host, l->plan->port, &config.target);
        if (r < 0)
            return err_at(
                err, r, l->plan->url_pos.file, l->plan->url_pos.line, l->plan->url_pos.column,
                "load \"%s\": \"%s\" is neither a service of the lab nor a loopback address",
                l->plan->name, l->plan->host);
        if ((r = load_new(&config, &l->load, err)) < 0)
            return err_wrap(err, "load \"%s\"", l->plan->name);
    }
    return 0;
}

static void stop_load(struct run_load *l, int64_t at_ns)
{
    if (!l->started || l->stopped)
        return;
    load_stop(l->load, at_ns);
    l->stopped = true;
}

/* The end of the last phase is often known when it begins: told ahead, the workers end on the exact
 * instant, so that rate x time is the number of requests. */
static void plan_ahead(struct run *run)
{
    enum plan_phase_kind kind = run->plan->phases[run->phase].kind;
    if (kind != PLAN_BASELINE && kind != PLAN_COOLDOWN)
        return;
    for (size_t i = 0; i < run->plan->loads_n; i++)
        if (run->loads[i].last_phase == run->phase)
            stop_load(&run->loads[i], run->phase_end_ns);
}

int run_loads_phase(struct run *run, struct err *err)
{
    for (size_t i = 0; i < run->plan->loads_n; i++) {
        struct run_load *l = &run->loads[i];
        if (run->phase > l->last_phase)
            stop_load(l, run->phase_start_ns);
        if (l->started || run->phase < l->first_phase || run->phase > l->last_phase)
            continue;
        int r = load_start(l->load, run->phase_start_ns, err);
        if (r < 0)
            return err_wrap(err, "load \"%s\"", l->plan->name);
        l->started = true;
        l->started_ns = run_clock(run, run->phase_start_ns);
        l->second_at_ns = run->phase_start_ns;
    }
    plan_ahead(run);
    return 0;
}

void run_loads_stop(struct run *run, int64_t at_ns)
{
    for (size_t i = 0; i < run->plan->loads_n; i++)
        stop_load(&run->loads[i], at_ns);
}

void run_loads_abort(struct run *run)
{
    for (size_t i = 0; run->loads && i < run->plan->loads_n; i++)
        if (run->loads[i].load && run->loads[i].started) {
            load_abort(run->loads[i].load);
            run->loads[i].stopped = true;
        }
}

static void on_row(void *ctx, const struct ledger_row *row)
{
    struct run_load *l = ctx;
    const struct plan_settle *settle = &l->plan->settle;
    struct str keys[16];
    static char texts[16][512]; /* main's thread only */
    size_t n = 0;
    if (settle->from) {
        struct template_values values;
        template_bind(&l->plan->vars, l->template_seed, row->id, &values);
        for (; n < settle->keys_n && n < 16; n++) {
            size_t len = template_render(settle->keys[n], &values, texts[n], sizeof texts[n]);
            keys[n] = (struct str){texts[n], len < sizeof texts[n] ? len : sizeof texts[n]};
        }
    }
    record_request(l->run->record, l->index, row, n ? keys : NULL, n);
    if (row->answered_ns > 0 && row->status > 0) {
        hist_record(l->second,
                    row->answered_ns - (l->plan->model == PLAN_OPEN ? row->due_ns : row->sent_ns));
        l->second_answers++;
    }
}

static void finish_load(struct run_load *l)
{
    struct load_counts c;
    struct hist *lateness = hist_new();
    load_counts(l->load, &c);
    load_lateness(l->load, lateness);
    l->drained = true;
    l->ended_ns = run_clock(l->run, clock_now_ns());
    struct record_load end = {.due = c.due,
                              .sent = c.sent,
                              .late = c.late,
                              .connects = c.connects,
                              .lateness_p99_ns = hist_quantile(lateness, 0.99),
                              .lateness_max_ns = c.lateness_max_ns,
                              .started_ns = l->started_ns,
                              .ended_ns = l->ended_ns};
    memcpy(end.fates, c.fates, sizeof end.fates);
    record_load_end(l->run->record, l->index, &end);
    hist_free(lateness);
}

static void roll_second(struct run_load *l, int64_t now_ns)
{
    if (now_ns - l->second_at_ns < NS_PER_S)
        return;
    l->rate_per_s = (double)l->second_answers * 1e9 / (double)(now_ns - l->second_at_ns);
    l->p50_ns = l->second_answers ? hist_quantile(l->second, 0.50) : -1;
    l->p99_ns = l->second_answers ? hist_quantile(l->second, 0.99) : -1;
    l->second_at_ns = now_ns;
    l->second_answers = 0;
    hist_clear(l->second);
}

void run_loads_drain(struct run *run)
{
    int64_t now_ns = clock_now_ns();
    for (size_t i = 0; run->loads && i < run->plan->loads_n; i++) {
        struct run_load *l = &run->loads[i];
        if (!l->load || !l->started || l->drained)
            continue;
        bool running =
            load_running(l->load); /* before the drain: what closes after it is seen next time */
        while (load_drain(l->load, DRAIN_ROWS, on_row, l) == DRAIN_ROWS)
            ;
        roll_second(l, now_ns);
        if (l->stopped && !running)
            finish_load(l);
    }
}

bool run_loads_drained(const struct run *run)
{
    for (size_t i = 0; i < run->plan->loads_n; i++)
        if (run->loads[i].started && !run->loads[i].drained)
            return false;
    return true;
}

uint64_t run_loads_in_flight(const struct run *run)
{
    uint64_t open = 0;
    for (size_t i = 0; i < run->plan->loads_n; i++) {
        struct load_counts c = {0};
        if (run->loads[i].started)
            load_counts(run->loads[i].load, &c);
        open += c.open;
    }
    return open;
}

static uint64_t closed_of(const struct load_counts *c)
{
    uint64_t n = 0;
    for (int f = FATE_ACCEPTED; f < FATE_COUNT; f++)
        n += c->fates[f];
    return n;
}

void run_loads_slot(struct run *run)
{
    run->slot = (run->slot + 1) % RUN_SLOTS;
    run->slot_at_ns = run->loop.now_ns;
    for (size_t i = 0; run->loads && i < run->plan->loads_n; i++) {
        struct run_load *l = &run->loads[i];
        struct load_counts now = {0};
        if (!l->load)
            continue;
        load_counts(l->load, &now);
        l->slots[run->slot].closed = closed_of(&now) - closed_of(&l->slot_base);
        l->slots[run->slot].accepted = now.fates[FATE_ACCEPTED] - l->slot_base.fates[FATE_ACCEPTED];
        l->slot_base = now;
    }
}

/* Answers come and at least 99 % of them are good: the plain meaning of "it works again". */
static bool load_steady(const struct run *run, const struct run_load *l, int slots)
{
    uint64_t closed = 0, accepted = 0;
    for (int k = 0; k < slots; k++) {
        int at = (run->slot - k + RUN_SLOTS) % RUN_SLOTS;
        closed += l->slots[at].closed;
        accepted += l->slots[at].accepted;
    }
    return closed > 0 && accepted * 100 >= closed * 99;
}

bool run_loads_steady(const struct run *run, int slots)
{
    assert(slots <= RUN_SLOTS);
    for (size_t i = 0; i < run->plan->loads_n; i++)
        if (run->loads[i].started && !run->loads[i].stopped &&
            !load_steady(run, &run->loads[i], slots))
            return false;
    return true;
}

void run_loads_close(struct run *run)
{
    for (size_t i = 0; run->loads && i < run->plan->loads_n; i++) {
        load_free(run->loads[i].load);
        hist_free(run->loads[i].second);
    }
    free(run->loads);
    run->loads = NULL;
}
