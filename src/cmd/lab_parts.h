/* lab_parts.h - the members of `squall lab` and what `squall chaos` shows as they do. */
#pragma once
#include <jansson.h>

int lab_up_main(int argc, char **argv);
int lab_enter_main(int argc, char **argv);
int lab_status_main(int argc, char **argv);
int lab_down_main(int argc, char **argv);

/* The faults of an answer, for people; nothing when there are none. */
void lab_print_faults(const json_t *faults);
