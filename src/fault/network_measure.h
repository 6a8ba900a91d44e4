/*
 * network_measure.h - from the switch's last reports to what a network fault really did. Pure.
 *
 * One report for each of the fault's links (parts); a part without one is not measured. ret gets
 * `measured`, `result` and, unless that is 0, `why` with a remedy. Result -ENODATA: no packet met
 * it; or a block had no effect at all; or it was not exact: packets left too late (p99 of the
 * switch's own lateness above 1 ms, the jitter asked, and a tenth of the latency), were dropped for
 * lack of room, passed faster than the rate, or a share is beyond what chance explains.
 *
 * Shares are judged by the normal approximation of the binomial distribution. A correlation c
 * repeats draws, so that n packets say as much as n (1 - c) / (1 + c) independent ones. Medians of
 * several links are shown as their mean weighted by packets, higher percentiles as the worst.
 */
#pragma once
#include "fault/fault.h"

void network_measure(const struct fault_network *asked, const struct impair_report *reports,
                     const bool *told, struct fault_result *ret);
