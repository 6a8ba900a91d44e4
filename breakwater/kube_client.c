#include "kube_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct kube_client {
    const struct gw_settings *set;
    CURL *easy;
    struct curl_slist *headers;
};

void kube_client_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct kube_answer *a = arg;
    n *= size;
    if (a->body.len + n > KUBE_ANSWER_MAX)
        return 0; /* ends the transfer with an error */
    buf_add(&a->body, data, n);
    return n;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    static const char name[] = "retry-after:";
    struct kube_answer *a = arg;
    n *= size;
    if (n > sizeof(name) - 1 && strncasecmp(data, name, sizeof(name) - 1) == 0) {
        char text[24];
        snprintf(text, sizeof(text), "%.*s", (int)(n - sizeof(name) + 1), data + sizeof(name) - 1);
        long s = strtol(text, NULL, 10);
        if (s > 0 && s <= 3600)
            a->retry_after_ns = s * NS_PER_S;
    }
    return n;
}

struct kube_client *kube_client_new(const struct gw_settings *set)
{
    struct kube_client *c = xcalloc(1, sizeof(*c));
    c->set = set;
    c->easy = curl_easy_init();
    if (!c->easy)
        abort();
    c->headers = curl_slist_append(NULL, "Content-Type: application/json");
    c->headers = curl_slist_append(c->headers, "Expect:");
    curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "breakwater");
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)set->kube_connect_limit_ms);
    curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
    return c;
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c);
}

void kube_call(struct kube_client *c, const char *method, const char *path, const char *body,
               int64_t limit_ms, struct kube_answer *ret_answer)
{
    struct kube_answer *a = ret_answer;
    struct buf url = {0};
    buf_reset(&a->body);
    a->status = 0;
    a->retry_after_ns = 0;
    a->error[0] = '\0';
    buf_printf(&url, "%s%s", c->set->kube, path);
    curl_easy_setopt(c->easy, CURLOPT_URL, url.p);
    curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS,
                     (long)(limit_ms ? limit_ms : c->set->kube_call_limit_ms));
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, a);
    if (body) {
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    } else {
        curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
    CURLcode rc = curl_easy_perform(c->easy);
    long status = 0;
    if (rc == CURLE_OK)
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    else
        snprintf(a->error, sizeof(a->error), "%s", curl_easy_strerror(rc));
    a->status = (int)status;
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, NULL);
    buf_done(&url);
}

bool kube_failed(const struct kube_answer *a)
{
    return a->status == 0 || a->status == 429 || a->status >= 500;
}
