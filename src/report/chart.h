/*
 * chart.h - curves over time in characters, for the text report: latency and errors above a line
 * that marks the phases.
 *
 * Pure. One column a bucket of gather_run. Latency is drawn on a logarithmic scale, because a fault
 * moves it by powers of ten; a column without answers stays empty, no data is not a low value.
 */
#pragma once
#include "report/gather.h"
#include "report/pen.h"

#define CHART_LEFT 13 /* columns of the axis labels */

void chart_load(struct pen *p, const struct gather_run *run, const struct gather_load *load);
