/* Faults by hand: from a manifest that somebody sends to the guard's word on what became of it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/lab_keeper.h"
#include "fault/manifest.h"

static const char *const state_names[] = {"applying", "in force", "no effect", "ending",
                                          "ended",    "done",     "failed",    "undo failed"};
_Static_assert(ARRAY_SIZE(state_names) == KEEPER_FAULT_STATE_COUNT, "a name for each state");

const char *keeper_fault_state_name(enum keeper_fault_state state)
{
    return state_names[state];
}

bool keeper_fault_in_force(const struct keeper_fault *f)
{
    switch (f->state) {
    case KEEPER_FAULT_APPLYING:
    case KEEPER_FAULT_ACTIVE:
    case KEEPER_FAULT_NO_EFFECT:
    case KEEPER_FAULT_ENDING:
    case KEEPER_FAULT_UNDO_FAILED: return true;
    case KEEPER_FAULT_ENDED:
    case KEEPER_FAULT_DONE:
    case KEEPER_FAULT_FAILED:
    case KEEPER_FAULT_STATE_COUNT: break;
    }
    return false;
}

static struct keeper_fault *find_name(struct keeper *k, const char *name)
{
    for (int i = 0; i < k->faults_n; i++)
        if (strcmp(k->faults[i].name, name) == 0)
            return &k->faults[i];
    return NULL;
}

static struct keeper_fault *find_number(struct keeper *k, int number)
{
    for (int i = 0; i < k->faults_n; i++)
        if (k->faults[i].number == number)
            return &k->faults[i];
    return NULL;
}

static void forget(struct keeper *k, struct keeper_fault *f)
{
    size_t at = (size_t)(f - k->faults);
    memmove(f, f + 1, ((size_t)k->faults_n - at - 1) * sizeof *f);
    k->faults_n--;
}

/* The oldest that is over makes room. */
static struct keeper_fault *new_fault(struct keeper *k)
{
    for (int i = 0; i < k->faults_n && k->faults_n == KEEPER_FAULTS; i++)
        if (!keeper_fault_in_force(&k->faults[i]))
            forget(k, &k->faults[i]);
    if (k->faults_n == KEEPER_FAULTS)
        return NULL;
    struct keeper_fault *f = &k->faults[k->faults_n++];
    *f = (struct keeper_fault){.number = ++k->next_fault, .ends_ns = -1};
    return f;
}

void keeper_forget_waiter(struct keeper *k, const struct keeper_conn *c)
{
    for (int i = 0; i < k->faults_n; i++)
        if (k->faults[i].waiter == c)
            k->faults[i].waiter = NULL;
}

static void answer(struct keeper *k, struct keeper_fault *f, int status)
{
    struct keeper_conn *c = f->waiter;
    f->waiter = NULL;
    if (c)
        keeper_answer_fault(k, c, status, f);
}

/* --- applying --------------------------------------------------------------------------------- */

static void apply_request(struct keeper *k, struct keeper_conn *c, const struct manifest *m,
                          struct fault_request *request, int64_t for_ns)
{
    struct keeper_fault *f = new_fault(k);
    const struct fault *kind = fault_find(request->kind);
    if (!f) {
        keeper_refuse(k, c, EXIT_TARGET, "there are %d faults in force already; delete some",
                      KEEPER_FAULTS);
        return;
    }
    f->one_shot = kind && kind->one_shot;
    snprintf(f->name, sizeof f->name, "%s", m->name);
    snprintf(f->title, sizeof f->title, "%s", m->title);
    if (request->network.links_n)
        snprintf(f->targets, sizeof f->targets, "%s", request->network.where);
    else
        fault_names(request, f->targets, sizeof f->targets);
    for (uint32_t i = 0; i < request->targets_n && kind && kind->kills; i++)
        k->crew.v[request->targets[i]].faulted = true;
    int64_t span_ns = for_ns > 0 ? for_ns : m->duration_ns, now_ns = clock_now_ns();
    f->since_ns = now_ns - k->start_ns;
    if (span_ns > 0 && !f->one_shot) {
        request->ttl_ns = span_ns;
        f->ends_ns = f->since_ns + span_ns;
    }
    keeper_line(k, now_ns, LIVE_WARN, "fault", "%s: %s on %s", f->name, f->title, f->targets);
    int r = guard_apply(k->bed.guard, f->number, request);
    if (r < 0) {
        forget(k, f);
        keeper_refuse(k, c, EXIT_TARGET, "fault \"%s\" could not be applied: %s", m->name,
                      strerror(-r));
        return;
    }
    f->waiter = c;
}

/* Takes the parsed manifest; everything that can be refused before the guard is asked. */
static void apply_manifest(struct keeper *k, struct keeper_conn *c, const struct manifest *m,
                           int64_t for_ns)
{
    static struct fault_request request;
    struct buf why = {0};
    char stream[32 + ASK_NAME_BYTES];
    struct keeper_fault *old = find_name(k, m->name);
    snprintf(stream, sizeof stream, "fault/%d/%.*s", k->next_fault + 1, ASK_NAME_BYTES - 1,
             m->name);
    if (strlen(m->name) >= ASK_NAME_BYTES) {
        keeper_refuse(k, c, EXIT_PLAN, "the fault's name is longer than %d bytes",
                      ASK_NAME_BYTES - 1);
    } else if (old && keeper_fault_in_force(old)) {
        keeper_refuse(k, c, EXIT_TARGET,
                      "there is a fault \"%s\" already (%s); `squall chaos delete %s` first",
                      m->name, state_names[old->state], m->name);
    } else if (manifest_request(m, k->plan, k->seed, stream, &request, &why) == 0) {
        keeper_refuse(k, c, EXIT_TARGET, "fault \"%s\" could not be applied: %s", m->name,
                      buf_str(&why));
    } else {
        if (old)
            forget(k, old);
        apply_request(k, c, m, &request, for_ns);
    }
    buf_done(&why);
}

void keeper_apply(struct keeper *k, struct keeper_conn *c, const struct ask *ask)
{
    struct arena arena;
    struct manifest m;
    struct plan_errors errors = {0};
    if (k->state != KEEPER_UP) {
        keeper_refuse(k, c, EXIT_TARGET, "the lab is %s", keeper_state_name(k));
        return;
    }
    arena_init(&arena);
    if (manifest_parse(&arena, ask->name, ask->text, &m, &errors) < 0) {
        keeper_refuse(k, c, EXIT_PLAN, "%s", buf_str(&errors.text));
    } else {
        apply_manifest(k, c, &m, ask->for_ns);
        plan_errors_done(&m.warnings);
    }
    plan_errors_done(&errors);
    arena_done(&arena);
}

/* --- deleting --------------------------------------------------------------------------------- */

void keeper_delete(struct keeper *k, struct keeper_conn *c, const struct ask *ask)
{
    struct keeper_fault *f = find_name(k, ask->name);
    if (!f) {
        keeper_refuse(k, c, EXIT_TARGET, "there is no fault \"%s\"; see squall chaos list",
                      ask->name);
        return;
    }
    if (!keeper_fault_in_force(f)) { /* only its row is left */
        struct keeper_fault gone = *f;
        forget(k, f);
        keeper_answer_fault(k, c, 0, &gone);
        return;
    }
    if (f->waiter || f->state == KEEPER_FAULT_ENDING) {
        keeper_refuse(k, c, EXIT_TARGET, "fault \"%s\" is %s just now", f->name,
                      state_names[f->state]);
        return;
    }
    int r = guard_undo(k->bed.guard, f->number);
    if (r < 0) {
        keeper_refuse(k, c, EXIT_UNDO, "fault \"%s\" could not be undone: %s", f->name,
                      strerror(-r));
        return;
    }
    f->state = KEEPER_FAULT_ENDING;
    f->waiter = c;
}

/* --- the guard's word ------------------------------------------------------------------------- */

static void take_texts(struct keeper_fault *f, const struct guard_event *e)
{
    if (e->asked && e->asked[0])
        snprintf(f->asked, sizeof f->asked, "%s", e->asked);
    if (e->measured && e->measured[0])
        snprintf(f->measured, sizeof f->measured, "%s", e->measured);
    snprintf(f->text, sizeof f->text, "%s", e->text ? e->text : "");
}

/* Some faults know at once whether they act, others only at their end; those speak twice. */
static void on_measured(struct keeper *k, struct keeper_fault *f, const struct guard_event *e)
{
    bool first = f->state == KEEPER_FAULT_APPLYING;
    f->no_effect = e->kind == GUARD_FAULT_NO_EFFECT;
    keeper_line(k, e->t_ns, f->no_effect ? LIVE_BAD : LIVE_WARN, "fault",
                "%s: %s: asked %s; measured %s%s%s", f->name,
                f->no_effect ? "no effect seen" : "in effect", f->asked, f->measured,
                f->text[0] ? "; " : "", f->text);
    if (!first)
        return;
    f->state = f->one_shot    ? KEEPER_FAULT_DONE
               : f->no_effect ? KEEPER_FAULT_NO_EFFECT
                              : KEEPER_FAULT_ACTIVE;
    answer(k, f, f->no_effect ? EXIT_INCONCLUSIVE : 0);
    if (f->one_shot) /* so that the guard forgets it; there is nothing to undo */
        (void)guard_undo(k->bed.guard, f->number);
}

static void on_ended(struct keeper *k, struct keeper_fault *f, const struct guard_event *e)
{
    bool early = f->state == KEEPER_FAULT_APPLYING;
    f->state = KEEPER_FAULT_ENDED;
    f->ends_ns = e->t_ns - k->start_ns;
    keeper_line(k, e->t_ns, LIVE_GOOD, "fault", "%s: undone: %s", f->name,
                e->measured && e->measured[0] ? e->measured : f->text);
    answer(k, f, early ? EXIT_TARGET : f->no_effect ? EXIT_INCONCLUSIVE : 0);
}

static void on_fault_event(struct keeper *k, struct keeper_fault *f, const struct guard_event *e)
{
    if (f->state == KEEPER_FAULT_DONE)
        return; /* the guard forgets it */
    take_texts(f, e);
    switch (e->kind) {
    case GUARD_FAULT_ACTIVE:
    case GUARD_FAULT_NO_EFFECT: on_measured(k, f, e); break;
    case GUARD_FAULT_FAILED:
        f->state = KEEPER_FAULT_FAILED;
        keeper_line(k, e->t_ns, LIVE_BAD, "fault", "%s: could not be applied: %s", f->name,
                    f->text);
        answer(k, f, EXIT_TARGET);
        break;
    case GUARD_FAULT_ENDED: on_ended(k, f, e); break;
    case GUARD_FAULT_UNDO_FAILED:
        f->state = KEEPER_FAULT_UNDO_FAILED; /* the guard's end has the last word on it */
        keeper_line(k, e->t_ns, LIVE_BAD, "fault", "%s: undo not confirmed: %s", f->name, f->text);
        answer(k, f, EXIT_UNDO);
        break;
    case GUARD_AGENT_RESTARTED:
    case GUARD_LOST: break;
    }
}

void keeper_guard_event(void *ctx, const struct guard_event *e)
{
    struct keeper *k = ctx;
    char why[256];
    if (e->kind == GUARD_AGENT_RESTARTED) {
        keeper_line(k, e->t_ns, LIVE_BAD, "undo",
                    "the agent died and was replaced; its faults were undone");
    } else if (e->kind == GUARD_LOST) {
        snprintf(why, sizeof why, "the processes that guard the undo are gone%s%.180s",
                 e->text ? ": " : "", e->text ? e->text : "");
        if (k->bed.lab)
            keeper_stop(k, EXIT_TARGET, why);
        else
            snprintf(k->failure, sizeof k->failure, "%s", why);
    } else {
        struct keeper_fault *f = find_number(k, e->fault);
        if (f)
            on_fault_event(k, f, e);
    }
}
