#include "load/request.h"
#include "tests.h"

#include <errno.h>

/* A load by hand; templates live in the arena. */
struct fixture {
    struct arena arena;
    struct plan_load plan;
    struct plan_variant variants[3];
    struct plan_kv headers[4];
    const struct template *header_values[4];
    struct requests *requests;
    struct request_scratch scratch;
    char *room;
};

static const struct template *compiled(struct fixture *f, const char *text)
{
    struct template *t;
    struct err err = {0};
    ASSERT_OK(template_compile(&f->arena, text, &f->plan.vars, &t, &err));
    return t;
}

static void fixture_init(struct fixture *f, const char *method, const char *path)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena);
    f->plan = (struct plan_load){.name = "x",
                                 .method = method,
                                 .host = "gw",
                                 .port = 8080,
                                 .path_text = path,
                                 .keep_alive = true,
                                 .headers = f->headers,
                                 .header_values = f->header_values,
                                 .variants = f->variants};
    f->plan.path = compiled(f, path);
}

static void add_body(struct fixture *f, double weight, const char *text)
{
    f->variants[f->plan.variants_n++] =
        (struct plan_variant){weight, text ? compiled(f, text) : NULL, text};
}

static void add_header(struct fixture *f, const char *name, const char *value)
{
    f->header_values[f->plan.headers_n] = compiled(f, value);
    f->headers[f->plan.headers_n++] = (struct plan_kv){name, value};
}

static int lay_out(struct fixture *f)
{
    struct err err = {0};
    int r = requests_new(&f->plan, 7, &f->requests, &err);
    if (r == 0)
        f->scratch.bytes = malloc(requests_max_bytes(f->requests)); /* exact, for the sanitizer */
    else
        ASSERT(err.msg[0]);
    return r;
}

static const char *render(struct fixture *f, uint64_t id)
{
    struct str s = requests_render(f->requests, id, &f->scratch);
    free(f->room);
    f->room = strndup(s.p, s.n);
    return f->room;
}

static void fixture_done(struct fixture *f)
{
    requests_free(f->requests);
    free(f->scratch.bytes);
    free(f->room);
    arena_done(&f->arena);
}

#define FIXED_HEAD(M, P) M " " P " HTTP/1.1\r\nHost: gw:8080\r\nUser-Agent: squall\r\n"

TEST(a_fixed_request)
{
    struct fixture f;
    fixture_init(&f, "GET", "/a b");
    add_body(&f, 1, NULL);
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 0), FIXED_HEAD("GET", "/a%20b") "\r\n");
    ASSERT(requests_render(f.requests, 1, &f.scratch).p ==
           requests_render(f.requests, 2, &f.scratch).p);
    fixture_done(&f);
}

TEST(what_varies_is_rendered)
{
    struct fixture f;
    fixture_init(&f, "POST", "/x/{{id}}?q={{id * 2}}");
    add_header(&f, "X-Id", "n{{id}}");
    add_header(&f, "X-Fixed", "yes");
    add_body(&f, 1, "{\"id\": {{id}}}");
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 7),
                 FIXED_HEAD("POST", "/x/7?q=14") "X-Id: n7\r\nX-Fixed: yes\r\n"
                                                 "Content-Length: 9\r\n\r\n{\"id\": 7}");
    ASSERT_STREQ(render(&f, 1234),
                 FIXED_HEAD("POST", "/x/1234?q=2468") "X-Id: n1234\r\nX-Fixed: yes\r\n"
                                                      "Content-Length: 12\r\n\r\n{\"id\": 1234}");
    fixture_done(&f);
}

TEST(a_fixed_body_under_a_varying_head)
{
    struct fixture f;
    fixture_init(&f, "PUT", "/{{id}}");
    add_body(&f, 1, "same");
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 3), FIXED_HEAD("PUT", "/3") "Content-Length: 4\r\n\r\nsame");
    fixture_done(&f);
}

TEST(lengths_follow_the_method)
{
    struct fixture f;
    fixture_init(&f, "POST", "/");
    add_body(&f, 1, NULL);
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 0), FIXED_HEAD("POST", "/") "Content-Length: 0\r\n\r\n");
    fixture_done(&f);
}

TEST(the_plans_headers_come_before_ours)
{
    struct fixture f;
    fixture_init(&f, "GET", "/");
    f.plan.keep_alive = false;
    add_header(&f, "host", "other");
    add_header(&f, "User-Agent", "me");
    add_header(&f, "content-length", "99");
    add_body(&f, 1, "x");
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 0), "GET / HTTP/1.1\r\nConnection: close\r\nhost: other\r\n"
                                "User-Agent: me\r\nContent-Length: 1\r\n\r\nx");
    fixture_done(&f);
}

TEST(nothing_rendered_can_leave_its_place)
{
    struct fixture f;
    fixture_init(&f, "GET", "/{{id}}");
    f.plan.vars.names[0] = "evil";
    f.plan.vars.values[0] = compiled(&f, "a b\r\nX: 1");
    f.plan.vars.n = 1;
    f.plan.path = compiled(&f, f.plan.path_text = "/{{evil}}\xc3\xa4");
    add_header(&f, "A", "{{evil}}");
    add_body(&f, 1, NULL);
    ASSERT_OK(lay_out(&f));
    ASSERT_STREQ(render(&f, 0),
                 FIXED_HEAD("GET", "/a%20b%0D%0AX:%201%C3%A4") "A: a b  X: 1\r\n\r\n");
    fixture_done(&f);
}

TEST(variants_are_drawn_by_weight_and_by_number_alone)
{
    struct fixture f;
    int seen[3] = {0};
    fixture_init(&f, "POST", "/");
    add_body(&f, 3, "a");
    add_body(&f, 0, "never");
    add_body(&f, 1, "{{id}}");
    ASSERT_OK(lay_out(&f));
    for (uint64_t id = 0; id < 40000; id++)
        seen[requests_variant(f.requests, id)]++;
    ASSERT_NEAR(seen[0], 30000, 500);
    ASSERT_EQ(seen[1], 0);
    for (uint64_t id = 100; id-- > 0;) { /* any order gives the same */
        size_t v = requests_variant(f.requests, id);
        char want[32];
        snprintf(want, sizeof want, "\r\n\r\n%s", "a");
        if (v == 2)
            snprintf(want, sizeof want, "\r\n\r\n%d", (int)id);
        const char *text = render(&f, id), *body = strstr(text, "\r\n\r\n");
        ASSERT_STREQ(body, want);
    }
    fixture_done(&f);
}

TEST(what_cannot_be_sent_is_refused)
{
    struct fixture f;
    fixture_init(&f, "BAD METHOD", "/");
    add_body(&f, 1, NULL);
    ASSERT_EQ(lay_out(&f), -EINVAL);
    fixture_done(&f);

    fixture_init(&f, "GET", "/");
    ASSERT_EQ(lay_out(&f), -EINVAL); /* no variant */
    fixture_done(&f);

    fixture_init(&f, "GET", "/");
    add_body(&f, 0, NULL);
    ASSERT_EQ(lay_out(&f), -EINVAL); /* none with a weight */
    fixture_done(&f);

    static const char *const headers[][2] = {
        {"Transfer-Encoding", "chunked"}, {"A:", "b"}, {"A", "b\r\nC: d"}, {"", "b"}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        fixture_init(&f, "GET", "/");
        add_header(&f, headers[i][0], headers[i][1]);
        add_body(&f, 1, NULL);
        ASSERT_EQ(lay_out(&f), -EINVAL);
        fixture_done(&f);
    }
    requests_free(NULL);
}
