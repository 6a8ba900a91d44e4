#include "role.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct role roles[] = {
    {"gateway", "the alert gateway: webhooks in, RemediationRequests out", gateway_main},
    {"kube", "a Kubernetes API server for objects, with programmable faults", kube_main},
};

const struct role *role_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (strcmp(roles[i].name, name) == 0)
            return &roles[i];
    return NULL;
}

void role_list(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        buf_printf(out, "  %-10s %s\n", roles[i].name, roles[i].summary);
}

static void stop_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void role_signals_block(void)
{
    sigset_t set;
    stop_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error of write(), not the end */
}

int role_wait_stop(void)
{
    sigset_t set;
    int sig = 0;
    stop_set(&set);
    while (sigwait(&set, &sig) != 0)
        ;
    return sig;
}

int role_fail(const char *role, int status, const struct buf *err)
{
    fprintf(stderr, "breakwater %s: %s\n", role, err->p ? err->p : "failed");
    return status;
}

int role_usage(const char *role, const struct settings_table *t)
{
    struct buf b = {0};
    buf_printf(
        &b,
        "usage: breakwater %s [--SETTING VALUE | --set SETTING=VALUE | --config FILE.json]...\n"
        "settings (in --SETTING form '-' may stand for '_'):\n",
        role);
    settings_help(t, &b);
    fputs(b.p, stdout);
    buf_done(&b);
    return EXIT_GRACEFUL;
}
