/*
 * utf8.h - one character of UTF-8 at a time (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Length of the character at s, 0 when the bytes are none (also when n is 0 or the character is
 * cut). Its code point goes to *ret_point, which may be NULL. */
size_t utf8_take(const char *s, size_t n, uint32_t *ret_point);
