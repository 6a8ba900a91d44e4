/* json_read.h - what jansson makes of text that json.h wrote; apart, because both have a
 * json_object(). Each prints the text when it is not JSON, and then says false. */
#pragma once
#include "base/buf.h"

bool json_read_ok(const struct buf *text);
bool json_read_equal(const struct buf *a, const struct buf *b);
bool json_read_is_string(const struct buf *text, const char *want, size_t n);
