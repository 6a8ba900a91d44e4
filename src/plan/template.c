#include "plan/template.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "plan/template_parts.h"

/* --- draws ------------------------------------------------------------------------------------ */

/* A stream of its own per request, part and owner: the n-th draw is mix(start + n * golden). */
struct draws {
    uint64_t state;
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t draw(struct draws *d)
{
    return mix(d->state += 0x9e3779b97f4a7c15ull);
}

static struct draws draws_of(const struct template_values *values, uint64_t salt)
{
    return (struct draws){mix(values->seed ^ salt) ^
                          mix(values->id * 0xd6e8feb86659fd93ull + salt)};
}

/* Unbiased, by Lemire's multiplication (2019). */
static uint64_t draw_below(struct draws *d, uint64_t limit)
{
    __uint128_t m = (__uint128_t)draw(d) * limit;
    if ((uint64_t)m < limit)
        for (uint64_t floor = -limit % limit; (uint64_t)m < floor;)
            m = (__uint128_t)draw(d) * limit;
    return (uint64_t)(m >> 64);
}

/* --- rendering -------------------------------------------------------------------------------- */

struct out {
    char *p;
    size_t n, cap; /* n may pass cap: the output is cut there */
};

static inline void put(struct out *o, const char *p, size_t n)
{
    if (o->n + n <= o->cap)
        memcpy(o->p + o->n, p, n);
    else if (o->n < o->cap)
        memcpy(o->p + o->n, p, o->cap - o->n);
    o->n += n;
}

static void put_int(struct out *o, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--at] = '-';
    put(o, digits + at, sizeof digits - at);
}

/* Wraps around like the machine does; a division by zero gives 0. */
static int64_t apply(enum template_op op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case OP_SUB: return (int64_t)((uint64_t)a - (uint64_t)b);
    case OP_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case OP_DIV: return b == 0 ? 0 : b == -1 ? (int64_t) - (uint64_t)a : a / b;
    case OP_MOD: return b == 0 || b == -1 ? 0 : a % b;
    case OP_NEG: return (int64_t) - (uint64_t)a;
    case OP_ID:
    case OP_CONST: break;
    }
    assert(!"an operation");
    return 0;
}

static int64_t evaluate(const struct template_part *part, uint64_t id)
{
    int64_t stack[TEMPLATE_STACK];
    size_t n = 0;
    for (size_t i = 0; i < part->steps_n; i++) {
        const struct template_step *s = &part->steps[i];
        if (s->op == OP_ID || s->op == OP_CONST) {
            stack[n++] = s->op == OP_ID ? (int64_t)id : s->value;
        } else if (s->op == OP_NEG) {
            stack[n - 1] = apply(OP_NEG, stack[n - 1], 0);
        } else {
            n--;
            stack[n - 1] = apply(s->op, stack[n - 1], stack[n]);
        }
    }
    assert(n == 1);
    return stack[0];
}

static void put_hex(struct out *o, struct draws d, size_t digits)
{
    char text[TEMPLATE_HEX_MAX];
    uint64_t bits = 0;
    for (size_t i = 0; i < digits; i++) {
        if (i % 16 == 0)
            bits = draw(&d);
        text[i] = "0123456789abcdef"[bits & 15];
        bits >>= 4;
    }
    put(o, text, digits);
}

static void put_uuid(struct out *o, struct draws d)
{
    char text[37];
    uint64_t hi = (draw(&d) & ~0xf000ull) | 0x4000;
    uint64_t lo = (draw(&d) & ~(3ull << 62)) | 2ull << 62;
    for (int i = 0, at = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[at++] = '-';
        text[at++] = "0123456789abcdef"[((i < 16 ? hi : lo) >> (60 - 4 * (i % 16))) & 15];
    }
    put(o, text, 36);
}

static void put_choice(struct out *o, struct draws d, const struct template_part *part)
{
    uint64_t at = draw_below(&d, (uint64_t)part->high);
    const struct template_word *word = part->words;
    while (at >= word->until)
        word++;
    put(o, word->text.p, word->text.n);
}

static void put_part(struct out *o, const struct template_part *part,
                     const struct template_values *values, uint64_t salt)
{
    uint64_t span;
    struct draws d;
    switch (part->kind) {
    case PART_TEXT: put(o, part->text.p, part->text.n); break;
    case PART_ID: put_int(o, (int64_t)values->id); break;
    case PART_EXPR: put_int(o, evaluate(part, values->id)); break;
    case PART_VAR:
        assert(part->var < values->n);
        put(o, values->v[part->var].p, values->v[part->var].n);
        break;
    case PART_RANDOM:
        d = draws_of(values, part->salt ^ salt);
        span = (uint64_t)part->high - (uint64_t)part->low + 1;
        put_int(o, (int64_t)((uint64_t)part->low + (span ? draw_below(&d, span) : draw(&d))));
        break;
    case PART_HEX: put_hex(o, draws_of(values, part->salt ^ salt), (size_t)part->high); break;
    case PART_UUID: put_uuid(o, draws_of(values, part->salt ^ salt)); break;
    case PART_CHOOSE: put_choice(o, draws_of(values, part->salt ^ salt), part); break;
    }
}

static size_t render(const struct template *t, const struct template_values *values, uint64_t salt,
                     char *out, size_t cap)
{
    struct out o = {out, 0, cap};
    for (size_t i = 0; i < t->n; i++)
        put_part(&o, &t->parts[i], values, salt);
    return o.n;
}

size_t template_render(const struct template *t, const struct template_values *values, char *out,
                       size_t cap)
{
    return render(t, values, 0, out, cap);
}

void template_bind(const struct template_vars *vars, uint64_t seed, uint64_t id,
                   struct template_values *ret)
{
    ret->seed = seed;
    ret->id = id;
    ret->n = 0;
    for (size_t i = 0; i < vars->n; i++) {
        size_t n = render(vars->values[i], ret, mix(i + 1), ret->bytes[i], TEMPLATE_VAR_BYTES);
        ret->v[i] = (struct str){ret->bytes[i], n < TEMPLATE_VAR_BYTES ? n : TEMPLATE_VAR_BYTES};
        ret->n = i + 1;
    }
}

size_t template_max_bytes(const struct template *t)
{
    return t->max_bytes;
}
