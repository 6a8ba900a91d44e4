#include "plan/json_text.h"

#include <ctype.h>
#include <stdio.h>

static bool is_word(const char *text)
{
    static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static const char *skip_digits(const char *p)
{
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

/* RFC 8259 section 6. */
static bool is_number(const char *p)
{
    p += *p == '-';
    if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1])))
        return false;
    p = skip_digits(p);
    if (*p == '.') {
        if (!isdigit((unsigned char)p[1]))
            return false;
        p = skip_digits(p + 1);
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        if (!isdigit((unsigned char)*p))
            return false;
        p = skip_digits(p);
    }
    return *p == '\0';
}

bool json_text_is_int_tag(const char *tag)
{
    return tag && (strcmp(tag, "!int") == 0 || strcmp(tag, "tag:yaml.org,2002:int") == 0);
}

bool json_text_is_int(const char *text)
{
    size_t n = strlen(text);
    if (n > 4 && strncmp(text, "{{", 2) == 0)
        return strstr(text, "}}") == text + n - 2;
    return is_number(text) && text[strcspn(text, ".eE")] == '\0';
}

static void add_escaped(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_add_str(out, "\\n");
        else if (c == '\t')
            buf_add_str(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
}

/* Text between {{ and }} is the template engine's and must reach it as written. */
static void add_string(struct buf *out, const char *p, bool templates)
{
    buf_add_char(out, '"');
    while (*p) {
        const char *open = templates ? strstr(p, "{{") : NULL;
        const char *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            add_escaped(out, p, strlen(p));
            break;
        }
        add_escaped(out, p, (size_t)(open - p));
        buf_add(out, open, (size_t)(close + 2 - open));
        p = close + 2;
    }
    buf_add_char(out, '"');
}

static void add_scalar(struct buf *out, const struct ynode *node, bool body)
{
    const char *text = node->keep && !body ? node->keep : node->text;
    bool plain = node->style == YAML_PLAIN && !node->tag && !node->keep;

    if (node->tag && !body && strncmp(node->tag, "tag:yaml.org,2002:", 18) == 0)
        buf_printf(out, "!!%s ", node->tag + 18);
    else if (node->tag && !body)
        buf_printf(out, "%s ", node->tag);
    if (body && json_text_is_int_tag(node->tag))
        buf_add_str(out, text);
    else if (plain && text[0] == '\0')
        buf_add_str(out, "null");
    else if (plain && is_number(text))
        buf_add_str(out, text);
    else if (plain && is_word(text) && body)
        buf_add_str(out, text[0] == 't' || text[0] == 'T' ? "true" : "false");
    else if (plain && is_word(text))
        buf_add_str(out, text); /* a key of type text keeps its letters */
    else
        add_string(out, text, body);
}

static void new_line(struct buf *out, int indent)
{
    if (indent >= 0)
        buf_printf(out, "\n%*s", indent, "");
}

/* indent -1 = one line, for a body. */
static void add_node(struct buf *out, const struct ynode *node, int indent)
{
    bool body = indent < 0, map = node->kind == YAML_MAP;
    int inner = body ? -1 : indent + 2;
    if (node->kind == YAML_SCALAR) {
        add_scalar(out, node, body);
        return;
    }
    buf_add_char(out, map ? '{' : '[');
    yaml_for_each (child, node) {
        if (child != node->first)
            buf_add_char(out, ',');
        new_line(out, inner);
        if (map) {
            const struct ynode *key = child->key;
            add_string(out, key->keep && !body ? key->keep : key->text, body);
            buf_add_str(out, body ? ":" : ": ");
        }
        add_node(out, child, inner);
    }
    if (node->first)
        new_line(out, indent);
    buf_add_char(out, map ? '}' : ']');
}

void json_text_body(struct buf *out, const struct ynode *node)
{
    add_node(out, node, -1);
}

void json_text_plan(struct buf *out, const struct ynode *node)
{
    add_node(out, node, 0);
    buf_add_char(out, '\n');
}
