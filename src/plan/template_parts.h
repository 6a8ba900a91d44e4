/*
 * template_parts.h - a compiled template from inside: made by template_compile.c, run by
 * template.c.
 *
 * A part is text as it is or one {{...}}; expressions are in reverse Polish order with a stack of
 * at most TEMPLATE_STACK. All arrays live in the arena that template_compile was given.
 */
#pragma once
#include "plan/template.h"

#define TEMPLATE_STACK     16
#define TEMPLATE_STEPS     64
#define TEMPLATE_HEX_MAX   128
#define TEMPLATE_WORDS_MAX 256

enum template_op { OP_ID, OP_CONST, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_NEG };

struct template_step {
    enum template_op op;
    int64_t value; /* OP_CONST */
};

struct template_word {
    struct str text;
    uint64_t until; /* sum of the weights up to and with this word */
};

enum template_part_kind {
    PART_TEXT,
    PART_ID,
    PART_EXPR,
    PART_VAR,
    PART_RANDOM,
    PART_HEX,
    PART_UUID,
    PART_CHOOSE
};

struct template_part {
    enum template_part_kind kind;
    struct str text;
    size_t var;
    int64_t low, high; /* random: bounds; hex: digits in high; choose: sum of weights in high */
    uint64_t salt;     /* sets the draws of this part apart from those of others */
    struct template_step *steps;
    size_t steps_n;
    struct template_word *words;
};

struct template
{
    struct template_part *parts;
    size_t n, max_bytes;
};
