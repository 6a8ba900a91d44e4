#include "report/report.h"

#include <string.h>

#include "base/mem.h"

#define X(NAME) extern const struct report_format report_##NAME;
#include "report/report_list.h"
#undef X

static const struct report_format *const formats[] = {
#define X(NAME) &report_##NAME,
#include "report/report_list.h"
#undef X
};

const struct report_format *report_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

size_t report_count(void)
{
    return ARRAY_SIZE(formats);
}

const struct report_format *report_at(size_t i)
{
    return i < ARRAY_SIZE(formats) ? formats[i] : NULL;
}
