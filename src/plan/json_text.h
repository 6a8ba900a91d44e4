/*
 * json_text.h - a YAML tree as JSON text: request bodies, and the plan as kept in a run file.
 *
 * Plain scalars that are a JSON number, true, false or null stay so; everything else is a string.
 * Body: one line; a template inside a string stays as it is, and a text with the tag !int (an
 * integer, or exactly one {{...}}) is written without quotes. Plan: indented, with the tag in
 * front, so that it is YAML which reads back as the same tree; a secret stays a {{name}}.
 */
#pragma once
#include "base/buf.h"
#include "plan/yaml.h"

void json_text_body(struct buf *out, const struct ynode *node);
void json_text_plan(struct buf *out, const struct ynode *node);
bool json_text_is_int_tag(const char *tag);
/* What !int may be on: digits with a sign, or one {{...}}. */
bool json_text_is_int(const char *text);
