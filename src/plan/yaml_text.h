/*
 * yaml_text.h - which bytes a YAML text may be made of; for yaml.c alone.
 */
#pragma once
#include "plan/yaml.h"

/* UTF-8 without control characters (tab and line ends excepted), a byte order mark only in front.
 */
int yaml_check_bytes(const struct ysource *source, struct err *err);
