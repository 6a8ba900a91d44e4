#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "plan/template_parts.h"

#define INT_TEXT_BYTES 20 /* of the longest int64_t */

struct compiler {
    struct arena *arena;
    const char *text, *p; /* all of it; where we are */
    const char *end;      /* of the {{...}} being read */
    const struct template_vars *vars;
    struct template_part *part;
    uint64_t salt;
    int depth; /* of parentheses */
    size_t stack, stack_most;
    struct err *err;
};

static int fail(struct compiler *c, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct compiler *c, const char *at, const char *fmt, ...)
{
    char msg[256];
    int line = 1, column = 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    for (const char *p = c->text; p < at; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    return err_at(c->err, -EINVAL, "", line, column, "%s", msg);
}

static void skip_space(struct compiler *c)
{
    while (c->p < c->end && isspace((unsigned char)*c->p))
        c->p++;
}

static bool name_char(char ch, bool first)
{
    return isalpha((unsigned char)ch) || ch == '_' ||
           (!first && (isdigit((unsigned char)ch) || ch == '-' || ch == '.'));
}

/* The name at *p, empty when there is none. A hyphen belongs to it only before a letter, so that
 * `id-1` stays a subtraction. */
static struct str peek_name(const struct compiler *c)
{
    const char *p = c->p;
    while (p < c->end && name_char(*p, p == c->p)) {
        if (*p == '-' && (p + 1 >= c->end || !isalpha((unsigned char)p[1])))
            break;
        p++;
    }
    return (struct str){c->p, (size_t)(p - c->p)};
}

/* --- integers --------------------------------------------------------------------------------- */

static int take_int(struct compiler *c, const char *what, int64_t low, int64_t high, int64_t *ret)
{
    skip_space(c);
    const char *from = c->p;
    if (c->p < c->end && (*c->p == '-' || *c->p == '+'))
        c->p++;
    while (c->p < c->end && isdigit((unsigned char)*c->p))
        c->p++;
    struct str text = {from, (size_t)(c->p - from)};
    int rc = units_int(text, ret);
    if (rc == -ERANGE || (rc == 0 && (*ret < low || *ret > high)))
        return fail(c, from, "%s must be from %lld to %lld", what, (long long)low, (long long)high);
    if (rc < 0)
        return fail(c, from, "%s must be a whole number", what);
    return 0;
}

static int add_step(struct compiler *c, enum template_op op, int64_t value)
{
    struct template_part *part = c->part;
    if (part->steps_n == TEMPLATE_STEPS)
        return fail(c, c->p, "the expression is too long: %d steps are the most", TEMPLATE_STEPS);
    if (op == OP_ID || op == OP_CONST) {
        if (++c->stack > TEMPLATE_STACK)
            return fail(c, c->p, "the expression is nested too deeply");
    } else if (op != OP_NEG) {
        c->stack--;
    }
    part->steps[part->steps_n++] = (struct template_step){op, value};
    return 0;
}

static int parse_sum(struct compiler *c);

static int parse_value(struct compiler *c)
{
    int64_t value;
    skip_space(c);
    if (c->p < c->end && *c->p == '(') {
        if (++c->depth > TEMPLATE_STACK)
            return fail(c, c->p, "the expression is nested too deeply");
        c->p++;
        int rc = parse_sum(c);
        if (rc < 0)
            return rc;
        skip_space(c);
        if (c->p >= c->end || *c->p != ')')
            return fail(c, c->p, "a \")\" is missing");
        c->p++;
        c->depth--;
        return 0;
    }
    if (c->p < c->end && *c->p == '-') {
        if (++c->depth > TEMPLATE_STACK)
            return fail(c, c->p, "the expression is nested too deeply");
        c->p++;
        int rc = parse_value(c);
        c->depth--;
        return rc < 0 ? rc : add_step(c, OP_NEG, 0);
    }
    struct str name = peek_name(c);
    if (str_eq(name, STR("id"))) {
        c->p += 2;
        return add_step(c, OP_ID, 0);
    }
    if (c->p >= c->end)
        return fail(c, c->p, "a number or id is missing here");
    if (name.n)
        return fail(c, c->p, "\"%.*s\" cannot be used in an expression, only numbers and id",
                    name.n > 60 ? 60 : (int)name.n, name.p);
    int rc = take_int(c, "a value", INT64_MIN, INT64_MAX, &value);
    return rc < 0 ? rc : add_step(c, OP_CONST, value);
}

static int parse_product(struct compiler *c)
{
    int rc = parse_value(c);
    for (;;) {
        skip_space(c);
        if (rc < 0 || c->p >= c->end || !strchr("*/%", *c->p))
            return rc;
        enum template_op op = *c->p == '*' ? OP_MUL : *c->p == '/' ? OP_DIV : OP_MOD;
        c->p++;
        rc = parse_value(c);
        if (rc == 0)
            rc = add_step(c, op, 0);
    }
}

static int parse_sum(struct compiler *c)
{
    int rc = parse_product(c);
    for (;;) {
        skip_space(c);
        if (rc < 0 || c->p >= c->end || !strchr("+-", *c->p))
            return rc;
        enum template_op op = *c->p == '+' ? OP_ADD : OP_SUB;
        c->p++;
        rc = parse_product(c);
        if (rc == 0)
            rc = add_step(c, op, 0);
    }
}

static int parse_expression(struct compiler *c)
{
    struct template_step steps[TEMPLATE_STEPS];
    c->part->kind = PART_EXPR;
    c->part->steps = steps;
    c->stack = 0;
    c->depth = 0;
    int rc = parse_sum(c);
    c->part->steps = arena_array(c->arena, c->part->steps_n, sizeof *steps);
    memcpy(c->part->steps, steps, c->part->steps_n * sizeof *steps);
    if (rc == 0 && c->part->steps_n == 1 && c->part->steps[0].op == OP_ID)
        c->part->kind = PART_ID;
    return rc;
}

/* --- functions -------------------------------------------------------------------------------- */

static int parse_counter(struct compiler *c)
{
    int64_t first, step;
    int rc = take_int(c, "the first value", INT64_MIN, INT64_MAX, &first);
    if (rc == 0)
        rc = take_int(c, "the step", INT64_MIN, INT64_MAX, &step);
    if (rc < 0)
        return rc;
    c->part->kind = PART_EXPR;
    c->part->steps = arena_array(c->arena, 5, sizeof *c->part->steps);
    c->part->steps_n = 5;
    c->part->steps[0] = (struct template_step){OP_CONST, first};
    c->part->steps[1] = (struct template_step){OP_ID, 0};
    c->part->steps[2] = (struct template_step){OP_CONST, step};
    c->part->steps[3] = (struct template_step){OP_MUL, 0};
    c->part->steps[4] = (struct template_step){OP_ADD, 0};
    return 0;
}

static int parse_random(struct compiler *c)
{
    c->part->kind = PART_RANDOM;
    int rc = take_int(c, "the lowest value", INT64_MIN, INT64_MAX, &c->part->low);
    const char *at = c->p;
    if (rc == 0)
        rc = take_int(c, "the highest value", INT64_MIN, INT64_MAX, &c->part->high);
    if (rc == 0 && c->part->high < c->part->low)
        return fail(c, at, "the highest value is below the lowest");
    return rc;
}

static int parse_hex(struct compiler *c)
{
    c->part->kind = PART_HEX;
    return take_int(c, "the number of digits", 1, TEMPLATE_HEX_MAX, &c->part->high);
}

static int parse_uuid(struct compiler *c)
{
    c->part->kind = PART_UUID;
    return 0;
}

/* A "quoted" text; what could break out of a JSON text is refused. */
static int take_quoted(struct compiler *c, struct str *ret)
{
    const char *from = ++c->p;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p == '\\' || (unsigned char)*c->p < 0x20)
            return fail(c, c->p, "a quoted text must not hold backslashes or control characters");
        c->p++;
    }
    if (c->p >= c->end)
        return fail(c, from - 1, "the quote is not closed");
    *ret = (struct str){arena_strndup(c->arena, from, (size_t)(c->p - from)), 0};
    ret->n = (size_t)(c->p++ - from);
    return 0;
}

static int take_word(struct compiler *c, struct str *ret)
{
    if (*c->p == '"')
        return take_quoted(c, ret);
    const char *from = c->p;
    while (c->p < c->end && !isspace((unsigned char)*c->p) && !strchr(":\"\\", *c->p))
        c->p++;
    if (c->p == from)
        return fail(c, from, "a word is missing here");
    *ret =
        (struct str){arena_strndup(c->arena, from, (size_t)(c->p - from)), (size_t)(c->p - from)};
    return 0;
}

static int parse_choose(struct compiler *c)
{
    struct template_part *part = c->part;
    size_t n = 0;
    uint64_t sum = 0;
    part->kind = PART_CHOOSE;
    struct template_word words[TEMPLATE_WORDS_MAX];
    for (;;) {
        int64_t weight = 1;
        skip_space(c);
        if (c->p >= c->end)
            break;
        if (n == TEMPLATE_WORDS_MAX)
            return fail(c, c->p, "too many words: %d are the most", TEMPLATE_WORDS_MAX);
        int rc = take_word(c, &words[n].text);
        if (rc == 0 && c->p < c->end && *c->p == ':') {
            c->p++;
            rc = take_int(c, "a weight", 0, 1000000000, &weight);
        }
        if (rc < 0)
            return rc;
        sum += (uint64_t)weight;
        words[n++].until = sum;
    }
    if (sum == 0)
        return fail(c, c->p, "choose needs words such as A:3 B:1, and a weight above 0");
    part->high = (int64_t)sum;
    part->words = arena_array(c->arena, n, sizeof *words);
    memcpy(part->words, words, n * sizeof *words);
    return 0;
}

static const struct {
    const char *name;
    int (*parse)(struct compiler *c);
} functions[] = {
    {"counter", parse_counter}, {"random", parse_random}, {"hex", parse_hex},
    {"uuid", parse_uuid},       {"choose", parse_choose},
};

/* --- parts ------------------------------------------------------------------------------------ */

static int unknown_name(struct compiler *c, struct str name)
{
    const char *names[TEMPLATE_VARS + ARRAY_SIZE(functions) + 1];
    size_t n = 0;
    char wrong[64];
    for (size_t i = 0; c->vars && i < c->vars->n; i++)
        names[n++] = c->vars->names[i];
    names[n++] = "id";
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
        names[n++] = functions[i].name;
    snprintf(wrong, sizeof wrong, "%.*s", name.n < sizeof wrong ? (int)name.n : 63, name.p);
    const char *near = str_nearest(wrong, names, n);
    return fail(c, name.p, "unknown name \"%s\" in {{...}}%s%s%s", wrong,
                near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int parse_name(struct compiler *c, struct str name)
{
    for (size_t i = 0; c->vars && i < c->vars->n; i++)
        if (str_eq(name, str_of(c->vars->names[i]))) {
            c->p += name.n;
            c->part->kind = PART_VAR;
            c->part->var = i;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
        if (str_eq(name, str_of(functions[i].name))) {
            c->p += name.n;
            return functions[i].parse(c);
        }
    return str_eq(name, STR("id")) ? parse_expression(c) : unknown_name(c, name);
}

static int parse_braces(struct compiler *c)
{
    skip_space(c);
    if (c->p >= c->end)
        return fail(c, c->p, "nothing stands between {{ and }}");
    struct str name = peek_name(c);
    int rc;
    if (*c->p == '"') {
        c->part->kind = PART_TEXT;
        rc = take_quoted(c, &c->part->text);
    } else {
        rc = name.n ? parse_name(c, name) : parse_expression(c);
    }
    if (rc < 0)
        return rc;
    skip_space(c);
    if (c->p < c->end)
        return fail(c, c->p, "\"%.*s\" was not expected here",
                    c->end - c->p > 40 ? 40 : (int)(c->end - c->p), c->p);
    return 0;
}

/* Where {{ at p ends: at the first }} that is not in quotes. NULL = nowhere. */
static const char *braces_end(const char *p)
{
    bool quoted = false;
    for (p += 2; *p; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (!quoted && p[0] == '}' && p[1] == '}')
            return p;
    }
    return NULL;
}

static size_t part_bytes(const struct compiler *c, const struct template_part *part)
{
    size_t most = 0;
    switch (part->kind) {
    case PART_TEXT: return part->text.n;
    case PART_ID:
    case PART_EXPR:
    case PART_RANDOM: return INT_TEXT_BYTES;
    case PART_VAR: return template_max_bytes(c->vars->values[part->var]);
    case PART_HEX: return (size_t)part->high;
    case PART_UUID: return 36;
    case PART_CHOOSE:
        for (const struct template_word *word = part->words;; word++) {
            most = word->text.n > most ? word->text.n : most;
            if (word->until == (uint64_t)part->high)
                return most;
        }
    }
    assert(!"a kind of part");
    return 0;
}

static int compile_part(struct compiler *c)
{
    if (strncmp(c->p, "{{", 2) == 0) {
        const char *open = c->p;
        c->end = braces_end(c->p);
        if (!c->end)
            return fail(c, open, "{{ is not closed by }}");
        c->p += 2;
        int rc = parse_braces(c);
        c->p = c->end + 2;
        return rc;
    }
    const char *from = c->p, *next = strstr(c->p, "{{");
    c->p = next ? next : c->p + strlen(c->p);
    c->part->kind = PART_TEXT;
    c->part->text =
        (struct str){arena_strndup(c->arena, from, (size_t)(c->p - from)), (size_t)(c->p - from)};
    return 0;
}

static uint64_t hash_text(const char *p)
{
    uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */
    for (; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
    return h;
}

int template_compile_for(struct arena *a, const char *text, const char *use,
                         const struct template_vars *vars, struct template **ret, struct err *err)
{
    struct compiler c = {
        .arena = a, .text = text, .p = text, .vars = vars, .err = err, .salt = hash_text(use)};
    struct template_part parts[16], *all = parts;
    size_t n = 0, cap = ARRAY_SIZE(parts), max_bytes = 0;
    while (*c.p) {
        if (n == TEMPLATE_PARTS)
            return fail(&c, c.p, "too many {{...}}: a text may have %d parts", TEMPLATE_PARTS);
        if (n == cap) {
            struct template_part *more = arena_array(a, cap * 4, sizeof *more);
            memcpy(more, all, n * sizeof *more);
            all = more;
            cap *= 4;
        }
        all[n] = (struct template_part){.salt = (c.salt + n) * 0x9e3779b97f4a7c15ull};
        c.part = &all[n];
        int rc = compile_part(&c);
        if (rc < 0)
            return rc;
        max_bytes += part_bytes(&c, &all[n]);
        n++;
    }
    struct template *t = arena_alloc(a, sizeof *t);
    t->parts = arena_array(a, n, sizeof *t->parts);
    if (n)
        memcpy(t->parts, all, n * sizeof *t->parts);
    t->n = n;
    t->max_bytes = max_bytes;
    *ret = t;
    return 0;
}

int template_compile(struct arena *a, const char *text, const struct template_vars *vars,
                     struct template **ret, struct err *err)
{
    return template_compile_for(a, text, "", vars, ret, err);
}

static bool breaks_json(const struct template *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->parts[i].kind == PART_TEXT)
            for (size_t k = 0; k < t->parts[i].text.n; k++)
                if (strchr("\"\\", t->parts[i].text.p[k]) ||
                    (unsigned char)t->parts[i].text.p[k] < 0x20)
                    return true;
    return false;
}

bool template_json_safe(const struct template *t, const struct template_vars *vars)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind != PART_VAR)
            continue;
        const struct template *value = vars->values[t->parts[i].var];
        if (breaks_json(value) || !template_json_safe(value, vars))
            return false;
    }
    return true;
}
