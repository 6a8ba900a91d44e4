#include "plan/yaml.h"

#include <errno.h>

/* Length of the UTF-8 sequence at p, or 0 when it is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t length;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (p[0] < rows[i].low || p[0] > rows[i].high)
            continue;
        if (rows[i].length > n)
            return 0;
        if (rows[i].length > 1 && (p[1] < rows[i].second_low || p[1] > rows[i].second_high))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

static int bad_byte(const struct ysource *s, size_t at, struct err *err, const char *what)
{
    int line, column;
    yaml_source_position(s, at, &line, &column);
    return err_at(err, -EINVAL, s->name, line, column,
                  "%s (0x%02x): a plan is UTF-8 text; is this the right file?", what,
                  (unsigned char)s->text.p[at]);
}

int yaml_check_text(const struct ysource *source, struct err *err)
{
    const unsigned char *p = (const unsigned char *)source->text.p;
    for (size_t i = 0; i < source->text.n;) {
        size_t n = utf8_length(p + i, source->text.n - i);
        if (n == 0)
            return bad_byte(source, i, err, "a byte that is not UTF-8");
        bool control = p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r';
        if (control || p[i] == 0x7f)
            return bad_byte(source, i, err, "a control character");
        if (i > 0 && n == 3 && memcmp(p + i, "\xef\xbb\xbf", 3) == 0)
            return bad_byte(source, i, err, "a byte order mark inside the text");
        i += n;
    }
    return 0;
}
