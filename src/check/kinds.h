/* kinds.h - the constants that the kinds' files export, for the table and for nobody else. */
#pragma once
#include "check/check.h"

#define X(NAME) extern const struct check_kind check_##NAME;
#include "check/check_list.h"
#undef X
