/* The lab and the guard in a run: opening and closing both, and what their events mean for run file
 * and screen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/run.h"

static void show_last_lines(struct run *run, int index)
{
    const struct crew_member *m = &run->crew.v[index];
    for (int i = 0; i < m->last_n; i++)
        live_line(run->live, run_clock(run, run->loop.now_ns), LIVE_DIM, "log", "%s: %s",
                  run->plan->services[index].name, m->last[i]);
}

static void on_lab_wide(struct run *run, const struct lab_event *e)
{
    if (e->kind == LAB_READY && run->state == RUN_PREPARING) {
        run_event(run, e->t_ns, LIVE_GOOD, "lab", "", "all services are ready");
        run_storm_start(run);
    } else if (e->kind == LAB_STOPPED) {
        run_event(run, e->t_ns, LIVE_DIM, "lab", "", "stopped");
        if (run->state == RUN_STOPPING)
            run_set_state(run, RUN_DONE);
    } else if (e->kind == LAB_LOST && run->state < RUN_DONE) {
        run_abort(run, EXIT_TARGET, "the lab is gone: %s", e->text ? e->text : "its init ended");
        if (run->state < RUN_DONE)
            run_set_state(run, RUN_DONE);
    }
}

static void on_service(struct run *run, const struct lab_event *e)
{
    enum crew_stage stage = run->state == RUN_PREPARING  ? CREW_STARTING
                            : run->state >= RUN_STOPPING ? CREW_STOPPING
                                                         : CREW_UP;
    const char *name = run->plan->services[e->service].name;
    struct crew_news news;
    crew_take(&run->crew, e, stage, &news);
    if (e->kind == LAB_LOG && run->record)
        record_log(run->record, run_clock(run, e->t_ns), name, e->stream, e->text);
    if (news.shown)
        run_event(run, e->t_ns, news.tone, "service", name, "%s", news.text);
    if (news.show_last)
        show_last_lines(run, e->service);
    if (news.fatal)
        run_abort(run, EXIT_TARGET, "%s", news.why);
}

static void on_lab_event(void *ctx, const struct lab_event *e)
{
    struct run *run = ctx;
    if (e->service < 0 || e->kind == LAB_READY || e->kind == LAB_STOPPED || e->kind == LAB_LOST)
        on_lab_wide(run, e);
    else
        on_service(run, e);
}

void run_lab_tell_recovered(struct run *run)
{
    for (struct str rest = str_of(buf_str(&run->bed.recovered)); rest.n;) {
        struct str line = str_split(&rest, '\n');
        run_event(run, clock_now_ns(), run->bed.undo_failed ? LIVE_BAD : LIVE_WARN, "undo", "",
                  "earlier run: %.*s", (int)line.n, line.p);
    }
}

static void tell_lines(struct run *run, enum live_tone tone, const char *lines)
{
    for (struct str rest = str_of(lines); rest.n;) {
        struct str line = str_split(&rest, '\n');
        run_event(run, clock_now_ns(), tone, "tier", "", "%.*s", (int)line.n, line.p);
    }
}

void run_lab_tell_tier(struct run *run)
{
    if (!run->bed.lab)
        return;
    tell_lines(run, LIVE_WARN, lab_tier_warning(run->bed.lab));
    tell_lines(run, LIVE_PLAIN, lab_tier_changes(run->bed.lab));
}

int run_lab_open(struct run *run, struct err *err)
{
    struct bed_config config = {.plan = run->plan,
                                .id = run->run_id,
                                .loop = &run->loop,
                                .on_lab = on_lab_event,
                                .on_guard = run_storm_guard_event,
                                .ctx = run,
                                .pcap = run->options.pcap};
    return bed_open(&run->bed, &config, err);
}

void run_lab_close(struct run *run)
{
    struct err err = {0};
    if (bed_close(&run->bed, &err) == 0)
        return;
    run_event(run, clock_now_ns(), LIVE_BAD, "undo", "", "%s", err.msg);
    err_wrap(&err, "undo not confirmed (run `squall undo`)");
    snprintf(run->failure, sizeof run->failure, "%s", err.msg);
}

int run_target_addr(struct run *run, const char *host, uint16_t port, struct addr *ret)
{
    if (run->bed.lab && plan_find_service(run->plan, host))
        return lab_resolve(run->bed.lab, host, port, ret);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    int r = addr_from_ip(host, port, ret);
    return r < 0 ? r : addr_is_loopback(ret) ? 0 : -EACCES;
}

int run_socket(void *ctx)
{
    struct run *run = ctx;
    if (run->bed.lab)
        return lab_client_socket(run->bed.lab, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}
