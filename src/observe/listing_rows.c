#include "observe/listing_rows.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one walk through a document carries along. */
struct walk {
    const struct listing_paths *paths;
    struct listing_rows *rows;
    struct err *err;
};

static size_t shared_steps(const struct jsonpath *id)
{
    size_t n = 0;
    for (size_t i = 0; i < id->n; i++)
        if (id->steps[i].kind == JSONPATH_ALL)
            n = i + 1;
    return n;
}

static bool same_step(const struct jsonpath_step *a, const struct jsonpath_step *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JSONPATH_NAME: return strcmp(a->name, b->name) == 0;
    case JSONPATH_INDEX: return a->index == b->index;
    case JSONPATH_ALL: return true;
    }
    return false;
}

static bool shares_objects(const struct listing_paths *p)
{
    if (p->count.n < p->shared || shared_steps(&p->count) != p->shared)
        return false;
    for (size_t i = 0; i < p->shared; i++)
        if (!same_step(&p->id.steps[i], &p->count.steps[i]))
            return false;
    return true;
}

static int parse(struct arena *arena, const char *text, struct jsonpath *ret, struct err *err)
{
    int r = jsonpath_parse(arena, text, ret, err);
    return r < 0 ? err_wrap(err, "\"%s\"", text) : 0;
}

int listing_paths_init(struct listing_paths *p, const char *id, const char *count, struct err *err)
{
    *p = (struct listing_paths){0};
    arena_init(&p->arena);
    int r = parse(&p->arena, id, &p->id, err);
    if (r == 0 && count)
        r = parse(&p->arena, count, &p->count, err);
    p->shared = shared_steps(&p->id);
    if (r == 0 && count && !shares_objects(p))
        r = err_set(err, -EINVAL, "count \"%s\" does not walk the objects of id \"%s\"", count, id);
    p->id_text = arena_strdup(&p->arena, id);
    p->count_text = count ? arena_strdup(&p->arena, count) : NULL;
    if (r < 0)
        listing_paths_done(p);
    return r;
}

void listing_paths_done(struct listing_paths *p)
{
    arena_done(&p->arena);
}

void listing_rows_init(struct listing_rows *rows)
{
    *rows = (struct listing_rows){0};
    arena_init(&rows->arena);
}

void listing_rows_done(struct listing_rows *rows)
{
    free(rows->v);
    arena_done(&rows->arena);
    *rows = (struct listing_rows){0};
}

static const json_t *step_into(const json_t *from, const struct jsonpath_step *step)
{
    if (step->kind == JSONPATH_NAME)
        return json_object_get(from, step->name);
    int64_t size = (int64_t)json_array_size(from);
    int64_t index = step->index < 0 ? size + step->index : step->index;
    return index >= 0 && index < size ? json_array_get(from, (size_t)index) : NULL;
}

static const json_t *follow(const json_t *from, const struct jsonpath *path, size_t first)
{
    for (size_t i = first; from && i < path->n; i++)
        from = step_into(from, &path->steps[i]);
    return from;
}

static const char *key_text(struct arena *arena, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING: return arena_strndup(arena, json_string_value(v), json_string_length(v));
    case JSON_INTEGER: return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    case JSON_REAL: return arena_printf(arena, "%.17g", json_real_value(v));
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL: return NULL;
    }
    return NULL;
}

static bool count_value(const json_t *v, int64_t *ret)
{
    if (json_is_integer(v))
        *ret = json_integer_value(v);
    else if (json_is_real(v) && fabs(json_real_value(v)) < 9e15 &&
             json_real_value(v) == trunc(json_real_value(v)))
        *ret = (int64_t)json_real_value(v);
    else
        return false;
    return *ret >= 0;
}

static int take_object(struct walk *w, const json_t *object)
{
    const struct listing_paths *p = w->paths;
    struct listing_rows *rows = w->rows;
    const json_t *id = follow(object, &p->id, p->shared);
    const char *key = id ? key_text(&rows->arena, id) : NULL;
    int64_t count = 1;
    if (!key) {
        rows->without_id++;
        return 0;
    }
    if (p->count_text && !count_value(follow(object, &p->count, p->shared), &count))
        return err_set(w->err, -EINVAL, "object \"%.100s\" has no whole number at %s", key,
                       p->count_text);
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 256;
        rows->v = xrealloc(rows->v, rows->cap, sizeof *rows->v);
    }
    rows->v[rows->n++] = (struct listing_item){key, count};
    return 0;
}

static int walk(struct walk *w, const json_t *from, size_t step, bool in_list);

static int walk_each(struct walk *w, const json_t *from, size_t step, bool in_list)
{
    if (json_is_object(from)) {
        for (void *at = json_object_iter((json_t *)from); at;
             at = json_object_iter_next((json_t *)from, at)) {
            int r = walk(w, json_object_iter_value(at), step + 1, true);
            if (r < 0)
                return r;
        }
        return 0;
    }
    for (size_t i = 0; i < json_array_size(from); i++) {
        int r = walk(w, json_array_get(from, i), step + 1, true);
        if (r < 0)
            return r;
    }
    if (json_is_array(from) || json_is_null(from) || in_list)
        return 0;
    return err_set(w->err, -EINVAL, "the answer holds no list where %s has its [*]",
                   w->paths->id_text);
}

/* Along the shared steps; depth is at most JSONPATH_STEPS. */
static int walk(struct walk *w, const json_t *from, size_t step, bool in_list)
{
    for (; step < w->paths->shared; step++) {
        const struct jsonpath_step *s = &w->paths->id.steps[step];
        if (s->kind == JSONPATH_ALL)
            return walk_each(w, from, step, in_list);
        const json_t *into = step_into(from, s);
        if (!into && in_list)
            return 0;
        if (!into)
            return err_set(w->err, -EINVAL, "the answer does not have what %s starts with",
                           w->paths->id_text);
        from = into;
    }
    return take_object(w, from);
}

static char *continue_token(const json_t *root)
{
    const json_t *token = json_object_get(json_object_get(root, "metadata"), "continue");
    return token && json_string_length(token) > 0
               ? xstrndup(json_string_value(token), json_string_length(token))
               : NULL;
}

int listing_rows_read(struct listing_rows *rows, const struct listing_paths *paths,
                      const char *text, size_t n, char **ret_continue, struct err *err)
{
    json_error_t problem;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return err_set(err, -EINVAL, "the answer is not JSON: line %d, column %d: %s", problem.line,
                       problem.column, problem.text);
    struct walk w = {paths, rows, err};
    int r = walk(&w, root, 0, false);
    if (r == 0)
        *ret_continue = continue_token(root);
    json_decref(root);
    return r;
}

static int item_cmp(const void *a, const void *b)
{
    const struct listing_item *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->count > y->count) - (x->count < y->count);
}

void listing_rows_sort(struct listing_rows *rows)
{
    if (rows->n)
        qsort(rows->v, rows->n, sizeof *rows->v, item_cmp);
}

bool listing_rows_equal(const struct listing_rows *a, const struct listing_rows *b)
{
    if (a->n != b->n || a->without_id != b->without_id)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (item_cmp(&a->v[i], &b->v[i]) != 0)
            return false;
    return true;
}
