/*
 * network_reset.c - TCP connections between services end at once, as if a device between them had
 * sent a reset (an action of our own; Chaos Mesh has none such).
 *
 * The kernel destroys the sockets (SOCK_DESTROY, sock_diag(7)) in the source's namespace, which
 * tells the peer. One act: new connections are made as before.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fault/ctx.h"
#include "fault/network.h"
#include "fault/network_words.h"

#define ANSWER_WITHIN_NS (10 * NS_PER_S)

static void tell(uint64_t destroyed, struct fault_result *ret)
{
    struct buf text = {0};
    words_count(destroyed, &text);
    snprintf(ret->measured, sizeof ret->measured, "%s connection%s destroyed", buf_str(&text),
             destroyed == 1 ? "" : "s");
    buf_done(&text);
    if (destroyed == 0)
        snprintf(ret->why, sizeof ret->why,
                 "there was no connection to destroy; let services talk before it, over "
                 "connections that stay open");
}

static int apply(struct fault_ctx *c, const struct fault_request *q, struct fault_result *ret)
{
    static struct lab_command commands[FAULT_LINKS];
    static struct lab_answer answers[FAULT_LINKS];
    uint32_t n = q->network.links_n;
    uint64_t destroyed = 0;
    snprintf(ret->asked, sizeof ret->asked, "connections reset: %.300s", q->network.where);
    if (n == 0)
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++)
        commands[i] =
            (struct lab_command){.kind = LAB_CMD_RESET, .link = network_part(q, c->fault, i)};
    int r = ctx_lab(c, commands, n, ANSWER_WITHIN_NS, answers);
    for (uint32_t i = 0; i < n && r == 0; i++) {
        r = answers[i].result;
        destroyed += r == 0 && answers[i].value > 0 ? (uint64_t)answers[i].value : 0;
    }
    if (r < 0) {
        network_refused(r, ret);
        return r;
    }
    tell(destroyed, ret);
    return destroyed ? 0 : -ENODATA;
}

const struct fault fault_network_reset = {
    .name = "network-reset",
    .help = "TCP connections between services are destroyed, once; both ends see a reset.",
    .undo = "Nothing to undo: services connect again as they are made to.",
    .one_shot = true,
    .apply = apply,
};
