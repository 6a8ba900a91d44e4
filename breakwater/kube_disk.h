/*
 * kube_disk - keeps the kube role's objects across a restart and a kill -9.
 *
 * Group commit: changes are queued in version order; one thread writes everything queued so far
 * in a single SQLite transaction (WAL, synchronous=FULL) and only then lets the answers go that
 * were queued behind those changes. Reads that might have seen an unwritten change wait too, so
 * nobody is ever told of a state that a power cut could take back. When a commit fails (disk
 * full), the waiting answers become 500 and the changes stay queued for the next commit.
 *
 * Lifecycle: kube_disk_open() .. kube_disk_load() .. kube_disk_start() .. kube_disk_close().
 * Threads: any after start. Source: sqlite.org/wal.html, pragma synchronous.
 */
#ifndef BREAKWATER_KUBE_DISK_H
#define BREAKWATER_KUBE_DISK_H

#include "httpd.h"
#include "kube_store.h"

struct kube_disk;

int kube_disk_open(const char *dir, struct kube_disk **ret_disk, struct buf *err);
int kube_disk_load(struct kube_disk *d, struct kube_store *s, struct buf *err);
void kube_disk_start(struct kube_disk *d);
/* The store's hook; called under its lock. */
void kube_disk_push(void *disk, const struct kube_key *key, const char *text, uint64_t version);
/* Answers r once everything pushed so far is on disk; at once when it already is. */
void kube_disk_answer(struct kube_disk *d, struct http_req *r, int status, const struct buf *body);
void kube_disk_close(struct kube_disk *d);

#endif
