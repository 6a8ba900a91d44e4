/*
 * db.h - the inside of struct record, shared by the files of this folder only.
 */
#pragma once
#include <sqlite3.h>

#include "base/buf.h"
#include "record/fold.h"
#include "record/record.h"

enum db_stmt {
    DB_EVENT,
    DB_PHASE_START,
    DB_PHASE_END,
    DB_REQUEST,
    DB_ITEM,
    DB_LOAD_END,
    DB_HIST_PUT,
    DB_HIST_GET,
    DB_COUNTS_PUT,
    DB_COUNTS_GET,
    DB_SERIES,
    DB_SERIES_LABEL,
    DB_SAMPLE,
    DB_LOG,
    DB_FAULT,
    DB_SETTLED,
    DB_OBJECT,
    DB_META,
    DB_CHECK,
    DB_DETAIL,
    DB_DETAIL_CLEAR,
    DB_COUNT
};

struct db_load {
    enum plan_model model;
    int64_t timeout_ns;
    bool keep_rows;
};

struct record {
    sqlite3 *db;
    char *path;
    bool writer;
    bool in_tx;
    int error; /* the writer's first */
    char problem[256];
    int64_t committed_ns; /* tick time of the last commit */
    bool ticked;
    sqlite3_stmt *stmts[DB_COUNT]; /* prepared at first use, kept until close */
    struct db_load *loads;         /* as the plan had them */
    size_t loads_n;
    struct fold_phases phases;
    struct fold *folds; /* one a load */
    struct buf blob;    /* scratch */
    int64_t budget;     /* reader: steps left for the running statement, in BUDGET_STEPS */
    int64_t budget_all; /* reader: what each statement gets */
};

/* SQLite's answer as -errno; remembers the text. */
int db_error(struct record *r, int rc, const char *what);
/* Same, and the writer refuses from now on; the open transaction is rolled back. */
int db_fail(struct record *r, int rc, const char *what);
int db_exec(struct record *r, const char *sql);
/* A statement reset and ready to bind, NULL after an error (which is then remembered). */
sqlite3_stmt *db_use(struct record *r, enum db_stmt which);
/* Runs a writing statement once. */
int db_run(struct record *r, sqlite3_stmt *s, const char *what);
int db_begin(struct record *r);
int db_commit(struct record *r);
void db_text(sqlite3_stmt *s, int column, const char *text); /* NULL binds "" */
int db_meta_text(struct record *r, const char *key, const char *value);
int db_meta_int(struct record *r, const char *key, int64_t value);
