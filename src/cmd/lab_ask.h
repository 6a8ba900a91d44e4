/*
 * lab_ask.h - what `squall lab` and `squall chaos` ask of the process that keeps a lab.
 *
 * One request and one answer a connection, each one JSON object in one message of a SOCK_SEQPACKET
 * socket, at most ASK_BYTES. ask_parse is pure; what it takes is bounded and complete, anything
 * else is refused with the reason. The answer to a request is made in lab_serve.c: always `squall`
 * (the version of this protocol) and `status` (the exit status for whoever asked), `error` where it
 * is not 0, and what was asked for.
 *
 * Lifecycle: ask_parse fills, ask_done frees (also after an error). Errors: -EINVAL.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define ASK_VERSION    1
#define ASK_BYTES      (192u << 10)
#define ASK_TEXT_BYTES (64u << 10) /* of a manifest */
#define ASK_NAME_BYTES 256

enum ask_kind {
    ASK_STATUS, /* the lab, its services and faults */
    ASK_DOWN,   /* answered when everything is gone and the undo is confirmed, or not */
    ASK_ENTER,  /* name: a service; the answer carries descriptors */
    ASK_APPLY,  /* name: the file, text: the manifest; answered when its effect is known */
    ASK_DELETE, /* name: of the fault; answered when its undo is */
    ASK_KIND_COUNT
};

struct ask {
    enum ask_kind kind;
    char name[ASK_NAME_BYTES];
    char *text;     /* NULL = none */
    int64_t for_ns; /* APPLY: how long; -1 = the manifest's own duration */
};

int ask_parse(const char *p, size_t n, struct ask *ret, struct err *err);
void ask_done(struct ask *ask);
void ask_format(const struct ask *ask, struct buf *out);
