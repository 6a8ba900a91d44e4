/*
 * scene.h - a small plan by hand and a run file to write it to, for the tests of record and check.
 *
 * Phases: baseline 0-10 s, fault 10-18 s, recovery 18-28 s, cooldown 28-30 s. Loads: 0 `alerts`
 * (settled by count), 1 `ready` (rows kept), 2 `bulk` (rows not kept).
 */
#pragma once
#include <unistd.h>

#include "base/clock.h"
#include "record/reader.h"
#include "tests.h"

struct scene {
    char dir[64], path[96];
    struct plan plan;
    struct plan_phase phases[8];
    struct plan_load loads[3];
    struct plan_check checks[16];
    struct record *r;
    int64_t starts_ns[9]; /* of the phases; the last is the end of the run */
};

#define SCENE_MS(MS) ((int64_t)(MS)*NS_PER_MS)
#define SCENE_S(S)   ((int64_t)(S)*NS_PER_S)

static inline void scene_plan(struct scene *s)
{
    static const int64_t starts_s[] = {0, 10, 18, 28, 30};
    static const char *const names[] = {"baseline", "fault", "recovery", "cooldown"};
    static const enum plan_phase_kind kinds[] = {PLAN_BASELINE, PLAN_FAULT, PLAN_RECOVERY,
                                                 PLAN_COOLDOWN};
    for (int i = 0; i < 4; i++) {
        s->phases[i] = (struct plan_phase){.kind = kinds[i], .name = names[i]};
        s->starts_ns[i] = SCENE_S(starts_s[i]);
    }
    s->starts_ns[4] = SCENE_S(30);
    static const char *const loads[] = {"alerts", "ready", "bulk"};
    for (int i = 0; i < 3; i++)
        s->loads[i] = (struct plan_load){.name = loads[i],
                                         .model = PLAN_OPEN,
                                         .rate_per_s = 25,
                                         .timeout_ns = SCENE_S(5),
                                         .keep_rows = i < 2};
    s->loads[0].settle.from = "kube";
    s->loads[0].settle.count = "$.n";
    s->plan = (struct plan){.file = "scene.yaml",
                            .name = "scene",
                            .seed = 7,
                            .loads = s->loads,
                            .loads_n = 3,
                            .phases = s->phases,
                            .phases_n = 4,
                            .checks = s->checks,
                            .resolved = "squall: 1\n"};
}

static inline void scene_init(struct scene *s)
{
    memset(s, 0, sizeof *s);
    strcpy(s->dir, "/tmp/squall-record-XXXXXX");
    ASSERT(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/run.db", s->dir);
    scene_plan(s);
}

static inline void scene_create(struct scene *s)
{
    struct err err = {0};
    struct record_meta meta = {.run_id = "r1",
                               .squall_version = "0.1",
                               .machine = "test",
                               .tier = "none",
                               .seed = UINT64_MAX - 1,
                               .started_wall_ns = 1700000000000000000};
    if (record_create(s->path, &s->plan, &meta, &s->r, &err))
        TEST_FAIL("%s", err.msg);
}

/* Starts and ends all phases at their times. */
static inline void scene_phases(struct scene *s)
{
    for (size_t i = 0; i < s->plan.phases_n; i++) {
        ASSERT_OK(record_phase_start(s->r, (int)i, s->starts_ns[i]));
        ASSERT_OK(record_phase_end(s->r, (int)i, s->starts_ns[i + 1]));
    }
}

static inline void scene_reopen(struct scene *s)
{
    record_close(s->r);
    s->r = NULL;
    struct err err = {0};
    if (record_open(s->path, &s->r, &err))
        TEST_FAIL("%s", err.msg);
}

static inline void scene_done(struct scene *s)
{
    record_close(s->r);
    char journal[128];
    snprintf(journal, sizeof journal, "%s-journal", s->path);
    unlink(journal);
    unlink(s->path);
    rmdir(s->dir);
}

/* A row that was answered latency_ms after it was due. */
static inline struct ledger_row scene_row(uint64_t id, int64_t due_ms, int64_t latency_ms,
                                          enum fate fate)
{
    struct ledger_row row = {.id = id,
                             .due_ns = SCENE_MS(due_ms) + 1,
                             .sent_ns = SCENE_MS(due_ms) + 1,
                             .answered_ns = SCENE_MS(due_ms + latency_ms) + 1,
                             .answer_bytes = 12,
                             .status = 202,
                             .fate = (uint8_t)fate};
    if (fate == FATE_UNSENT)
        row.sent_ns = row.answered_ns = 0;
    if (fate == FATE_UNSENT || fate == FATE_UNKNOWN)
        row.status = 0;
    if (fate == FATE_REFUSED || fate == FATE_FAILED)
        row.status = fate == FATE_REFUSED ? 503 : 500;
    row.reason = fate == FATE_UNSENT    ? REASON_SHED
                 : fate == FATE_UNKNOWN ? REASON_TIMEOUT
                 : fate == FATE_FAILED  ? REASON_STATUS
                                        : REASON_NONE;
    return row;
}
