/*
 * request.h - the bytes of request n of a load: a pure function of (seed, load, n).
 *
 * What holds no template is laid out once, at requests_new; a request without any is then only a
 * pointer. Everything else is rendered into the caller's scratch: head and body into one piece,
 * Content-Length from the rendered body. A rendered target is percent-encoded, and line ends in a
 * rendered header value become spaces, so no value can break out of its place (RFC 9112 11.1).
 * Lifecycle: requests_new/requests_free; immutable in between, so shared by threads; one scratch a
 * thread. Errors: requests_new says what in the plan cannot be sent. Limits: REQUEST_MAX_BYTES.
 */
#pragma once
#include "base/err.h"
#include "plan/plan.h"

#define REQUEST_MAX_BYTES (64u << 20)

struct requests;

struct request_scratch {
    struct template_values values;
    char *bytes; /* requests_max_bytes */
};

int requests_new(const struct plan_load *plan, uint64_t seed, struct requests **ret,
                 struct err *err);
void requests_free(struct requests *r);
size_t requests_max_bytes(const struct requests *r); /* what a scratch needs */
/* Which variant of the body request n has: drawn by weight. */
size_t requests_variant(const struct requests *r, uint64_t id);
/* Points into r or into the scratch; valid until the next call with this scratch. */
struct str requests_render(const struct requests *r, uint64_t id, struct request_scratch *scratch);
