/*
 * network_words.h - network faults in words: what is asked, for explain and for the run's report.
 *
 * Adds to the caller's buffer; nothing is kept. Rates and counts are rounded for people.
 */
#pragma once
#include "base/buf.h"
#include "lab/impair.h"

/* "delay 500ms +-100ms, loss 30 %" */
void network_words(const struct impair_spec *spec, struct buf *out);
void words_count(uint64_t n, struct buf *out);           /* 2,412 */
void words_bits(uint64_t bits_per_s, struct buf *out);   /* 10 Mbit/s */
void words_bytes(uint64_t bytes_per_s, struct buf *out); /* 100 kB/s (800 kbit/s) */
