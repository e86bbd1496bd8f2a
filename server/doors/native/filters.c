#include "server/doors/native/filters.h"

#include "protocol/utf8.h"
#include "server/doors/native/headers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- from the wire ----------------------------------------------------------------------------------------------- */

struct reading {
    const struct decoder *d;
    struct filter_builder builder;
    const char *refusal; /* why reading ended, if the builder did not refuse */
};

static bool refuse(struct reading *r, const char *refusal)
{
    r->refusal = refusal;
    return false;
}

/* Adds a test of the scalar at `node`; if it is none, the reason is `refusal`. */
static bool read_test(struct reading *r, enum filter_op op, uint32_t node, enum filter_refusal refusal)
{
    struct filter_test test = {.op = op};

    if (!scalar_read(r->d, &r->d->nodes[node], &test.value))
        return refuse(r, filter_refusal_text(refusal));
    return filter_add_test(&r->builder, &test);
}

/* [operator, number] or [operator, number, operator, number] */
static bool read_numeric(struct reading *r, uint32_t node)
{
    const struct node *n = &r->d->nodes[node];

    if (n->type != NODE_ARRAY || n->count % 2 != 0)
        return refuse(r, filter_refusal_text(FILTER_BAD_NUMERIC));
    if (!filter_add_test(&r->builder, &(struct filter_test){.op = FILTER_NUMERIC, .count = n->count / 2}))
        return false;
    /* The elements are scalars, or the loop ends here: each is one node. */
    for (uint32_t i = 1; i <= n->count; i += 2) {
        struct view word;
        enum filter_op op;

        if (!node_text(r->d, node + i, &word) || !filter_op_from_word(word, &op))
            return refuse(r, filter_refusal_text(FILTER_BAD_NUMERIC));
        if (!read_test(r, op, node + i + 1, FILTER_BAD_NUMERIC))
            return false;
    }
    return true;
}

/* A scalar, or a list of them. */
static bool read_anything_but(struct reading *r, uint32_t node)
{
    const bool list = r->d->nodes[node].type == NODE_ARRAY;
    const uint32_t count = list ? r->d->nodes[node].count : 1;
    const uint32_t first = list ? node + 1 : node;

    if (!filter_add_test(&r->builder, &(struct filter_test){.op = FILTER_ANYTHING_BUT, .count = count}))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_test(r, FILTER_EQUAL, first + i, FILTER_BAD_ANYTHING_BUT))
            return false;
    }
    return true;
}

/* {operator: value} */
static bool read_operator(struct reading *r, uint32_t node)
{
    struct view word;
    enum filter_op op;

    if (r->d->nodes[node].count != 1)
        return refuse(r, "an operator must be a map with one key");
    if (!node_text(r->d, node + 1, &word) || !filter_op_from_word(word, &op))
        op = FILTER_OP_COUNT;
    switch (op) {
    case FILTER_PREFIX:
        return read_test(r, op, node + 2, FILTER_BAD_PREFIX);
    case FILTER_EXISTS:
        return read_test(r, op, node + 2, FILTER_BAD_EXISTS);
    case FILTER_NUMERIC:
        return read_numeric(r, node + 2);
    case FILTER_ANYTHING_BUT:
        return read_anything_but(r, node + 2);
    default:
        return refuse(r, "an operator must be prefix, numeric, exists or anything-but");
    }
}

static bool read_alternative(struct reading *r, uint32_t node)
{
    struct filter_test test = {.op = FILTER_EQUAL};

    if (r->d->nodes[node].type == NODE_MAP)
        return read_operator(r, node);
    if (!scalar_read(r->d, &r->d->nodes[node], &test.value))
        return refuse(r, "an alternative must be a scalar or an operator");
    return filter_add_test(&r->builder, &test);
}

/* A scalar, an operator, or a list of them. */
static bool read_condition(struct reading *r, struct view key, uint32_t node)
{
    const bool list = r->d->nodes[node].type == NODE_ARRAY;
    const uint32_t count = list ? r->d->nodes[node].count : 1;
    uint32_t alternative = list ? node + 1 : node;

    if (!filter_add_key(&r->builder, key, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_alternative(r, alternative))
            return false;
        alternative = decoder_skip(r->d, alternative);
    }
    return true;
}

static enum error_code fail(struct argument_error *error, struct view key, const char *refusal)
{
    char shown[33];

    text_show(shown, sizeof shown, key);
    strcpy(error->key, "filter");
    snprintf(error->text, sizeof error->text, "filter, header '%s': %s", shown, refusal);
    return ERR_BAD_REQUEST;
}

enum error_code filters_read(const struct decoder *d, uint32_t node, struct arena *arena, struct view *out,
                             struct argument_error *error)
{
    struct reading r = {.d = d};
    const uint32_t count = d->nodes[node].count;

    assert(d->nodes[node].type == NODE_MAP);
    filter_begin(&r.builder);
    node++;
    for (uint32_t i = 0; i < count; i++) {
        struct view key = {NULL, 0};

        if (!node_text(d, node, &key) || !utf8_is_text(key.data, key.bytes))
            return fail(error, key, "a key must be UTF-8 text");
        if (!read_condition(&r, key, node + 1))
            return fail(error, key, r.refusal != NULL ? r.refusal : filter_refusal_text(r.builder.refusal));
        node = decoder_skip(d, node + 1);
    }
    *out = (struct view){NULL, 0};
    if (count == 0)
        return ERR_NONE;
    uint8_t *flat = arena_take(arena, r.builder.bytes);
    if (flat == NULL)
        return ERR_MEMORY_LIMIT;
    filter_store(&r.builder, flat);
    *out = (struct view){flat, r.builder.bytes};
    return ERR_NONE;
}

/* ---- to the wire ------------------------------------------------------------------------------------------------- */

/* Takes the tests of a NUMERIC or ANYTHING_BUT off `rest` and puts their values, each behind its operator or not. */
static void encode_inner_tests(struct buffer *out, struct view *rest, const struct filter_test *outer)
{
    const bool words = outer->op == FILTER_NUMERIC;

    if (words || outer->count > 1)
        encode_array(out, words ? outer->count * 2 : outer->count);
    for (uint32_t i = 0; i < outer->count; i++) {
        struct filter_test test;

        filter_next_test(rest, &test);
        if (words)
            encode_text(out, filter_op_word(test.op));
        encode_scalar(out, &test.value);
    }
}

static void encode_alternative(struct buffer *out, struct view *rest)
{
    struct filter_test test;

    filter_next_test(rest, &test);
    if (test.op == FILTER_EQUAL) {
        encode_scalar(out, &test.value);
        return;
    }
    encode_map(out, 1);
    encode_text(out, filter_op_word(test.op));
    if (test.count > 0)
        encode_inner_tests(out, rest, &test);
    else
        encode_scalar(out, &test.value);
}

void encode_filter(struct buffer *out, struct view filter)
{
    struct view key;
    uint32_t alternatives;

    encode_map(out, filter_key_count(filter));
    while (filter_next_key(&filter, &key, &alternatives)) {
        encode_str(out, key.data, key.bytes);
        if (alternatives > 1)
            encode_array(out, alternatives);
        for (uint32_t i = 0; i < alternatives; i++)
            encode_alternative(out, &filter);
    }
}
