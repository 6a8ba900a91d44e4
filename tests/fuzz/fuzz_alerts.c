/* Webhook and event bodies of any shape: every alert has an identity or a reason, and survives the
 * journal's form. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "../../breakwater/alert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct alert *a)
{
    struct alert back;
    assert(strlen(a->fingerprint) == 64);
    if (a->reason[0])
        return;
    assert(a->name[0] && a->namespace[0] && a->kind[0]);
    json_t *o = alert_to_json(a);
    assert(o);
    assert(alert_from_json(o, &back) == 0);
    assert(strcmp(back.fingerprint, a->fingerprint) == 0);
    assert(json_equal(back.labels, a->labels));
    alert_done(&back);
    json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int (*const parsers[])(const char *, size_t, struct alerts *,
                           struct buf *) = {alerts_parse_prometheus, alerts_parse_event};
    for (size_t p = 0; p < ARRAY_LEN(parsers); p++) {
        struct alerts a;
        struct buf err = {0};
        int rc = parsers[p]((const char *)data, size, &a, &err);
        assert(rc == 0 ? a.n > 0 : err.len > 0);
        for (size_t i = 0; i < a.n; i++)
            check(&a.v[i]);
        alerts_done(&a);
        buf_done(&err);
    }
    return 0;
}
