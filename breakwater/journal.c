#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hmap.h"
#include "jrec.h"
#include "log.h"

#define FILE_MODE       0600
#define ALERT_HEAD      16 /* sequence and time before the text */
#define FP_BYTES        64
#define INTENT_NAME_MAX 63 /* of an intent */

struct journal {
    char *file;
    pthread_mutex_t lock; /* the file: fd, lengths, broken */
    int fd;
    int64_t good_bytes, compact_bytes, compacted_bytes;
    struct buf out;
    bool out_has_alert;
    bool broken; /* a sync failed: only a rewrite makes the file trustworthy again */
    atomic_bool healthy;
    char id[JOURNAL_ID_BYTES];
    uint64_t epoch;
};

/* An open alert found in the file, as a piece of the file's bytes. */
struct open_alert {
    struct hnode node;
    uint64_t seq;
    struct jrec rec;
    bool done;
    struct open_alert *next;
};

/* A creation whose answer is not in the file. */
struct open_intent {
    struct hnode node;
    char fp[FP_BYTES + 1], name[INTENT_NAME_MAX + 1];
    struct jrec rec;
    bool settled;
    struct open_intent *next;
};

struct contents {
    char *bytes;
    size_t len, good;
    struct hmap by_seq, by_fp;
    struct open_alert *first, **end;
    struct open_intent *intents;
    char id[JOURNAL_ID_BYTES];
    uint64_t epoch;
};

static void contents_done(struct contents *c)
{
    for (struct open_alert *a = c->first, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    for (struct open_intent *i = c->intents, *next; i; i = next) {
        next = i->next;
        free(i);
    }
    hmap_done(&c->by_seq);
    hmap_done(&c->by_fp);
    free(c->bytes);
}

static uint64_t seq_hash(uint64_t seq)
{
    return hash64(&seq, sizeof(seq), 0);
}

static struct open_alert *open_find(struct contents *c, uint64_t seq)
{
    for (struct hnode *n = hmap_first(&c->by_seq, seq_hash(seq)); n; n = hmap_next(n)) {
        struct open_alert *a = HMAP_OWNER(n, struct open_alert, node);
        if (a->seq == seq)
            return a;
    }
    return NULL;
}

static void contents_alert(struct contents *c, const struct jrec *r)
{
    if (r->len < ALERT_HEAD)
        return;
    struct open_alert *a = xcalloc(1, sizeof(*a));
    a->seq = jrec_get64(r->body);
    a->rec = *r;
    hmap_add(&c->by_seq, &a->node, seq_hash(a->seq));
    *c->end = a;
    c->end = &a->next;
}

static struct open_intent *intent_find(struct contents *c, const unsigned char *fp)
{
    uint64_t h = hash64(fp, FP_BYTES, 0);
    for (struct hnode *n = hmap_first(&c->by_fp, h); n; n = hmap_next(n)) {
        struct open_intent *i = HMAP_OWNER(n, struct open_intent, node);
        if (memcmp(i->fp, fp, FP_BYTES) == 0)
            return i;
    }
    return NULL;
}

static void contents_intent(struct contents *c, const struct jrec *r)
{
    if (r->len <= 8 + FP_BYTES || r->len > 8 + FP_BYTES + INTENT_NAME_MAX ||
        (int64_t)jrec_get64(r->body) + JOURNAL_INTENT_LIFE_MS < wall_ms())
        return;
    struct open_intent *i = intent_find(c, r->body + 8);
    if (!i) {
        i = xcalloc(1, sizeof(*i));
        memcpy(i->fp, r->body + 8, FP_BYTES);
        hmap_add(&c->by_fp, &i->node, hash64(i->fp, FP_BYTES, 0));
        i->next = c->intents;
        c->intents = i;
    }
    i->rec = *r;
    i->settled = false;
    memset(i->name, 0, sizeof(i->name));
    memcpy(i->name, r->body + 8 + FP_BYTES, r->len - 8 - FP_BYTES);
}

static void contents_settled(struct contents *c, const struct jrec *r)
{
    struct open_intent *i = r->len == FP_BYTES ? intent_find(c, r->body) : NULL;
    if (i)
        i->settled = true;
}

static void contents_record(struct contents *c, const struct jrec *r)
{
    struct open_alert *a;
    switch (r->type) {
    case JREC_IDENTITY:
        if (r->len == JOURNAL_ID_BYTES - 1)
            memcpy(c->id, r->body, r->len);
        return;
    case JREC_EPOCH:
        if (r->len == 8)
            c->epoch = jrec_get64(r->body);
        return;
    case JREC_ALERT: contents_alert(c, r); return;
    case JREC_DONE:
        a = r->len == 8 ? open_find(c, jrec_get64(r->body)) : NULL;
        if (a)
            a->done = true;
        return;
    case JREC_INTENT: contents_intent(c, r); return;
    case JREC_SETTLED: contents_settled(c, r); return;
    }
}

static int read_all(int fd, struct contents *c)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    c->bytes = xmalloc((size_t)st.st_size);
    while (c->len < (size_t)st.st_size) {
        ssize_t n = pread(fd, c->bytes + c->len, (size_t)st.st_size - c->len, (off_t)c->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        c->len += (size_t)n;
    }
    return 0;
}

static int contents_read(int fd, struct contents *c)
{
    *c = (struct contents){0};
    c->end = &c->first;
    int rc = read_all(fd, c);
    struct jrec r;
    size_t n;
    while (rc == 0 && c->good < c->len &&
           (n = jrec_take((unsigned char *)c->bytes + c->good, c->len - c->good, &r)) > 0) {
        contents_record(c, &r);
        c->good += n;
    }
    return rc;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static int sync_folder(const char *file)
{
    char *copy = xstrdup(file);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static void compact_text(const struct journal *j, const struct contents *c, struct buf *out)
{
    unsigned char epoch[8];
    jrec_put64(epoch, j->epoch);
    jrec_add(out, JREC_IDENTITY, j->id, JOURNAL_ID_BYTES - 1);
    jrec_add(out, JREC_EPOCH, epoch, sizeof(epoch));
    for (const struct open_alert *a = c->first; a; a = a->next)
        if (!a->done)
            jrec_add(out, JREC_ALERT, a->rec.body, a->rec.len);
    for (const struct open_intent *i = c->intents; i; i = i->next)
        if (!i->settled)
            jrec_add(out, JREC_INTENT, i->rec.body, i->rec.len);
}

/* Puts a new file in place of the old one; the old one stays until the new one is on disk. */
static int rewrite(struct journal *j, const struct contents *c)
{
    struct buf name = {0}, text = {0};
    buf_printf(&name, "%s.new", j->file);
    compact_text(j, c, &text);
    int rc = 0, fd = open(name.p, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        rc = -errno;
    if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = -errno;
    if (rc == 0)
        rc = write_all(fd, text.p, text.len);
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    if (rc == 0 && rename(name.p, j->file) < 0)
        rc = -errno;
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
    } else {
        if (j->fd >= 0)
            close(j->fd);
        j->fd = fd;
        j->good_bytes = j->compacted_bytes = (int64_t)text.len;
        rc = sync_folder(j->file);
        j->broken = rc < 0;
    }
    buf_done(&name);
    buf_done(&text);
    return rc;
}

static int compact(struct journal *j)
{
    struct contents c;
    int rc = contents_read(j->fd, &c);
    if (rc == 0)
        rc = rewrite(j, &c);
    contents_done(&c);
    return rc;
}

static void replay_all(const struct contents *c, const struct journal_reader *to)
{
    for (const struct open_intent *i = c->intents; i; i = i->next)
        if (!i->settled)
            to->intent(to->ctx, i->fp, i->name);
    for (const struct open_alert *a = c->first; a; a = a->next)
        if (!a->done)
            to->replay(to->ctx, a->seq, (int64_t)jrec_get64(a->rec.body + 8),
                       (const char *)a->rec.body + ALERT_HEAD, a->rec.len - ALERT_HEAD);
}

static int begin(struct journal *j, const struct journal_reader *reader, struct buf *err)
{
    struct contents c = {0};
    int rc = 0;
    j->fd = open(j->file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
    if (j->fd < 0)
        rc = -errno;
    else if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (rc == 0)
        rc = contents_read(j->fd, &c);
    if (rc == 0) {
        if (c.good < c.len)
            LOG_LINE(LOG_WARN, "journal", "torn tail dropped",
                     LF_I("bytes", (int64_t)(c.len - c.good)));
        if (c.id[0])
            memcpy(j->id, c.id, sizeof(j->id));
        else
            snprintf(j->id, sizeof(j->id), "%016llx", (unsigned long long)rand64());
        j->epoch = c.epoch + 1;
        rc = rewrite(j, &c);
    }
    if (rc == 0)
        replay_all(&c, reader);
    else
        buf_printf(err, "journal %s: %s", j->file,
                   rc == -EBUSY ? "another gateway uses it" : strerror(-rc));
    contents_done(&c);
    return rc;
}

int journal_open(const char *file, int64_t compact_bytes, const struct journal_reader *reader,
                 struct journal **ret_journal, struct buf *err)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    j->file = xstrdup(file);
    j->compact_bytes = compact_bytes;
    j->fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    atomic_store(&j->healthy, true);
    int rc = begin(j, reader, err);
    if (rc < 0) {
        journal_close(j);
        return rc;
    }
    *ret_journal = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    pthread_mutex_destroy(&j->lock);
    free(j->file);
    buf_done(&j->out);
    free(j);
}

const char *journal_id(const struct journal *j)
{
    return j->id;
}

uint64_t journal_epoch(const struct journal *j)
{
    return j->epoch;
}

bool journal_healthy(const struct journal *j)
{
    return atomic_load(&((struct journal *)(uintptr_t)j)->healthy);
}

int journal_add_alert(struct journal *j, uint64_t seq, int64_t received_ms, const char *alert,
                      size_t len)
{
    unsigned char head[ALERT_HEAD];
    if (len + ALERT_HEAD > JREC_BODY_MAX)
        return -EMSGSIZE;
    jrec_put64(head, seq);
    jrec_put64(head + 8, (uint64_t)received_ms);
    struct buf body = {0};
    buf_add(&body, head, sizeof(head));
    buf_add(&body, alert, len);
    jrec_add(&j->out, JREC_ALERT, body.p, body.len);
    buf_done(&body);
    j->out_has_alert = true;
    return 0;
}

void journal_add_done(struct journal *j, uint64_t seq)
{
    unsigned char body[8];
    jrec_put64(body, seq);
    jrec_add(&j->out, JREC_DONE, body, sizeof(body));
}

static int append(struct journal *j)
{
    int rc = j->broken ? compact(j) : 0;
    if (rc == 0)
        rc = write_all(j->fd, j->out.p, j->out.len);
    if (rc < 0 && ftruncate(j->fd, (off_t)j->good_bytes) < 0)
        j->broken = true;
    /* After a failed sync the kernel may have dropped the pages (see fsync(2), "errseq"): what is
     * in the file cannot be known, so it is written anew before it is trusted again. */
    if (rc == 0 && j->out_has_alert && fdatasync(j->fd) < 0) {
        rc = -errno;
        if (ftruncate(j->fd, (off_t)j->good_bytes) < 0)
            rc = -errno;
        j->broken = true;
    }
    return rc;
}

static void compact_when_long(struct journal *j)
{
    if (j->good_bytes > j->compact_bytes && j->good_bytes > 2 * j->compacted_bytes &&
        compact(j) < 0)
        LOG_LINE(LOG_WARN, "journal", "cannot be rewritten");
}

int journal_commit(struct journal *j)
{
    if (j->out.len == 0)
        return 0;
    pthread_mutex_lock(&j->lock);
    int rc = append(j);
    if (rc == 0) {
        j->good_bytes += (int64_t)j->out.len;
        compact_when_long(j);
    }
    pthread_mutex_unlock(&j->lock);
    buf_reset(&j->out);
    j->out_has_alert = false;
    atomic_store(&j->healthy, rc == 0);
    return rc;
}

static void write_unsynced(struct journal *j, const struct buf *rec)
{
    pthread_mutex_lock(&j->lock);
    if (!j->broken) {
        if (write_all(j->fd, rec->p, rec->len) == 0)
            j->good_bytes += (int64_t)rec->len;
        else if (ftruncate(j->fd, (off_t)j->good_bytes) < 0)
            j->broken = true;
        compact_when_long(j);
    }
    pthread_mutex_unlock(&j->lock);
}

void journal_intent(struct journal *j, const char *fp, const char *name)
{
    unsigned char when[8];
    struct buf body = {0}, rec = {0};
    jrec_put64(when, (uint64_t)wall_ms());
    buf_add(&body, when, sizeof(when));
    buf_add(&body, fp, FP_BYTES);
    buf_add(&body, name, strnlen(name, INTENT_NAME_MAX));
    jrec_add(&rec, JREC_INTENT, body.p, body.len);
    write_unsynced(j, &rec);
    buf_done(&body);
    buf_done(&rec);
}

void journal_settled(struct journal *j, const char *fp)
{
    struct buf rec = {0};
    jrec_add(&rec, JREC_SETTLED, fp, FP_BYTES);
    write_unsynced(j, &rec);
    buf_done(&rec);
}
