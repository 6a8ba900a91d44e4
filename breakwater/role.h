/*
 * role - what breakwater can be; one row in role.c a role, one file group a role.
 *
 * A role's main() gets its arguments after the role's name and returns the exit status:
 * 0 stopped gracefully, 1 could not run (one message on stderr), 2 usage.
 * Signals: role_signals_block() before any thread starts; role_wait_stop() then sleeps until
 * SIGTERM or SIGINT. SIGPIPE and SIGHUP are ignored.
 */
#ifndef BREAKWATER_ROLE_H
#define BREAKWATER_ROLE_H

#include "settings.h"
#include "util.h"

#define BREAKWATER_VERSION "0.1.0"

enum exit_status { EXIT_GRACEFUL = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

struct role {
    const char *name, *summary;
    int (*main)(int argc, char **argv);
};

const struct role *role_find(const char *name);
void role_list(struct buf *out);

void role_signals_block(void);
/* The signal that ended the wait. */
int role_wait_stop(void);
/* "breakwater ROLE: message" on stderr; returns status. */
int role_fail(const char *role, int status, const struct buf *err);
int role_usage(const char *role, const struct settings_table *t);

int kube_main(int argc, char **argv);
int gateway_main(int argc, char **argv);

#endif
