#include "report/escape.h"

#include "base/mem.h"
#include "base/utf8.h"

struct range {
    uint32_t first, last;
};

/* What acts instead of being shown. */
static const struct range controls[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xfeff, 0xfeff},
    {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe0fff},
};
static const struct range zero_wide[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};
static const struct range double_wide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool in_ranges(uint32_t point, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

bool escape_is_control(uint32_t point)
{
    return in_ranges(point, controls, ARRAY_SIZE(controls));
}

int escape_columns(uint32_t point)
{
    if (point < 0x300)
        return 1;
    if (in_ranges(point, zero_wide, ARRAY_SIZE(zero_wide)))
        return 0;
    return in_ranges(point, double_wide, ARRAY_SIZE(double_wide)) ? 2 : 1;
}

static void add_visible(struct buf *out, uint32_t point)
{
    switch (point) {
    case '\n': buf_add_str(out, "\\n"); break;
    case '\r': buf_add_str(out, "\\r"); break;
    case '\t': buf_add_str(out, "\\t"); break;
    default: buf_printf(out, point < 0x100 ? "\\x%02x" : "\\u{%x}", point); break;
    }
}

/* What a context writes for a character of its own, NULL for one that is plain there. */
typedef const char *special_fn(uint32_t point);

static void escape(struct buf *out, const char *s, size_t n, special_fn *special)
{
    for (size_t i = 0; i < n;) {
        uint32_t point;
        size_t len = utf8_take(s + i, n - i, &point);
        const char *replaced = len ? special(point) : NULL;
        if (len == 0)
            buf_printf(out, "\\x%02x", (unsigned char)s[i]);
        else if (replaced)
            buf_add_str(out, replaced);
        else if (escape_is_control(point))
            add_visible(out, point);
        else
            buf_add(out, s + i, len);
        i += len ? len : 1;
    }
}

static const char *terminal_special(uint32_t point)
{
    (void)point;
    return NULL;
}

static const char *xml_special(uint32_t point)
{
    switch (point) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\n': return "&#10;";
    case '\t': return "&#9;";
    default: return NULL;
    }
}

static const char *markdown_special(uint32_t point)
{
    switch (point) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '\\': return "\\\\";
    case '`': return "\\`";
    case '*': return "\\*";
    case '_': return "\\_";
    case '[': return "\\[";
    case ']': return "\\]";
    case '|': return "\\|";
    case '~': return "\\~";
    case '#': return "\\#";
    case '$': return "\\$";
    case '@': return "&#64;"; /* no mention of a person */
    case '\n': return "<br>";
    case '\t': return " ";
    default: return NULL;
    }
}

void escape_terminal(struct buf *out, const char *s, size_t n)
{
    escape(out, s, n, terminal_special);
}

void escape_xml(struct buf *out, const char *s, size_t n)
{
    escape(out, s, n, xml_special);
}

void escape_markdown(struct buf *out, const char *s, size_t n)
{
    escape(out, s, n, markdown_special);
}
