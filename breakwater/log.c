#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
_Static_assert(ARRAY_LEN(level_names) == LOG_LEVELS, "one name per level");

#define LIMIT_SLOTS 64

/* One slot per message literal; a collision only makes the limit a little stricter. */
struct limit_slot {
    int64_t second;
    int lines;
    int64_t suppressed;
};

static enum log_level log_least = LOG_INFO;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit_slot limit_slots[LIMIT_SLOTS];

void log_init(enum log_level least)
{
    log_least = least;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < LOG_LEVELS; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_on(enum log_level level)
{
    return level >= log_least;
}

static bool limit_pass(const char *msg, int64_t *ret_suppressed)
{
    struct limit_slot *s = &limit_slots[hash64(msg, strlen(msg), 0) % LIMIT_SLOTS];
    int64_t second = now_ns() / NS_PER_S;
    bool pass = true;

    pthread_mutex_lock(&limit_lock);
    if (s->second != second) {
        s->second = second;
        s->lines = 0;
    }
    if (++s->lines > LOG_LINES_PER_S) {
        s->suppressed++;
        pass = false;
    } else {
        *ret_suppressed = s->suppressed;
        s->suppressed = 0;
    }
    pthread_mutex_unlock(&limit_lock);
    return pass;
}

void log_write(enum log_level level, const char *component, const char *msg,
               const struct log_field *fields, size_t n)
{
    int64_t suppressed = 0;
    if (level != LOG_DEBUG && !limit_pass(msg, &suppressed))
        return;

    char ts[RFC3339_BYTES];
    rfc3339(wall_ms(), ts);
    struct buf b = {0};
    buf_printf(&b, "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":", ts, level_names[level]);
    buf_json(&b, component);
    buf_puts(&b, ",\"msg\":");
    buf_json(&b, msg);
    for (size_t i = 0; i < n; i++) {
        buf_add(&b, ",", 1);
        buf_json(&b, fields[i].key);
        buf_add(&b, ":", 1);
        if (fields[i].str)
            buf_json(&b, fields[i].str);
        else
            buf_printf(&b, "%lld", (long long)fields[i].num);
    }
    if (suppressed)
        buf_printf(&b, ",\"suppressed\":%lld", (long long)suppressed);
    buf_puts(&b, "}\n");
    /* A log that cannot be written must not stop the service. */
    ssize_t ignored = write(STDOUT_FILENO, b.p, b.len);
    (void)ignored;
    buf_done(&b);
}
