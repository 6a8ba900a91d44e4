#include "kube_disk.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define RETRY_NS (200 * NS_PER_MS)

struct change {
    char *kind, *ns, *name, *text;
    uint64_t version;
    struct change *next;
};

struct waiter {
    struct http_req *req;
    int status;
    struct buf body;
    struct waiter *next;
};

struct kube_disk {
    sqlite3 *db;
    sqlite3_stmt *put, *del, *mark;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, busy;
    struct change *changes, **changes_end;
    struct waiter *waiters, **waiters_end;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS object(kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY(kind, ns, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS store(id INTEGER PRIMARY KEY CHECK(id = 1), version INTEGER NOT "
    "NULL);";

static bool prepare(struct kube_disk *d, const char *sql, sqlite3_stmt **ret_stmt)
{
    return sqlite3_prepare_v2(d->db, sql, -1, ret_stmt, NULL) == SQLITE_OK;
}

int kube_disk_open(const char *dir, struct kube_disk **ret_disk, struct buf *err)
{
    struct kube_disk *d = xcalloc(1, sizeof(*d));
    struct buf file = {0};
    buf_printf(&file, "%s/kube.db", dir);
    bool ok = sqlite3_open(file.p, &d->db) == SQLITE_OK &&
              sqlite3_exec(d->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
              prepare(d, "INSERT OR REPLACE INTO object VALUES(?1,?2,?3,?4)", &d->put) &&
              prepare(d, "DELETE FROM object WHERE kind=?1 AND ns=?2 AND name=?3", &d->del) &&
              prepare(d, "INSERT OR REPLACE INTO store VALUES(1,?1)", &d->mark);
    if (!ok)
        buf_printf(err, "data folder: %s: %s", file.p, sqlite3_errmsg(d->db));
    buf_done(&file);
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &ca);
    pthread_condattr_destroy(&ca);
    d->changes_end = &d->changes;
    d->waiters_end = &d->waiters;
    if (!ok) {
        kube_disk_close(d);
        return -EIO;
    }
    *ret_disk = d;
    return 0;
}

static const char *column(sqlite3_stmt *s, int i)
{
    const char *t = (const char *)sqlite3_column_text(s, i);
    return t ? t : "";
}

int kube_disk_load(struct kube_disk *d, struct kube_store *s, struct buf *err)
{
    sqlite3_stmt *q = NULL;
    int rc = 0, step = SQLITE_DONE;
    if (prepare(d, "SELECT kind, ns, name, text FROM object", &q)) {
        while ((step = sqlite3_step(q)) == SQLITE_ROW) {
            const struct kube_key key = {column(q, 0), column(q, 1), column(q, 2)};
            if (kube_store_restore(s, &key, column(q, 3)) < 0)
                rc = -EINVAL;
        }
    }
    sqlite3_finalize(q);
    if (step != SQLITE_DONE || rc < 0) {
        buf_printf(err, "data folder: kube.db cannot be read: %s", sqlite3_errmsg(d->db));
        return -EIO;
    }
    if (prepare(d, "SELECT version FROM store", &q) && sqlite3_step(q) == SQLITE_ROW)
        kube_store_restore_version(s, (uint64_t)sqlite3_column_int64(q, 0));
    sqlite3_finalize(q);
    return 0;
}

void kube_disk_push(void *disk, const struct kube_key *key, const char *text, uint64_t version)
{
    struct kube_disk *d = disk;
    struct change *c = xcalloc(1, sizeof(*c));
    c->kind = xstrdup(key->kind);
    c->ns = xstrdup(key->ns);
    c->name = xstrdup(key->name);
    c->text = text ? xstrdup(text) : NULL;
    c->version = version;
    pthread_mutex_lock(&d->lock);
    *d->changes_end = c;
    d->changes_end = &c->next;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

static void answer(struct http_req *r, int status, const struct buf *body)
{
    http_answer(r, status, "application/json", body->p ? body->p : "", body->len, NULL, 0);
}

void kube_disk_answer(struct kube_disk *d, struct http_req *r, int status, const struct buf *body)
{
    pthread_mutex_lock(&d->lock);
    if (!d->changes && !d->busy) {
        pthread_mutex_unlock(&d->lock);
        answer(r, status, body);
        return;
    }
    struct waiter *w = xcalloc(1, sizeof(*w));
    http_defer(r);
    w->req = r;
    w->status = status;
    buf_add(&w->body, body->p, body->len);
    *d->waiters_end = w;
    d->waiters_end = &w->next;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

static bool run(sqlite3_stmt *s)
{
    bool ok = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_reset(s);
    return ok;
}

static bool write_change(struct kube_disk *d, const struct change *c)
{
    sqlite3_stmt *s = c->text ? d->put : d->del;
    sqlite3_bind_text(s, 1, c->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, c->ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, c->name, -1, SQLITE_STATIC);
    if (c->text)
        sqlite3_bind_text(s, 4, c->text, -1, SQLITE_STATIC);
    return run(s);
}

static bool commit(struct kube_disk *d, const struct change *list)
{
    bool ok = sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    uint64_t version = 0;
    for (const struct change *c = list; ok && c; c = c->next) {
        ok = write_change(d, c);
        version = c->version;
    }
    if (ok) {
        sqlite3_bind_int64(d->mark, 1, (sqlite3_int64)version);
        ok = run(d->mark);
    }
    ok = ok && sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        LOG_LINE(LOG_ERROR, "kube", "cannot write objects to disk",
                 LF_S("error", sqlite3_errmsg(d->db)));
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return ok;
}

static void changes_free(struct change *c)
{
    for (struct change *next; c; c = next) {
        next = c->next;
        free(c->kind);
        free(c->ns);
        free(c->name);
        free(c->text);
        free(c);
    }
}

static void waiters_answer(struct waiter *w, bool ok)
{
    for (struct waiter *next; w; w = next) {
        next = w->next;
        if (!ok) {
            w->status = 500;
            buf_reset(&w->body);
            buf_puts(&w->body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                               "\"status\":\"Failure\",\"reason\":\"InternalError\","
                               "\"message\":\"the object could not be stored\",\"code\":500}");
        }
        answer(w->req, w->status, &w->body);
        buf_done(&w->body);
        free(w);
    }
}

/* Puts changes that could not be written (at least one) back in front of newer ones. */
static void requeue_locked(struct kube_disk *d, struct change *list)
{
    struct change **end = &list;
    while (*end)
        end = &(*end)->next;
    *end = d->changes;
    if (!d->changes)
        d->changes_end = end;
    d->changes = list;
}

static void wait_retry_locked(struct kube_disk *d)
{
    int64_t until = now_ns() + RETRY_NS;
    struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    pthread_cond_timedwait(&d->wake, &d->lock, &ts);
}

static void *disk_main(void *arg)
{
    struct kube_disk *d = arg;
    bool ok = true;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->changes && !d->waiters && !d->stopping)
            pthread_cond_wait(&d->wake, &d->lock);
        if (!d->changes && !d->waiters)
            break;
        if (!ok && d->stopping && !d->waiters)
            break; /* the disk is still full: what was not written was not promised either */
        if (!ok && !d->waiters)
            wait_retry_locked(d);
        struct change *list = d->changes;
        struct waiter *waiters = d->waiters;
        d->changes = NULL;
        d->changes_end = &d->changes;
        d->waiters = NULL;
        d->waiters_end = &d->waiters;
        d->busy = true;
        pthread_mutex_unlock(&d->lock);
        ok = !list || commit(d, list);
        waiters_answer(waiters, ok);
        if (ok)
            changes_free(list);
        pthread_mutex_lock(&d->lock);
        if (!ok)
            requeue_locked(d, list);
        d->busy = false;
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

void kube_disk_start(struct kube_disk *d)
{
    if (pthread_create(&d->thread, NULL, disk_main, d) != 0)
        abort();
    d->started = true;
}

void kube_disk_close(struct kube_disk *d)
{
    if (!d)
        return;
    if (d->started) {
        pthread_mutex_lock(&d->lock);
        d->stopping = true;
        pthread_cond_signal(&d->wake);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    changes_free(d->changes);
    sqlite3_finalize(d->put);
    sqlite3_finalize(d->del);
    sqlite3_finalize(d->mark);
    sqlite3_close(d->db);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    free(d);
}
