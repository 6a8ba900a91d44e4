#include "check/stage.h"

/* Four requests a key; the gateway accepts all but what the fates say. */
static void send_alerts(struct stage *st, const enum fate *fates, int n)
{
    static const char *const keys[] = {"p-0", "p-1", "p-2", "p-3", "p-4", "p-5", "p-6", "p-7"};
    for (int i = 0; i < n; i++) {
        struct ledger_row row =
            scene_row((uint64_t)i, 9000 + i * 250, 12, fates ? fates[i] : FATE_ACCEPTED);
        stage_row(st, 0, &row, keys[i / 4 % 8]);
    }
}

static void found(struct stage *st, const char *key, int64_t n)
{
    ASSERT_OK(record_settled_object(st->s.r, 0, key, n));
}

static void settled(struct stage *st)
{
    ASSERT_OK(record_settled(st->s.r, 0, true, SCENE_S(30), NULL));
}

static void begin(struct stage *st, bool counted)
{
    stage_init(st);
    if (!counted)
        st->s.loads[0].settle.count = NULL;
    stage_check(st, "nothing lost", (struct plan_check){.load = "alerts", .when = PLAN_ALWAYS});
    stage_open_sound(st);
}

TEST(all_found_passes_with_its_identity)
{
    struct stage st;
    begin(&st, true);
    enum fate fates[8] = {FATE_ACCEPTED, FATE_ACCEPTED, FATE_ACCEPTED, FATE_REFUSED,
                          FATE_ACCEPTED, FATE_UNKNOWN,  FATE_UNKNOWN,  FATE_UNSENT};
    send_alerts(&st, fates, 8);
    found(&st, "p-0", 3);
    found(&st, "p-1", 2); /* one of the two unknown ones got through */
    settled(&st);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_PASS);
    ASSERT_STREQ(r->value, "0 of 4 lost; 2 unknown, 1 recovered");
    ASSERT_CONTAINS(r->reason, "due 8 = 4 accepted + 1 refused + 0 failed + 2 unknown + 1 unsent");
    ASSERT_CONTAINS(r->reason, "accepted 4 = 4 found + 0 lost");
    ASSERT_NEAR(r->value_num, 0, 0);
    stage_done(&st);
}

TEST(lost_requests_are_listed_with_their_times)
{
    struct stage st;
    begin(&st, true);
    send_alerts(&st, NULL, 8);
    found(&st, "p-0", 4);
    found(&st, "p-1", 3);
    settled(&st);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_FAIL);
    ASSERT_STREQ(r->value, "1 of 8 lost");
    ASSERT_NEAR(r->value_num, 1, 0);
    ASSERT_EQ(r->details_all, 1);
    ASSERT_CONTAINS(r->details[0], "lost: 'p-1': 3 of 4 accepted found");
    ASSERT_CONTAINS(r->details[0], "request 4 (sent 10.000s, answered 10.012s, fault), 5 (sent");
    ASSERT_CONTAINS(r->reason, "lost: 1 of keys that were found in part");
    stage_done(&st);
}

TEST(without_counts_a_missing_key_loses_all_its_requests)
{
    struct stage st;
    begin(&st, false);
    send_alerts(&st, NULL, 12);
    found(&st, "p-0", 1);
    found(&st, "p-2", 1);
    settled(&st);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_FAIL);
    ASSERT_STREQ(r->value, "4 of 12 lost");
    ASSERT_CONTAINS(r->details[0], "accepted 4 times, found 0 times");
    ASSERT_CONTAINS(r->reason, "lost: 4 accepted in fault");
    stage_done(&st);
}

TEST(twice_is_a_failure_too)
{
    for (int counted = 0; counted < 2; counted++) {
        struct stage st;
        begin(&st, counted);
        send_alerts(&st, NULL, 4);
        found(&st, "p-0", 4);
        found(&st, "p-0", 1);
        settled(&st);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_FAIL);
        ASSERT_STREQ(r->value, "0 of 4 lost, 1 duplicated");
        ASSERT_CONTAINS(r->details[0], "duplicated: 'p-0'");
        stage_done(&st);
    }
}

TEST(what_was_denied_but_is_there_is_shown_and_allowed)
{
    struct stage st;
    begin(&st, true);
    enum fate fates[4] = {FATE_ACCEPTED, FATE_FAILED, FATE_ACCEPTED, FATE_ACCEPTED};
    send_alerts(&st, fates, 4);
    found(&st, "p-0", 4);
    found(&st, "stranger", 2);
    settled(&st);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_PASS);
    ASSERT_STREQ(r->value, "0 of 3 lost; 3 unexpected");
    ASSERT_EQ(r->details_n, 2);
    ASSERT_CONTAINS(r->details[1], "unexpected: 'stranger'");
    stage_done(&st);
}

TEST(details_are_bounded_but_all_are_counted)
{
    struct stage st;
    begin(&st, true);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k-%02d", i);
        struct ledger_row row = scene_row((uint64_t)(49 - i), 9000 - i, 12, FATE_ACCEPTED);
        stage_row(&st, 0, &row, key);
    }
    settled(&st);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_FAIL);
    ASSERT_STREQ(r->value, "50 of 50 lost");
    ASSERT_EQ(r->details_n, 20);
    ASSERT_EQ(r->details_all, 50);
    ASSERT_CONTAINS(r->details[0], "lost: 'k-49'"); /* the first that was sent */
    stage_done(&st);
}

TEST(what_cannot_be_known_is_inconclusive)
{
    static const struct {
        const char *what, *reason;
    } rows[] = {{"not settled", "not settled"},
                {"not read", "never read"},
                {"not stable", "kept changing"},
                {"problem", "connection refused"},
                {"no accepted", "no request was accepted"},
                {"row missing", "rows are missing"},
                {"key missing", "no settlement key"},
                {"no end", "cut off"},
                {"no effect", "no measured effect"},
                {"interrupted", "was interrupted"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *what = rows[i].what;
#define IS(W) (strcmp(what, W) == 0)
        struct stage st;
        stage_init(&st);
        if (IS("not settled"))
            st.s.loads[0].settle.from = NULL;
        stage_check(&st, "nothing lost", (struct plan_check){.load = "alerts"});
        stage_open_sound(&st);
        if (IS("no effect"))
            stage_fault(&st, 1, "pod-failure", "no-effect", 10001);
        enum fate refused[4] = {FATE_REFUSED, FATE_REFUSED, FATE_REFUSED, FATE_REFUSED};
        send_alerts(&st, IS("no accepted") ? refused : NULL, 4);
        if (IS("key missing")) {
            struct ledger_row row = scene_row(9, 9000, 12, FATE_ACCEPTED);
            stage_row(&st, 0, &row, NULL);
        }
        if (IS("row missing")) {
            st.ends[0].due++;
            st.ends[0].fates[FATE_ACCEPTED]++;
        }
        st.no_ends = IS("no end");
        if (IS("interrupted"))
            st.how = "interrupted";
        found(&st, "p-0", 4);
        if (!IS("not read"))
            ASSERT_OK(record_settled(st.s.r, 0, !IS("not stable"), SCENE_S(30),
                                     IS("problem") ? "connection refused" : NULL));
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
        ASSERT_CONTAINS(r->reason, rows[i].reason);
        stage_done(&st);
    }
}
