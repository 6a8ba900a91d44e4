/*
 * fold.h - folds rows into one histogram and one set of counts per second and per phase in which
 * they were due.
 *
 * Rows come nearly in the order they were due, but not quite: workers drain one after another and
 * an answer may take as long as its timeout. So a load has a few open slots (a second or a phase
 * each); the slot used longest ago is written to the file when another is needed, and read back
 * should a late row still want it. Nothing is lost by that and memory does not grow with the run.
 * fold_flush writes all changed slots (before every commit). A row that is due in a phase must come
 * after record_phase_start of that phase, else it counts in the phase before. Memory: FOLD_SLOTS
 * histograms a load, touched only where values fall.
 */
#pragma once
#include "base/hist.h"
#include "load/ledger.h"

#define FOLD_SECONDS 3
#define FOLD_PHASES  2
#define FOLD_SLOTS   (FOLD_SECONDS + FOLD_PHASES)

enum fold_scope { FOLD_SECOND, FOLD_PHASE, FOLD_SCOPE_COUNT };
extern const char *const fold_scope_names[FOLD_SCOPE_COUNT];

struct fold_slot {
    int64_t at;    /* second or phase; -1 = free */
    uint64_t used; /* turn of the last use */
    bool dirty;
    uint64_t counts[FATE_COUNT];
    struct hist *hist;
};
struct fold {
    struct fold_slot slots[FOLD_SLOTS]; /* seconds first */
    uint64_t turn;
};
struct fold_phases {
    size_t n;
    int64_t *start_ns, *end_ns; /* -1 = not yet */
};

struct record;
void fold_init(struct fold *f);
void fold_done(struct fold *f);
int fold_row(struct record *r, int load, const struct ledger_row *row);
int fold_flush(struct record *r);
