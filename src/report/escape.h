/*
 * escape.h - text from outside made safe for the place it goes to. The only place that knows how.
 *
 * Service logs, metrics, ids and error texts are hostile: they may hold escape sequences, markup,
 * bytes that are not UTF-8, or characters that turn the reading direction. Each function writes n
 * bytes of s to out so that nothing in them acts in that context; what cannot be shown is written
 * as \xHH or \u{HEX}. Pure; output is always valid UTF-8. Sources: RFC 3629, XML 1.0 2.2 (allowed
 * characters), GitHub Flavored Markdown, ECMA-48 (controls).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void escape_terminal(struct buf *out, const char *s, size_t n); /* also for plain text; one line */
void escape_xml(struct buf *out, const char *s, size_t n);      /* in text and in attributes */
void escape_markdown(struct buf *out, const char *s, size_t n); /* in running text and in tables */

/* Columns of a terminal that a character takes: 0, 1 or 2 (UAX 11, coarse). */
int escape_columns(uint32_t point);
/* A control, or one that changes how others are shown (bidi, zero width, line separators). */
bool escape_is_control(uint32_t point);
