/* manifest.c - documents and envelope: which object of a file is the one chaos object. */
#include "fault/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fault/manifest_read.h"

#define LIST_DEPTH 3

/* Every kind that Chaos Mesh has or had. */
static const struct kind {
    const char *name;
    void (*read)(struct reader *r, struct ynode *spec); /* NULL: not in this version */
} chaos_kinds[] = {
    {"AWSChaos"},
    {"AzureChaos"},
    {"BlockChaos"},
    {"DNSChaos", manifest_read_dns},
    {"GCPChaos"},
    {"HTTPChaos"},
    {"IOChaos"},
    {"IoChaos"},
    {"JVMChaos"},
    {"KernelChaos"},
    {"NetworkChaos", manifest_read_network},
    {"PhysicalMachineChaos"},
    {"PodChaos", manifest_read_pod},
    {"Schedule"},
    {"StatusCheck"},
    {"StressChaos"},
    {"TimeChaos"},
    {"Workflow"},
    {"WorkflowNode"},
};

static const char *text_of(const struct ynode *map, const char *key)
{
    const struct ynode *node = yaml_get(map, key);
    return node && node->kind == YAML_SCALAR ? node->text : "";
}

static bool is_chaos_group(const char *api)
{
    return str_prefix(str_of(api), STR("chaos-mesh.org/")) ||
           str_prefix(str_of(api), STR("pingcap.com/"));
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(chaos_kinds); i++)
        if (strcmp(name, chaos_kinds[i].name) == 0)
            return &chaos_kinds[i];
    return NULL;
}

struct found {
    struct ynode *first; /* the chaos object; NULL = none yet */
    size_t n;
};

/* Sorts one object: ours, skipped with a note, or a list of further ones. */
static void sort_object(struct reader *r, struct ynode *doc, int depth, struct found *f)
{
    const char *api = text_of(doc, "apiVersion"), *kind = text_of(doc, "kind");
    if (yaml_is_null(doc))
        return;
    if (doc->kind != YAML_MAP) {
        problems_add(&r->errors, doc, "a manifest must be a map with apiVersion, kind and spec");
        return;
    }
    struct ynode *items = yaml_get(doc, "items");
    size_t kind_n = strlen(kind);
    if (items && items->kind == YAML_SEQ && depth < LIST_DEPTH && kind_n >= 4 &&
        strcmp(kind + kind_n - 4, "List") == 0) {
        yaml_for_each (item, items)
            sort_object(r, item, depth + 1, f);
        return;
    }
    if (!is_chaos_group(api) && !(find_kind(kind) && !*api)) {
        problems_add(&r->warnings, doc, "%s%.60s is no Chaos Mesh object; skipped",
                     *kind ? "an object of kind " : "this", kind);
        return;
    }
    if (f->n++ == 0)
        f->first = doc;
    else
        problems_add(&r->errors, doc,
                     "a second chaos object; a fault names a file with exactly one");
}

static void read_name(struct reader *r, struct ynode *node)
{
    r->m->name = read_text(r, node, "metadata.name");
}

static void read_namespace(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "metadata.namespace");
    if (text && *text)
        r->m->namespace = text;
}

static void read_annotations(struct reader *r, struct ynode *node)
{
    if (!read_kind(r, node, YAML_MAP, "metadata.annotations"))
        return;
    struct ynode *pause = yaml_get(node, "experiment.chaos-mesh.org/pause");
    if (pause && strcmp(pause->text, "true") == 0)
        problems_add(&r->errors, pause,
                     "this experiment is paused; remove the annotation to use it in a storm");
}

static void read_metadata(struct reader *r, struct ynode *node)
{
    /* what a server fills in stands in every exported object and asks for nothing */
    static const struct field fields[] = {
        {"name", read_name},
        {"namespace", read_namespace},
        {"annotations", read_annotations},
        {"labels"},
        {"generateName"},
        {"uid"},
        {"resourceVersion"},
        {"generation"},
        {"creationTimestamp"},
        {"deletionTimestamp"},
        {"deletionGracePeriodSeconds"},
        {"managedFields"},
        {"finalizers"},
        {"ownerReferences"},
        {"selfLink"},
        {"clusterName"},
    };
    read_fields(r, node, "metadata", fields, ARRAY_SIZE(fields));
}

static void read_api(struct reader *r, struct ynode *node)
{
    const char *text = read_text(r, node, "apiVersion");
    if (!text || strcmp(text, "chaos-mesh.org/v1alpha1") == 0)
        return;
    if (strcmp(text, "pingcap.com/v1alpha1") == 0)
        problems_add(&r->warnings, node,
                     "pingcap.com/v1alpha1 is the form before Chaos Mesh 0.8; taken as "
                     "chaos-mesh.org/v1alpha1");
    else
        problems_add(&r->errors, node,
                     "apiVersion '%.60s' is not known; chaos-mesh.org/v1alpha1 is", text);
}

static const char *nearest_kind(const char *name)
{
    const char *names[ARRAY_SIZE(chaos_kinds)];
    for (size_t i = 0; i < ARRAY_SIZE(chaos_kinds); i++)
        names[i] = chaos_kinds[i].name;
    return str_nearest(name, names, ARRAY_SIZE(names));
}

/* The kind whose spec can be read, or NULL and an error. */
static const struct kind *check_kind(struct reader *r, const struct ynode *doc)
{
    const struct ynode *node = read_given(doc, "kind");
    if (!node) {
        problems_add(&r->errors, doc, "kind is missing");
        return NULL;
    }
    if (!read_kind(r, node, YAML_SCALAR, "kind"))
        return NULL;
    const struct kind *kind = find_kind(node->text);
    r->m->kind = node->text;
    if (kind && kind->read)
        return kind;
    const char *near = kind ? NULL : nearest_kind(node->text);
    if (kind)
        problems_add(&r->errors, node, "kind %s is not supported by this version", node->text);
    else
        problems_add(&r->errors, node, "unknown kind '%.60s'%s%s", node->text,
                     near ? "; did you mean " : "", near ? near : "");
    return NULL;
}

static void read_object(struct reader *r, struct ynode *doc)
{
    static const struct field fields[] = {
        {"apiVersion", read_api}, {"metadata", read_metadata}, {"kind"}, {"spec"}, {"status"}};
    const struct kind *kind = check_kind(r, doc);
    if (!kind)
        return;
    read_fields(r, doc, "the object", fields, ARRAY_SIZE(fields));
    if (!yaml_get(doc, "apiVersion"))
        problems_add(&r->warnings, doc, "apiVersion is missing; taken as chaos-mesh.org/v1alpha1");
    if (!r->m->name || !*r->m->name)
        problems_add(&r->errors, doc, "metadata.name is missing");
    struct ynode *spec = read_given(doc, "spec");
    if (spec)
        kind->read(r, spec);
    else
        problems_add(&r->errors, doc, "spec is missing");
}

static void read_documents(struct reader *r, const char *file, struct str text)
{
    struct ydocs docs = {0};
    struct err err = {0};
    struct found found = {0};
    if (yaml_read(r->a, file, text, &docs, &err) < 0) {
        if (memmem(text.p, text.n, "{{", 2))
            (void)err_wrap(&err, "is this a template that was not rendered ('{{')?");
        problems_add_err(&r->errors, docs.source, &err);
        return;
    }
    for (size_t i = 0; i < docs.n; i++)
        sort_object(r, docs.v[i], 0, &found);
    if (found.first) {
        read_object(r, found.first);
        return;
    }
    err_at(&err, -EINVAL, file, 1, 1, "no Chaos Mesh object in this file");
    problems_add_err(&r->errors, docs.source, &err);
}

/* problems.h writes "error:" in front; the same list of warnings must not call them so. Source
 * lines and carets are indented, message lines are not. */
static void call_warnings(struct buf *text)
{
    struct buf out = {0};
    struct str rest = {buf_str(text), text->n};
    while (rest.n) {
        struct str line = str_split(&rest, '\n');
        const char *at = line.n && line.p[0] != ' ' ? memmem(line.p, line.n, ": error: ", 9) : NULL;
        if (at) {
            buf_add(&out, line.p, (size_t)(at - line.p));
            buf_add_str(&out, ": warning: ");
            buf_add(&out, at + 9, line.n - (size_t)(at - line.p) - 9);
        } else {
            buf_add(&out, line.p, line.n);
        }
        buf_add_char(&out, '\n');
    }
    buf_done(text);
    *text = out;
}

int manifest_parse(struct arena *a, const char *file, const char *text, struct manifest *ret,
                   struct plan_errors *errors)
{
    struct reader r = {.a = a, .m = ret};
    *ret = (struct manifest){.duration_ns = -1, .namespace = "default", .kind = "", .name = NULL};
    problems_init(&r.errors);
    problems_init(&r.warnings);
    read_documents(&r, file, str_of(text));
    int e = problems_finish(&r.errors, errors);
    if (e < 0) {
        problems_done(&r.warnings);
        *ret = (struct manifest){.duration_ns = -1};
        return e;
    }
    (void)problems_finish(&r.warnings, &ret->warnings);
    call_warnings(&ret->warnings.text);
    return 0;
}
