/*
 * shaper.h - when a packet leaves a link of limited speed: netem's `rate` and tbf's token bucket,
 * in virtual time. Pure.
 *
 * Both are first in, first out, so the instant a packet leaves is known when it comes, and one
 * queue of due times is all that is needed. Bytes are those of the IP packet.
 *
 * shaper_rate: a link that takes bytes * 8 / rate for each packet, one after the other. Its queue
 * holds what comes within SHAPER_QUEUE_NS beyond the delay that was asked: enough for any rate and
 * delay (netem's own limit of 1,000 packets loses packets on fast or long links).
 * shaper_bucket: as sch_tbf: tokens fill `buffer_bytes` at the rate, a second bucket of
 * `minburst_bytes` at the peak rate; more than limit_bytes in the queue are dropped. A bucket holds
 * one packet at least: tbf drops what is larger than the bucket, which nobody asks for.
 *
 * Times in monotonic ns; both return the instant, or -ENOBUFS when the queue is full. The caller
 * tells by shaper_left when a packet that the bucket took has gone. One shaper for each port that
 * sends, whatever the number of its peers. Zeroed = idle. One thread.
 */
#pragma once
#include <stddef.h>

#include "lab/impair.h"

#define SHAPER_QUEUE_NS     200000000LL
#define SHAPER_PACKET_BYTES 1500

struct shaper {
    int64_t rate_free_ns;              /* when the link has sent all it took */
    int64_t bucket_ns;                 /* when the tokens were counted */
    int64_t tokens_ns, peak_tokens_ns; /* as time at the rate */
    uint64_t backlog_bytes;
    bool started;
};

/* ready_ns: when the packet's delay is over; now_ns: when it came. */
int64_t shaper_rate(struct shaper *s, const struct impair_spec *spec, int64_t now_ns,
                    int64_t ready_ns, size_t bytes);
int64_t shaper_bucket(struct shaper *s, const struct impair_bandwidth *b, int64_t now_ns,
                      size_t bytes);
void shaper_left(struct shaper *s, size_t bytes);
