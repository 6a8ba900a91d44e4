/* What a run needs before its first event and gives back after its last. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/run.h"
#include "version.h"

int run_set_seed(struct run *run, struct err *err)
{
    return plans_seed(run->plan, run->options.seed, &run->seed, err);
}

static void describe_machine(struct run *run)
{
    struct utsname u;
    uname(&u);
    long mib = sysconf(_SC_PHYS_PAGES) / (1024 * 1024 / sysconf(_SC_PAGESIZE));
    snprintf(run->machine, sizeof run->machine, "%s %s %s, %ld CPUs, %ld MiB, %s", u.sysname,
             u.release, u.machine, sysconf(_SC_NPROCESSORS_ONLN), mib,
             geteuid() == 0 ? "root" : "rootless");
}

static void name_run(struct run *run)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
    snprintf(run->run_id, sizeof run->run_id, "%s-%d", when, (int)getpid());
    if (run->options.out)
        snprintf(run->out_path, sizeof run->out_path, "%s", run->options.out);
    else
        snprintf(run->out_path, sizeof run->out_path, "%s-%s.run", run->plan->name, run->run_id);
}

static int open_record(struct run *run, struct err *err)
{
    struct record_meta meta = {.run_id = run->run_id,
                               .squall_version = SQUALL_VERSION,
                               .machine = run->machine,
                               .tier = run->bed.lab ? lab_tier(run->bed.lab) : "loopback only",
                               .seed = run->seed,
                               .started_wall_ns =
                                   clock_wall_ns() - (clock_now_ns() - run->start_ns)};
    return record_create(run->out_path, run->plan, &meta, &run->record, err);
}

int run_open(struct run *run, struct err *err)
{
    static const int signos[] = {SIGINT, SIGTERM, SIGHUP};
    describe_machine(run);
    name_run(run);
    int r = loop_init(&run->loop);
    if (r < 0)
        return err_set(err, r, "event loop: %s", strerror(-r));
    if ((r = signals_open(&run->loop, &run->signals, signos, ARRAY_SIZE(signos), run_on_signal)) <
        0)
        return err_set(err, r, "signals: %s", strerror(-r));
    run->series = series_store_new();
    if (run->options.pcap && run->plan->services_n == 0)
        return err_set(err, -EINVAL, "a packet log needs a lab, and this plan has none");
    if (run->plan->services_n > 0 && (r = run_lab_open(run, err)) < 0)
        return r;
    if ((r = open_record(run, err)) < 0)
        return r;
    if ((r = run_loads_open(run, err)) < 0)
        return r;
    return 0;
}

void run_close(struct run *run)
{
    run_settle_done(run);
    run_loads_close(run);
    run_observe_stop(run);
    run_lab_close(run);
    if (run->live)
        live_close(run->live);
    record_close(run->record);
    series_store_free(run->series);
    if (run->loop.epoll_fd >= 0) {
        signals_close(&run->loop, &run->signals);
        loop_done(&run->loop);
    }
    crew_done(&run->crew);
    bed_done(&run->bed);
}
