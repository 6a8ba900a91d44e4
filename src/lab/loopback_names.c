#include "lab/loopback_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define PORT_DIGITS 5

/* HOSTISH: a word with one of these in it speaks of hosts. */
static const char *const hostish[] = {"host",    "addr",     "server", "endpoint", "broker",
                                      "peer",    "upstream", "target", "master",   "primary",
                                      "replica", "slaveof",  "remote", "url",      "uri"};

struct scan {
    const struct loopback_scope *scope;
    enum loopback_place place;
    const char *before, *text;
    size_t n;
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* What may stand behind a host that has no port. */
static bool ends_word(char c)
{
    return c == '\0' || strchr(" \t\r\n\"'`,;)}]<>|&", c);
}

static char at(const struct scan *s, size_t i)
{
    return i < s->n ? s->text[i] : '\0';
}

static bool after_slashes(const struct scan *s, size_t i)
{
    return i >= 2 && s->text[i - 1] == '/' && s->text[i - 2] == '/' &&
           (i == 2 || s->text[i - 3] != '/'); /* file:///path */
}

/* ":6379" at i; the length with the colon, or 0. */
static size_t port_at(const struct scan *s, size_t i)
{
    size_t k = 1;
    unsigned port = 0;
    if (at(s, i) != ':')
        return 0;
    while (k <= PORT_DIGITS && isdigit((unsigned char)at(s, i + k)))
        port = port * 10 + (unsigned)(at(s, i + k++) - '0');
    return k > 1 && port <= 65535 && !is_name_char(at(s, i + k)) ? k : 0;
}

/* The word "redis" is a part of the name "redis-main". */
static bool is_part(struct str word, struct str name)
{
    while (name.n)
        if (str_case_eq(str_split(&name, '-'), word))
            return true;
    return false;
}

static bool has(struct str word, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= word.n; i++)
        if (strncasecmp(word.p + i, part, n) == 0)
            return true;
    return false;
}

static bool speaks_of_hosts(struct str word, struct str name)
{
    while (word.n && word.p[0] == '-') {
        word.p++;
        word.n--;
    }
    if (word.n == 0)
        return false;
    if (str_eq(word, STR("h")) || str_case_eq(word, name) || is_part(word, name))
        return true;
    if (has(word, "name") && !has(word, "hostname"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(hostish); i++)
        if (has(word, hostish[i]))
            return true;
    return false;
}

/* The word before position i on its line, separated from it by '=', ':' or blanks; quotes may stand
 * around both. */
static struct str word_before(const struct scan *s, size_t i)
{
    bool separated = false;
    size_t end = i;
    while (end > 0 && s->text[end - 1] && strchr("=: \t\"'", s->text[end - 1])) {
        char c = s->text[--end];
        separated = separated || (c != '"' && c != '\'');
    }
    if (end == 0)
        return str_of(s->before);
    size_t begin = end;
    while (begin > 0 && is_name_char(s->text[begin - 1]))
        begin--;
    return separated ? (struct str){s->text + begin, end - begin} : (struct str){0};
}

static bool stands_as_host(const struct scan *s, size_t begin, size_t end)
{
    bool url = after_slashes(s, begin);
    char previous = begin ? s->text[begin - 1] : '\0', next = at(s, end);
    if (previous == '/' && !url)
        return false;
    if (port_at(s, end))
        return true;
    if (url || previous == '@')
        return ends_word(next) || next == '/' || next == '?' || next == '#';
    return ends_word(next) &&
           speaks_of_hosts(word_before(s, begin), (struct str){s->text + begin, end - begin});
}

/* An address of "all" between begin and end: here it is listened, not somewhere routed. */
static bool stands_as_listener(const struct scan *s, size_t begin, size_t end, bool needs_port)
{
    bool url = after_slashes(s, begin);
    char previous = begin ? s->text[begin - 1] : '\0';
    if ((previous == '/' && !url) || (previous && is_name_char(previous)))
        return false;
    size_t port = port_at(s, end);
    char next = at(s, end + port);
    return (port || !needs_port) && (ends_word(next) || (url && next == '/'));
}

static int find_name(const struct scan *s, struct str token)
{
    for (size_t i = 0; i < s->scope->names_n; i++)
        if (str_eq(str_of(s->scope->names[i]), token))
            return (int)i;
    return -1;
}

/* A maximal run of name characters from i on; *ret is what replaces it, or NULL. Its length. */
static size_t take_token(const struct scan *s, size_t i, const char **ret)
{
    size_t end = i;
    while (is_name_char(at(s, end)))
        end++;
    struct str token = {s->text + i, end - i};
    *ret = NULL;
    if (str_eq(token, STR("0.0.0.0"))) {
        if (stands_as_listener(s, i, end, false))
            *ret = s->scope->addrs[s->scope->self];
        return token.n;
    }
    int k = find_name(s, token);
    if (k >= 0 && stands_as_host(s, i, end))
        *ret = s->scope->addrs[k];
    return token.n;
}

/* Other spellings of "all addresses", at i; *ret_was is how many bytes of it are replaced, maybe
 * none. */
static bool is_all(const struct scan *s, size_t i, size_t *ret_was)
{
    if (strncmp(s->text + i, "[::]", 4) == 0) {
        *ret_was = 4;
        return stands_as_listener(s, i, i + 4, false);
    }
    *ret_was = at(s, i) == '*';
    if (*ret_was)
        return stands_as_listener(s, i, i + 1, true);
    size_t port =
        s->place == LOOPBACK_WORD && (i == 0 || s->text[i - 1] == '=') ? port_at(s, i) : 0;
    return port && at(s, i + port) == '\0';
}

size_t loopback_replace(const struct loopback_scope *scope, enum loopback_place place,
                        const char *before, const char *text, struct buf *out,
                        loopback_told_fn *told, void *ctx)
{
    const struct scan s = {
        .scope = scope, .place = place, .before = before, .text = text, .n = strlen(text)};
    size_t count = 0;
    int line = 1;
    for (size_t i = 0; i < s.n;) {
        const char *is = NULL;
        char was[80];
        size_t taken = 1, gone;
        line += text[i] == '\n';
        if (is_name_char(text[i])) {
            gone = taken = take_token(&s, i, &is);
        } else if (is_all(&s, i, &gone)) {
            is = scope->addrs[scope->self];
            taken = gone ? gone : port_at(&s, i);
        }
        if (!is) {
            buf_add(out, text + i, taken);
            i += taken;
            continue;
        }
        size_t shown = gone ? gone : taken;
        snprintf(was, sizeof was, "%.*s", (int)(shown < sizeof was ? shown : sizeof was - 1),
                 text + i);
        buf_add_str(out, is);
        buf_add(out, text + i + gone, taken - gone);
        if (told)
            told(ctx, line, was, is);
        count++;
        i += taken;
    }
    return count;
}
