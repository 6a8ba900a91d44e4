/*
 * text.h - the parts of the text report; only text*.c include it.
 */
#pragma once
#include "report/gather.h"
#include "report/pen.h"

#define TEXT_COLUMNS 100

void text_title(struct pen *p, const char *title);
void text_story(struct pen *p, const struct gather_run *run); /* phases, faults, events */
void text_load(struct pen *p, const struct gather_run *run, const struct gather_load *load);
