/*
 * addr.h - socket addresses and URLs as values.
 *
 * addr_parse takes "127.0.0.1:80", "[::1]:80"; no names: resolution is the caller's (lab names
 * first). url_parse splits "http://host[:port]/path?query" (http only here; port defaults to 80;
 * path to "/"), pointing into the text. RFC 3986 without user info and fragment: both are refused,
 * as is a query without a path. An IPv6 host comes without its brackets. The path may hold spaces
 * and non-ASCII bytes (a template has them): the request writer encodes what is sent. Plain values,
 * any thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

struct addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct url {
    struct str scheme, host, path; /* path with query */
    uint16_t port;
};

int addr_parse(struct str text, struct addr *ret);
int addr_from_ip(const char *ip, uint16_t port, struct addr *ret);
bool addr_is_loopback(const struct addr *a);
const char *addr_text(const struct addr *a, char *buf, size_t cap); /* "127.0.0.1:80" */
int url_parse(struct str text, struct url *ret);                    /* 0 or -EINVAL */

/* Starts a connect on the caller's non-blocking socket: 0 connected, -EINPROGRESS, or -errno with
 * fd closed. */
int addr_connect(int fd, const struct addr *a);
