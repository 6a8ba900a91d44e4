/* The registry of faults: sorted, told, undoable, documented, each with a manifest that asks for
 * it.
 */
#include "fault/fault.h"

#include "base/buf.h"
#include "base/mem.h"
#include "fault/action.h"
#include "fault/manifest.h"
#include "unit/tests.h"

static const char *const samples[] = {
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: m}\n"
    "spec: {action: container-kill, mode: all, containerNames: [app], selector: {}}\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: DNSChaos\nmetadata: {name: m}\n"
    "spec: {action: error, mode: all, selector: {}}\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: m}\n"
    "spec: {action: partition, mode: all, selector: {}}\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: m}\n"
    "spec: {action: reset, mode: all, selector: {}}\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: m}\n"
    "spec: {action: pod-failure, mode: all, duration: 8s, selector: {}}\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: m}\n"
    "spec: {action: pod-kill, mode: all, selector: {}}\n",
};

TEST(every_fault_is_complete)
{
    struct buf docs = {0};
    ASSERT_OK(buf_read_file(&docs, DOCS_FAULTS, 1 << 20));
    ASSERT_EQ(fault_count(), ARRAY_SIZE(samples));
    for (size_t i = 0; i < fault_count(); i++) {
        const struct fault *f = fault_at(i);
        char heading[64];
        ASSERT(i == 0 || strcmp(fault_at(i - 1)->name, f->name) < 0);
        ASSERT(fault_find(f->name) == f);
        ASSERT(strlen(f->help) > 20 && strlen(f->undo) > 20);
        ASSERT(f->apply);
        ASSERT(f->one_shot != (f->undo_fn != NULL));
        ASSERT(!f->measures_at_end || f->undo_fn);
        snprintf(heading, sizeof heading, "\n## %s\n", f->name);
        ASSERT_CONTAINS(buf_str(&docs), heading);
    }
    ASSERT(!fault_find("pod-resurrection") && !fault_at(fault_count()));
    buf_done(&docs);
}

TEST(every_fault_has_a_manifest_that_asks_for_it)
{
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct arena a;
        struct manifest m;
        struct plan_errors errors;
        arena_init(&a);
        ASSERT_OK(manifest_parse(&a, "sample", samples[i], &m, &errors));
        ASSERT_STREQ(m.fault, fault_at(i)->name);
        plan_errors_done(&m.warnings);
        plan_errors_done(&errors);
        arena_done(&a);
    }
}

TEST(every_action_is_complete)
{
    struct buf docs = {0};
    ASSERT_OK(buf_read_file(&docs, DOCS_UNDO, 1 << 20));
    for (uint32_t kind = 0; kind < ACTION_COUNT; kind++) {
        const struct action *a = action_of(kind);
        char row[64];
        ASSERT(a && a->undo && strlen(a->undo_help) > 10);
        snprintf(row, sizeof row, "\n| `%s` |", a->name);
        ASSERT_CONTAINS(buf_str(&docs), row);
    }
    ASSERT(!action_of(ACTION_COUNT));
    buf_done(&docs);
}
