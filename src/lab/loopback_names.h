/*
 * loopback_names.h - names and listen addresses in the texts of a plan, replaced by addresses.
 * Pure.
 *
 * Without a mount namespace no hosts file can be given to a service, and without a network
 * namespace two services that listen on 0.0.0.0 meet. So in the words, values and files of a plan
 *
 *   a service's name becomes its address where it stands as a host: before `:PORT`; after `//` or
 *   `@`; or alone behind a word that speaks of hosts (`--host NAME`, `redis_addr=NAME`,
 *   `"server": "NAME"`), which is HOSTISH below, or that is a part of the name
 * (`redis=redis-main`); 0.0.0.0, [::] and the * of *:PORT become the service's own address; and so
 * does the nothing before a `:PORT` that is a whole word or the rest of one after `=`.
 *
 * It is rather too careful than too bold: a name that is left fails at once with its name in the
 * message, a wrong replacement would change what is tested. So an image (`docker.io/redis:7`), a
 * network (`0.0.0.0/0`), a label (`app=redis`) or a name of a database (`dbname=redis`) stay.
 */
#pragma once
#include "base/buf.h"

enum loopback_place {
    LOOPBACK_WORD, /* of `run`, or an `env` value: a whole word may be a name or a port */
    LOOPBACK_TEXT  /* a file, a command */
};

struct loopback_scope {
    const char *const *names; /* of the services */
    size_t names_n;
    const char *const *addrs; /* theirs, dotted */
    size_t self;              /* whose text it is */
};

/* One replacement; line counts from 1. */
typedef void loopback_told_fn(void *ctx, int line, const char *was, const char *is);

/* Adds text to out, replaced. `before` is the word before it ("" = none): the key of an `env`
 * value. told may be NULL. Returns how many there were. */
size_t loopback_replace(const struct loopback_scope *scope, enum loopback_place place,
                        const char *before, const char *text, struct buf *out,
                        loopback_told_fn *told, void *ctx);
