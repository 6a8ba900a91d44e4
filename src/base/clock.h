/*
 * clock.h - time: int64_t nanoseconds, monotonic unless a name says `wall`.
 *
 * Code that waits or measures takes `const struct clock *` or a `now_ns` parameter, so that tests
 * drive a fake clock.
 */
#pragma once
#include <stdint.h>

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

int64_t clock_now_ns(void);  /* CLOCK_MONOTONIC */
int64_t clock_wall_ns(void); /* CLOCK_REALTIME, since 1970 */
int64_t clock_cpu_ns(void);  /* CPU time of this process, all threads */
