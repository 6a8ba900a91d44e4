#include "plan/keys.h"

#include <errno.h>

#include "plan/plan.h"
#include "plan/walk.h"

#define AT(S, M)         .field = {offsetof(struct S, M), sizeof(((struct S *)0)->M)}
#define PAIRS(S, M)      AT(S, M), .count = {offsetof(struct S, M##_n), sizeof(size_t)}
#define RANGE(LOW, HIGH) .min = LOW, .max = HIGH

#define WAIT .min = "1ms", .max = "1h"

#define SVC   "lab.services.*"
#define LOAD  "load.*"
#define CHECK "checks[]"

/* One row a key. */
/* clang-format off */
const struct key keys[] = {
    {"", "squall", KEY_INT, "version of the plan format", RANGE("1", "1"), .required = true},
    {"", "name", KEY_STRING, "short name of the plan, shown everywhere", AT(plan, name), RANGE("1", "100"), .required = true},
    {"", "about", KEY_STRING, "what the plan shows, for people", AT(plan, about), .max = "2000", .def = ""},
    {"", "tags", KEY_STRINGS, "words to choose plans by", AT(plan, tags)},
    {"", "seed", KEY_INT, "seed of every random draw; 0 draws one and prints it", AT(plan, seed), RANGE("0", "9223372036854775807"), .def = "0"},
    {"", "include", KEY_STRINGS, "files merged below this one: maps merge, other values of this file win; paths count from this file"},
    {"", "vars", KEY_NAMED, "values for {{name}} in any text of the plan; changed with --set vars.NAME=VALUE; {{plan.dir}} is built in", .max = "500"},
    {"vars", "*", KEY_STRING, "the value"},
    {"vars", "*", KEY_MAP, "a value from the environment"},
    {"vars.*", "env", KEY_STRING, "name of the environment variable", .min = "1", .required = true},
    {"vars.*", "default", KEY_STRING, "value when the variable is not set; without it that is an error"},
    {"vars.*", "secret", KEY_BOOL, "keeps the value out of run files and reports", .def = "false"},

    {"", "lab", KEY_MAP, "the services under test, started and supervised by squall"},
    {"lab", "services", KEY_NAMED, "the services by name; others reach one by its name, as a host", .max = "200"},
    {"lab", "ipv6", KEY_BOOL, "services have IPv6 addresses too, and their names lead to both", AT(plan, lab_ipv6), .def = "false"},
    {"lab", "dns", KEY_BOOL, "names are asked of a name server in the lab instead of /etc/hosts; a plan whose storm has a DNSChaos has it on", AT(plan, lab_dns), .def = "false"},
    {"lab.services", "*", KEY_MAP, "one service: letters, digits and hyphens"},
    {SVC, "labels", KEY_PAIRS, "labels that faults select by", PAIRS(plan_service, labels)},
    {SVC, "run", KEY_WORDS, "the command: words as in a shell, with quotes and backslashes but without expansion, or a list; a program with a / in it is found from the plan's folder, others in the PATH of the lab", AT(plan_service, argv), .required = true, .hook = service_run},
    {SVC, "needs", KEY_SERVICES, "services that must be ready before this one starts", AT(plan_service, needs)},
    {SVC, "ready", KEY_MAP, "when the service counts as ready; without it, as soon as it runs"},
    {SVC ".ready", "tcp", KEY_INT, "a port that accepts connections", AT(plan_service, ready.port), RANGE("1", "65535"), .one_of = "way", .hook = service_ready},
    {SVC ".ready", "http", KEY_ENDPOINT, "a port and path that answer 2xx or 3xx to GET", .one_of = "way", .hook = service_ready},
    {SVC ".ready", "command", KEY_STRING, "a command that exits 0, run beside the service", AT(plan_service, ready.command), .min = "1", .one_of = "way", .hook = service_ready},
    {SVC ".ready", "log", KEY_REGEX, "a pattern that a line of output matches", AT(plan_service, ready.matches), .one_of = "way", .hook = service_ready},
    {SVC ".ready", "within", KEY_DURATION, "limit for becoming ready", AT(plan_service, ready.within_ns), WAIT, .def = "10s"},
    {SVC ".ready", "every", KEY_DURATION, "time between two looks", AT(plan_service, ready.every_ns), RANGE("1ms", "1m"), .def = "100ms"},
    {SVC ".ready", "timeout", KEY_DURATION, "limit of one look", AT(plan_service, ready.timeout_ns), RANGE("1ms", "10m"), .def = "2s"},
    {SVC, "restart", KEY_CHOICE, "whether the service is started again when it ends", AT(plan_service, restart), .choices = "never on-failure always", .def = "never"},
    {SVC, "restart", KEY_MAP, "the same with its pauses"},
    {SVC ".restart", "policy", KEY_CHOICE, "whether the service is started again when it ends", AT(plan_service, restart), .choices = "never on-failure always", .required = true},
    {SVC ".restart", "backoff", KEY_DURATION, "pause before the first restart; doubles with each", AT(plan_service, backoff_ns), RANGE("0s", "1h"), .def = "500ms"},
    {SVC ".restart", "backoff-max", KEY_DURATION, "longest pause", AT(plan_service, backoff_max_ns), RANGE("0s", "1h"), .def = "10s"},
    {SVC, "stop", KEY_MAP, "how the service is stopped"},
    {SVC ".stop", "signal", KEY_SIGNAL, "the signal that asks it to end", AT(plan_service, stop_signal), .def = "TERM"},
    {SVC ".stop", "grace", KEY_DURATION, "time until it is killed", AT(plan_service, stop_grace_ns), RANGE("0s", "10m"), .def = "5s"},
    {SVC, "limits", KEY_MAP, "soft limits of the process (setrlimit)"},
    {SVC ".limits", "memory", KEY_SIZE, "data memory (RLIMIT_DATA)", AT(plan_service, limits.memory_bytes), RANGE("64KiB", "1048576GiB")},
    {SVC ".limits", "nofile", KEY_INT, "open files", AT(plan_service, limits.nofile), RANGE("3", "1048576")},
    {SVC ".limits", "nproc", KEY_INT, "processes and threads of the user", AT(plan_service, limits.nproc), RANGE("1", "4194304")},
    {SVC ".limits", "stack", KEY_SIZE, "stack", AT(plan_service, limits.stack_bytes), RANGE("64KiB", "64GiB")},
    {SVC ".limits", "fsize", KEY_SIZE, "largest file it may write", AT(plan_service, limits.fsize_bytes), RANGE("0", "1048576GiB")},
    {SVC ".limits", "core", KEY_SIZE, "core dump", AT(plan_service, limits.core_bytes), RANGE("0", "1048576GiB")},
    {SVC, "env", KEY_PAIRS, "environment variables on top of a small fixed set", PAIRS(plan_service, env)},
    {SVC, "files", KEY_NAMED, "files written into the service's working folder before it starts: path and text", .max = "100"},
    {SVC ".files", "*", KEY_STRING, "text of the file", .hook = service_file},
    {SVC, "user", KEY_STRING, "user to run as; default is squall's own", AT(plan_service, user), RANGE("1", "32")},
    {SVC, "metrics", KEY_ENDPOINT, "port and path of Prometheus metrics to scrape", .hook = service_metrics},
    {SVC, "metrics", KEY_MAP, "the same with its interval"},
    {SVC ".metrics", "path", KEY_ENDPOINT, "port and path", .required = true, .hook = service_metrics},
    {SVC ".metrics", "every", KEY_DURATION, "time between two scrapes", AT(plan_service, metrics_every_ns), RANGE("10ms", "10m"), .def = "1s"},

    {"", "load", KEY_NAMED, "what is sent, and how it arrives; several loads run side by side", .max = "64"},
    {"load", "*", KEY_MAP, "one load"},
    {LOAD, "post", KEY_URL, "POST to this URL; the path may hold templates", .one_of = "method", .hook = load_url},
    {LOAD, "get", KEY_URL, "GET this URL", .one_of = "method", .hook = load_url},
    {LOAD, "put", KEY_URL, "PUT to this URL", .one_of = "method", .hook = load_url},
    {LOAD, "patch", KEY_URL, "PATCH this URL", .one_of = "method", .hook = load_url},
    {LOAD, "delete", KEY_URL, "DELETE this URL", .one_of = "method", .hook = load_url},
    {LOAD, "head", KEY_URL, "HEAD of this URL", .one_of = "method", .hook = load_url},
    {LOAD, "options", KEY_URL, "OPTIONS of this URL", .one_of = "method", .hook = load_url},
    {LOAD, "headers", KEY_PAIRS, "headers of each request; values may hold templates; Host and Content-Length are made", PAIRS(plan_load, headers)},
    {LOAD, "json", KEY_JSON, "body as JSON, written as YAML; texts may hold templates; `!int \"{{id}}\"` makes a number of one", .one_of = "body"},
    {LOAD, "body", KEY_TEMPLATE, "body as text", .one_of = "body"},
    {LOAD, "choose", KEY_LIST, "several bodies, drawn by weight", .max = "100", .one_of = "body"},
    {LOAD ".choose", "[]", KEY_MAP, "one body"},
    {LOAD ".choose[]", "weight", KEY_NUMBER, "its share among the weights", RANGE("0", "1000000"), .def = "1"},
    {LOAD ".choose[]", "json", KEY_JSON, "body as JSON, written as YAML", .one_of = "body"},
    {LOAD ".choose[]", "body", KEY_TEMPLATE, "body as text", .one_of = "body"},
    {LOAD, "vars", KEY_NAMED, "values rendered once a request, for {{name}} in this load; a later one may use an earlier one", .max = "16"},
    {LOAD ".vars", "*", KEY_TEMPLATE, "the value"},
    {LOAD, "arrive", KEY_MAP, "how requests arrive", .required = true},
    {LOAD ".arrive", "rate", KEY_RATE, "open model: requests per time, whatever the answers do", AT(plan_load, rate_per_s), RANGE("0.0001/s", "1000000/s")},
    {LOAD ".arrive", "poisson", KEY_BOOL, "open model: random gaps (Poisson) instead of even ones", AT(plan_load, poisson), .def = "false"},
    {LOAD ".arrive", "concurrency", KEY_INT, "without a rate: requests kept in flight (closed model); with one: most connections, 256 if not given", AT(plan_load, concurrency), RANGE("1", "100000")},
    {LOAD ".arrive", "workers", KEY_INT, "threads that send", AT(plan_load, workers), RANGE("1", "64"), .def = "1"},
    {LOAD ".arrive", "requests", KEY_INT, "stop after so many; 0 is no limit", AT(plan_load, requests), RANGE("0", "1000000000000"), .def = "0"},
    {LOAD, "keep-alive", KEY_BOOL, "several requests on one connection", AT(plan_load, keep_alive), .def = "true"},
    {LOAD, "record", KEY_CHOICE, "which requests the run file keeps one by one", AT(plan_load, keep_rows), .choices = "problems all", .def = "problems"},
    {LOAD, "timeout", KEY_DURATION, "limit for the whole answer once sent; before, a due request waits as long for a free connection, then it is shed", AT(plan_load, timeout_ns), WAIT, .def = "10s"},
    {LOAD, "connect-timeout", KEY_DURATION, "limit for a connection", AT(plan_load, connect_timeout_ns), WAIT, .def = "3s"},
    {LOAD, "fate", KEY_MAP, "what the statuses of answers mean; any other is a failure"},
    {LOAD ".fate", "accepted", KEY_CODES, "the work was taken on", AT(plan_load, accepted), .def = "2xx"},
    {LOAD ".fate", "refused", KEY_CODES, "the work was turned away, and the sender knows", AT(plan_load, refused), .def = "429 503"},
    {LOAD, "settle", KEY_MAP, "where every accepted request must be found after the storm"},
    {LOAD ".settle", "from", KEY_SERVICE_PORT, "service that holds the final state, with :PORT if it is not its ready port", .required = true},
    {LOAD ".settle", "list", KEY_PATH, "path that lists the objects as JSON", AT(plan_load, settle.list), .required = true},
    {LOAD ".settle", "id", KEY_JSONPATH, "JSON path to each object's key", AT(plan_load, settle.id), .required = true},
    {LOAD ".settle", "count", KEY_JSONPATH, "JSON path to each object's count of requests; without it an object stands for one", AT(plan_load, settle.count)},
    {LOAD ".settle", "key", KEY_TEMPLATES, "what a request must be found as; a list for a batch", .def = "{{id}}"},
    {LOAD ".settle", "stable", KEY_DURATION, "the list must not change for so long", AT(plan_load, settle.stable_ns), RANGE("0s", "10m"), .def = "2s"},
    {LOAD ".settle", "within", KEY_DURATION, "limit for becoming stable", AT(plan_load, settle.within_ns), WAIT, .def = "30s"},
    {LOAD, "during", KEY_PHASES, "phases, or kinds of phase, in which it is sent; default is all", AT(plan_load, phases)},

    {"", "storm", KEY_LIST, "the phases of the run, one after the other", .max = "200"},
    {"storm", "[]", KEY_MAP, "one phase"},
    {"storm[]", "baseline", KEY_DURATION, "nothing is broken for so long", AT(plan_phase, duration_ns), RANGE("1ms", "24h"), .one_of = "kind", .hook = phase_kind},
    {"storm[]", "fault", KEY_STRING, "file with a Chaos Mesh manifest; its path counts from this file", .min = "1", .one_of = "kind", .hook = phase_kind},
    {"storm[]", "manifest", KEY_STRING, "the manifest itself, as text"},
    {"storm[]", "manifest", KEY_JSON, "the manifest itself"},
    {"storm[]", "for", KEY_DURATION, "how long the fault lasts; default is the manifest's own duration", AT(plan_phase, duration_ns), RANGE("1ms", "24h")},
    {"storm[]", "recovery", KEY_MAP, "nothing is broken; ends when the loads are well again", .one_of = "kind", .hook = phase_kind},
    {"storm[].recovery", "within", KEY_DURATION, "ends at the latest after so long", AT(plan_phase, within_ns), RANGE("1ms", "24h"), .def = "30s"},
    {"storm[]", "cooldown", KEY_DURATION, "loads go on for so long before they stop", AT(plan_phase, duration_ns), RANGE("1ms", "24h"), .one_of = "kind", .hook = phase_kind},
    {"storm[]", "name", KEY_NAME, "name of the phase; default is its kind, with -2 and so on when taken", AT(plan_phase, name)},

    {"", "checks", KEY_LIST, "statements that must hold", .max = "300"},
    {"checks", "[]", KEY_MAP, "one check"},
    {CHECK, "nothing lost", KEY_LOAD, "every accepted request of this load is in the final state, exactly once", AT(plan_check, load), .one_of = "kind", .hook = check_kind},
    {CHECK, "latency", KEY_MAP, "limits on the time from due to answered", .one_of = "kind", .hook = check_kind},
    {CHECK ".latency", "load", KEY_LOAD, "which load", AT(plan_check, load), .required = true},
    {CHECK ".latency", "p50", KEY_LIMIT_DURATION, "median", .hook = check_limit},
    {CHECK ".latency", "p90", KEY_LIMIT_DURATION, "90th percentile", .hook = check_limit},
    {CHECK ".latency", "p95", KEY_LIMIT_DURATION, "95th percentile", .hook = check_limit},
    {CHECK ".latency", "p99", KEY_LIMIT_DURATION, "99th percentile", .hook = check_limit},
    {CHECK ".latency", "p99.9", KEY_LIMIT_DURATION, "99.9th percentile", .hook = check_limit},
    {CHECK ".latency", "p99.99", KEY_LIMIT_DURATION, "99.99th percentile", .hook = check_limit},
    {CHECK ".latency", "mean", KEY_LIMIT_DURATION, "mean", .hook = check_limit},
    {CHECK ".latency", "max", KEY_LIMIT_DURATION, "longest", .hook = check_limit},
    {CHECK, "errors", KEY_MAP, "limits on requests that were not accepted", .one_of = "kind", .hook = check_kind},
    {CHECK ".errors", "load", KEY_LOAD, "which load", AT(plan_check, load), .required = true},
    {CHECK ".errors", "share", KEY_LIMIT_SHARE, "share of the requests", .hook = check_limit},
    {CHECK ".errors", "count", KEY_LIMIT_COUNT, "number of requests", .hook = check_limit},
    {CHECK, "recovers", KEY_MAP, "limits on the time until a load is well again", .one_of = "kind", .hook = check_kind},
    {CHECK ".recovers", "load", KEY_LOAD, "which load", AT(plan_check, load), .required = true},
    {CHECK ".recovers", "first", KEY_LIMIT_DURATION, "time to the first good answer", .hook = check_limit},
    {CHECK ".recovers", "within", KEY_DURATION, "time to a steady state", RANGE("1ms", "24h"), .hook = check_within},
    {CHECK, "log", KEY_MAP, "lines in a service's output", .one_of = "kind", .hook = check_kind},
    {CHECK ".log", "service", KEY_SERVICE, "which service", AT(plan_check, service), .required = true},
    {CHECK ".log", "matches", KEY_REGEX, "pattern (PCRE2) a line must match", AT(plan_check, matches), .required = true},
    {CHECK ".log", "count", KEY_LIMIT_COUNT, "how many lines; default is >= 1", .hook = check_limit},
    {CHECK, "metric", KEY_MAP, "one scraped series against a number", .one_of = "kind", .hook = check_kind},
    {CHECK ".metric", "service", KEY_SERVICE, "which service", AT(plan_check, service), .required = true},
    {CHECK ".metric", "series", KEY_STRING, "the series: name{label=\"value\"}", AT(plan_check, series), .min = "1", .required = true},
    {CHECK ".metric", "value", KEY_LIMIT_NUMBER, "what its value must be", .required = true, .hook = check_limit},
    {CHECK, "before", KEY_PHASE, "must hold from the start until this phase", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "during", KEY_PHASE, "must hold in this phase, or in every phase of this kind", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "after", KEY_PHASE, "must hold from the end of this phase", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "always", KEY_PHASE, "must hold at every moment of this phase, or of the `run`", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "never", KEY_PHASE, "must hold at no moment of this phase, or of the `run`", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "eventually", KEY_PHASE, "must hold at some moment of this phase, or of the `run`", AT(plan_check, phase), .one_of = "when", .hook = check_when},
    {CHECK, "within", KEY_DURATION, "limit from the start of the phase", AT(plan_check, within_ns), RANGE("1ms", "24h")},
    {CHECK, "name", KEY_STRING, "name of the check; default is made of what it says", AT(plan_check, name), RANGE("1", "200")},
};
/* clang-format on */
const size_t keys_n = ARRAY_SIZE(keys);

const struct owner owners[] = {
    {"", NULL, NULL},
    {"lab.services.*", service_enter, service_leave},
    {"load.*", load_enter, load_leave},
    {"storm[]", phase_enter, phase_leave},
    {"checks[]", check_enter, check_leave},
};
const size_t owners_n = ARRAY_SIZE(owners);

const char *key_path(const struct key *key, char *buf, size_t cap)
{
    bool dot = key->parent[0] && strcmp(key->name, "[]") != 0;
    snprintf(buf, cap, "%s%s%s", key->parent, dot ? "." : "", key->name);
    return buf;
}

const char *key_one(const struct key *key, char *buf, size_t cap)
{
    snprintf(buf, cap, "a %s", key->help + strlen("one "));
    return buf;
}

const struct key *key_find(const char *parent, const char *name)
{
    for (size_t i = 0; i < keys_n; i++)
        if (strcmp(keys[i].parent, parent) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

size_t key_names(const char *parent, const char **ret, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < keys_n && n < cap; i++)
        if (strcmp(keys[i].parent, parent) == 0 && (n == 0 || strcmp(ret[n - 1], keys[i].name)))
            ret[n++] = keys[i].name;
    return n;
}
