/* The journal file: replay, torn tail, compaction, identity, lock, intents. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "jrec.h"
#include "tests.h"

static char folder[] = "/tmp/bwjournal-XXXXXX";
static char file[64];
static uint64_t seen[64];
static size_t n_seen;
static char intent_name[64];

static const char fp[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void on_alert(void *ctx, uint64_t seq, int64_t received_ms, const char *text, size_t len)
{
    (void)ctx;
    ASSERT_EQ(received_ms, (int64_t)seq * 10);
    ASSERT(len == 5 && memcmp(text, "alert", 5) == 0);
    seen[n_seen++] = seq;
}

static void on_intent(void *ctx, const char *of, const char *name)
{
    (void)ctx;
    ASSERT_STREQ(of, fp);
    snprintf(intent_name, sizeof(intent_name), "%s", name);
}

static struct journal *open_it(void)
{
    const struct journal_reader reader = {on_alert, on_intent, NULL};
    struct journal *j = NULL;
    struct buf err = {0};
    n_seen = 0;
    intent_name[0] = '\0';
    if (journal_open(file, 4096, &reader, &j, &err) < 0)
        TEST_FAIL("%s", err.p);
    buf_done(&err);
    return j;
}

static void fresh(void)
{
    if (!strstr(folder, "XXXXXX"))
        strcpy(folder, "/tmp/bwjournal-XXXXXX");
    ASSERT(mkdtemp(folder) != NULL);
    snprintf(file, sizeof(file), "%s/j", folder);
}

static void cleanup(void)
{
    unlink(file);
    ASSERT_OK(rmdir(folder));
}

static void add(struct journal *j, uint64_t seq)
{
    ASSERT_OK(journal_add_alert(j, seq, (int64_t)seq * 10, "alert", 5));
}

TEST(replay_what_is_not_done)
{
    fresh();
    struct journal *j = open_it();
    char id[JOURNAL_ID_BYTES];
    strcpy(id, journal_id(j));
    ASSERT_EQ(journal_epoch(j), 1);
    for (uint64_t s = 1; s <= 5; s++)
        add(j, s);
    ASSERT_OK(journal_commit(j));
    journal_add_done(j, 2);
    journal_add_done(j, 4);
    ASSERT_OK(journal_commit(j));
    journal_close(j);
    j = open_it();
    ASSERT_EQ(n_seen, 3);
    ASSERT(seen[0] == 1 && seen[1] == 3 && seen[2] == 5);
    ASSERT_STREQ(journal_id(j), id);
    ASSERT_EQ(journal_epoch(j), 2);
    journal_close(j);
    cleanup();
}

TEST(not_committed_is_not_there)
{
    fresh();
    struct journal *j = open_it();
    add(j, 1);
    ASSERT_OK(journal_commit(j));
    add(j, 2);
    journal_close(j);
    journal_close(open_it());
    ASSERT_EQ(n_seen, 1);
    cleanup();
}

static void append(const void *p, size_t n)
{
    FILE *f = fopen(file, "ab");
    ASSERT(f != NULL);
    ASSERT_EQ(fwrite(p, 1, n, f), n);
    fclose(f);
}

TEST(torn_tail)
{
    fresh();
    struct journal *j = open_it();
    add(j, 7);
    ASSERT_OK(journal_commit(j));
    journal_close(j);
    struct buf b = {0};
    unsigned char body[21] = {9};
    jrec_add(&b, JREC_ALERT, body, sizeof(body));
    append(b.p, b.len - 3);
    buf_done(&b);
    j = open_it();
    ASSERT_EQ(n_seen, 1);
    add(j, 8); /* what comes behind a dropped tail counts again */
    ASSERT_OK(journal_commit(j));
    journal_close(j);
    journal_close(open_it());
    ASSERT_EQ(n_seen, 2);
    cleanup();
}

TEST(garbage_file)
{
    fresh();
    append("this is no journal at all, but somebody's notes", 47);
    journal_close(open_it());
    ASSERT_EQ(n_seen, 0);
    cleanup();
}

TEST(one_gateway_a_file)
{
    const struct journal_reader reader = {on_alert, on_intent, NULL};
    struct journal *j, *second = NULL;
    struct buf err = {0};
    fresh();
    j = open_it();
    ASSERT_EQ(journal_open(file, 4096, &reader, &second, &err), -EBUSY);
    ASSERT_CONTAINS(err.p, "another gateway");
    buf_done(&err);
    journal_close(j);
    cleanup();
}

TEST(long_file_is_rewritten)
{
    fresh();
    struct journal *j = open_it();
    struct stat st;
    add(j, 1);
    for (uint64_t s = 2; s < 2000; s++) {
        add(j, s);
        journal_add_done(j, s);
        if (s % 50 == 0)
            ASSERT_OK(journal_commit(j));
    }
    ASSERT_OK(journal_commit(j));
    ASSERT_OK(stat(file, &st));
    ASSERT_LT(st.st_size, 10000);
    add(j, 3000);
    ASSERT_OK(journal_commit(j));
    journal_close(j);
    journal_close(open_it());
    ASSERT_EQ(n_seen, 2);
    ASSERT(seen[0] == 1 && seen[1] == 3000);
    cleanup();
}

TEST(intents)
{
    fresh();
    struct journal *j = open_it();
    journal_intent(j, fp, "rr-1");
    journal_settled(j, fp);
    journal_intent(j, fp, "rr-2");
    journal_close(j);
    j = open_it();
    ASSERT_STREQ(intent_name, "rr-2");
    journal_settled(j, fp);
    journal_close(j);
    journal_close(open_it());
    ASSERT_STREQ(intent_name, "");
    cleanup();
}

TEST(too_long_an_alert)
{
    fresh();
    struct journal *j = open_it();
    char *big = calloc(1, JREC_BODY_MAX);
    ASSERT_EQ(journal_add_alert(j, 1, 10, big, JREC_BODY_MAX), -EMSGSIZE);
    ASSERT_OK(journal_commit(j));
    free(big);
    journal_close(j);
    cleanup();
}
