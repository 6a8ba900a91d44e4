/*
 * family.h - the two hidden subcommands that this binary runs as besides main: agent and
 * undertaker.
 *
 * guard_start (and the undertaker, for a new agent) executes /proc/self/exe with one of these names
 * as first argument; whoever owns main() hands argc and argv on unchanged. Both return an exit
 * status. They leave the session, ignore every signal that can be ignored, hold nothing but the
 * descriptors they are given, and end by themselves when main is gone. A fault that is not in the
 * registry may be added before (fault_add_test_faults).
 */
#pragma once

#define FAMILY_AGENT      "guard-agent"
#define FAMILY_UNDERTAKER "guard-undertaker"

int agent_main(int argc, char **argv);
int undertaker_main(int argc, char **argv);
