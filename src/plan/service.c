/* lab.services.*: what takes more than a row of the table. */
#include <ctype.h>
#include <errno.h>

#include "base/units.h"
#include "plan/walk.h"

/* --- small languages -------------------------------------------------------------------------- */

int endpoint_parse(struct arena *a, const char *text, uint16_t *ret_port, const char **ret_path)
{
    if (text[0] != ':')
        return -EINVAL;
    size_t n = strcspn(text + 1, "/");
    int64_t port;
    if (units_int((struct str){text + 1, n}, &port) < 0 || port < 1 || port > 65535)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    *ret_path = text[1 + n] ? text + 1 + n : arena_strdup(a, "/");
    return 0;
}

/* One word into out (which has room for all of text); moves *p behind it. */
static int take_word(const char **p, const char *text, char *out, size_t *ret_n, size_t *ret_bad)
{
    size_t n = 0;
    char quote = '\0';
    size_t opened = 0;
    for (; **p && (quote || !isspace((unsigned char)**p)); (*p)++) {
        char c = **p;
        if (c == '\\' && quote != '\'' && (*p)[1] != '\0' &&
            (!quote || strchr("\"\\$`", (*p)[1]))) {
            out[n++] = *++*p;
        } else if (quote && c == quote) {
            quote = '\0';
        } else if (!quote && (c == '\'' || c == '"')) {
            quote = c;
            opened = (size_t)(*p - text);
        } else {
            out[n++] = c;
        }
    }
    *ret_n = n;
    *ret_bad = opened;
    return quote ? -EINVAL : 0;
}

int words_split(struct arena *a, const char *text, struct plan_strs *ret, size_t *ret_bad)
{
    size_t cap = strlen(text) / 2 + 2;
    char *out = arena_alloc(a, strlen(text) + 1);
    *ret = (struct plan_strs){arena_array(a, cap, sizeof *ret->v), 0};
    for (const char *p = text;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p)
            return 0;
        size_t n;
        if (take_word(&p, text, out, &n, ret_bad) < 0)
            return -EINVAL;
        ret->v[ret->n++] = arena_strndup(a, out, n);
    }
}

/* --- hooks ------------------------------------------------------------------------------------ */

void *service_enter(struct walk *w, struct ynode *node)
{
    struct plan_service *s = &w->plan->services[w->plan->services_n++];
    s->name = node->key->text;
    walk_host_name(w, node->key);
    s->pos = s->run_pos = walk_pos(node->key);
    s->limits = (struct plan_limits){-1, -1, -1, -1, -1, -1};
    return s;
}

void service_leave(struct walk *w, struct ynode *node)
{
    const struct plan_service *s = w->object;
    const struct ynode *ready = yaml_get(node, "ready");
    if (ready && ready->kind == YAML_MAP && !yaml_get(ready, "tcp") && !yaml_get(ready, "http") &&
        !yaml_get(ready, "command") && !yaml_get(ready, "log"))
        problems_add(w->problems, ready->key,
                     "\"ready\" needs one of tcp, http, command, log: how to tell");
    const struct ynode *restart = yaml_get(node, "restart");
    if (restart && s->backoff_ns > s->backoff_max_ns)
        problems_add(w->problems, restart->key, "\"backoff\" must not be above \"backoff-max\"");
}

/* A program named by a relative path lies by the plan: the service's own folder is empty. */
static const char *program_path(struct walk *w, const char *name)
{
    if (name[0] == '/' || !strchr(name, '/') || !w->plan->dir)
        return name;
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    return arena_printf(&w->plan->arena, "%s/%s", w->plan->dir, name);
}

void service_run(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_service *s = w->object;
    struct plan_strs words = {0};
    size_t bad = 0;

    s->run_pos = walk_pos(node);
    if (node->kind == YAML_SEQ) {
        if (!walk_strings(w, key, node, &words))
            return;
    } else if (words_split(&w->plan->arena, node->text, &words, &bad) < 0) {
        problems_add_inside(w->problems, node, bad, "\"run\" has a quote that is not closed");
        return;
    }
    if (words.n == 0 || words.v[0][0] == '\0')
        problems_add(w->problems, node, "\"run\" needs a command; nothing is here");
    s->argv = arena_array(&w->plan->arena, words.n + 1, sizeof *s->argv);
    if (words.n) {
        memcpy(s->argv, words.v, words.n * sizeof *s->argv);
        s->argv[0] = program_path(w, words.v[0]);
    }
}

void service_ready(struct walk *w, const struct key *key, struct ynode *node)
{
    static const struct {
        const char *name;
        enum plan_ready_kind kind;
    } ways[] = {{"tcp", PLAN_READY_TCP},
                {"http", PLAN_READY_HTTP},
                {"command", PLAN_READY_COMMAND},
                {"log", PLAN_READY_LOG}};
    struct plan_service *s = w->object;
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
        if (strcmp(ways[i].name, key->name) == 0)
            s->ready.kind = ways[i].kind;
    if (s->ready.kind == PLAN_READY_HTTP &&
        endpoint_parse(&w->plan->arena, node->text, &s->ready.port, &s->ready.path) < 0)
        problems_add(w->problems, node,
                     "\"%s\" needs %s with a port from 1 to 65535, not \"%.80s\"", key->name,
                     key_type_needs(key->type), node->text);
}

void service_metrics(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_service *s = w->object;
    if (endpoint_parse(&w->plan->arena, node->text, &s->metrics_port, &s->metrics_path) < 0)
        problems_add(w->problems, node,
                     "\"%s\" needs %s with a port from 1 to 65535, not \"%.80s\"", key->name,
                     key_type_needs(key->type), node->text);
}

/* Below the working folder, whatever the path says. */
static bool path_inside(const char *path)
{
    struct str rest = str_of(path);
    if (rest.n == 0 || rest.n > 200 || path[0] == '/' || path[rest.n - 1] == '/')
        return false;
    while (rest.n) {
        struct str part = str_split(&rest, '/');
        if (part.n == 0 || str_eq(part, STR("..")) || str_eq(part, STR(".")))
            return false;
    }
    return true;
}

void service_file(struct walk *w, const struct key *key, struct ynode *node)
{
    struct plan_service *s = w->object;
    (void)key;
    if (!path_inside(node->key->text))
        problems_add(w->problems, node->key,
                     "\"%.80s\" must be a path below the service's own folder: no \"/\" in front, "
                     "no \"..\"",
                     node->key->text);
    struct plan_file *files = arena_array(&w->plan->arena, s->files_n + 1, sizeof *files);
    if (s->files_n)
        memcpy(files, s->files, s->files_n * sizeof *files);
    files[s->files_n] = (struct plan_file){node->key->text, node->text, walk_pos(node)};
    s->files = files;
    s->files_n++;
}
