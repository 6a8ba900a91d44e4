#include "net/http1.h"

#include <assert.h>
#include <string.h>

/* The order of an answer; FRAME_* are the parts of a chunked body. */
enum {
    STATE_STATUS,
    STATE_HEADER,
    STATE_BODY,     /* left_bytes of it to come */
    STATE_BODY_EOF, /* until the peer closes */
    STATE_CHUNK_SIZE,
    STATE_CHUNK,
    STATE_CHUNK_END, /* the CRLF behind the data; left_bytes of it to come */
    STATE_TRAILER,
    STATE_DONE,
    STATE_BAD
};

static const char *const error_texts[] = {
    [HTTP1_OK] = "no error",
    [HTTP1_ERR_STATUS_LINE] = "the answer does not start with an HTTP/1 status line",
    [HTTP1_ERR_HEADER] = "malformed header line",
    [HTTP1_ERR_TOO_LONG] = "line too long or too many header lines",
    [HTTP1_ERR_LENGTH] = "body length malformed, given twice, or given in two ways",
    [HTTP1_ERR_CHUNK] = "malformed chunk",
    [HTTP1_ERR_TRUNCATED] = "connection closed inside the answer",
};
_Static_assert(sizeof error_texts / sizeof error_texts[0] == HTTP1_ERR_COUNT, "one text an error");

const char *http1_error_text(enum http1_error e)
{
    return error_texts[e];
}

/* Everything but the callbacks and what the request said; line[] stays untouched. */
static void reset(struct http1 *h)
{
    h->state = STATE_STATUS;
    h->status = h->minor = h->headers_n = 0;
    h->keep_alive = h->chunked = h->coded = h->closes = false;
    h->length_bytes = -1;
    h->body_bytes = h->left_bytes = 0;
    h->error = HTTP1_OK;
    h->line_n = 0;
}

void http1_init(struct http1 *h, bool head_request, http1_body_fn *on_body,
                http1_header_fn *on_header, void *ctx)
{
    reset(h);
    h->head_only = head_request;
    h->on_body = on_body;
    h->on_header = on_header;
    h->ctx = ctx;
}

static bool bad(struct http1 *h, enum http1_error e)
{
    h->error = e;
    h->state = STATE_BAD;
    return false;
}

#define EACH_BYTE(B) (0x0101010101010101ull * (B))

/* Neither NUL nor CR, eight bytes at a time: a byte of `v ^ pattern` is 0 where v has the pattern,
 * and subtracting 1 from each byte then borrows into its top bit. */
static bool clean(const char *p, size_t n)
{
    uint64_t v, hit = 0;
    for (; n >= sizeof v; p += sizeof v, n -= sizeof v) {
        memcpy(&v, p, sizeof v);
        uint64_t cr = v ^ EACH_BYTE('\r');
        hit |= ((v - EACH_BYTE(1)) & ~v) | ((cr - EACH_BYTE(1)) & ~cr);
    }
    if (hit & EACH_BYTE(0x80))
        return false;
    for (; n > 0; p++, n--)
        if (*p == 0 || *p == '\r')
            return false;
    return true;
}

/* lower is in lower case; no byte that clean() lets through is turned into a wrong match. */
static bool is_word(struct str s, const char *lower, size_t n)
{
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.p[i] | 0x20) != lower[i])
            return false;
    return true;
}
#define IS_WORD(S, LIT) is_word(S, LIT, sizeof(LIT) - 1)

static const char version[] = "HTTP/1.";
#define VERSION_BYTES (sizeof version - 1)

/* "HTTP/1.x SSS reason" */
static bool status_line(struct http1 *h, const char *p, size_t n)
{
    if (n < VERSION_BYTES + 5 || memcmp(p, version, VERSION_BYTES) != 0)
        return bad(h, HTTP1_ERR_STATUS_LINE);
    const char *d = p + VERSION_BYTES;
    if (d[0] < '0' || d[0] > '9' || d[1] != ' ' || d[2] < '1' || d[2] > '9' || d[3] < '0' ||
        d[3] > '9' || d[4] < '0' || d[4] > '9')
        return bad(h, HTTP1_ERR_STATUS_LINE);
    if (n > VERSION_BYTES + 5 && d[5] != ' ')
        return bad(h, HTTP1_ERR_STATUS_LINE);
    if (!clean(d, n - VERSION_BYTES))
        return bad(h, HTTP1_ERR_STATUS_LINE);
    h->minor = d[0] - '0';
    h->status = (d[2] - '0') * 100 + (d[3] - '0') * 10 + (d[4] - '0');
    h->keep_alive = h->minor > 0;
    h->state = STATE_HEADER;
    return true;
}

/* Takes the next item off a comma-separated value; rest->p is NULL behind the last. */
static struct str next_item(struct str *rest)
{
    const char *comma = memchr(rest->p, ',', rest->n);
    struct str item = *rest;
    if (comma) {
        item.n = (size_t)(comma - rest->p);
        *rest = (struct str){comma + 1, rest->n - item.n - 1};
    } else {
        *rest = (struct str){NULL, 0};
    }
    return str_trim(item);
}

/* RFC 9110 8.6: digits only; a list of the same number is that number */
static bool content_length(struct http1 *h, struct str value)
{
    do {
        struct str item = next_item(&value);
        int64_t length = 0;
        if (item.n == 0)
            return bad(h, HTTP1_ERR_LENGTH);
        for (size_t i = 0; i < item.n; i++) {
            if (item.p[i] < '0' || item.p[i] > '9' || __builtin_mul_overflow(length, 10, &length) ||
                __builtin_add_overflow(length, item.p[i] - '0', &length))
                return bad(h, HTTP1_ERR_LENGTH);
        }
        if (h->length_bytes >= 0 && h->length_bytes != length)
            return bad(h, HTTP1_ERR_LENGTH);
        h->length_bytes = length;
    } while (value.p);
    return !h->coded || bad(h, HTTP1_ERR_LENGTH);
}

static bool visible(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0;
}

/* chunked must be the last coding and come once (RFC 9112 6.1, 7) */
static bool transfer_encoding(struct http1 *h, struct str value)
{
    do {
        struct str item = next_item(&value);
        if (h->chunked || !visible(item))
            return bad(h, HTTP1_ERR_LENGTH);
        h->chunked = IS_WORD(item, "chunked");
    } while (value.p);
    h->coded = true;
    return h->length_bytes < 0 || bad(h, HTTP1_ERR_LENGTH);
}

static void connection(struct http1 *h, struct str value)
{
    do {
        struct str item = next_item(&value);
        if (IS_WORD(item, "close"))
            h->closes = true;
        else if (IS_WORD(item, "keep-alive"))
            h->keep_alive = true;
    } while (value.p);
}

/* The only headers the parser itself acts on; told apart by length first. */
static bool known_header(struct http1 *h, struct str name, struct str value)
{
    switch (name.n) {
    case 10:
        if (IS_WORD(name, "connection"))
            connection(h, value);
        break;
    case 14:
        if (IS_WORD(name, "content-length"))
            return content_length(h, value);
        break;
    case 17:
        if (IS_WORD(name, "transfer-encoding"))
            return transfer_encoding(h, value);
        break;
    }
    return true;
}

/* RFC 9110 5.6.2 tchar */
static const bool token_byte[256] = {
    ['!'] = 1,         ['#' ... '\''] = 1, ['*'] = 1,         ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,  ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
};

/* "name: value"; false when it is malformed. Spaces before the colon are a smuggling vector. */
static bool split_header(const char *p, size_t n, struct str *ret_name, struct str *ret_value)
{
    size_t colon = 0;
    while (colon < n && token_byte[(unsigned char)p[colon]])
        colon++;
    if (colon == 0 || colon == n || p[colon] != ':')
        return false;
    size_t from = colon + 1, to = n;
    while (from < to && (p[from] == ' ' || p[from] == '\t'))
        from++;
    while (to > from && (p[to - 1] == ' ' || p[to - 1] == '\t'))
        to--;
    *ret_name = (struct str){p, colon};
    *ret_value = (struct str){p + from, to - from};
    return clean(p + from, to - from);
}

/* The empty line: what follows is decided in the order of RFC 9112 6.3. */
static bool head_end(struct http1 *h)
{
    if (h->status / 100 == 1 && h->status != 101) {
        int headers_n = h->headers_n; /* the limit holds for all heads of an answer together */
        reset(h);
        h->headers_n = headers_n;
        return true;
    }
    bool faulty = h->coded && h->minor == 0; /* RFC 9112 6.1: codings need HTTP/1.1 */
    h->keep_alive = h->keep_alive && !h->closes && !faulty && h->status != 101;
    h->state = STATE_DONE;
    if (h->head_only || h->status == 101 || h->status == 204 || h->status == 304)
        return true;
    if (h->chunked) {
        h->state = STATE_CHUNK_SIZE;
    } else if (h->length_bytes >= 0) {
        h->left_bytes = h->length_bytes;
        if (h->left_bytes > 0)
            h->state = STATE_BODY;
    } else {
        h->keep_alive = false;
        h->state = STATE_BODY_EOF;
    }
    return true;
}

static bool header_line(struct http1 *h, const char *p, size_t n)
{
    struct str name, value;

    if (n == 0)
        return head_end(h);
    if (++h->headers_n > HTTP1_HEADERS)
        return bad(h, HTTP1_ERR_TOO_LONG);
    if (!split_header(p, n, &name, &value))
        return bad(h, HTTP1_ERR_HEADER);
    if (!known_header(h, name, value))
        return false;
    if (h->on_header && h->status / 100 != 1)
        h->on_header(h->ctx, name, value);
    return true;
}

static bool trailer_line(struct http1 *h, const char *p, size_t n)
{
    struct str name, value;

    if (n == 0) {
        h->state = STATE_DONE;
        return true;
    }
    if (++h->headers_n > HTTP1_HEADERS)
        return bad(h, HTTP1_ERR_TOO_LONG);
    return split_header(p, n, &name, &value) || bad(h, HTTP1_ERR_HEADER);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1a2b", or "1a2b;extension" with optional blanks before the semicolon (RFC 9112 7.1) */
static bool chunk_size_line(struct http1 *h, const char *p, size_t n)
{
    int64_t size = 0;
    size_t i = 0;

    for (int digit; i < n && (digit = hex_digit(p[i])) >= 0; i++) {
        if (size > (INT64_MAX >> 4))
            return bad(h, HTTP1_ERR_CHUNK);
        size = size << 4 | digit;
    }
    if (i == 0)
        return bad(h, HTTP1_ERR_CHUNK);
    size_t blanks = i;
    while (blanks < n && (p[blanks] == ' ' || p[blanks] == '\t'))
        blanks++;
    if (i < n && (blanks == n || p[blanks] != ';'))
        return bad(h, HTTP1_ERR_CHUNK);
    if (!clean(p + i, n - i))
        return bad(h, HTTP1_ERR_CHUNK);
    h->left_bytes = size;
    h->state = size > 0 ? STATE_CHUNK : STATE_TRAILER;
    return true;
}

/* One whole line with its LF. */
static bool take_line(struct http1 *h, const char *p, size_t n)
{
    bool crlf = n >= 2 && p[n - 2] == '\r';
    n -= crlf ? 2 : 1;
    if (h->state == STATE_HEADER)
        return header_line(h, p, n);
    if (h->state == STATE_STATUS)
        return status_line(h, p, n);
    if (!crlf)
        return bad(h, HTTP1_ERR_CHUNK);
    return h->state == STATE_CHUNK_SIZE ? chunk_size_line(h, p, n) : trailer_line(h, p, n);
}

/* A peer that speaks something else is told apart by its first bytes, not when its line ends. */
static bool looks_like_http(struct http1 *h, const char *p, size_t n)
{
    if (h->state != STATE_STATUS || memcmp(p, version, n < VERSION_BYTES ? n : VERSION_BYTES) == 0)
        return true;
    return bad(h, HTTP1_ERR_STATUS_LINE);
}

/* The next line, straight from the caller's bytes when it is whole there; returns bytes used. */
static size_t feed_line(struct http1 *h, const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    size_t used = lf ? (size_t)(lf - p) + 1 : n;

    if (h->line_n == 0 && lf) {
        if (used <= HTTP1_LINE_BYTES)
            take_line(h, p, used);
        else if (looks_like_http(h, p, used))
            bad(h, HTTP1_ERR_TOO_LONG);
        return used;
    }
    size_t room = HTTP1_LINE_BYTES - h->line_n, take = used < room ? used : room;
    memcpy(h->line + h->line_n, p, take);
    h->line_n += take;
    if (!looks_like_http(h, h->line, h->line_n))
        return used;
    if (take < used) {
        bad(h, HTTP1_ERR_TOO_LONG);
    } else if (lf) {
        size_t line_n = h->line_n;
        h->line_n = 0;
        take_line(h, h->line, line_n);
    }
    return used;
}

static size_t feed_body(struct http1 *h, const char *p, size_t n)
{
    size_t take = n;
    if (h->state != STATE_BODY_EOF) {
        if ((uint64_t)h->left_bytes < take)
            take = (size_t)h->left_bytes;
        h->left_bytes -= (int64_t)take;
    }
    h->body_bytes += (int64_t)take;
    if (h->on_body)
        h->on_body(h->ctx, p, take);
    if (h->left_bytes == 0 && h->state == STATE_BODY)
        h->state = STATE_DONE;
    if (h->left_bytes == 0 && h->state == STATE_CHUNK) {
        h->state = STATE_CHUNK_END;
        h->left_bytes = 2;
    }
    return take;
}

static size_t feed_chunk_end(struct http1 *h, const char *p)
{
    if (*p != (h->left_bytes == 2 ? '\r' : '\n'))
        bad(h, HTTP1_ERR_CHUNK);
    else if (--h->left_bytes == 0)
        h->state = STATE_CHUNK_SIZE;
    return 1;
}

enum http1_result http1_feed(struct http1 *h, const char *bytes, size_t n, size_t *ret_used)
{
    size_t i = 0;
    while (i < n && h->state < STATE_DONE) {
        switch (h->state) {
        case STATE_BODY:
        case STATE_BODY_EOF:
        case STATE_CHUNK: i += feed_body(h, bytes + i, n - i); break;
        case STATE_CHUNK_END: i += feed_chunk_end(h, bytes + i); break;
        default: i += feed_line(h, bytes + i, n - i); break;
        }
    }
    assert(i <= n);
    *ret_used = i;
    return h->state == STATE_DONE ? HTTP1_DONE : h->state == STATE_BAD ? HTTP1_BAD : HTTP1_MORE;
}

enum http1_result http1_eof(struct http1 *h)
{
    if (h->state == STATE_BODY_EOF)
        h->state = STATE_DONE;
    if (h->state == STATE_DONE)
        return HTTP1_DONE;
    if (h->state != STATE_BAD)
        bad(h, HTTP1_ERR_TRUNCATED);
    return HTTP1_BAD;
}
