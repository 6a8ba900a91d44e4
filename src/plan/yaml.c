#include "plan/yaml.h"

#include <assert.h>
#include <errno.h>
#include <libfyaml.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct yanchor {
    const char *name;
    struct ynode *node;
    struct yanchor *next;
};

struct reader {
    struct arena *arena;
    struct ysource *source;
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct err *err;
    struct ydocs *docs;
    size_t docs_cap, nodes, nodes_most, aliases;
    size_t last;               /* offset behind the last event: where a node without text stands */
    size_t cursor, line_begin; /* where counting lines has got to; nodes come nearly in order */
    int line;
    struct yanchor *anchors;
    int depth;
    struct ynode *open[YAML_DEPTH_MAX]; /* maps and lists being read */
    struct ynode *tail[YAML_DEPTH_MAX]; /* the last child of each */
    struct ynode *key[YAML_DEPTH_MAX];  /* map: the key whose value comes next */
    bool in_document;
};

static int fail_at(struct reader *r, size_t offset, int code, const char *msg)
{
    int line, column;
    yaml_source_position(r->source, offset, &line, &column);
    return err_at(r->err, code, r->source->name, line, column, "%s", msg);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct ynode *node_new(struct reader *r, enum ykind kind, size_t begin)
{
    if (++r->nodes > r->nodes_most) {
        fail_at(r, begin, -E2BIG,
                "too many values: a file may hold 50000, with aliases counted in full");
        return NULL;
    }
    struct ynode *node = arena_alloc(r->arena, sizeof *node);
    node->kind = kind;
    node->source = r->source;
    node->file = r->source->name;
    node->begin = begin;
    node->text = "";
    return node;
}

/* As yaml_source_position, but in all linear in the text. */
static void node_place(struct reader *r, struct ynode *node, size_t offset)
{
    const char *p = r->source->text.p;
    if (offset < r->line_begin) {
        r->cursor = r->line_begin = 0;
        r->line = 1;
    }
    for (; r->cursor < offset; r->cursor++) {
        if (p[r->cursor] != '\n')
            continue;
        r->line++;
        r->line_begin = r->cursor + 1;
    }
    node->line = r->line;
    node->column = (int)(offset - r->line_begin) + 1;
}

/* A map's values must have different keys; big maps are compared through a hash table. */
static int check_duplicates(struct reader *r, const struct ynode *map)
{
    size_t cap = 16;
    while (cap < map->count * 2)
        cap *= 2;
    struct ynode **table = xcalloc(cap, sizeof *table);
    int rc = 0;
    yaml_for_each (child, map) {
        uint32_t h = 2166136261u;
        for (const char *p = child->key->text; *p; p++)
            h = (h ^ (unsigned char)*p) * 16777619u;
        size_t i = h & (cap - 1);
        while (table[i] && strcmp(table[i]->key->text, child->key->text) != 0)
            i = (i + 1) & (cap - 1);
        if (table[i]) {
            rc = err_at(r->err, -EINVAL, child->key->file, child->key->line, child->key->column,
                        "duplicate key \"%.100s\": it stands already in line %d", child->key->text,
                        table[i]->key->line);
            break;
        }
        table[i] = child;
    }
    free(table);
    return rc;
}

/* Hangs a finished (scalar, alias) or just opened (map, list) node below the innermost open one. */
static int attach(struct reader *r, struct ynode *node)
{
    if (r->depth == 0) {
        if (r->docs->n == r->docs_cap) {
            size_t cap = r->docs_cap ? r->docs_cap * 2 : 4;
            struct ynode **v = arena_array(r->arena, cap, sizeof(struct ynode *));
            if (r->docs->n)
                memcpy(v, r->docs->v, r->docs->n * sizeof(struct ynode *));
            r->docs->v = v;
            r->docs_cap = cap;
        }
        r->docs->v[r->docs->n++] = node;
        return 0;
    }
    struct ynode *parent = r->open[r->depth - 1];
    if (parent->kind == YAML_MAP && !r->key[r->depth - 1]) {
        if (node->kind != YAML_SCALAR)
            return err_at(r->err, -EINVAL, node->file, node->line, node->column,
                          "a key must be a plain text, not %s", yaml_kind_name(node->kind));
        r->key[r->depth - 1] = node;
        return 0;
    }
    if (parent->kind == YAML_MAP) {
        node->key = r->key[r->depth - 1];
        r->key[r->depth - 1] = NULL;
    }
    if (r->tail[r->depth - 1])
        r->tail[r->depth - 1]->next = node;
    else
        parent->first = node;
    r->tail[r->depth - 1] = node;
    parent->count++;
    return 0;
}

static int open_node(struct reader *r, struct ynode *node)
{
    int rc = attach(r, node);
    if (rc < 0)
        return rc;
    if (r->depth == YAML_DEPTH_MAX)
        return fail_at(r, node->begin, -E2BIG, "nested too deeply: 64 levels are the most");
    r->open[r->depth] = node;
    r->tail[r->depth] = NULL;
    r->key[r->depth] = NULL;
    r->depth++;
    return 0;
}

/* --- anchors and aliases ---------------------------------------------------------------------- */

static const char *token_text(struct reader *r, struct fy_token *token)
{
    size_t n = 0;
    const char *p = token ? fy_token_get_text(token, &n) : NULL;
    return p ? arena_strndup(r->arena, p, n) : NULL;
}

static void anchor_add(struct reader *r, struct fy_token *token, struct ynode *node)
{
    const char *name = token_text(r, token);
    if (!name)
        return;
    struct yanchor *anchor = arena_alloc(r->arena, sizeof *anchor);
    *anchor = (struct yanchor){name, node, r->anchors};
    r->anchors = anchor;
}

static struct ynode *copy_tree(struct reader *r, const struct ynode *from)
{
    struct ynode *to = node_new(r, from->kind, from->begin);
    if (!to)
        return NULL;
    *to = *from;
    to->next = to->key = to->first = NULL;
    struct ynode **link = &to->first;
    yaml_for_each (child, from) {
        struct ynode *copy = copy_tree(r, child);
        if (!copy)
            return NULL;
        copy->key = child->key;
        *link = copy;
        link = &copy->next;
    }
    return to;
}

static int on_alias(struct reader *r, struct fy_event *event, size_t begin)
{
    const char *name = token_text(r, event->alias.anchor);
    struct yanchor *anchor = r->anchors;
    char msg[160];

    if (++r->aliases > YAML_ALIASES_MAX)
        return fail_at(r, begin, -E2BIG, "too many aliases: a file may use 1000");
    while (anchor && name && strcmp(anchor->name, name) != 0)
        anchor = anchor->next;
    if (!anchor || !name) {
        snprintf(msg, sizeof msg, "alias \"*%.80s\" has no anchor \"&%.80s\" above it",
                 name ? name : "", name ? name : "");
        return fail_at(r, begin, -EINVAL, msg);
    }
    for (int i = 0; i < r->depth; i++)
        if (r->open[i] == anchor->node)
            return fail_at(r, begin, -EINVAL, "an alias inside its own anchor never ends");
    struct ynode *copy = copy_tree(r, anchor->node);
    return copy ? attach(r, copy) : r->err->code;
}

/* --- events ----------------------------------------------------------------------------------- */

static int on_scalar(struct reader *r, struct fy_event *event, size_t begin)
{
    struct fy_token *value = event->scalar.value;
    if (!value && begin < r->source->text.n && r->source->text.p[begin] == ':')
        begin++; /* nothing was written: it would stand behind the colon */
    struct ynode *node = node_new(r, YAML_SCALAR, begin);
    if (!node)
        return r->err->code;
    size_t n = 0;
    const char *p = value ? fy_token_get_text(value, &n) : NULL;
    if (p && memchr(p, '\0', n))
        return fail_at(r, begin, -EINVAL, "a text must not hold a NUL character");
    if (p)
        node->text = arena_strndup(r->arena, p, n);
    static const enum ystyle styles[] = {
        [FYSS_PLAIN] = YAML_PLAIN,          [FYSS_SINGLE_QUOTED] = YAML_SINGLE,
        [FYSS_DOUBLE_QUOTED] = YAML_DOUBLE, [FYSS_LITERAL] = YAML_LITERAL,
        [FYSS_FOLDED] = YAML_FOLDED,
    };
    int style = value ? (int)fy_token_scalar_style(value) : FYSS_PLAIN;
    if (style >= 0 && style < (int)ARRAY_SIZE(styles))
        node->style = styles[style];
    bool quoted = node->style == YAML_SINGLE || node->style == YAML_DOUBLE;
    if (node->style == YAML_LITERAL || node->style == YAML_FOLDED)
        while (r->source->text.p[node->begin] == ' ')
            node->begin++;
    node_place(r, node, node->begin - (quoted && begin > 0));
    node->tag = token_text(r, event->scalar.tag);
    anchor_add(r, event->scalar.anchor, node);
    return attach(r, node);
}

static int on_open(struct reader *r, enum ykind kind, struct fy_token *anchor, struct fy_token *tag,
                   size_t begin)
{
    struct ynode *node = node_new(r, kind, begin);
    if (!node)
        return r->err->code;
    node_place(r, node, begin);
    node->tag = token_text(r, tag);
    anchor_add(r, anchor, node);
    return open_node(r, node);
}

static int on_event(struct reader *r, struct fy_event *event)
{
    const struct fy_mark *start = fy_event_start_mark(event), *end = fy_event_end_mark(event);
    size_t begin = start ? start->input_pos : r->last;

    if (begin > r->source->text.n)
        begin = r->source->text.n;
    switch (event->type) {
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END: break;
    case FYET_DOCUMENT_START: r->anchors = NULL; break;
    case FYET_DOCUMENT_END: break;
    case FYET_MAPPING_START:
        return on_open(r, YAML_MAP, event->mapping_start.anchor, event->mapping_start.tag, begin);
    case FYET_SEQUENCE_START:
        return on_open(r, YAML_SEQ, event->sequence_start.anchor, event->sequence_start.tag, begin);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        assert(r->depth > 0);
        r->depth--;
        if (event->type == FYET_MAPPING_END && check_duplicates(r, r->open[r->depth]) < 0)
            return r->err->code;
        break;
    case FYET_SCALAR:
        if (on_scalar(r, event, begin) < 0)
            return r->err->code;
        break;
    case FYET_ALIAS:
        if (on_alias(r, event, begin - (begin > 0)) < 0) /* the mark stands behind the star */
            return r->err->code;
        break;
    }
    if (end && end->input_pos <= r->source->text.n)
        r->last = end->input_pos;
    return 0;
}

/* --- the library and its complaints ----------------------------------------------------------- */

static void swallow(struct fy_diag *diag, void *user, const char *text, size_t n)
{
    (void)diag, (void)user, (void)text, (void)n;
}

/* libfyaml counts columns in characters. */
static int byte_column(const struct ysource *s, int line, int column)
{
    size_t i = 0;
    for (int at = 1; at < line && i < s->text.n; i++)
        at += s->text.p[i] == '\n';
    size_t begin = i;
    for (int c = 1; c < column && i < s->text.n && s->text.p[i] != '\n'; c++)
        do
            i++;
        while (i < s->text.n && ((unsigned char)s->text.p[i] & 0xc0) == 0x80);
    return (int)(i - begin) + 1;
}

static int library_error(struct reader *r)
{
    void *next = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(r->diag, &next);
    if (!e)
        return fail_at(r, r->last, -EINVAL, "not valid YAML");
    int line = e->line > 0 ? e->line : 1, column = e->column > 0 ? e->column : 1;
    const char *hint = "";
    if (e->msg && strstr(e->msg, "cannot start with"))
        hint = "; put quotes around it";
    return err_at(r->err, -EINVAL, r->source->name, line, byte_column(r->source, line, column),
                  "not valid YAML: %s%s", e->msg ? e->msg : "syntax error", hint);
}

static int parser_open(struct reader *r)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = swallow;
    diag_cfg.level = FYET_ERROR;
    diag_cfg.colorize = false;
    r->diag = fy_diag_create(&diag_cfg);
    if (!r->diag)
        abort();
    fy_diag_set_collect_errors(r->diag, true);
    const struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = r->diag,
    };
    r->parser = fy_parser_create(&cfg);
    if (!r->parser)
        abort();
    return fy_parser_set_string(r->parser, r->source->text.p, r->source->text.n);
}

static int read_events(struct reader *r)
{
    int rc = 0;
    while (rc == 0) {
        struct fy_event *event = fy_parser_parse(r->parser);
        if (!event)
            return fy_parser_get_stream_error(r->parser) ? library_error(r) : 0;
        bool end = event->type == FYET_STREAM_END;
        rc = on_event(r, event);
        fy_parser_event_free(r->parser, event);
        if (end)
            break;
    }
    return rc;
}

int yaml_read(struct arena *a, const char *name, struct str text, struct ydocs *ret,
              struct err *err)
{
    static const struct yaml_limits limits = {YAML_BYTES_MAX, YAML_NODES_MAX};
    return yaml_read_within(a, name, text, &limits, ret, err);
}

int yaml_read_within(struct arena *a, const char *name, struct str text,
                     const struct yaml_limits *limits, struct ydocs *ret, struct err *err)
{
    *ret = (struct ydocs){0};
    struct ysource *source = arena_alloc(a, sizeof *source);
    source->name = arena_strdup(a, name);
    bool too_big = text.n > limits->bytes;
    source->text.n = too_big ? 0 : text.n;
    source->text.p = arena_strndup(a, text.n ? text.p : "", source->text.n);
    ret->source = source;
    if (too_big)
        return err_at(err, -E2BIG, name, 1, 1, "the file is too big: %zu bytes, the most is %zu",
                      text.n, limits->bytes);
    struct reader r = {.arena = a,
                       .source = source,
                       .err = err,
                       .docs = ret,
                       .line = 1,
                       .nodes_most = limits->nodes};
    int rc = yaml_check_text(source, err);
    if (rc < 0)
        return rc;
    rc = parser_open(&r) < 0 ? library_error(&r) : read_events(&r);
    fy_parser_destroy(r.parser);
    fy_diag_destroy(r.diag);
    return rc;
}
