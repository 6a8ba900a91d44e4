#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/check.h"
#include "cmd/finish.h"
#include "cmd/pack.h"
#include "cmd/run.h"

#define TICK_NS (100 * NS_PER_MS)

static const char *const state_names[] = {"preparing", "storm",    "draining",
                                          "settling",  "stopping", "done"};
_Static_assert(ARRAY_SIZE(state_names) == RUN_STATE_COUNT, "a name for each state");

void run_set_state(struct run *run, enum run_state state)
{
    assert(state > run->state || (state == run->state && state == RUN_STOPPING));
    log_debug("run", "%s -> %s", state_names[run->state], state_names[state]);
    run->state = state;
}

void run_event(struct run *run, int64_t t_ns, enum live_tone tone, const char *kind,
               const char *subject, const char *fmt, ...)
{
    static const char *const severities[] = {[LIVE_PLAIN] = "info",
                                             [LIVE_GOOD] = "info",
                                             [LIVE_WARN] = "warn",
                                             [LIVE_BAD] = "err",
                                             [LIVE_DIM] = "info"};
    char text[ERR_MSG_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int64_t at = run_clock(run, t_ns);
    if (run->record)
        record_event(run->record,
                     &(struct record_event){at, kind, subject, severities[tone], text});
    if (run->live)
        live_line(run->live, at, tone, kind, "%s%s%s", subject ? subject : "",
                  subject && subject[0] ? ": " : "", text);
}

static void wind_down(struct run *run)
{
    run_storm_end(run);
    run_loads_abort(run);
    run_loads_drain(run);
    run_settle_done(run);
    run_observe_stop(run);
    if (run->state < RUN_STOPPING)
        run_set_state(run, RUN_STOPPING);
    if (!run->bed.lab || lab_stop(run->bed.lab) < 0)
        run_set_state(run, RUN_DONE);
}

void run_abort(struct run *run, int exit_status, const char *fmt, ...)
{
    if (run->state >= RUN_STOPPING)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(run->failure, sizeof run->failure, fmt, ap);
    va_end(ap);
    run->exit_status = exit_status;
    run_event(run, clock_now_ns(), LIVE_BAD, "run", "", "%s", run->failure);
    wind_down(run);
}

void run_on_signal(struct signals *signals, int signo)
{
    struct run *run = container_of(signals, struct run, signals);
    if (run->interrupted) {
        run_event(run, clock_now_ns(), LIVE_WARN, "run", "", "second SIG%s: killing the lab",
                  sigabbrev_np(signo));
        if (run->state < RUN_DONE)
            run_set_state(run, RUN_DONE);
        return;
    }
    run->interrupted = signo;
    run_abort(run, 128 + signo, "interrupted by SIG%s: undoing, keeping what was recorded",
              sigabbrev_np(signo));
}

static void update_live(struct run *run)
{
    struct live_service services[64];
    struct live_load loads[16];
    int services_n = 0, loads_n = 0;
    for (size_t i = 0; i < run->plan->services_n && services_n < 64; i++)
        services[services_n++] = (struct live_service){run->plan->services[i].name,
                                                       run->crew.v[i].state, run->crew.v[i].good};
    for (size_t i = 0; i < run->plan->loads_n && loads_n < 16; i++) {
        const struct run_load *l = &run->loads[i];
        struct load_counts c = {0};
        if (l->load)
            load_counts(l->load, &c);
        loads[loads_n++] = (struct live_load){.name = l->plan->name,
                                              .rate_per_s = l->rate_per_s,
                                              .p50_ns = l->p50_ns,
                                              .p99_ns = l->p99_ns,
                                              .accepted = c.fates[FATE_ACCEPTED],
                                              .refused = c.fates[FATE_REFUSED],
                                              .failed = c.fates[FATE_FAILED],
                                              .unknown = c.fates[FATE_UNKNOWN],
                                              .unsent = c.fates[FATE_UNSENT],
                                              .open = c.open};
    }
    bool in_phase = run->state == RUN_STORM && run->phase >= 0;
    struct live_status status = {
        .t_ns = run_clock(run, run->loop.now_ns),
        .phase = in_phase ? run->plan->phases[run->phase].name : state_names[run->state],
        .phase_left_ns =
            in_phase && run->phase_end_ns >= 0 ? run->phase_end_ns - run->loop.now_ns : -1,
        .loads = loads,
        .loads_n = loads_n,
        .services = services,
        .services_n = services_n,
    };
    live_status(run->live, &status);
}

static void on_tick(struct loop *loop, struct timer *timer)
{
    struct run *run = container_of(timer, struct run, tick);
    if (run->bed.guard)
        guard_beat(run->bed.guard);
    run_loads_drain(run);
    if (loop->now_ns - run->slot_at_ns >= RUN_SLOT_NS)
        run_loads_slot(run);
    if (run->state == RUN_STORM)
        run_storm_tick(run);
    if (run->state == RUN_DRAINING && run_loads_drained(run)) {
        run_set_state(run, RUN_SETTLING);
        run_settle_start(run);
    }
    record_tick(run->record, loop->now_ns, false);
    if (record_error(run->record) < 0 && run->state < RUN_STOPPING)
        run_abort(run, EXIT_INCONCLUSIVE, "run file %s: %s: nothing more can be recorded",
                  run->out_path, strerror(-record_error(run->record)));
    update_live(run);
    timer_start(loop, timer, loop->now_ns + TICK_NS);
}

/* The storm is over: everything that was sent gets its time to be answered. */
void run_storm_done(struct run *run, int64_t now_ns)
{
    run_loads_stop(run, now_ns);
    uint64_t open = run_loads_in_flight(run);
    if (open)
        run_event(run, now_ns, LIVE_PLAIN, "load", "",
                  "the storm is over; %llu in flight get their time to be answered",
                  (unsigned long long)open);
    run_set_state(run, RUN_DRAINING);
}

static void greet(struct run *run)
{
    run_lab_tell_recovered(run);
    timer_init(&run->tick, on_tick);
    timer_start(&run->loop, &run->tick, run->loop.now_ns);
    run_event(run, run->start_ns, LIVE_PLAIN, "run", run->plan->name, "seed %llu, %s, %s",
              (unsigned long long)run->seed, run->bed.lab ? lab_tier(run->bed.lab) : "no lab",
              run->machine);
    run_lab_tell_tier(run);
    if (run->bed.lab)
        lab_start(run->bed.lab);
    else
        run_storm_start(run);
}

static int conclude(struct run *run)
{
    const char *how = run->interrupted ? "interrupted" : run->exit_status ? "aborted" : "done";
    run_lab_close(run);
    record_finish(run->record, run_clock(run, clock_now_ns()), how);
    record_tick(run->record, clock_now_ns(), true);
    live_close(run->live);
    run->live = NULL;
    int status =
        finish_run(run->record, &run->options.reports,
                   run->options.quiet ? NULL : report_find("text"), !run->options.no_color, true);
    bed_tell_log(&run->bed, run->options.quiet);
    if (run->failure[0])
        fprintf(stderr, "squall: %s\n", run->failure);
    return run->exit_status ? run->exit_status : status;
}

/* After an abort the workers need a moment to close their rows; none may be missing from the run
 * file. */
static void await_loads(struct run *run)
{
    int64_t until_ns = clock_now_ns() + 2 * NS_PER_S;
    run_loads_drain(run);
    while (!run_loads_drained(run) && clock_now_ns() < until_ns) {
        loop_turn(&run->loop, 10 * NS_PER_MS);
        run_loads_drain(run);
    }
}

static int run_plan(struct run *run, struct err *err)
{
    run->start_ns = clock_now_ns();
    run->phase = -1;
    run->loop.epoll_fd = -1;
    crew_init(&run->crew, run->plan);
    run->live = live_open(STDOUT_FILENO, run->start_ns, run->options.quiet);
    if (run->options.no_color)
        live_no_colour(run->live);
    int status = EXIT_TARGET;
    if (run_open(run, err) == 0) {
        greet(run);
        while (run->state != RUN_DONE && loop_turn(&run->loop, -1) == 0)
            ;
        await_loads(run);
        status = conclude(run);
    }
    run_close(run);
    return run->undo_failed || run->bed.undo_failed ? EXIT_UNDO : status;
}

static int run_one(const struct run_options *options, const char *path)
{
    struct run run = {.options = *options};
    struct err err = {0};
    int status = EXIT_PLAN;
    if (plans_load(path, &options->sets, &run.loaded) == 0) {
        run.plan = run.loaded.plan;
        run.manifests = run.loaded.manifests;
        status = run_set_seed(&run, &err) < 0 ? EXIT_USAGE : run_plan(&run, &err);
    }
    plans_unload(&run.loaded);
    if (err.code) {
        char text[ERR_MSG_BYTES + ERR_FILE_BYTES];
        fprintf(stderr, "squall: %s\n", err_text(&err, text, sizeof text));
    }
    return status;
}

static int run_all(const struct run_options *o, int argc, char **argv)
{
    if (o->plans.n == 1 && !pack_is_folder(o->plans.v[0]))
        return run_one(o, o->plans.v[0]);
    if (o->out || o->pcap || o->reports.n) {
        fprintf(stderr,
                "squall run: --%s names one file, but there are several plans; make reports of "
                "their run files with squall report, and packet logs plan by plan\n",
                o->out    ? "out"
                : o->pcap ? "pcap"
                          : "report");
        return EXIT_USAGE;
    }
    return pack_run(&o->plans, argc, argv);
}

static int run_main(int argc, char **argv)
{
    struct run_options o = {0};
    bool no_color = false;
    const struct option_row rows[] = {
        {"out", "FILE", "the run file (default NAME-TIME.run in this folder)", .text = &o.out},
        {"report", "FORMAT=FILE", "also write a report: json, junit, markdown or text; repeatable",
         .list = &o.reports},
        {"pcap", "FILE", "also write a packet log (pcapng) with the fate of each packet in the lab",
         .text = &o.pcap},
        {"set", "PATH=VALUE", "override one key of the plan, e.g. vars.defects=B40; repeatable",
         .list = &o.sets},
        {"seed", "N", "the seed of every random draw (default: the plan's, else a new one)",
         .text = &o.seed},
        {"quiet", NULL, "only the verdict", .flag = &o.quiet},
        {"no-color", NULL, "no colours (as with NO_COLOR)", .flag = &no_color},
    };
    int status;
    if (options_parse(argc, argv, cmd_run.args,
                      "Runs the whole storm of each plan; a folder is all plans in it.", rows,
                      ARRAY_SIZE(rows), &o.plans, &status) == 0) {
        o.no_color = no_color || getenv("NO_COLOR") || !isatty(STDOUT_FILENO);
        if (o.plans.n == 0) {
            fprintf(stderr, "squall run: which plan? usage: squall run %s\n", cmd_run.args);
            status = EXIT_USAGE;
        } else if ((status = finish_check_targets(&o.reports)) == 0) {
            status = run_all(&o, argc, argv);
        }
    }
    option_list_done(&o.sets);
    option_list_done(&o.reports);
    option_list_done(&o.plans);
    return status;
}

const struct cmd cmd_run = {"run", "PLAN|PACK...",
                            "the whole storm: live progress, verdict, run file, report", run_main};
