#include "plan/yaml.h"

#include <errno.h>

#include "base/utf8.h"

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
        size_t n = utf8_take(source->text.p + i, source->text.n - i, NULL);
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
