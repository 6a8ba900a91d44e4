/* The parser against a table of answers, each cut at every position: the outcome may not depend on
 * the cut. */
#include "net/http1.h"
#include "tests.h"

#define H "HTTP/1.1 200 OK\r\n"

struct sample {
    const char *name, *text;
    enum http1_result result; /* after the bytes; HTTP1_MORE is followed by the peer's close */
    enum http1_error error;   /* in the end */
    int status;
    const char *body;
    bool close;   /* the connection cannot be used again */
    size_t extra; /* bytes behind the answer */
    bool head;    /* the request was HEAD */
    size_t text_n;
};

#define DONE HTTP1_DONE, HTTP1_OK
#define BAD  HTTP1_BAD

static const struct sample samples[] = {
    {"length", H "Content-Length: 5\r\n\r\nhello", DONE, 200, "hello"},
    {"length, more behind", H "Content-Length: 5\r\n\r\nhelloHTTP", DONE, 200, "hello", .extra = 4},
    {"empty body", H "Content-Length: 0\r\n\r\n", DONE, 200, ""},
    {"leading zeros", H "Content-Length: 0005\r\n\r\nhello", DONE, 200, "hello"},
    {"name in any case", H "cOnTeNt-lEnGtH:5\r\n\r\nhello", DONE, 200, "hello"},
    {"blanks around the value", H "Content-Length: \t 5 \t\r\n\r\nhello", DONE, 200, "hello"},
    {"same length twice", H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", DONE, 200,
     "hello"},
    {"same length as a list", H "Content-Length: 5, 5\r\n\r\nhello", DONE, 200, "hello"},
    {"no reason", "HTTP/1.1 204 \r\n\r\n", DONE, 204, ""},
    {"no reason, no space", "HTTP/1.1 204\r\n\r\n", DONE, 204, ""},
    {"status 999", "HTTP/1.1 999 odd\r\nContent-Length: 0\r\n\r\n", DONE, 999, ""},
    {"connection close", H "Connection: close\r\nContent-Length: 1\r\n\r\nx", DONE, 200, "x",
     .close = true},
    {"close in a list", H "Connection: foo , ClOsE\r\nContent-Length: 1\r\n\r\nx", DONE, 200, "x",
     .close = true},
    {"close wins", H "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
     DONE, 200, "", .close = true},
    {"1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", DONE, 200, "x", .close = true},
    {"1.0 keeps alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
     DONE, 200, "x"},
    {"bare LF in the head", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", DONE, 200, "hello"},
    {"until close", H "\r\nhello", HTTP1_MORE, HTTP1_OK, 200, "hello", .close = true},
    {"1.0 until close", "HTTP/1.0 200 OK\r\n\r\nhello", HTTP1_MORE, HTTP1_OK, 200, "hello",
     .close = true},
    {"unknown coding until close", H "Transfer-Encoding: gzip\r\n\r\nhello", HTTP1_MORE, HTTP1_OK,
     200, "hello", .close = true},
    {"until close, empty", H "\r\n", HTTP1_MORE, HTTP1_OK, 200, "", .close = true},

    {"204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", DONE, 204, ""},
    {"304 with a length", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nX", DONE, 304, "",
     .extra = 1},
    {"204 chunked", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", DONE, 204, ""},
    {"HEAD with a length", H "Content-Length: 5\r\n\r\n", DONE, 200, "", .head = true},
    {"HEAD chunked", H "Transfer-Encoding: chunked\r\n\r\n", DONE, 200, "", .head = true},
    {"HEAD without", H "\r\n", DONE, 200, "", .head = true},
    {"100 first", "HTTP/1.1 100 Continue\r\n\r\n" H "Content-Length: 2\r\n\r\nok", DONE, 200, "ok"},
    {"103 with headers first",
     "HTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n" H
     "Content-Length: 2\r\n\r\nok",
     DONE, 200, "ok"},
    {"101 ends all", "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\nraw", DONE, 101, "", .close = true,
     .extra = 3},
    {"only 100", "HTTP/1.1 100 Continue\r\n\r\n", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 0, ""},

    {"chunked", H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", DONE, 200, "hello"},
    {"chunked, several", H "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\nZ",
     DONE, 200, "hello", .extra = 1},
    {"chunked, hex", H "Transfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n000\r\n\r\n", DONE,
     200, "0123456789"},
    {"chunk extension", H "Transfer-Encoding: chunked\r\n\r\n2 ;a=b;c=\"d\"\r\nok\r\n0;x\r\n\r\n",
     DONE, 200, "ok"},
    {"trailers", H "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\nC:\r\n\r\n", DONE,
     200, "ok"},
    {"gzip then chunked", H "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", DONE,
     200, "ok"},
    {"chunked in 1.0 closes",
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     DONE, 200, "", .close = true},

    {"nothing", "", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 0, ""},
    {"cut in the version", "HTTP/1", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 0, ""},
    {"cut in the status", "HTTP/1.1 20", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 0, ""},
    {"cut in a header", H "Content-Le", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 200, ""},
    {"cut before the end of the head", H "A: b\r\n", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 200, ""},
    {"cut in the body", H "Content-Length: 5\r\n\r\nhel", HTTP1_MORE, HTTP1_ERR_TRUNCATED, 200,
     "hel"},
    {"cut in a chunk", H "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", HTTP1_MORE,
     HTTP1_ERR_TRUNCATED, 200, "he"},
    {"cut behind a chunk", H "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", HTTP1_MORE,
     HTTP1_ERR_TRUNCATED, 200, "he"},
    {"cut in the trailer", H "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n", HTTP1_MORE,
     HTTP1_ERR_TRUNCATED, 200, "he"},

    {"two lengths", H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD, HTTP1_ERR_LENGTH,
     200, ""},
    {"two lengths in a list", H "Content-Length: 5, 6\r\n\r\nhello", BAD, HTTP1_ERR_LENGTH, 200,
     ""},
    {"list with a hole", H "Content-Length: 5,\r\n\r\nhello", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"length and chunked", H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BAD,
     HTTP1_ERR_LENGTH, 200, ""},
    {"chunked and length", H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BAD,
     HTTP1_ERR_LENGTH, 200, ""},
    {"coding and length", H "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", BAD,
     HTTP1_ERR_LENGTH, 200, ""},
    {"two lengths in a 204", "HTTP/1.1 204 N\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
     BAD, HTTP1_ERR_LENGTH, 204, ""},
    {"negative length", H "Content-Length: -5\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"signed length", H "Content-Length: +5\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"hex length", H "Content-Length: 0x5\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"no length value", H "Content-Length:\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"length with a blank inside", H "Content-Length: 1 2\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"overflowing length", H "Content-Length: 9223372036854775808\r\n\r\n", BAD, HTTP1_ERR_LENGTH,
     200, ""},
    {"wrapping length", H "Content-Length: 18446744073709551621\r\n\r\nhello", BAD,
     HTTP1_ERR_LENGTH, 200, ""},
    {"largest length", H "Content-Length: 9223372036854775807\r\n\r\nhel", HTTP1_MORE,
     HTTP1_ERR_TRUNCATED, 200, "hel"},
    {"chunked twice", H "Transfer-Encoding: chunked, chunked\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200,
     ""},
    {"chunked not last", H "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200,
     ""},
    {"chunked on two lines", H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"coding with a control byte",
     H "Transfer-Encoding: \x0b"
       "chunked\r\n\r\n",
     BAD, HTTP1_ERR_LENGTH, 200, ""},
    {"no coding", H "Transfer-Encoding:\r\n\r\n", BAD, HTTP1_ERR_LENGTH, 200, ""},

    {"chunk size missing", H "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, ""},
    {"chunk size not hex", H "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", BAD, HTTP1_ERR_CHUNK, 200,
     ""},
    {"chunk size negative", H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", BAD, HTTP1_ERR_CHUNK, 200,
     ""},
    {"chunk size 0x", H "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", BAD, HTTP1_ERR_CHUNK,
     200, ""},
    {"chunk size with a blank", H "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, ""},
    {"chunk size overflows", H "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello", BAD,
     HTTP1_ERR_CHUNK, 200, ""},
    {"chunk size just too large", H "Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, ""},
    {"chunk longer than its size", H "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, "hell"},
    {"chunk end missing", H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, "hello"},
    {"chunk end bare LF", H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, "hello"},
    {"chunk size bare LF", H "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n", BAD, HTTP1_ERR_CHUNK,
     200, ""},
    {"bare CR in an extension", H "Transfer-Encoding: chunked\r\n\r\n5;\rx\r\nhello\r\n", BAD,
     HTTP1_ERR_CHUNK, 200, ""},
    {"bad trailer", H "Transfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", BAD,
     HTTP1_ERR_HEADER, 200, ""},
    {"trailer bare LF", H "Transfer-Encoding: chunked\r\n\r\n0\r\n\n", BAD, HTTP1_ERR_CHUNK, 200,
     ""},

    {"empty first line", "\r\n" H "Content-Length: 0\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"another protocol, no line", "+PONG", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"HTTP/2", "HTTP/2 200\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"HTTP/0.9 body", "<html>hello</html>", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"lower case", "http/1.1 200 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"status 0xx", "HTTP/1.1 099 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"status negative", "HTTP/1.1 -20 OK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"no status", "HTTP/1.1 \r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},
    {"bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, ""},

    {"header without a colon", H "Content-Length 5\r\n\r\nhello", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"blank before the colon", H "Content-Length : 5\r\n\r\nhello", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"no name", H ": 5\r\n\r\nhello", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"folded line", H "A: b\r\n c\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"folded by a tab", H "Content-Length: 1\r\n\t2\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"bare CR in a value", H "A: b\rContent-Length: 5\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"two CRs", H "A: b\r\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"control byte in a name", H "A\x01: b\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"byte above ASCII in a name", H "\xc3\xa4: b\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, ""},
    {"NUL in a value", H "A: b\0c\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, "", .text_n = 26},
    {"NUL in a name", H "A\0: b\r\n\r\n", BAD, HTTP1_ERR_HEADER, 200, "", .text_n = 25},
    {"NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", BAD, HTTP1_ERR_STATUS_LINE, 0, "",
     .text_n = 20},
    {"NULs only", "\0\0\0\0\0\0\0\0", BAD, HTTP1_ERR_STATUS_LINE, 0, "", .text_n = 8},
    {"NULs in a body", H "Content-Length: 3\r\n\r\n\0\0\0", DONE, 200, "\0\0\0", .text_n = 41},
};

struct outcome {
    enum http1_result first; /* after the bytes */
    enum http1_error error;
    int status;
    size_t used;
    char body[256];
    size_t body_n;
    char headers[4096];
    bool keep_alive;
};

static void take_body(void *ctx, const char *bytes, size_t n)
{
    struct outcome *o = ctx;
    ASSERT_LE(o->body_n + n, sizeof o->body);
    memcpy(o->body + o->body_n, bytes, n);
    o->body_n += n;
}

static void take_header(void *ctx, struct str name, struct str value)
{
    struct outcome *o = ctx;
    size_t n = strlen(o->headers);
    snprintf(o->headers + n, sizeof o->headers - n, "%.*s=%.*s|", (int)name.n, name.p, (int)value.n,
             value.p);
}

/* Feeds [0,a) [a,b) [b,n), each from memory of just that size. */
static void run(const char *text, size_t n, size_t a, size_t b, bool head, struct outcome *o)
{
    static struct http1 h;
    const size_t cuts[] = {0, a, b, n};
    memset(o, 0, sizeof *o);
    http1_init(&h, head, take_body, take_header, o);
    o->first = HTTP1_MORE;
    for (int i = 0; i < 3 && o->first == HTTP1_MORE; i++) {
        size_t piece = cuts[i + 1] - cuts[i], used = 0;
        char *exact = malloc(piece ? piece : 1);
        memcpy(exact, text + cuts[i], piece);
        o->first = http1_feed(&h, exact, piece, &used);
        free(exact);
        ASSERT_LE(used, piece);
        if (o->first == HTTP1_MORE)
            ASSERT_EQ(used, piece);
        o->used += used;
    }
    if (o->first == HTTP1_MORE)
        http1_eof(&h);
    o->error = h.error;
    o->status = h.status;
    o->keep_alive = h.keep_alive;
    ASSERT_EQ(h.body_bytes, o->body_n);
}

static size_t sample_bytes(const struct sample *s)
{
    return s->text_n ? s->text_n : strlen(s->text);
}

TEST(every_sample_whole)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        struct outcome o;
        size_t n = sample_bytes(s);
        run(s->text, n, n, n, s->head, &o);
        printf("  %s\n", s->name);
        ASSERT_EQ(o.first, s->result);
        ASSERT_EQ(o.error, s->error);
        ASSERT_EQ(o.status, s->status);
        ASSERT_EQ(o.body_n, s->text_n == 41 ? 3 : strlen(s->body));
        ASSERT(memcmp(o.body, s->body, o.body_n) == 0);
        if (s->error == HTTP1_OK)
            ASSERT_EQ(o.keep_alive, !s->close);
        if (s->result == HTTP1_DONE)
            ASSERT_EQ(n - o.used, s->extra);
    }
}

TEST(every_sample_cut_in_three_everywhere)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        struct outcome whole, cut;
        size_t n = sample_bytes(s);
        run(s->text, n, n, n, s->head, &whole);
        for (size_t a = 0; a <= n; a++)
            for (size_t b = a; b <= n; b++) {
                run(s->text, n, a, b, s->head, &cut);
                if (whole.error == HTTP1_OK || whole.first == HTTP1_MORE)
                    ASSERT_EQ(cut.used, whole.used);
                cut.used = whole.used; /* behind an error nobody goes on */
                if (memcmp(&whole, &cut, sizeof cut) != 0)
                    TEST_FAIL("%s, cut at %zu and %zu", s->name, a, b);
            }
    }
}

/* A generated answer: head, `count` times `unit`, tail; in pieces of `piece` bytes. */
static struct outcome run_long(const char *head, const char *unit, size_t count, const char *tail,
                               size_t piece)
{
    static struct http1 h;
    struct outcome o = {0};
    size_t unit_n = strlen(unit), n = strlen(head) + unit_n * count + strlen(tail), used = 0;
    char *text = malloc(n + 1), *p = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        p = stpcpy(p, unit);
    strcpy(p, tail);
    http1_init(&h, false, NULL, NULL, &o);
    o.first = HTTP1_MORE;
    for (size_t i = 0; i < n && o.first == HTTP1_MORE; i += piece)
        o.first = http1_feed(&h, text + i, n - i < piece ? n - i : piece, &used);
    o.error = h.error;
    o.status = h.status;
    free(text);
    return o;
}

TEST(lines_and_heads_have_a_limit)
{
    static const size_t pieces[] = {1, 7, 4096, 8192, 8193, 1 << 20};
    const size_t fit = HTTP1_LINE_BYTES - strlen("A: \r\n");
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t p = pieces[i];
        ASSERT_EQ(run_long(H "A: ", "x", fit, "\r\nContent-Length: 0\r\n\r\n", p).first,
                  HTTP1_DONE);
        ASSERT_EQ(run_long(H "A: ", "x", fit + 1, "\r\nContent-Length: 0\r\n\r\n", p).error,
                  HTTP1_ERR_TOO_LONG);
        ASSERT_EQ(run_long(H "A: ", "x", 100000, "", p).error, HTTP1_ERR_TOO_LONG);
        ASSERT_EQ(run_long("HTTP/1.1 200 ", "x", 100000, "", p).error, HTTP1_ERR_TOO_LONG);
        ASSERT_EQ(run_long("NOPE", "x", 100000, "", p).error, HTTP1_ERR_STATUS_LINE);
        ASSERT_EQ(run_long(H, "A: b\r\n", HTTP1_HEADERS - 1, "Content-Length: 0\r\n\r\n", p).first,
                  HTTP1_DONE);
        ASSERT_EQ(run_long(H, "A: b\r\n", HTTP1_HEADERS, "Content-Length: 0\r\n\r\n", p).error,
                  HTTP1_ERR_TOO_LONG);
        ASSERT_EQ(
            run_long(H "Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n", 1000, "", p).error,
            HTTP1_ERR_TOO_LONG);
        ASSERT_EQ(run_long(H "Transfer-Encoding: chunked\r\n\r\n", "0", 100000, "", p).error,
                  HTTP1_ERR_TOO_LONG);
        /* a server that sends interim answers with headers for ever */
        ASSERT_EQ(run_long("", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", 1000, "", p).error,
                  HTTP1_ERR_TOO_LONG);
    }
}

TEST(headers_are_reported_trimmed_and_not_for_interim_answers)
{
    static const char text[] = "HTTP/1.1 103 Early\r\nLink: no\r\n\r\n" H
                               "A:  b c \r\nEmpty:\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "0\r\nTrailer: no\r\n\r\n";
    struct outcome o;
    run(text, sizeof text - 1, 0, 0, false, &o);
    ASSERT_EQ(o.first, HTTP1_DONE);
    ASSERT_STREQ(o.headers, "A=b c|Empty=|Transfer-Encoding=chunked|");
}

TEST(after_the_end_nothing_is_taken)
{
    static struct http1 h;
    size_t used = 9;
    http1_init(&h, false, NULL, NULL, NULL);
    ASSERT_EQ(http1_feed(&h, H "Content-Length: 0\r\n\r\n", 38, &used), HTTP1_DONE);
    ASSERT_EQ(http1_feed(&h, "HTTP", 4, &used), HTTP1_DONE);
    ASSERT_EQ(used, 0);
    ASSERT_EQ(http1_eof(&h), HTTP1_DONE);
    http1_init(&h, false, NULL, NULL, NULL);
    ASSERT_EQ(http1_feed(&h, "nope", 4, &used), HTTP1_BAD);
    ASSERT_EQ(http1_feed(&h, "HTTP", 4, &used), HTTP1_BAD);
    ASSERT_EQ(http1_eof(&h), HTTP1_BAD);
    ASSERT_EQ(h.error, HTTP1_ERR_STATUS_LINE);
}

TEST(every_error_has_a_text)
{
    for (int e = 0; e < HTTP1_ERR_COUNT; e++)
        ASSERT(http1_error_text((enum http1_error)e) && *http1_error_text((enum http1_error)e));
}
