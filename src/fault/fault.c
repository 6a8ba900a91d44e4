#include "fault/fault.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define X(NAME) extern const struct fault fault_##NAME;
#include "fault/fault_list.h"
#undef X

static const struct fault *const faults[] = {
#define X(NAME) &fault_##NAME,
#include "fault/fault_list.h"
#undef X
};

static const struct fault *const *test_faults;
static size_t test_faults_n;

size_t fault_count(void)
{
    return ARRAY_SIZE(faults);
}

const struct fault *fault_at(size_t i)
{
    return i < ARRAY_SIZE(faults) ? faults[i] : NULL;
}

const struct fault *fault_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        if (strcmp(faults[i]->name, name) == 0)
            return faults[i];
    for (size_t i = 0; i < test_faults_n; i++)
        if (strcmp(test_faults[i]->name, name) == 0)
            return test_faults[i];
    return NULL;
}

void fault_add_test_faults(const struct fault *const *add, size_t n)
{
    test_faults = add;
    test_faults_n = n;
}

void fault_names(const struct fault_request *request, char *buf, size_t cap)
{
    size_t at = 0;
    buf[0] = '\0';
    for (uint32_t i = 0; i < request->targets_n && at < cap; i++)
        at += (size_t)snprintf(buf + at, cap - at, "%s%s", i ? ", " : "", request->target_names[i]);
}
