/* What can be asked of a node once it was read. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "plan/yaml.h"

struct ynode *yaml_get(const struct ynode *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    yaml_for_each (child, map)
        if (strcmp(child->key->text, key) == 0)
            return child;
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    const struct ynode *x = *(struct ynode *const *)a, *y = *(struct ynode *const *)b;
    int order = strcmp(x->key->text, y->key->text);
    if (order != 0)
        return order;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

struct ynode **yaml_sorted(const struct ynode *map)
{
    struct ynode **v = xcalloc(map->count, sizeof(struct ynode *));
    size_t n = 0;
    yaml_for_each (child, map)
        v[n++] = child;
    assert(n == map->count);
    if (n)
        qsort(v, n, sizeof(struct ynode *), by_key);
    return v;
}

struct ynode *yaml_search(struct ynode *const *sorted, size_t n, const char *key)
{
    for (size_t low = 0; low < n;) {
        size_t middle = low + (n - low) / 2;
        int order = strcmp(key, sorted[middle]->key->text);
        if (order == 0)
            return sorted[middle];
        if (order < 0)
            n = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool yaml_is_null(const struct ynode *node)
{
    return node->kind == YAML_SCALAR && node->style == YAML_PLAIN &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

const char *yaml_kind_name(enum ykind kind)
{
    static const char *const names[] = {"a text", "a map", "a list"};
    _Static_assert(ARRAY_SIZE(names) == YAML_KIND_COUNT, "one name a kind");
    return names[kind];
}

void yaml_source_position(const struct ysource *source, size_t offset, int *ret_line,
                          int *ret_column)
{
    const char *p = source->text.p, *at = p + (offset < source->text.n ? offset : source->text.n);
    int line = 1;
    const char *begin = p;
    for (const char *nl; p < at && (nl = memchr(p, '\n', (size_t)(at - p))); p = nl + 1) {
        line++;
        begin = nl + 1;
    }
    *ret_line = line;
    *ret_column = (int)(at - begin) + 1;
}

/* The offset in the text as it was read, before replacements. */
static size_t undo_edits(const struct ynode *node, size_t offset)
{
    size_t shift_now = 0, shift_was = 0;
    for (const struct yedit *e = node->edits; e; e = e->next) {
        size_t at_now = e->at - shift_was + shift_now;
        if (offset < at_now)
            break;
        if (offset < at_now + e->now)
            return e->at;
        shift_now += e->now;
        shift_was += e->was;
    }
    return offset - shift_now + shift_was;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Bytes of source that an escape of a double-quoted text takes, and of text that it makes. */
static size_t escape_bytes(const char *p, size_t left, size_t *ret_made)
{
    static const struct {
        char letter;
        size_t source, made;
    } wide[] = {{'x', 4, 1}, {'u', 6, 2}, {'U', 10, 4}, {'N', 2, 2},
                {'_', 2, 2}, {'L', 2, 3}, {'P', 2, 3}};
    *ret_made = 1;
    for (size_t i = 0; i < ARRAY_SIZE(wide) && left > 1; i++) {
        if (p[1] != wide[i].letter)
            continue;
        *ret_made = wide[i].made;
        return wide[i].source <= left ? wide[i].source : left;
    }
    return left > 1 ? 2 : left;
}

static size_t skip_space(struct str s, size_t i)
{
    while (i < s.n && is_space(s.p[i]))
        i++;
    return i;
}

/* The indentation of a block scalar: that of its first line that is not blank. */
static size_t block_indent(const struct ynode *node)
{
    struct str s = node->source->text;
    size_t i = node->begin, indent = 0;
    while (i > 0 && s.p[i - 1] != '\n')
        i--;
    for (; i < s.n && (s.p[i] == ' ' || s.p[i] == '\n'); i++)
        indent = s.p[i] == ' ' ? indent + 1 : 0;
    return indent;
}

/*
 * Walks text and source side by side. Where they differ it is because of an escape, a doubled
 * quote, or white space that was folded or cut off as indentation.
 */
static size_t source_offset(const struct ynode *node, size_t want)
{
    struct str s = node->source->text;
    size_t i = node->begin;
    bool block = node->style == YAML_LITERAL || node->style == YAML_FOLDED;
    size_t indent = block ? block_indent(node) : 0;
    for (size_t t = 0; t < want && i < s.n;) {
        size_t made = 1;
        if (node->style == YAML_DOUBLE && s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] != '\n') {
            i += escape_bytes(s.p + i, s.n - i, &made);
        } else if (node->style == YAML_SINGLE && s.p[i] == '\'') {
            i += 2;
        } else if (s.p[i] == '\n' || s.p[i] == '\r') {
            size_t lines = 0, from = i;
            for (i = skip_space(s, i); from < i; from++)
                lines += s.p[from] == '\n';
            made = lines > 1 && node->style != YAML_LITERAL ? lines - 1 : lines;
            if (block) { /* more indentation than the block's own is text */
                size_t column = 0;
                while (column < i && s.p[i - 1 - column] != '\n')
                    column++;
                made += column > indent ? column - indent : 0;
            }
        } else {
            i++;
        }
        if (t + made > want)
            break;
        t += made;
    }
    return i < s.n ? i : s.n;
}

void yaml_position(const struct ynode *node, size_t offset, int *ret_line, int *ret_column)
{
    if (node->kind != YAML_SCALAR || offset == 0) {
        *ret_line = node->line;
        *ret_column = node->column;
        return;
    }
    yaml_source_position(node->source, source_offset(node, undo_edits(node, offset)), ret_line,
                         ret_column);
}
