#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>

#include "plan/walk.h"

int regex_check(const char *pattern, char *ret_msg, size_t cap, size_t *ret_offset)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
    if (re) {
        pcre2_code_free(re);
        return 0;
    }
    pcre2_get_error_message(code, (PCRE2_UCHAR *)ret_msg, cap);
    *ret_offset = offset;
    return -EINVAL;
}
