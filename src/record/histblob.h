/*
 * histblob.h - the buckets of a histogram as a compact blob: for each bucket that is not empty, in
 * rising order, two unsigned LEB128 numbers: index minus the index before (the first counts from
 * -1), and count.
 *
 * Pure functions; decoding takes hostile bytes. Count, minimum, maximum and sum are columns of
 * their own and exact.
 */
#pragma once
#include "base/buf.h"
#include "base/hist.h"

void histblob_encode(const struct hist *h, struct buf *ret);
/* Adds the blob's buckets to `into` (buckets and count only). -EINVAL: malformed or a bucket
 * outside those of min..max; into then holds part of it. */
int histblob_decode(const void *p, size_t n, int64_t min, int64_t max, struct hist *into);
/* As hist_clear, but touches only the buckets that can be in use. */
void histblob_clear(struct hist *h);
