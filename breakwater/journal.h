/*
 * journal - the gateway's file of alerts that were accepted and are not yet written to Kubernetes.
 *
 * Append-only, records of jrec.h. journal_add_alert() and journal_add_done() collect;
 * journal_commit() writes them all and, when an alert is among them, waits for the disk. An alert
 * may be answered 202 once the commit that holds it has returned 0. When a commit fails nothing of
 * it counts, and the file is cut back to its last good length. DONE records need no waiting: a
 * lost one only leads to a second try, which the object's marker recognises (see applied.h).
 *
 * At open the file is read, a torn tail is dropped, the open alerts are handed to `replay` in
 * order, and the file is rewritten without the finished ones. The file also keeps who this gateway
 * is (identity) and how often it was started (epoch), which make the sequence numbers unique.
 *
 * Intents. Before an object is created its name is noted, and struck out when the creation has been
 * answered. A gateway that is killed in between finds the name at its next start and uses it again,
 * so that a creation still under way and its repetition cannot both succeed. Intents are written
 * but not synced: they survive the process, not the machine, and so does a request under way.
 * Those older than JOURNAL_INTENT_LIFE_MS are forgotten.
 *
 * Lifecycle: journal_open() .. journal_close(). Threads: add and commit one at a time (the keeper);
 * intents from any. A lock on the file keeps a second gateway out (-EBUSY).
 */
#ifndef BREAKWATER_JOURNAL_H
#define BREAKWATER_JOURNAL_H

#include "util.h"

#define JOURNAL_ID_BYTES       17
#define JOURNAL_INTENT_LIFE_MS (10 * 60 * 1000)

struct journal;

typedef void journal_replay_fn(void *ctx, uint64_t seq, int64_t received_ms, const char *alert,
                               size_t len);

typedef void journal_intent_fn(void *ctx, const char *fp, const char *name);

struct journal_reader {
    journal_replay_fn *replay;
    journal_intent_fn *intent;
    void *ctx;
};

int journal_open(const char *file, int64_t compact_bytes, const struct journal_reader *reader,
                 struct journal **ret_journal, struct buf *err);
void journal_close(struct journal *j);

const char *journal_id(const struct journal *j);
uint64_t journal_epoch(const struct journal *j);

/* -EMSGSIZE when the alert is too long for a record. */
int journal_add_alert(struct journal *j, uint64_t seq, int64_t received_ms, const char *alert,
                      size_t len);
void journal_add_done(struct journal *j, uint64_t seq);
int journal_commit(struct journal *j);
/* fp has 64 digits. A failure is only logged by its absence after a kill; nothing depends on it. */
void journal_intent(struct journal *j, const char *fp, const char *name);
void journal_settled(struct journal *j, const char *fp);
/* The last commit worked. */
bool journal_healthy(const struct journal *j);

#endif
