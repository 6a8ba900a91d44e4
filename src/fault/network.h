/*
 * network.h - what the faults that speak to the lab's switch share.
 *
 * Ids of what is put in force there are main's number of the fault times FAULT_ID_PARTS plus the
 * part, so that they are unique while a fault lives.
 */
#pragma once
#include "fault/fault.h"

#define FAULT_ID_PARTS 64

struct lab_link network_part(const struct fault_request *q, int fault, uint32_t part);
/* Why the lab did not do it, into ret->measured. */
void network_refused(int r, struct fault_result *ret);
