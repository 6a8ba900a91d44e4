#include "load/request.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/rng.h"
#include "net/http1_write.h"

#define TARGET_FACTOR 3 /* an encoded byte is at most "%XX" */
#define LENGTH_BYTES  (sizeof "Content-Length: \r\n\r\n" + 20)
#define STREAM_BYTES  320

/* A run of the head: fixed bytes, then perhaps one rendered value. */
struct piece {
    struct buf fixed;
    const struct template *value; /* NULL = none */
    bool target;                  /* the value is the request target */
};

struct variant {
    double up_to;                /* sum of the weights up to this one */
    struct str fixed_body;       /* when body is NULL */
    const struct template *body; /* NULL = fixed */
    struct buf whole;            /* the request, when nothing in it varies */
};

struct requests {
    const struct plan_load *plan;
    uint64_t seed, draw_key;
    bool length_wanted; /* Content-Length even without a body */
    struct piece *pieces;
    size_t pieces_n;
    struct variant *variants;
    size_t variants_n;
    size_t head_max, max_bytes;
};

static bool varies(const char *text)
{
    return text && strstr(text, "{{");
}

static const char *find_header(const struct plan_load *plan, const char *name)
{
    for (size_t i = 0; i < plan->headers_n; i++)
        if (str_case_eq(str_of(plan->headers[i].key), str_of(name)))
            return plan->headers[i].value;
    return NULL;
}

/* Ends the piece being filled with a value; the next fixed bytes go to a new one. */
static void add_value(struct requests *r, const struct template *value, bool target)
{
    struct piece *p = &r->pieces[r->pieces_n++];
    p->value = value;
    p->target = target;
}

static struct buf *fixed(struct requests *r)
{
    return &r->pieces[r->pieces_n].fixed;
}

static void add_target(struct requests *r)
{
    const struct plan_load *plan = r->plan;
    if (varies(plan->path_text)) {
        add_value(r, plan->path, true);
        return;
    }
    struct buf *out = fixed(r);
    struct str path = str_of(plan->path_text);
    buf_reserve(out, path.n * TARGET_FACTOR);
    out->n += http1_encode_target(path, out->p + out->n, path.n * TARGET_FACTOR);
}

static void add_host(struct requests *r)
{
    char text[320];
    if (find_header(r->plan, "Host"))
        return;
    http1_host_text(str_of(r->plan->host), r->plan->port, text, sizeof text);
    buf_printf(fixed(r), "Host: %s\r\n", text);
}

/* Content-Length and Transfer-Encoding are the engine's: the body is always sent in one piece. */
static int add_headers(struct requests *r, struct err *err)
{
    const struct plan_load *plan = r->plan;
    for (size_t i = 0; i < plan->headers_n; i++) {
        struct str name = str_of(plan->headers[i].key), value = str_of(plan->headers[i].value);
        if (!http1_is_token(name) || !http1_is_value(value))
            return err_set(err, -EINVAL, "header '%s' cannot be sent", plan->headers[i].key);
        if (str_case_eq(name, STR("Transfer-Encoding")))
            return err_set(err, -EINVAL, "header 'Transfer-Encoding' is not supported");
        if (str_case_eq(name, STR("Content-Length")))
            continue;
        buf_printf(fixed(r), "%s: ", plan->headers[i].key);
        if (varies(plan->headers[i].value) && plan->header_values && plan->header_values[i])
            add_value(r, plan->header_values[i], false);
        else
            buf_add(fixed(r), value.p, value.n);
        buf_add_str(fixed(r), "\r\n");
    }
    return 0;
}

static int lay_out_head(struct requests *r, struct err *err)
{
    const struct plan_load *plan = r->plan;
    if (!http1_is_token(str_of(plan->method)))
        return err_set(err, -EINVAL, "'%s' is not an HTTP method", plan->method);
    if (!plan->path_text || plan->path_text[0] == 0)
        return err_set(err, -EINVAL, "the request has no path");
    r->pieces = xcalloc(plan->headers_n + 2, sizeof *r->pieces);
    buf_printf(fixed(r), "%s ", plan->method);
    add_target(r);
    buf_add_str(fixed(r), " HTTP/1.1\r\n");
    add_host(r);
    if (!find_header(plan, "User-Agent"))
        buf_add_str(fixed(r), "User-Agent: squall\r\n");
    if (!plan->keep_alive && !find_header(plan, "Connection"))
        buf_add_str(fixed(r), "Connection: close\r\n");
    int code = add_headers(r, err);
    if (code < 0)
        return code;
    r->pieces_n++;
    for (size_t i = 0; i < r->pieces_n; i++) {
        size_t n = r->pieces[i].value ? template_max_bytes(r->pieces[i].value) : 0;
        r->head_max += r->pieces[i].fixed.n + (r->pieces[i].target ? n * TARGET_FACTOR : n);
    }
    r->head_max += LENGTH_BYTES;
    return 0;
}

static size_t put_length(const struct requests *r, char *out, size_t body_n)
{
    char *p = out;
    if (body_n > 0 || r->length_wanted) {
        p = mempcpy(p, "Content-Length: ", 16);
        p += http1_decimal(p, body_n);
        p = mempcpy(p, "\r\n", 2);
    }
    p = mempcpy(p, "\r\n", 2);
    return (size_t)(p - out);
}

static int lay_out_bodies(struct requests *r, struct err *err)
{
    const struct plan_load *plan = r->plan;
    size_t body_max = 0;
    double sum = 0;
    r->variants_n = plan->variants_n;
    r->variants = xcalloc(r->variants_n, sizeof *r->variants);
    for (size_t i = 0; i < r->variants_n; i++) {
        const struct plan_variant *from = &plan->variants[i];
        struct variant *v = &r->variants[i];
        if (!(from->weight >= 0) || !isfinite(from->weight))
            return err_set(err, -EINVAL, "a variant's weight is not a number from 0 up");
        v->up_to = sum += from->weight;
        if (from->body && varies(from->body_text))
            v->body = from->body;
        else
            v->fixed_body = str_of(from->body_text);
        size_t n = v->body ? template_max_bytes(v->body) : v->fixed_body.n;
        body_max = n > body_max ? n : body_max;
        if (!v->body && r->pieces_n == 1) {
            buf_add(&v->whole, r->pieces[0].fixed.p, r->pieces[0].fixed.n);
            buf_reserve(&v->whole, LENGTH_BYTES + n);
            v->whole.n += put_length(r, v->whole.p + v->whole.n, n);
            buf_add(&v->whole, v->fixed_body.p, n);
        }
    }
    if (r->variants_n == 0 || !(sum > 0))
        return err_set(err, -EINVAL, "the load has nothing to send: no variant has a weight");
    r->max_bytes = r->head_max + body_max;
    if (r->head_max > REQUEST_MAX_BYTES || r->max_bytes > REQUEST_MAX_BYTES)
        return err_set(err, -E2BIG, "a request may become larger than %u bytes", REQUEST_MAX_BYTES);
    return 0;
}

int requests_new(const struct plan_load *plan, uint64_t seed, struct requests **ret,
                 struct err *err)
{
    char stream[STREAM_BYTES];
    struct rng rng;
    struct requests *r = xmalloc(sizeof *r);
    r->plan = plan;
    r->seed = seed;
    r->length_wanted = http1_method_has_body(str_of(plan->method));
    snprintf(stream, sizeof stream, "load/%s/variants", plan->name);
    rng_init(&rng, seed, stream);
    r->draw_key = rng_u64(&rng);
    int code = lay_out_head(r, err);
    if (code == 0)
        code = lay_out_bodies(r, err);
    if (code < 0) {
        requests_free(r);
        return code;
    }
    *ret = r;
    return 0;
}

void requests_free(struct requests *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->pieces && i < r->plan->headers_n + 2; i++)
        buf_done(&r->pieces[i].fixed);
    for (size_t i = 0; i < r->variants_n; i++)
        buf_done(&r->variants[i].whole);
    free(r->pieces);
    free(r->variants);
    free(r);
}

size_t requests_max_bytes(const struct requests *r)
{
    return r->max_bytes;
}

/* The finaliser of splitmix64 over a counter: a draw for n that needs no draw for n - 1, so that
 * any worker can render any request. */
static double draw(const struct requests *r, uint64_t id)
{
    uint64_t z = r->draw_key + id * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1.0p-53;
}

size_t requests_variant(const struct requests *r, uint64_t id)
{
    if (r->variants_n == 1)
        return 0;
    double x = draw(r, id) * r->variants[r->variants_n - 1].up_to;
    size_t i = 0;
    while (i + 1 < r->variants_n && x >= r->variants[i].up_to)
        i++;
    return i;
}

static size_t render_target(const struct template *t, const struct template_values *values,
                            char *out)
{
    /* the raw text goes into the last third of its room: encoding, which triples a byte at most,
     * then never writes where it has not read */
    size_t cap = template_max_bytes(t);
    char *raw = out + cap * (TARGET_FACTOR - 1);
    size_t n = template_render(t, values, raw, cap);
    assert(n <= cap);
    return http1_encode_target((struct str){raw, n}, out, cap * TARGET_FACTOR);
}

static size_t render_value(const struct template *t, const struct template_values *values,
                           char *out)
{
    size_t cap = template_max_bytes(t), n = template_render(t, values, out, cap);
    assert(n <= cap);
    for (size_t i = 0; i < n; i++)
        if (out[i] == '\r' || out[i] == '\n' || out[i] == 0)
            out[i] = ' ';
    return n;
}

static size_t render_head(const struct requests *r, const struct template_values *values, char *out,
                          size_t body_n)
{
    char *p = out;
    for (size_t i = 0; i < r->pieces_n; i++) {
        const struct piece *piece = &r->pieces[i];
        if (piece->fixed.n > 0)
            p = mempcpy(p, piece->fixed.p, piece->fixed.n);
        if (piece->value && piece->target)
            p += render_target(piece->value, values, p);
        else if (piece->value)
            p += render_value(piece->value, values, p);
    }
    p += put_length(r, p, body_n);
    assert((size_t)(p - out) <= r->head_max);
    return (size_t)(p - out);
}

struct str requests_render(const struct requests *r, uint64_t id, struct request_scratch *scratch)
{
    const struct variant *v = &r->variants[requests_variant(r, id)];
    if (v->whole.n > 0)
        return (struct str){v->whole.p, v->whole.n};
    template_bind(&r->plan->vars, r->seed, id, &scratch->values);
    /* the body goes where the longest head would end, then the head is moved up to it */
    char *body = scratch->bytes + r->head_max;
    size_t cap = r->max_bytes - r->head_max;
    size_t body_n =
        v->body ? template_render(v->body, &scratch->values, body, cap) : v->fixed_body.n;
    assert(body_n <= cap);
    if (!v->body && body_n > 0)
        memcpy(body, v->fixed_body.p, body_n);
    size_t head_n = render_head(r, &scratch->values, scratch->bytes, body_n);
    char *start = body - head_n;
    memmove(start, scratch->bytes, head_n);
    return (struct str){start, head_n + body_n};
}
