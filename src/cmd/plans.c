#include "cmd/plans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/units.h"

int64_t plans_fault_duration(const struct plans_loaded *l, size_t phase)
{
    int64_t asked = l->plan->phases[phase].duration_ns;
    return asked >= 0 ? asked : l->manifests[phase].duration_ns;
}

int plans_seed(const struct plan *plan, const char *asked, uint64_t *ret, struct err *err)
{
    int64_t given = 0;
    uint64_t seed = plan->seed;
    if (asked && (units_int(str_of(asked), &given) < 0 || given < 0))
        return err_set(err, -EINVAL, "--seed wants a whole number, not \"%s\"", asked);
    if (asked)
        seed = (uint64_t)given;
    while (seed == 0) {
        if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
            return err_set(err, -errno, "getrandom: %s", strerror(errno));
        seed >>= 12; /* so that it survives JSON and a person's copying */
    }
    *ret = seed;
    return 0;
}

static void print_notes(const struct manifest *m, const struct plan *plan, const char *file)
{
    struct buf notes = {0};
    manifest_notes(m, plan, &notes);
    for (struct str rest = str_of(buf_str(&notes)); rest.n;) {
        struct str line = str_split(&rest, '\n');
        fprintf(stderr, "%s: note: %.*s\n", file, (int)line.n, line.p);
    }
    buf_done(&notes);
}

static int load_manifest(struct plans_loaded *l, size_t i, struct plan_errors *errors)
{
    const struct plan_phase *phase = &l->plan->phases[i];
    struct manifest *m = &l->manifests[i];
    int r = manifest_parse(&l->arena, phase->manifest_file, phase->manifest_text, m, errors);
    fputs(buf_str(&m->warnings.text), stderr);
    plan_errors_done(&m->warnings);
    if (r < 0)
        return r;
    print_notes(m, l->plan, phase->manifest_file);
    l->plan->lab_dns = l->plan->lab_dns || m->dns; /* else nobody asks */
    if (plans_fault_duration(l, i) >= 0)
        return 0;
    buf_printf(&errors->text,
               "%s:%d:%d: error: fault \"%s\" has no end: give `for:` here or `duration:` in the "
               "manifest\n",
               phase->pos.file, phase->pos.line, phase->pos.column, m->name);
    return -EINVAL;
}

int plans_load(const char *path, const struct option_list *sets, struct plans_loaded *ret)
{
    struct plan_errors errors = {0};
    struct plan_options options = {sets->v, sets->n};
    *ret = (struct plans_loaded){0};
    arena_init(&ret->arena);
    int result = plan_load(path, &options, &ret->plan, &errors);
    if (result == 0) {
        ret->manifests = xcalloc(ret->plan->phases_n + 1, sizeof *ret->manifests);
        for (size_t i = 0; i < ret->plan->phases_n; i++) {
            int r = ret->plan->phases[i].kind == PLAN_FAULT ? load_manifest(ret, i, &errors) : 0;
            result = r < 0 ? -EINVAL : result;
        }
    }
    fputs(buf_str(&errors.text), stderr);
    plan_errors_done(&errors);
    return result < 0 ? -EINVAL : 0;
}

void plans_unload(struct plans_loaded *l)
{
    if (l->plan)
        plan_free(l->plan);
    free(l->manifests);
    arena_done(&l->arena);
}
