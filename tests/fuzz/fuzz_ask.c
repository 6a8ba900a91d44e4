/* Any bytes as a request to the keeper of a lab: no crash, and what is taken can be asked again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cmd/lab_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_again(const struct ask *ask)
{
    struct buf text = {0};
    struct ask again;
    struct err err = {0};
    ask_format(ask, &text);
    int r = ask_parse(text.p, text.n, &again, &err);
    /* escapes can make the text longer than a request may be */
    assert(r == 0 || text.n > ASK_BYTES);
    if (r == 0) {
        assert(again.kind == ask->kind && again.for_ns == ask->for_ns);
        assert(strcmp(again.name, ask->name) == 0 && !again.text == !ask->text);
        assert(!ask->text || strcmp(again.text, ask->text) == 0);
    }
    ask_done(&again);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ask ask;
    struct err err = {0};
    int r = ask_parse((const char *)data, size, &ask, &err);
    assert((r == 0) == (err.code == 0));
    if (r == 0)
        ask_again(&ask);
    ask_done(&ask);
    return 0;
}
