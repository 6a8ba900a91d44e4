/* What the key table says to people: help for one key, and the reference page. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "plan/keys.h"

#define PATH_BYTES 128
#define NAMES_MAX  64

/* --- one row in words ------------------------------------------------------------------------- */

static void add_type(struct buf *out, const struct key *key)
{
    struct str rest = str_of(key->choices);
    if (key->type != KEY_CHOICE) {
        buf_add_str(out, key_type_word(key->type));
        return;
    }
    for (const char *gap = ""; rest.n; gap = ", ") {
        struct str word = str_split(&rest, ' ');
        buf_printf(out, "%s%.*s", gap, (int)word.n, word.p);
    }
}

static void add_range(struct buf *out, const struct key *key)
{
    bool holds = key->type == KEY_LIST || key->type == KEY_NAMED;
    bool text = !key_type_numeric(key->type) && !holds;
    if (holds && key->max)
        buf_printf(out, "at most %s", key->max);
    else if (text && key->max)
        buf_printf(out, "at most %s bytes", key->max);
    else if (text && key->min)
        buf_add_str(out, "not empty");
    else if (key->min && key->max && strcmp(key->min, key->max) == 0)
        buf_printf(out, "%s", key->min);
    else if (key->min && key->max)
        buf_printf(out, "%s to %s", key->min, key->max);
}

static const char *shown_name(const struct key *key)
{
    return strcmp(key->name, "*") == 0 ? "NAME" : key->name;
}

/* A pattern as people write it: NAME for a name of their own. */
static void add_path(struct buf *out, const char *pattern)
{
    for (; *pattern; pattern++)
        if (*pattern == '*')
            buf_add_str(out, "NAME");
        else
            buf_add_char(out, *pattern);
}

static void add_line(struct buf *out, const struct key *key, int indent)
{
    struct buf range = {0};
    char one[PATH_BYTES];
    bool element = strcmp(key->name, "[]") == 0;
    buf_printf(out, "%*s%s: ", indent, "",
               element ? key_one(key, one, sizeof one) : shown_name(key));
    add_type(out, key);
    add_range(&range, key);
    if (range.n)
        buf_printf(out, ", %s", buf_str(&range));
    if (key->required)
        buf_add_str(out, ", required");
    if (key->def)
        buf_printf(out, ", default %s", *key->def ? key->def : "empty");
    buf_printf(out, "\n%*s%s\n", indent + 4, "", key->help);
    buf_done(&range);
}

/* --- help for a path -------------------------------------------------------------------------- */

/* The next key of a path below a pattern: takes it off *path, or returns NULL. A list's element may
 * be given by a number or left out. */
static const struct key *step(const char *pattern, const char **path)
{
    const struct key *element = key_find(pattern, "[]"), *any = key_find(pattern, "*");
    size_t n = strcspn(*path, ".[");
    if (element) {
        if (strncmp(*path, "[]", 2) == 0)
            *path += 2;
        else if (n && strspn(*path, "0123456789") == n)
            *path += n;
        *path += **path == '.';
        return element;
    }
    const struct key *best = NULL; /* the longest: p99.9 before p99 */
    size_t best_n = 0;
    for (size_t i = 0; i < keys_n; i++) {
        size_t length = strlen(keys[i].name);
        bool fits = strcmp(keys[i].parent, pattern) == 0 && length > best_n &&
                    strncmp(*path, keys[i].name, length) == 0 &&
                    (!(*path)[length] || strchr(".[", (*path)[length]));
        best = fits ? &keys[i] : best;
        best_n = fits ? length : best_n;
    }
    if (best) {
        *path += best_n + ((*path)[best_n] == '.');
        return best;
    }
    if (any && n)
        *path += n + ((*path)[n] == '.');
    return n ? any : NULL;
}

static bool has_inside(const struct key *key)
{
    return key->type == KEY_MAP || key->type == KEY_NAMED || key->type == KEY_LIST;
}

static bool same_key(const struct key *a, const struct key *b)
{
    return b < keys + keys_n && strcmp(a->parent, b->parent) == 0 && strcmp(a->name, b->name) == 0;
}

/* The form of a key that has keys inside, if there is one. */
static const struct key *inner_form(const struct key *key)
{
    const struct key *k = key;
    while (same_key(key, k + 1) && !has_inside(k))
        k++;
    return k;
}

static void add_children(struct buf *out, const char *pattern)
{
    for (size_t i = 0; i < keys_n; i++)
        if (strcmp(keys[i].parent, pattern) == 0)
            add_line(out, &keys[i], 2);
}

/* The path with its first wrong name put right. */
static void add_nearest(struct buf *out, const char *pattern, const char *path, const char *wrong)
{
    const char *names[NAMES_MAX];
    char name[PATH_BYTES];
    size_t n = strcspn(wrong, ".[");
    if (n == 0 || n >= sizeof name)
        return;
    memcpy(name, wrong, n);
    name[n] = '\0';
    const char *near = str_nearest(name, names, key_names(pattern, names, NAMES_MAX));
    if (near)
        buf_printf(out, "did you mean %.*s%s?", (int)(wrong - path), path, near);
}

int plan_help(struct buf *out, const char *path)
{
    char pattern[PATH_BYTES] = "", one[PATH_BYTES];
    const char *whole = path = path ? path : "";
    const struct key *key = NULL;
    while (*path) {
        key = step(pattern, &path);
        if (!key) {
            add_nearest(out, pattern, whole, path);
            return -ENOENT;
        }
        if (*path && !has_inside(inner_form(key)))
            return -ENOENT;
        key_path(key, pattern, sizeof pattern);
    }
    if (key) {
        add_path(out, pattern);
        buf_add_char(out, '\n');
        for (const struct key *form = key; same_key(key, form); form++)
            add_line(out, form, 2);
    }
    if (key && !has_inside(inner_form(key)))
        return 0;
    const struct key *element = key_find(pattern, "[]");
    if (element) { /* what stands in a list is what one of it holds */
        buf_printf(out, "inside %s:\n", key_one(element, one, sizeof one));
        key_path(element, pattern, sizeof pattern);
    } else {
        buf_add_str(out, key ? "inside:\n" : "keys of a plan:\n");
    }
    add_children(out, pattern);
    return 0;
}

/* --- the reference page ----------------------------------------------------------------------- */

static void add_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static void add_row(struct buf *out, const struct key *key)
{
    struct buf range = {0};
    add_range(&range, key);
    buf_printf(out, "| `%s` | ", shown_name(key));
    add_type(out, key);
    buf_printf(out, "%s%s%s | ", range.n ? ", " : "", buf_str(&range),
               key->required ? ", **required**" : "");
    if (key->def)
        buf_printf(out, "`%s`", *key->def ? key->def : "\"\"");
    buf_add_str(out, " | ");
    add_cell(out, key->help);
    buf_add_str(out, " |\n");
    buf_done(&range);
}

static void add_section(struct buf *out, const char *pattern, const char *help)
{
    if (pattern[0]) {
        buf_add_str(out, "\n## `");
        add_path(out, pattern);
        buf_printf(out, "`\n\n%c%s.\n", toupper((unsigned char)help[0]), help + 1);
    }
    buf_add_str(out, "\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < keys_n; i++)
        if (strcmp(keys[i].parent, pattern) == 0)
            add_row(out, &keys[i]);
}

static const char reference_head[] =
    "# The plan: every key\n"
    "\n"
    "This page is made from the table that reads plans (`src/plan/keys.c`); do not edit it.\n"
    "`squall explain --keys PATH` prints the same for one key, `squall lint --schema` the JSON "
    "Schema.\n"
    "\n"
    "- A **duration** carries its unit: `250ms`, `1m30s`. A **size**: `64KiB`, `1GB`. A **rate**: "
    "`50/s`, `10/min`.\n"
    "- A **limit** is a comparison and a value: `< 100ms`, `>= 3`, `\"> 60%\"` (quote what starts "
    "with `>` or `!`).\n"
    "- `{{name}}` in any text is replaced by the plan's variable of that name; `{{\"text\"}}` "
    "stands "
    "for `text` itself.\n"
    "  `{{plan.dir}}` is the absolute folder of the plan (in an included file too: that of the "
    "plan "
    "which includes it).\n"
    "- Inside a load, `{{...}}` that is no variable is a template, rendered once a request: `id`, "
    "integer arithmetic such as\n"
    "  `id / 4`, `counter FIRST STEP`, `random LOW HIGH`, `hex N`, `uuid`, `choose A:3 B:1`, or a "
    "name of the load's `vars`.\n"
    "- In `json`, plain numbers, `true`, `false` and `null` are written as such, everything else "
    "as text; `!int \"{{id}}\"`\n"
    "  makes a number of a template.\n"
    "- A check without `before`, `during`, `after`, `always`, `never` or `eventually` speaks about "
    "the whole run: `recovers`\n"
    "  after every fault, `log` at some moment, the other kinds always. A phase is named by its "
    "name or by its kind (`fault`\n"
    "  is every fault), and `run` is all of it.\n"
    "- Every key can be overridden on the command line: `--set load.alerts.arrive.rate=50/s`, list "
    "elements by number from 0:\n"
    "  `--set storm.0.baseline=2s`.\n";

void plan_reference(struct buf *out)
{
    char path[PATH_BYTES];
    buf_add_str(out, reference_head);
    buf_add_str(out, "\n## The whole plan\n");
    add_section(out, "", "");
    for (size_t i = 0; i < keys_n; i++) {
        const struct key *key = &keys[i];
        key_path(key, path, sizeof path);
        /* what only holds elements is described with them */
        if (key->type == KEY_MAP)
            add_section(out, path, key->help);
    }
}
