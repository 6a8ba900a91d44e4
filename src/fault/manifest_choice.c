/* manifest_choice.c - mode and value: how many of those that the selector takes. */
#include <string.h>

#include "base/units.h"
#include "fault/manifest_read.h"

static const char *const modes[] = {
    [MODE_ONE] = "one",
    [MODE_ALL] = "all",
    [MODE_FIXED] = "fixed",
    [MODE_FIXED_PERCENT] = "fixed-percent",
    [MODE_RANDOM_MAX_PERCENT] = "random-max-percent",
};
_Static_assert(ARRAY_SIZE(modes) == MODE_COUNT, "one word a mode");

void read_mode(struct reader *r, struct ynode *node)
{
    if (node->kind == YAML_SCALAR && !*node->text) {
        problems_add(&r->warnings, node, "%s.mode is empty; taken as one", r->where);
        return;
    }
    const char *word = read_word(r, node, "mode", modes, MODE_COUNT);
    for (size_t i = 0; word && i < MODE_COUNT; i++)
        if (word == modes[i])
            r->choice->mode = (enum manifest_mode)i;
}

void read_value(struct reader *r, struct ynode *node)
{
    (void)read_text(r, node, arena_printf(r->a, "%s.value", r->where));
}

static void judge_number(struct reader *r, const struct ynode *value)
{
    struct manifest_choice *c = r->choice;
    int64_t v;
    if (units_int(str_of(value->text), &v) < 0) {
        problems_add(&r->errors, value, "%s.value must be a whole number, not '%.60s'", r->where,
                     value->text);
        return;
    }
    int64_t min = c->mode == MODE_RANDOM_MAX_PERCENT ? 0 : 1;
    int64_t max = c->mode == MODE_FIXED ? INT32_MAX : 100;
    if (v < min || v > max)
        problems_add(&r->errors, value, "%s.value of mode %s must be %lld to %lld", r->where,
                     modes[c->mode], (long long)min, (long long)max);
    else if (v == 0)
        problems_add(&r->warnings, value, "%s.value is 0: nothing will ever be selected", r->where);
    c->value = (double)v;
}

void judge_choice(struct reader *r, const struct ynode *map)
{
    const struct ynode *mode = read_given(map, "mode"), *value = read_given(map, "value");
    if (value && (value->kind != YAML_SCALAR || !*value->text))
        value = NULL;
    if (!read_given(map, "selector"))
        problems_add(&r->warnings, map,
                     "%s.selector is missing; taken as {}: every service of the lab", r->where);
    if (!mode)
        problems_add(&r->warnings, map, "%s.mode is missing; taken as one", r->where);
    bool wants = r->choice->mode != MODE_ONE && r->choice->mode != MODE_ALL;
    if (!wants && value)
        problems_add(&r->warnings, value, "%s.value is not used by this mode", r->where);
    else if (wants && !value)
        problems_add(&r->errors, mode, "mode %s needs %s.value", modes[r->choice->mode], r->where);
    else if (wants)
        judge_number(r, value);
}
