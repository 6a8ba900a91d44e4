/*
 * kube_client - one connection to the Kubernetes API, for one thread at a time.
 *
 * kube_call() sends one request and gives status and body. status 0 means no answer: the request
 * may or may not have been carried out. Nothing is retried here.
 * Lifecycle: kube_client_init() once per process; kube_client_new() .. kube_client_free().
 * Limits: answers of at most KUBE_ANSWER_MAX bytes.
 */
#ifndef BREAKWATER_KUBE_CLIENT_H
#define BREAKWATER_KUBE_CLIENT_H

#include "gw.h"

#define KUBE_ANSWER_MAX (16u << 20)

struct kube_client;

struct kube_answer {
    int status;
    struct buf body;
    int64_t retry_after_ns; /* 0: not given */
    char error[160];        /* when status is 0 */
};

void kube_client_init(void);
struct kube_client *kube_client_new(const struct gw_settings *set);
void kube_client_free(struct kube_client *c);
/* body NULL for none. ret_answer is reset first and stays the caller's. limit_ms 0: the default. */
void kube_call(struct kube_client *c, const char *method, const char *path, const char *body,
               int64_t limit_ms, struct kube_answer *ret_answer);
/* 429, 5xx or no answer: the API is in trouble, as opposed to the request. */
bool kube_failed(const struct kube_answer *a);

#endif
