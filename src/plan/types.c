/* What the types of keys are: forms they accept, how they read, how a schema and a person call
 * them. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/units.h"
#include "plan/keys.h"

#define SCALAR (1u << YAML_SCALAR)
#define MAP    (1u << YAML_MAP)
#define SEQ    (1u << YAML_SEQ)

#define VARIABLE "{\"type\":\"string\",\"pattern\":\"\\\\{\\\\{\"}"
#define STRING   "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]}"
#define LIMIT    "{\"type\":\"string\",\"pattern\":\"^ *(<=?|>=?|==?|!=) *[0-9.-]|\\\\{\\\\{\"}"

static const struct key_type_row {
    const char *word, *needs;
    unsigned kinds;
    bool numeric;
    const char *schema;
} types[] = {
    [KEY_MAP] = {"map", "a map of keys", MAP, false, NULL},
    [KEY_NAMED] = {"map of names", "a map of names", MAP, false, NULL},
    [KEY_LIST] = {"list", "a list", SEQ, false, NULL},
    [KEY_STRING] = {"text", "a text", SCALAR, false, STRING},
    [KEY_BOOL] = {"bool", "true or false", SCALAR, true,
                  "{\"anyOf\":[{\"type\":\"boolean\"}," VARIABLE "]}"},
    [KEY_INT] = {"integer", "a whole number", SCALAR, true,
                 "{\"anyOf\":[{\"type\":\"integer\"}," VARIABLE "]}"},
    [KEY_NUMBER] = {"number", "a number", SCALAR, true,
                    "{\"anyOf\":[{\"type\":\"number\"}," VARIABLE "]}"},
    [KEY_DURATION] = {"duration", "a duration with its unit, such as 250ms or 1m30s", SCALAR, true,
                      "{\"anyOf\":[{\"type\":\"string\",\"pattern\":"
                      "\"^([0-9]+(\\\\.[0-9]*)?(ns|us|µs|ms|s|m|h|d))+$|^0$|\\\\{\\\\{\"},"
                      "{\"const\":0}]}"},
    [KEY_SIZE] =
        {"size", "a size such as 64KiB or 256MiB", SCALAR, true,
         "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"string\",\"pattern\":"
         "\"^[0-9.]+ *(B|kB|KB|MB|GB|KiB|MiB|GiB)?$|\\\\{\\\\{\"}]}"},
    [KEY_RATE] = {"rate", "a rate such as 50/s or 10/min", SCALAR, true,
                  "{\"type\":\"string\",\"pattern\":"
                  "\"^[0-9.]+ */ *(s|sec|second|m|min|minute|h|hour)$|\\\\{\\\\{\"}"},
    [KEY_CHOICE] = {"word", "one of its words", SCALAR, true, STRING},
    [KEY_SIGNAL] = {"signal", "a signal such as TERM or INT", SCALAR, true, STRING},
    [KEY_STRINGS] = {"list of texts", "a text or a list of texts", SCALAR | SEQ, false, STRING},
    [KEY_PAIRS] = {"map of texts", "a map of texts", MAP, false, STRING},
    [KEY_CODES] = {"statuses", "a list of statuses such as 201 or 2xx", SCALAR | SEQ, false,
                   "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":100,\"maximum\":599},"
                   "{\"type\":\"string\",\"pattern\":\"^[1-5](xx|[0-9][0-9])$|\\\\{\\\\{\"}]}"},
    [KEY_WORDS] = {"command", "a command line or a list of words", SCALAR | SEQ, false, STRING},
    [KEY_ENDPOINT] = {"endpoint", "a port and path such as \":8080/ready\"", SCALAR, false,
                      "{\"type\":\"string\",\"pattern\":\"^:[0-9]+(/.*)?$|\\\\{\\\\{\"}"},
    [KEY_URL] = {"URL", "a URL such as http://gateway:8080/path", SCALAR, false,
                 "{\"type\":\"string\",\"pattern\":\"^http://|\\\\{\\\\{\"}"},
    [KEY_PATH] = {"path", "a path that starts with /", SCALAR, false,
                  "{\"type\":\"string\",\"pattern\":\"^/|\\\\{\\\\{\"}"},
    [KEY_TEMPLATE] = {"template", "a text, which may hold templates", SCALAR, false, STRING},
    [KEY_TEMPLATES] = {"templates", "a text or a list of texts, which may hold templates",
                       SCALAR | SEQ, false, STRING},
    [KEY_JSON] = {"any", "any value", SCALAR | MAP | SEQ, false, "true"},
    [KEY_REGEX] = {"pattern", "a pattern (PCRE2)", SCALAR, false, STRING},
    [KEY_JSONPATH] = {"JSON path", "a JSON path such as $.items[*].name", SCALAR, false,
                      "{\"type\":\"string\",\"pattern\":\"^\\\\$|\\\\{\\\\{\"}"},
    [KEY_LIMIT_DURATION] = {"limit of time", "a limit such as < 100ms", SCALAR, false, LIMIT},
    [KEY_LIMIT_SHARE] = {"limit of share", "a limit such as < 1%", SCALAR, false, LIMIT},
    [KEY_LIMIT_COUNT] = {"limit of count", "a limit such as <= 3", SCALAR, false, LIMIT},
    [KEY_LIMIT_NUMBER] = {"limit of value", "a limit such as == 1", SCALAR, false, LIMIT},
    [KEY_NAME] = {"name", "a name of letters, digits and hyphens", SCALAR, false, STRING},
    [KEY_SERVICE] = {"service", "the name of a service", SCALAR, false, STRING},
    [KEY_SERVICES] = {"services", "the name of a service, or a list of them", SCALAR | SEQ, false,
                      STRING},
    [KEY_SERVICE_PORT] = {"service", "the name of a service, :PORT may follow", SCALAR, false,
                          STRING},
    [KEY_LOAD] = {"load", "the name of a load", SCALAR, false, STRING},
    [KEY_PHASE] = {"phase", "the name of a phase, a kind of phase, or run", SCALAR, false, STRING},
    [KEY_PHASES] = {"phases", "the name of a phase, or a list of them", SCALAR | SEQ, false,
                    STRING},
};
_Static_assert(ARRAY_SIZE(types) == KEY_TYPE_COUNT, "one row a type");

bool key_type_numeric(enum key_type type)
{
    return types[type].numeric;
}

bool key_type_accepts(enum key_type type, enum ykind kind)
{
    return types[type].kinds & (1u << kind);
}

const char *key_type_needs(enum key_type type)
{
    return types[type].needs;
}

const char *key_type_word(enum key_type type)
{
    return types[type].word;
}

const char *key_type_schema(enum key_type type)
{
    return types[type].schema;
}

static int parse_bool(struct str text, int64_t *ret)
{
    if (str_eq(text, STR("true")) || str_eq(text, STR("false"))) {
        *ret = text.n == 4;
        return 0;
    }
    return -EINVAL;
}

static int parse_choice(const char *choices, struct str text, int64_t *ret)
{
    struct str rest = str_of(choices);
    for (int64_t i = 0; rest.n; i++)
        if (str_eq(str_split(&rest, ' '), text)) {
            *ret = i;
            return 0;
        }
    return -EINVAL;
}

static int parse_signal(struct str text, int64_t *ret)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
                {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
    if (str_prefix(text, STR("SIG")))
        text = (struct str){text.p + 3, text.n - 3};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (str_eq(text, str_of(rows[i].name))) {
            *ret = rows[i].number;
            return 0;
        }
    return -EINVAL;
}

int key_type_parse(const struct key *key, struct str text, struct key_value *ret)
{
    *ret = (struct key_value){0};
    int rc = -EINVAL;
    switch (key->type) {
    case KEY_BOOL: rc = parse_bool(text, &ret->i); break;
    case KEY_INT: rc = units_int(text, &ret->i); break;
    case KEY_DURATION: rc = units_duration(text, &ret->i); break;
    case KEY_SIZE: rc = units_size(text, &ret->i); break;
    case KEY_CHOICE: rc = parse_choice(key->choices, text, &ret->i); break;
    case KEY_SIGNAL: rc = parse_signal(text, &ret->i); break;
    case KEY_NUMBER: return units_number(text, &ret->d);
    case KEY_RATE: return units_rate(text, &ret->d);
    case KEY_MAP:
    case KEY_NAMED:
    case KEY_LIST:
    case KEY_STRING:
    case KEY_STRINGS:
    case KEY_PAIRS:
    case KEY_CODES:
    case KEY_WORDS:
    case KEY_ENDPOINT:
    case KEY_URL:
    case KEY_PATH:
    case KEY_TEMPLATE:
    case KEY_TEMPLATES:
    case KEY_JSON:
    case KEY_REGEX:
    case KEY_JSONPATH:
    case KEY_LIMIT_DURATION:
    case KEY_LIMIT_SHARE:
    case KEY_LIMIT_COUNT:
    case KEY_LIMIT_NUMBER:
    case KEY_NAME:
    case KEY_SERVICE:
    case KEY_SERVICES:
    case KEY_SERVICE_PORT:
    case KEY_LOAD:
    case KEY_PHASE:
    case KEY_PHASES:
    case KEY_TYPE_COUNT: assert(!"a numeric type"); break;
    }
    ret->d = (double)ret->i;
    return rc;
}

static bool beyond(const struct key *key, const struct key_value *value, const char *bound,
                   int side)
{
    struct key_value limit;
    if (!bound)
        return false;
    int rc = key_type_parse(key, str_of(bound), &limit);
    assert(rc == 0);
    (void)rc;
    if (key->type == KEY_NUMBER || key->type == KEY_RATE)
        return side < 0 ? value->d < limit.d : value->d > limit.d;
    return side < 0 ? value->i < limit.i : value->i > limit.i;
}

int key_check_range(const struct key *key, const struct key_value *value)
{
    return beyond(key, value, key->min, -1) || beyond(key, value, key->max, 1) ? -ERANGE : 0;
}
