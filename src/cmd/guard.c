/* The two internal subcommands that squall starts itself with: see fault/guard.h. */
#include <stddef.h>

#include "cmd/cmd.h"
#include "fault/family.h"

const struct cmd cmd_guard_agent = {"guard-agent", "", NULL, agent_main};
const struct cmd cmd_guard_undertaker = {"guard-undertaker", "", NULL, undertaker_main};
