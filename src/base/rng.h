/*
 * rng.h - seeded random in named streams: the same seed and name give the same numbers, whatever
 * other streams draw.
 *
 * xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64 over seed and name. Not for
 * secrets. Plain data, no lifecycle; one thread a stream.
 */
#pragma once
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed, const char *stream_name);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t limit); /* uniform in [0, limit), unbiased; limit > 0 */
double rng_unit(struct rng *r);                    /* uniform in [0, 1) */
double rng_exponential(struct rng *r, double mean);
