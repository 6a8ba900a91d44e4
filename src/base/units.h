/*
 * units.h - quantities as people write them: "250ms", "1m30s", "64KiB", "10/min", "99.9%".
 *
 * Parsers take the whole text (no trailing bytes) and return 0 or -EINVAL (not of this form) /
 * -ERANGE. Durations follow Go's time.ParseDuration (sign, fractions, ns us µs ms s m h, several
 * units) plus `d`; a bare 0 is zero, any other number without a unit is refused. Sizes: B, kB/KB,
 * MB, GB (powers of 1000), KiB, MiB, GiB (1024); a bare integer is bytes. Rates: NUMBER/UNIT with
 * UNIT s, sec, second, m, min, minute, h, hour, always with its unit; result per second.
 * Percentages: NUMBER% or a bare ratio 0..1; result is a ratio.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

int units_duration(struct str text, int64_t *ret_ns);
int units_size(struct str text, int64_t *ret_bytes);
int units_rate(struct str text, double *ret_per_s);
int units_ratio(struct str text, double *ret_ratio);
int units_number(struct str text,
                 double *ret); /* plain decimal number, no unit; refuses nan and inf */
int units_int(struct str text, int64_t *ret);

/* Shortest text that reads back as the same value: "1.5s", "250ms", "1m30s". Returns buf. */
const char *units_format_duration(int64_t ns, char *buf, size_t cap);
/* For people: three significant digits, one unit: "12.3ms", "1.50s", "2m05s". Returns buf. */
const char *units_human_duration(int64_t ns, char *buf, size_t cap);
