#include "cmd/crew.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

void crew_init(struct crew *c, const struct plan *plan)
{
    *c = (struct crew){.plan = plan, .v = xcalloc(plan->services_n + 1, sizeof *c->v)};
    for (size_t i = 0; i < plan->services_n; i++)
        c->v[i].state = "waiting";
}

void crew_done(struct crew *c)
{
    for (size_t i = 0; c->v && i < c->plan->services_n; i++)
        for (int k = 0; k < c->v[i].last_n; k++)
            free(c->v[i].last[k]);
    free(c->v);
    *c = (struct crew){0};
}

static void keep_line(struct crew_member *m, const char *line)
{
    if (m->last_n == CREW_LAST_LINES) {
        free(m->last[0]);
        memmove(m->last, m->last + 1, (CREW_LAST_LINES - 1) * sizeof m->last[0]);
        m->last_n--;
    }
    m->last[m->last_n++] = xstrdup(line);
}

static void set_state(struct crew_member *m, const char *state, bool good)
{
    m->state = state;
    m->good = good;
}

static void say(struct crew_news *news, enum live_tone tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct crew_news *news, enum live_tone tone, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(news->text, sizeof news->text, fmt, ap);
    va_end(ap);
    news->shown = true;
    news->tone = tone;
}

static void on_ready(struct crew_member *m, const struct lab_event *e, struct crew_news *news)
{
    char took[32];
    set_state(m, "ready", true);
    m->faulted = false;
    say(news, LIVE_GOOD, "ready after %s%s", units_human_duration(e->value, took, sizeof took),
        m->starts > 1 ? " (restarted)" : "");
}

static void on_not_ready(struct crew_member *m, const struct lab_event *e, const char *name,
                         enum crew_stage stage, struct crew_news *news)
{
    set_state(m, "not ready", false);
    say(news, LIVE_BAD, "%s", e->text);
    news->show_last = true;
    news->fatal = stage == CREW_STARTING;
    snprintf(news->why, sizeof news->why, "service \"%s\" did not become ready: %s", name, e->text);
}

static void on_exited(struct crew_member *m, const struct lab_event *e, enum crew_stage stage,
                      struct crew_news *news)
{
    set_state(m, "down", false);
    m->pid = 0;
    say(news, stage == CREW_STOPPING ? LIVE_DIM : m->faulted ? LIVE_WARN : LIVE_BAD, "%s", e->text);
}

static void on_gave_up(struct crew_member *m, const struct lab_event *e, const char *name,
                       enum crew_stage stage, struct crew_news *news)
{
    const char *colon = e->text ? ": " : "", *text = e->text ? e->text : "";
    set_state(m, "down for good", false);
    say(news, LIVE_BAD, "stays down%s%s", colon, text);
    news->show_last = news->fatal = stage == CREW_STARTING;
    snprintf(news->why, sizeof news->why, "service \"%s\" ended before it was ready%s%s", name,
             colon, text);
}

void crew_take(struct crew *c, const struct lab_event *e, enum crew_stage stage,
               struct crew_news *news)
{
    assert(e->service >= 0 && (size_t)e->service < c->plan->services_n);
    struct crew_member *m = &c->v[e->service];
    const char *name = c->plan->services[e->service].name;
    char wait[32];
    *news = (struct crew_news){0};
    switch (e->kind) {
    case LAB_SERVICE_STARTING:
        set_state(m, "starting", false);
        m->starts++;
        m->pid = e->pid;
        say(news, LIVE_DIM, "starting, pid %d in the lab", (int)e->pid);
        break;
    case LAB_SERVICE_READY: on_ready(m, e, news); break;
    case LAB_SERVICE_NOT_READY: on_not_ready(m, e, name, stage, news); break;
    case LAB_SERVICE_EXITED: on_exited(m, e, stage, news); break;
    case LAB_SERVICE_BACKOFF:
        set_state(m, "waiting to restart", false);
        say(news, LIVE_DIM, "starts again in %s",
            units_human_duration(e->value, wait, sizeof wait));
        break;
    case LAB_SERVICE_GAVE_UP: on_gave_up(m, e, name, stage, news); break;
    case LAB_SERVICE_WARNING: say(news, LIVE_WARN, "%s", e->text); break;
    case LAB_SERVICE_HELD: set_state(m, "held down", false); break;
    case LAB_SERVICE_STOPPED: set_state(m, "stopped", false); break;
    case LAB_LOG: keep_line(m, e->text); break;
    case LAB_LOG_DROPPED:
        say(news, LIVE_WARN, "floods its log: %lld lines dropped", (long long)e->value);
        break;
    case LAB_READY:
    case LAB_STOPPED:
    case LAB_LOST:
    case LAB_EVENT_COUNT: break;
    }
}
