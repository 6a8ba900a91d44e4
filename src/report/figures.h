/*
 * figures.h - numbers as people read them in live view and reports. Pure; each returns buf.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIGURES_BYTES 40

const char *figures_count(uint64_t n, char *buf, size_t cap);  /* 1,234,567 */
const char *figures_clock(int64_t ns, char *buf, size_t cap);  /* run clock: 12.3s, -0.4s */
const char *figures_rate(double per_s, char *buf, size_t cap); /* 25.0/s, 1,234/s */
/* 0 %, 0.04 %, 12.3 %, 100 %; never 0 % or 100 % when it is not. NaN: "-". */
const char *figures_share(double ratio, char *buf, size_t cap);
/* A latency; negative: "-". */
const char *figures_latency(int64_t ns, char *buf, size_t cap);
/* One of nine heights for value / max: "" never; 0 is the lowest. */
const char *figures_block(double value, double max, bool ascii);
