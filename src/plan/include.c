/* A plan's file and the files it includes, as one tree. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "plan/sources.h"

#define RESOLVED_NODES_MAX 4000000
#define RESOLVED_BYTES_MAX (128u << 20)

struct ynode *node_text(struct arena *a, const struct ynode *at, const char *text)
{
    struct ynode *node = arena_alloc(a, sizeof *node);
    *node = (struct ynode){.kind = YAML_SCALAR,
                           .style = YAML_DOUBLE,
                           .file = at->file,
                           .line = at->line,
                           .column = at->column,
                           .source = at->source,
                           .begin = at->begin,
                           .text = text};
    return node;
}

struct ynode *node_map(struct arena *a, const struct ynode *at)
{
    struct ynode *node = node_text(a, at, "");
    node->kind = YAML_MAP;
    return node;
}

void node_append(struct ynode *parent, struct ynode *key, struct ynode *child)
{
    struct ynode **link = &parent->first;
    while (*link)
        link = &(*link)->next;
    child->key = key;
    child->next = NULL;
    *link = child;
    parent->count++;
}

void node_remove(struct ynode *parent, const char *key)
{
    for (struct ynode **link = &parent->first; *link; link = &(*link)->next)
        if (strcmp((*link)->key->text, key) == 0) {
            *link = (*link)->next;
            parent->count--;
            return;
        }
}

const char *node_relative(struct arena *a, const struct ynode *at, const char *path)
{
    const char *slash = strrchr(at->file, '/');
    if (path[0] == '/' || !slash)
        return path;
    return arena_printf(a, "%.*s%s", (int)(slash - at->file + 1), at->file, path);
}

bool sources_grow(struct sources *s, const struct ynode *at, size_t bytes)
{
    bool before = s->grown_bytes > SOURCES_GROWN_BYTES;
    s->grown_bytes += bytes;
    if (s->grown_bytes <= SOURCES_GROWN_BYTES)
        return true;
    if (!before)
        problems_add(s->problems, at,
                     "variables and manifests make the plan too big: they may add 8 MiB");
    return false;
}

static void add_file_problem(struct sources *s, const struct ynode *at, const char *path, int rc)
{
    struct err err = {0};
    const char *why = rc == -EFBIG ? "it is bigger than 1 MiB" : strerror(-rc);
    if (at) {
        problems_add(s->problems, at, "cannot read \"%.200s\": %s", path, why);
        return;
    }
    err_at(&err, rc, path, 0, 0, "cannot read the plan: %s", why);
    problems_add_err(s->problems, NULL, &err);
}

struct ynode *sources_parse(struct sources *s, const char *name, struct str text)
{
    struct ydocs docs;
    struct err err = {0};
    const struct yaml_limits limits = {s->resolved ? RESOLVED_BYTES_MAX : YAML_BYTES_MAX,
                                       s->resolved ? RESOLVED_NODES_MAX : YAML_NODES_MAX};
    int rc = yaml_read_within(s->arena, name, text, &limits, &docs, &err);
    ((struct ysource *)docs.source)->order = (int)s->files_n++;
    if (rc == 0 && docs.n == 0)
        rc = err_at(&err, -EINVAL, name, 1, 1,
                    "the file is empty; a plan starts with \"squall: 1\"");
    if (rc == 0 && docs.n > 1)
        rc = err_at(&err, -EINVAL, name, docs.v[1]->line, docs.v[1]->column,
                    "a second document starts here; a plan is one");
    if (rc == 0 && docs.v[0]->kind != YAML_MAP)
        rc = err_at(&err, -EINVAL, name, docs.v[0]->line, docs.v[0]->column,
                    "a plan is a map of keys that starts with \"squall: 1\", not %s",
                    yaml_kind_name(docs.v[0]->kind));
    if (rc < 0) {
        problems_add_err(s->problems, docs.source, &err);
        return NULL;
    }
    return docs.v[0];
}

/* Keys that `over` does not have come from `under`; maps on both sides are merged. */
static void merge(struct ynode *over, struct ynode *under)
{
    struct ynode **own = yaml_sorted(over), *next, **end = &over->first;
    size_t n = over->count;
    while (*end)
        end = &(*end)->next;
    for (struct ynode *child = under->first; child; child = next) {
        next = child->next;
        struct ynode *same = yaml_search(own, n, child->key->text);
        if (!same) {
            child->next = NULL;
            *end = child;
            end = &child->next;
            over->count++;
        } else if (same->kind == YAML_MAP && child->kind == YAML_MAP) {
            merge(same, child);
        }
    }
    free(own);
}

static struct ynode *load_file(struct sources *s, const char *path, const struct ynode *at);

static void load_includes(struct sources *s, struct ynode *root)
{
    struct ynode *include = yaml_get(root, "include");
    const struct ynode *list[SOURCES_MAX];
    struct ynode *under[SOURCES_MAX];
    size_t n = 0;
    if (!include || include->kind == YAML_MAP)
        return;
    for (const struct ynode *at = include->kind == YAML_SEQ ? include->first : include;
         at && n < SOURCES_MAX; at = include->kind == YAML_SEQ ? at->next : NULL)
        if (at->kind == YAML_SCALAR)
            list[n++] = at;
    for (size_t i = 0; i < n; i++)
        under[i] = load_file(s, node_relative(s->arena, list[i], list[i]->text), list[i]);
    while (n-- > 0) /* a later file lies above an earlier one */
        if (under[n])
            merge(root, under[n]);
}

static bool may_open(struct sources *s, const char *real, const struct ynode *at)
{
    for (int i = 0; i < s->depth; i++)
        if (strcmp(s->open[i], real) == 0) {
            problems_add(s->problems, at, "\"%.200s\" includes itself", at->text);
            return false;
        }
    if (s->depth == SOURCES_DEPTH || s->files_n >= SOURCES_MAX) {
        problems_add(s->problems, at, "too many includes: %d levels and %d files are the most",
                     SOURCES_DEPTH, SOURCES_MAX);
        return false;
    }
    return true;
}

static struct ynode *load_file(struct sources *s, const char *path, const struct ynode *at)
{
    struct buf text = {0};
    char *real = realpath(path, NULL);
    struct ynode *root = NULL;
    int rc = real ? 0 : -errno;
    if (rc == 0 && at && !may_open(s, real, at)) {
        free(real);
        return NULL;
    }
    if (rc == 0)
        rc = buf_read_file(&text, path, YAML_BYTES_MAX);
    if (rc < 0)
        add_file_problem(s, at, path, rc);
    else
        root = sources_parse(s, path, (struct str){buf_str(&text), text.n});
    buf_done(&text);
    if (root) {
        s->open[s->depth++] = arena_strdup(s->arena, real);
        load_includes(s, root);
        s->depth--;
    }
    free(real);
    return root;
}

struct ynode *sources_load(struct sources *s, const char *path)
{
    return load_file(s, path, NULL);
}

static void read_manifest(struct sources *s, struct ynode *phase, struct ynode *fault)
{
    struct buf text = {0};
    const char *path = node_relative(s->arena, fault, fault->text);
    int rc = buf_read_file(&text, path, YAML_BYTES_MAX);
    if (rc < 0)
        add_file_problem(s, fault, path, rc);
    else if (strlen(buf_str(&text)) != text.n)
        problems_add(s->problems, fault, "\"%.200s\" is not a text file", path);
    else if (sources_grow(s, fault, text.n))
        node_append(phase, node_text(s->arena, fault, "manifest"),
                    node_text(s->arena, fault, arena_strdup(s->arena, buf_str(&text))));
    buf_done(&text);
    fault->text = path; /* from now on as opened */
    fault->keep = NULL;
}

void sources_manifests(struct sources *s, struct ynode *root)
{
    const struct ynode *storm = yaml_get(root, "storm");
    if (!storm || storm->kind != YAML_SEQ)
        return;
    yaml_for_each (phase, storm) {
        struct ynode *fault = yaml_get(phase, "fault");
        if (fault && fault->kind == YAML_SCALAR && fault->text[0] && !yaml_get(phase, "manifest") &&
            !s->resolved)
            read_manifest(s, phase, fault);
    }
}
