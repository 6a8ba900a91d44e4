/* The storm: phases in their order, the fault of each, and when recovery is reached. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cmd/run.h"

#define STEADY_SLOTS  4               /* recovery ends after so many good half seconds in a row */
#define UNDO_LIMIT_NS (60 * NS_PER_S) /* a fault's end is awaited at most so long */
#define FAULT_TTL_REST                                                                             \
    (90 * NS_PER_S) /* the agent undoes a fault by itself so long after its planned end */

static void next_phase(struct run *run, int64_t now_ns);

static void record_fault_state(struct run *run, int phase, const char *state,
                               const struct guard_event *e, const char *targets)
{
    const struct manifest *m = &run->manifests[phase];
    const struct fault *kind = fault_find(m->fault);
    struct record_fault f = {.fault = phase,
                             .phase = phase,
                             .name = m->name,
                             .kind = m->title,
                             .targets = targets,
                             .state = state,
                             .one_shot = kind && kind->one_shot,
                             .asked = e ? e->asked : NULL,
                             .measured = e ? e->measured : NULL,
                             .text = e ? e->text : NULL,
                             .t_ns = run_clock(run, e ? e->t_ns : clock_now_ns())};
    record_fault(run->record, &f);
}

static void fault_not_applied(struct run *run, const char *why)
{
    struct guard_event e = {.t_ns = clock_now_ns(), .text = why};
    run_event(run, e.t_ns, LIVE_BAD, "fault", run->manifests[run->phase].name, "not applied: %s",
              why);
    record_fault_state(run, run->phase, "failed", &e, "");
}

static void apply_fault(struct run *run)
{
    const struct manifest *m = &run->manifests[run->phase];
    static struct fault_request request;
    struct buf why = {0};
    char stream[128], targets[FAULT_TEXT_BYTES];
    snprintf(stream, sizeof stream, "fault/%s", run->plan->phases[run->phase].name);
    int n = manifest_request(m, run->plan, run->seed, stream, &request, &why);
    if (n == 0 || !run->bed.lab)
        fault_not_applied(run, run->bed.lab ? buf_str(&why) : "the plan has no lab");
    buf_done(&why);
    if (n == 0 || !run->bed.lab)
        return;
    request.ttl_ns = plans_fault_duration(&run->loaded, (size_t)run->phase) + FAULT_TTL_REST;
    for (int i = 0; i < n && fault_find(m->fault)->kills; i++)
        run->crew.v[request.targets[i]].faulted = true;
    fault_names(&request, targets, sizeof targets);
    run_event(run, clock_now_ns(), LIVE_WARN, "fault", m->name, "%s on %s", m->title, targets);
    record_fault_state(run, run->phase, "applying", NULL, targets);
    int r = guard_apply(run->bed.guard, run->phase, &request);
    if (r < 0)
        fault_not_applied(run, strerror(-r));
    else
        run->fault_active = true;
}

static void on_limit(struct loop *loop, struct timer *timer)
{
    struct run *run = container_of(timer, struct run, limit);
    if (!run->fault_ending)
        return;
    run->undo_failed = true;
    run_abort(run, EXIT_UNDO, "the end of fault \"%s\" was not confirmed in time",
              run->manifests[run->phase].name);
}

static void end_phase(struct run *run, int64_t now_ns)
{
    record_phase_end(run->record, run->phase, run_clock(run, now_ns));
    next_phase(run, now_ns);
}

static void on_phase_time(struct loop *loop, struct timer *timer)
{
    struct run *run = container_of(timer, struct run, phase_timer);
    const struct plan_phase *phase = &run->plan->phases[run->phase];
    if (run->state != RUN_STORM)
        return;
    if (phase->kind == PLAN_RECOVERY)
        run_event(run, loop->now_ns, LIVE_BAD, "phase", phase->name, "not steady within its limit");
    const struct fault *kind =
        phase->kind == PLAN_FAULT ? fault_find(run->manifests[run->phase].fault) : NULL;
    if (run->fault_active && kind && !kind->one_shot &&
        guard_undo(run->bed.guard, run->phase) == 0) {
        run->fault_ending = true;
        run_event(run, loop->now_ns, LIVE_PLAIN, "fault", run->manifests[run->phase].name,
                  "ending");
        timer_start(loop, &run->limit, loop->now_ns + UNDO_LIMIT_NS);
        return;
    }
    end_phase(run,
              run->phase_end_ns); /* not when the timer came: phases have their planned length */
}

static void fault_over(struct run *run, int phase)
{
    bool was_ending = run->fault_ending && phase == run->phase;
    if (phase == run->phase)
        run->fault_active = run->fault_ending = false;
    timer_stop(&run->loop, &run->limit);
    if (was_ending && run->state == RUN_STORM)
        end_phase(run, clock_now_ns());
}

static void on_fault_event(struct run *run, const struct guard_event *e)
{
    const char *name = run->manifests[e->fault].name;
    const char *asked = e->asked ? e->asked : "", *measured = e->measured ? e->measured : "";
    const char *why = e->text ? e->text : "";
    switch (e->kind) {
    case GUARD_FAULT_ACTIVE:
        run_event(run, e->t_ns, why[0] ? LIVE_PLAIN : LIVE_WARN, "fault", name,
                  "%s: asked %s; measured %s", why[0] ? why : "in effect", asked, measured);
        record_fault_state(run, e->fault, "active", e, NULL);
        break;
    case GUARD_FAULT_NO_EFFECT:
        run_event(run, e->t_ns, LIVE_BAD, "fault", name,
                  "no effect seen: asked %s; measured %s%s%s", asked,
                  measured[0] ? measured : "nothing", why[0] ? "; " : "", why);
        record_fault_state(run, e->fault, "no-effect", e, NULL);
        break;
    case GUARD_FAULT_FAILED:
        run_event(run, e->t_ns, LIVE_BAD, "fault", name, "could not be applied: %s", why);
        record_fault_state(run, e->fault, "failed", e, NULL);
        fault_over(run, e->fault);
        break;
    case GUARD_FAULT_ENDED:
        run_event(run, e->t_ns, LIVE_GOOD, "fault", name, "%s%s", measured[0] ? "undone: " : "",
                  measured[0] ? measured : why);
        record_fault_state(run, e->fault, "ended", e, NULL);
        fault_over(run, e->fault);
        break;
    case GUARD_FAULT_UNDO_FAILED:
        run_event(run, e->t_ns, LIVE_BAD, "fault", name, "undo not confirmed: %s", why);
        record_fault_state(run, e->fault, "undo-failed", e, NULL);
        run->undo_failed = true;
        fault_over(run, e->fault);
        break;
    case GUARD_AGENT_RESTARTED:
    case GUARD_LOST: break;
    }
}

void run_storm_guard_event(void *ctx, const struct guard_event *e)
{
    struct run *run = ctx;
    if (e->kind == GUARD_AGENT_RESTARTED) {
        run_event(run, e->t_ns, LIVE_BAD, "undo", "",
                  "the agent died and was replaced; its faults were undone");
    } else if (e->kind == GUARD_LOST) {
        run_abort(run, EXIT_TARGET, "the processes that guard the undo are gone%s%s",
                  e->text ? ": " : "", e->text ? e->text : "");
    } else if (run->record) {
        assert(e->fault >= 0 && (size_t)e->fault < run->plan->phases_n);
        on_fault_event(run, e);
    }
}

static void describe_phase(const struct run *run, char *text, size_t cap)
{
    static const char *const what[] = {"load on a healthy system", "",
                                       "waiting for steady answers at most", "load goes on"};
    _Static_assert(ARRAY_SIZE(what) == PLAN_PHASE_COUNT, "a sentence for each kind");
    const struct plan_phase *phase = &run->plan->phases[run->phase];
    char span[32];
    int64_t ns = phase->kind == PLAN_RECOVERY ? phase->within_ns
                 : phase->kind == PLAN_FAULT
                     ? plans_fault_duration(&run->loaded, (size_t)run->phase)
                     : phase->duration_ns;
    bool fault = phase->kind == PLAN_FAULT;
    snprintf(text, cap, "%s%s, %s", fault ? "the fault of " : what[phase->kind],
             fault ? run->manifests[run->phase].name : "",
             units_human_duration(ns, span, sizeof span));
}

static void next_phase(struct run *run, int64_t now_ns)
{
    struct err err = {0};
    char text[160];
    if (++run->phase == (int)run->plan->phases_n) {
        run->phase--;
        run_storm_done(run, now_ns);
        return;
    }
    const struct plan_phase *phase = &run->plan->phases[run->phase];
    int64_t length = phase->kind == PLAN_RECOVERY ? phase->within_ns
                     : phase->kind == PLAN_FAULT
                         ? plans_fault_duration(&run->loaded, (size_t)run->phase)
                         : phase->duration_ns;
    run->phase_start_ns = now_ns;
    run->phase_end_ns = now_ns + length;
    record_phase_start(run->record, run->phase, run_clock(run, now_ns));
    describe_phase(run, text, sizeof text);
    run_event(run, now_ns, LIVE_PLAIN, "phase", phase->name, "%s", text);
    if (run_loads_phase(run, &err) < 0) {
        run_abort(run, EXIT_TARGET, "%s", err.msg);
        return;
    }
    if (phase->kind == PLAN_FAULT)
        apply_fault(run);
    timer_start(&run->loop, &run->phase_timer, run->phase_end_ns);
}

void run_storm_start(struct run *run)
{
    timer_init(&run->phase_timer, on_phase_time);
    timer_init(&run->limit, on_limit);
    run_set_state(run, RUN_STORM);
    run_observe_start(run);
    next_phase(run, clock_now_ns());
}

static bool services_good(const struct run *run)
{
    for (size_t i = 0; i < run->plan->services_n; i++)
        if (!run->crew.v[i].good)
            return false;
    return true;
}

void run_storm_tick(struct run *run)
{
    const struct plan_phase *phase = &run->plan->phases[run->phase];
    int64_t now_ns = run->loop.now_ns;
    if (phase->kind != PLAN_RECOVERY ||
        now_ns - run->phase_start_ns < (STEADY_SLOTS + 1) * RUN_SLOT_NS)
        return;
    if (!services_good(run) || !run_loads_steady(run, STEADY_SLOTS))
        return;
    char took[32];
    run_event(run, now_ns, LIVE_GOOD, "phase", phase->name, "steady again, %s after the fault",
              units_human_duration(now_ns - run->phase_start_ns, took, sizeof took));
    timer_stop(&run->loop, &run->phase_timer);
    end_phase(run, now_ns);
}

void run_storm_end(struct run *run)
{
    if (run->state != RUN_STORM || run->phase < 0)
        return;
    timer_stop(&run->loop, &run->phase_timer);
    timer_stop(&run->loop, &run->limit);
    if (run->fault_active)
        guard_undo_all(run->bed.guard);
    record_phase_end(run->record, run->phase, run_clock(run, clock_now_ns()));
}
