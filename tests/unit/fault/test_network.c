/* Network and name faults through the family, against a lab that answers well, badly, or not. */
#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "fault/network.h"
#include "unit/fault/guard_bench.h"

/* One link from port 1 to port 2 and one back; what the lab makes of it goes by `behaviour`. */
static struct fault_request network(enum guard_lab_link behaviour)
{
    struct fault_request q = request("network", GUARD_LAB_GOOD, "redis");
    struct fault_network *n = &q.network;
    strcpy(q.name, "redis-slow");
    strcpy(n->text, "delay 500ms +-100ms, loss 30 %");
    strcpy(n->where, "redis -> gateway, both ways");
    n->links_n = n->pairs_n = 2;
    for (int i = 0; i < 2; i++) {
        n->links[i] = (struct fault_link){.dst_port = behaviour, .seed = 7};
        port_set_add(&n->links[i].from, 1 + (unsigned)i);
        port_set_add(&n->links[i].to, 2 - (unsigned)i);
    }
    n->spec = (struct impair_spec){
        .latency_ns = 500000000, .jitter_ns = 100000000, .loss = {.share = 0.3}};
    return q;
}

/* The n-th event of a kind for a fault. */
static struct seen *seen_nth(struct bench *b, int kind, int fault, int nth)
{
    for (int i = 0; i < b->seen_n; i++)
        if (b->seen[i].kind == kind && b->seen[i].fault == fault && nth-- == 0)
            return &b->seen[i];
    return NULL;
}

TEST(a_network_fault_is_put_in_force_measured_and_lifted)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_STREQ(s->asked, "delay 500ms +-100ms, loss 30 %: redis -> gateway, both ways");
    ASSERT_CONTAINS(s->measured, "in force on 2 links");
    ASSERT_EQ(b.lab_state->links_n, 2);
    const struct lab_link *l = b.lab_state->links;
    ASSERT_EQ(l[0].id, 3 * FAULT_ID_PARTS);
    ASSERT_EQ(l[1].id, 3 * FAULT_ID_PARTS + 1);
    ASSERT(port_set_has(&l[0].from, 1) && port_set_has(&l[0].to, 2) && !port_set_has(&l[0].to, 1));
    ASSERT_EQ(l[0].spec.latency_ns, 500000000);
    ASSERT_EQ(l[0].seed, 7);
    ASSERT_STREQ(l[0].name, "redis-slow");
    ASSERT_OK(guard_undo(b.g, 3));
    await_event(&b, GUARD_FAULT_ENDED, 3);
    s = seen_nth(&b, GUARD_FAULT_ACTIVE, 3, 1);
    ASSERT(s);
    ASSERT_STREQ(s->measured, "2,408 packets met it: added 499ms p50, 599ms p99 (asked 500ms "
                              "+-100ms), lost 30.4 % (asked 30 %), lateness p99 200us");
    ASSERT(!seen_nth(&b, GUARD_FAULT_NO_EFFECT, 3, 0));
    ASSERT_EQ(b.lab_state->links_n, 0);
    close_bench(&b);
}

TEST(a_partition_is_measured_by_what_it_stopped)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    q.network.spec = (struct impair_spec){.partition = true};
    ASSERT_OK(guard_apply(b.g, 1, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 1);
    ASSERT_OK(guard_undo(b.g, 1));
    await_event(&b, GUARD_FAULT_ENDED, 1);
    struct seen *s = seen_nth(&b, GUARD_FAULT_ACTIVE, 1, 1);
    ASSERT(s);
    ASSERT_STREQ(s->measured, "2,408 packets met it: none passed");
    close_bench(&b);
}

/* What was in force and had no effect, or not the right one, is told before the end. */
static void assert_no_effect(enum guard_lab_link behaviour, const char *why)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(behaviour);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_OK(guard_undo(b.g, 3));
    struct seen *ended = await_event(&b, GUARD_FAULT_ENDED, 3);
    struct seen *s = seen_nth(&b, GUARD_FAULT_NO_EFFECT, 3, 0);
    ASSERT(s && s < ended);
    ASSERT_CONTAINS(s->text, why);
    ASSERT_EQ(b.lab_state->links_n, 0);
    close_bench(&b);
}

TEST(a_link_that_no_packet_took_is_no_effect)
{
    assert_no_effect(GUARD_LINK_QUIET, "no packet met it: nobody talked over redis -> gateway");
}

TEST(a_switch_that_was_late_is_not_exact)
{
    assert_no_effect(GUARD_LINK_LATE, "not exact: packets left up to 250ms (p99) later");
}

TEST(a_refused_link_fails_the_fault_and_leaves_nothing)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    q.network.links[1].dst_port = GUARD_LINK_REFUSED;
    ASSERT_OK(guard_apply(b.g, 3, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_FAILED, 3);
    ASSERT_CONTAINS(s->text, "the lab carries no more network faults at once");
    ASSERT_EQ(b.lab_state->added_n, 1);
    ASSERT_EQ(b.lab_state->links_n, 0);
    /* what the lab never had is undone as well: nothing else is said of this fault */
    q = network(GUARD_LINK_GOOD);
    ASSERT_OK(guard_apply(b.g, 4, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 4);
    ASSERT(!seen_nth(&b, GUARD_FAULT_UNDO_FAILED, 3, 0));
    close_bench(&b);
}

TEST(a_link_that_stays_is_an_undo_that_is_not_confirmed)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_STUCK);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_OK(guard_undo(b.g, 3));
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_UNDO_FAILED, 3)->text, "busy");
    close_bench(&b); /* it ends with the lab */
}

static void kill_agent(struct bench *b)
{
    pid_t agent = role_holder(b, JOURNAL_AGENT);
    ASSERT(agent > 0);
    ASSERT_OK(kill(agent, SIGKILL));
    await_event(b, GUARD_AGENT_RESTARTED, -1);
}

TEST(an_agent_killed_while_it_lasts_is_undone_from_the_journal)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    ASSERT_EQ(b.lab_state->links_n, 2);
    kill_agent(&b);
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_NO_EFFECT, 3)->text, "because the agent died");
    await_event(&b, GUARD_FAULT_ENDED, 3);
    ASSERT_EQ(b.lab_state->links_n, 0);
    close_bench(&b);
}

TEST(an_agent_killed_before_the_lab_answers_is_undone_from_the_journal)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_SILENT);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    for (int i = 0; i < 2000 && __atomic_load_n(&b.lab_state->added_n, __ATOMIC_SEQ_CST) < 2; i++) {
        struct pollfd p = {.fd = guard_fd(b.g), .events = POLLIN};
        poll(&p, 1, 5);
        guard_dispatch(b.g);
    }
    ASSERT_EQ(b.lab_state->links_n, 2);
    kill_agent(&b);
    await_event(&b, GUARD_FAULT_FAILED, 3);
    ASSERT_EQ(b.lab_state->links_n, 0);
    close_bench(&b);
}

TEST(a_reset_counts_what_it_destroyed)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    strcpy(q.kind, "network-reset");
    ASSERT_OK(guard_apply(b.g, 1, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_ACTIVE, 1);
    ASSERT_STREQ(s->asked, "connections reset: redis -> gateway, both ways");
    ASSERT_STREQ(s->measured, "6 connections destroyed");
    q = network(GUARD_LINK_QUIET);
    strcpy(q.kind, "network-reset");
    ASSERT_OK(guard_apply(b.g, 2, &q));
    s = await_event(&b, GUARD_FAULT_NO_EFFECT, 2);
    ASSERT_STREQ(s->measured, "0 connections destroyed");
    ASSERT_CONTAINS(s->text, "there was no connection to destroy");
    ASSERT_EQ(b.lab_state->links_n, 0);
    close_bench(&b);
}

static struct fault_request names(int service)
{
    struct fault_request q = request("dns", service, "gateway");
    q.names.rule = (struct lab_names){.action = LAB_NAMES_DELAY, .patterns_n = 1, .delay_ns = 5};
    strcpy(q.names.rule.patterns[0], "redis*");
    strcpy(q.names.text, "redis*: answered late by 500ms");
    port_set_add(&q.names.rule.who, (unsigned)service + 1);
    return q;
}

TEST(a_fault_on_names_counts_the_questions)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = names(GUARD_LAB_GOOD);
    ASSERT_OK(guard_apply(b.g, 1, &q));
    struct seen *s = await_event(&b, GUARD_FAULT_ACTIVE, 1);
    ASSERT_STREQ(s->asked, "redis*: answered late by 500ms; for gateway");
    ASSERT(b.lab_state->names_used);
    ASSERT_EQ(b.lab_state->names.id, FAULT_ID_PARTS);
    ASSERT_STREQ(b.lab_state->names.patterns[0], "redis*");
    ASSERT_OK(guard_undo(b.g, 1));
    await_event(&b, GUARD_FAULT_ENDED, 1);
    s = seen_nth(&b, GUARD_FAULT_ACTIVE, 1, 1);
    ASSERT(s);
    ASSERT_STREQ(s->measured, "37 questions met it");
    ASSERT(!b.lab_state->names_used);
    q = names(GUARD_LAB_NOT_RUNNING);
    ASSERT_OK(guard_apply(b.g, 2, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 2);
    ASSERT_OK(guard_undo(b.g, 2));
    ASSERT_CONTAINS(await_event(&b, GUARD_FAULT_NO_EFFECT, 2)->text,
                    "nobody asked for such a name");
    await_event(&b, GUARD_FAULT_ENDED, 2);
    close_bench(&b);
}

TEST(a_rule_for_names_is_undone_from_the_journal)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = names(GUARD_LAB_GOOD);
    ASSERT_OK(guard_apply(b.g, 1, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 1);
    kill_agent(&b);
    await_event(&b, GUARD_FAULT_ENDED, 1);
    ASSERT(!b.lab_state->names_used);
    close_bench(&b);
}

TEST(close_lifts_what_is_in_force)
{
    struct bench b;
    open_bench(&b);
    struct fault_request q = network(GUARD_LINK_GOOD);
    ASSERT_OK(guard_apply(b.g, 3, &q));
    await_event(&b, GUARD_FAULT_ACTIVE, 3);
    close_bench(&b);
}

TEST(a_request_out_of_bounds_is_refused)
{
    struct fault_request q = network(GUARD_LINK_GOOD), bad = q;
    ASSERT_OK(fault_check_request(&q));
    bad.network.links_n = FAULT_LINKS + 1;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    bad.network.spec.loss.share = 1.01;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    bad.network.spec.corrupt.correlation = NAN;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    bad.network.spec.jitter_ns = -1;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    bad.network.links[1].dst_port = 65536;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    memset(bad.network.where, 'x', sizeof bad.network.where);
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = q;
    bad.network.spec.bandwidth.rate_bytes_per_s = 1;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = names(1);
    bad.names.rule.patterns_n = LAB_NAME_PATTERNS + 1;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = names(1);
    memset(bad.names.rule.patterns[0], 'x', LAB_NAME_BYTES);
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
    bad = names(1);
    bad.names.rule.action = LAB_NAMES_ACTION_COUNT;
    ASSERT_EQ(fault_check_request(&bad), -EINVAL);
}
