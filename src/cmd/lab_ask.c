#include "cmd/lab_ask.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What each kind wants besides itself. */
static const struct {
    const char *word;
    bool name, text;
} kinds[] = {
    [ASK_STATUS] = {"status"},
    [ASK_DOWN] = {"down"},
    [ASK_ENTER] = {"enter", .name = true},
    [ASK_APPLY] = {"chaos-apply", .name = true, .text = true},
    [ASK_DELETE] = {"chaos-delete", .name = true},
};
_Static_assert(ARRAY_SIZE(kinds) == ASK_KIND_COUNT, "a row for each kind");

static int take_kind(const json_t *word, struct ask *ret, struct err *err)
{
    if (!json_is_string(word))
        return err_set(err, -EINVAL, "\"ask\" is missing, or no text");
    for (int i = 0; i < ASK_KIND_COUNT; i++)
        if (strcmp(kinds[i].word, json_string_value(word)) == 0) {
            ret->kind = (enum ask_kind)i;
            return 0;
        }
    return err_set(err, -EINVAL, "\"ask\" is nothing that this squall knows");
}

static int take_name(const json_t *name, struct ask *ret, struct err *err)
{
    size_t n = json_string_length(name);
    if (!json_is_string(name) || n == 0 || n >= sizeof ret->name)
        return err_set(err, -EINVAL, "\"name\" is no text of 1 to %d bytes", ASK_NAME_BYTES - 1);
    memcpy(ret->name, json_string_value(name), n + 1);
    return 0;
}

static int take_text(const json_t *text, struct ask *ret, struct err *err)
{
    if (!json_is_string(text) || json_string_length(text) > ASK_TEXT_BYTES)
        return err_set(err, -EINVAL, "\"text\" is no text of at most %u KiB", ASK_TEXT_BYTES >> 10);
    ret->text = xstrndup(json_string_value(text), json_string_length(text));
    return 0;
}

static int take_object(const json_t *root, struct ask *ret, struct err *err)
{
    const json_t *version = json_object_get(root, "squall"),
                 *span = json_object_get(root, "for_ns");
    size_t known = 2;
    if (!json_is_integer(version) || json_integer_value(version) != ASK_VERSION)
        return err_set(err, -EINVAL,
                       "asked by another version of squall than the one that keeps this lab");
    int r = take_kind(json_object_get(root, "ask"), ret, err);
    if (r == 0 && kinds[ret->kind].name) {
        known++;
        r = take_name(json_object_get(root, "name"), ret, err);
    }
    if (r == 0 && kinds[ret->kind].text) {
        known++;
        r = take_text(json_object_get(root, "text"), ret, err);
    }
    if (r == 0 && ret->kind == ASK_APPLY && span) {
        known++;
        if (!json_is_integer(span) || json_integer_value(span) <= 0)
            return err_set(err, -EINVAL, "\"for_ns\" is no number above 0");
        ret->for_ns = json_integer_value(span);
    }
    if (r == 0 && json_object_size(root) != known)
        return err_set(err, -EINVAL, "there is more in it than was to be asked");
    return r;
}

int ask_parse(const char *p, size_t n, struct ask *ret, struct err *err)
{
    json_error_t error;
    *ret = (struct ask){.for_ns = -1};
    if (n > ASK_BYTES)
        return err_set(err, -EINVAL, "longer than %u KiB", ASK_BYTES >> 10);
    json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return err_set(err, -EINVAL, "no JSON: %s", error.text);
    int r = json_is_object(root) ? take_object(root, ret, err)
                                 : err_set(err, -EINVAL, "no JSON object");
    json_decref(root);
    return r;
}

void ask_done(struct ask *ask)
{
    free(ask->text);
    ask->text = NULL;
}

static int add_bytes(const char *p, size_t n, void *out)
{
    buf_add(out, p, n);
    return 0;
}

void ask_format(const struct ask *ask, struct buf *out)
{
    json_t *root = json_pack("{s:i, s:s}", "squall", ASK_VERSION, "ask", kinds[ask->kind].word);
    if (kinds[ask->kind].name)
        json_object_set_new(root, "name", json_string(ask->name));
    if (kinds[ask->kind].text)
        json_object_set_new(root, "text", json_string(ask->text));
    if (ask->kind == ASK_APPLY && ask->for_ns > 0)
        json_object_set_new(root, "for_ns", json_integer(ask->for_ns));
    json_dump_callback(root, add_bytes, out, JSON_COMPACT);
    json_decref(root);
}
