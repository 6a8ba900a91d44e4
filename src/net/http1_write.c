#include "net/http1_write.h"

#include <errno.h>
#include <stdio.h>

/* RFC 9110 5.6.2 tchar */
bool http1_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
        if (!ok)
            return false;
    }
    return s.n > 0;
}

bool http1_is_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            return false;
    return true;
}

bool http1_method_has_body(struct str method)
{
    return str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) ||
           str_eq(method, STR("PATCH"));
}

size_t http1_encode_target(struct str target, char *out, size_t cap)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c > 0x20 && c < 0x7f) {
            if (n < cap)
                out[n] = (char)c;
            n++;
            continue;
        }
        const char code[3] = {'%', hex[c >> 4], hex[c & 15]};
        for (int k = 0; k < 3; k++, n++)
            if (n < cap)
                out[n] = code[k];
    }
    return n;
}

size_t http1_decimal(char *out, unsigned long v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

size_t http1_host_text(struct str host, unsigned port, char *out, size_t cap)
{
    bool six = host.n > 0 && memchr(host.p, ':', host.n) != NULL;
    char tail[16] = "";
    if (port != 80)
        snprintf(tail, sizeof tail, ":%u", port);
    int n =
        snprintf(out, cap, "%s%.*s%s%s", six ? "[" : "", (int)host.n, host.p, six ? "]" : "", tail);
    return n < 0 ? 0 : (size_t)n;
}

static void put(struct http1_write *w, struct str s)
{
    if (s.n == 0)
        return;
    if (w->n + s.n <= w->cap)
        memcpy(w->p + w->n, s.p, s.n);
    else
        w->error = w->error ? w->error : -ENOSPC;
    w->n += s.n;
}

void http1_write_start(struct http1_write *w, char *out, size_t cap, struct str method,
                       struct str target, struct str host)
{
    *w = (struct http1_write){.p = out, .cap = cap, .length_wanted = http1_method_has_body(method)};
    if (!http1_is_token(method) || target.n == 0)
        w->error = -EINVAL;
    put(w, method);
    put(w, STR(" "));
    size_t at = w->n < cap ? w->n : cap;
    w->n += http1_encode_target(target, out + at, cap - at);
    if (w->n > cap && !w->error)
        w->error = -ENOSPC;
    put(w, STR(" HTTP/1.1\r\n"));
    http1_write_header(w, STR("Host"), host);
}

void http1_write_header(struct http1_write *w, struct str name, struct str value)
{
    if (!http1_is_token(name) || !http1_is_value(value))
        w->error = -EINVAL;
    put(w, name);
    put(w, STR(": "));
    put(w, value);
    put(w, STR("\r\n"));
}

void http1_write_body(struct http1_write *w, struct str body)
{
    char digits[20];
    if (body.n > 0 || w->length_wanted) {
        size_t n = http1_decimal(digits, body.n);
        http1_write_header(w, STR("Content-Length"), (struct str){digits, n});
    }
    put(w, STR("\r\n"));
    put(w, body);
}

int http1_write_end(const struct http1_write *w, size_t *ret_n)
{
    if (!w->error)
        *ret_n = w->n;
    return w->error;
}
