#include "stub_rules.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Greedy with one point of return: linear in practice, never exponential. */
bool glob_match(const char *p, const char *s)
{
    const char *star = NULL, *back = NULL;
    while (*s) {
        if (*p == '*') {
            star = p++;
            back = s;
        } else if (*p == '?' || *p == *s) {
            p++;
            s++;
        } else if (star) {
            p = star + 1;
            s = ++back;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

static void rule_done(struct rule *r)
{
    free(r->method);
    free(r->path);
    free(r->body_has);
    free(r->reply.body);
    for (size_t i = 0; i < r->reply.n_headers; i++) {
        free(r->reply.headers[i].name);
        free(r->reply.headers[i].value);
    }
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        rule_done(&r->v[i]);
    free(r->v);
    free(r);
}

/* Readers of one field: each leaves the default when the key is absent, false when it is wrong. */
static bool take_str(const json_t *o, const char *key, char **out, struct buf *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        return true;
    if (!json_is_string(v)) {
        buf_printf(err, "%s must be a string", key);
        return false;
    }
    *out = xstrdup(json_string_value(v));
    return true;
}

static bool take_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *out,
                     struct buf *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        buf_printf(err, "%s must be a whole number in %lld..%lld", key, (long long)min,
                   (long long)max);
        return false;
    }
    *out = json_integer_value(v);
    return true;
}

static bool take_bool(const json_t *o, const char *key, bool *out, struct buf *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        return true;
    if (!json_is_boolean(v)) {
        buf_printf(err, "%s must be true or false", key);
        return false;
    }
    *out = json_is_true(v);
    return true;
}

static bool known_keys(const json_t *o, const char *const *keys, size_t n, const char *what,
                       struct buf *err)
{
    if (!json_is_object(o)) {
        buf_printf(err, "%s must be an object", what);
        return false;
    }
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        bool found = false;
        for (size_t i = 0; i < n; i++)
            found = found || strcmp(keys[i], key) == 0;
        if (!found) {
            buf_printf(err, "unknown key '%.40s' in %s", key, what);
            return false;
        }
    }
    return true;
}

static bool parse_match(const json_t *o, struct rule *r, struct buf *err)
{
    static const char *const keys[] = {"method", "path", "body_has", "nth", "every", "prob"};
    if (!o)
        return true;
    if (!known_keys(o, keys, ARRAY_LEN(keys), "match", err))
        return false;
    const json_t *p = json_object_get(o, "prob");
    if (p) {
        r->prob = json_number_value(p);
        if (!json_is_number(p) || r->prob < 0 || r->prob > 1) {
            buf_puts(err, "prob must be a number in 0..1");
            return false;
        }
    }
    return take_str(o, "method", &r->method, err) && take_str(o, "path", &r->path, err) &&
           take_str(o, "body_has", &r->body_has, err) &&
           take_int(o, "nth", 1, INT64_MAX, &r->nth, err) &&
           take_int(o, "every", 1, INT64_MAX, &r->every, err);
}

static bool parse_headers(const json_t *o, struct rule_reply *reply, struct buf *err)
{
    const char *key;
    json_t *v;
    if (!o)
        return true;
    if (!json_is_object(o) || json_object_size(o) > RULE_HEADERS_MAX) {
        buf_printf(err, "headers must be an object of at most %d strings", RULE_HEADERS_MAX);
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (!json_is_string(v) || strpbrk(json_string_value(v), "\r\n") || strpbrk(key, "\r\n: ")) {
            buf_printf(err, "header '%.40s' must be one line of text", key);
            return false;
        }
        struct rule_header *h = &reply->headers[reply->n_headers++];
        h->name = xstrdup(key);
        h->value = xstrdup(json_string_value(v));
    }
    return true;
}

static bool parse_reply(const json_t *o, struct rule_reply *reply, struct buf *err)
{
    static const char *const keys[] = {"status", "headers",  "body", "delay_ms",
                                       "drop",   "truncate", "hang"};
    if (!o) {
        buf_puts(err, "reply is missing");
        return false;
    }
    if (!known_keys(o, keys, ARRAY_LEN(keys), "reply", err))
        return false;
    const json_t *body = json_object_get(o, "body");
    if (body)
        reply->body = json_is_string(body) ? xstrdup(json_string_value(body))
                                           : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    int64_t status = 0;
    bool ok = take_int(o, "status", 200, 599, &status, err) &&
              take_int(o, "delay_ms", 0, RULE_DELAY_MS_MAX, &reply->delay_ms, err) &&
              take_int(o, "truncate", 0, INT64_MAX, &reply->truncate, err) &&
              take_bool(o, "drop", &reply->drop, err) && take_bool(o, "hang", &reply->hang, err) &&
              parse_headers(json_object_get(o, "headers"), reply, err);
    reply->status = (int)status;
    return ok;
}

static bool parse_rule(const json_t *o, struct rule *r, struct buf *err)
{
    static const char *const keys[] = {"match", "reply", "times"};
    r->prob = 1;
    r->reply.truncate = -1;
    return known_keys(o, keys, ARRAY_LEN(keys), "rule", err) &&
           parse_match(json_object_get(o, "match"), r, err) &&
           parse_reply(json_object_get(o, "reply"), &r->reply, err) &&
           take_int(o, "times", 0, INT64_MAX, &r->times, err);
}

struct rules *rules_parse(const char *text, size_t len, struct buf *err)
{
    json_error_t je;
    json_t *root = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &je);
    if (!root || !json_is_array(root) || json_array_size(root) > RULES_MAX) {
        if (!root)
            buf_printf(err, "rules: line %d column %d: %s", je.line, je.column, je.text);
        else
            buf_printf(err, "rules: must be an array of at most %d rules", RULES_MAX);
        json_decref(root);
        return NULL;
    }
    struct rules *rs = xcalloc(1, sizeof(*rs));
    rs->v = xcalloc(json_array_size(root), sizeof(*rs->v));
    rs->rng = 0x5eed;
    for (size_t i = 0; i < json_array_size(root); i++) {
        struct buf why = {0};
        rs->n++;
        if (!parse_rule(json_array_get(root, i), &rs->v[i], &why)) {
            buf_printf(err, "rules[%zu]: %s", i, why.p ? why.p : "not valid");
            buf_done(&why);
            rules_free(rs);
            rs = NULL;
            break;
        }
        buf_done(&why);
    }
    json_decref(root);
    return rs;
}

/* xorshift64* (Vigna 2016): the same requests in the same order draw the same numbers. */
static double draw(struct rules *rs)
{
    rs->rng ^= rs->rng >> 12;
    rs->rng ^= rs->rng << 25;
    rs->rng ^= rs->rng >> 27;
    return (double)((rs->rng * 0x2545f4914f6cdd1du) >> 11) / 9007199254740992.0;
}

static bool rule_fires(struct rules *rs, struct rule *r, const char *method, const char *path,
                       const char *body, size_t body_len)
{
    if (r->times && r->fired >= r->times)
        return false;
    if (r->method && strcmp(r->method, method) != 0)
        return false;
    if (r->path && !glob_match(r->path, path))
        return false;
    if (r->body_has && (!body || !memmem(body, body_len, r->body_has, strlen(r->body_has))))
        return false;
    r->seen++;
    if (r->nth && r->seen != r->nth)
        return false;
    if (r->every && r->seen % r->every != 0)
        return false;
    if (r->prob < 1 && draw(rs) >= r->prob)
        return false;
    r->fired++;
    return true;
}

struct rule *rules_match(struct rules *rs, const char *method, const char *path, const char *body,
                         size_t body_len)
{
    for (size_t i = 0; rs && i < rs->n; i++)
        if (rule_fires(rs, &rs->v[i], method, path, body, body_len))
            return &rs->v[i];
    return NULL;
}
