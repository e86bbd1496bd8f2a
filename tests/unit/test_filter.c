/*
 * filter: tables of filters and headers, written as text and read by the native door; every comparison of numbers of
 * every type; and what the builder refuses.
 */
#include "server/broker/filter.h"

#include "protocol/buffer.h"
#include "server/doors/native/filters.h"
#include "server/doors/native/headers.h"
#include "tests/support/wire_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static struct view text(const char *text)
{
    return (struct view){text, strlen(text)};
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* True if the filter in the first element of `pair`, [filter, headers], wants the headers in the second. */
static bool pair_matches(const char *pair)
{
    static const struct wire_names no_names;
    struct decoder *d = decoder_new(1 << 20, NULL);
    struct buffer wire;
    struct arena arena = {NULL};
    struct view filter, headers;
    struct argument_error error;
    size_t used;

    buffer_init(&wire, NULL);
    wire_encode(&wire, pair, &no_names);
    assert_int_equal(decoder_feed(d, wire.data, wire.bytes, &used), DECODER_READY);
    if (filters_read(d, 1, &arena, &filter, &error) != ERR_NONE)
        fail_msg("%s: %s", pair, error.text);
    assert_int_equal(headers_read(d, decoder_skip(d, 1), &arena, &headers), ERR_NONE);
    const bool matches = filter_matches(filter, headers);
    arena_close(&arena);
    buffer_close(&wire);
    decoder_free(d);
    return matches;
}

struct row {
    const char *filter;
    const char *wanted[8]; /* headers */
    const char *others[8];
};

static void check_rows(const struct row *rows, size_t count)
{
    char pair[256];

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < COUNT_OF(rows[i].wanted) && rows[i].wanted[k] != NULL; k++) {
            snprintf(pair, sizeof pair, "[%s, %s]", rows[i].filter, rows[i].wanted[k]);
            if (!pair_matches(pair))
                fail_msg("must match: %s", pair);
        }
        for (size_t k = 0; k < COUNT_OF(rows[i].others) && rows[i].others[k] != NULL; k++) {
            snprintf(pair, sizeof pair, "[%s, %s]", rows[i].filter, rows[i].others[k]);
            if (pair_matches(pair))
                fail_msg("must not match: %s", pair);
        }
    }
}

/* Each scalar is equal to itself, to the same number of another type, and to the same bytes as text or bytes. */
static void test_scalars_are_equal_by_value(void **state)
{
    static const struct row rows[] = {
        {"{}", {"{}", "{'a': 1}"}, {NULL}},
        {"{'a': 'x'}",
         {"{'a': 'x'}", "{'a': b'x'}", "{'b': 1, 'a': 'x'}"},
         {"{}", "{'a': 'y'}", "{'a': 'xx'}", "{'b': 'x'}"}},
        {"{'a': b'x'}", {"{'a': 'x'}", "{'a': b'x'}"}, {"{'a': 'y'}", "{'a': b''}"}},
        {"{'a': ''}", {"{'a': ''}", "{'a': b''}"}, {"{}", "{'a': nil}", "{'a': 'x'}", "{'a': 0}"}},
        {"{'': 1}", {"{'': 1}"}, {"{}", "{'a': 1}"}},
        {"{'a': 1}", {"{'a': 1}", "{'a': 1.0}"}, {"{'a': 2}", "{'a': '1'}", "{'a': true}", "{'a': -1}", "{'a': 1.5}"}},
        {"{'a': -1}", {"{'a': -1}", "{'a': -1.0}"}, {"{'a': 1}", "{'a': 18446744073709551615}"}},
        {"{'a': 0}", {"{'a': 0}", "{'a': 0.0}", "{'a': -0.0}"}, {"{}", "{'a': nil}", "{'a': false}", "{'a': ''}"}},
        {"{'a': 1.5}", {"{'a': 1.5}"}, {"{'a': 1}", "{'a': 2}", "{'a': '1.5'}"}},
        {"{'a': nil}", {"{'a': nil}"}, {"{}", "{'a': false}", "{'a': 0}", "{'a': ''}"}},
        {"{'a': true}", {"{'a': true}"}, {"{}", "{'a': false}", "{'a': 1}", "{'a': 'true'}"}},
        {"{'a': false}", {"{'a': false}"}, {"{}", "{'a': true}", "{'a': 0}", "{'a': nil}"}},
        {"{'a': 9007199254740993}",
         {"{'a': 9007199254740993}"},
         {"{'a': 9007199254740992.0}", "{'a': 9007199254740992}"}},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

/* Each operator holds for what it says; a header that is not there fulfils nothing but exists: false. */
static void test_operators_hold_as_they_say(void **state)
{
    static const struct row rows[] = {
        {"{'a': {'prefix': 'ab'}}",
         {"{'a': 'ab'}", "{'a': 'abc'}", "{'a': b'abc'}"},
         {"{}", "{'a': 'a'}", "{'a': 'ba'}", "{'a': 1}", "{'a': nil}"}},
        {"{'a': {'prefix': b'ab'}}", {"{'a': 'abc'}"}, {"{'a': 'b'}"}},
        {"{'a': {'prefix': ''}}", {"{'a': ''}", "{'a': 'x'}", "{'a': b''}"}, {"{}", "{'a': 0}", "{'a': true}"}},
        {"{'a': {'exists': true}}",
         {"{'a': nil}", "{'a': false}", "{'a': ''}", "{'b': 1, 'a': 1}"},
         {"{}", "{'b': 1}"}},
        {"{'a': {'exists': false}}", {"{}", "{'b': 1}"}, {"{'a': nil}", "{'a': 0}"}},
        {"{'a': {'numeric': ['=', 5]}}", {"{'a': 5}", "{'a': 5.0}"}, {"{}", "{'a': '5'}", "{'a': 4}"}},
        {"{'a': {'numeric': ['!=', 5]}}", {"{'a': 4}", "{'a': 5.5}"}, {"{}", "{'a': 5}", "{'a': 'x'}", "{'a': nil}"}},
        {"{'a': {'numeric': ['<', 5]}}", {"{'a': 4}", "{'a': -9}", "{'a': 4.9}"}, {"{}", "{'a': 5}", "{'a': true}"}},
        {"{'a': {'numeric': ['>=', 5, '<', 10]}}",
         {"{'a': 5}", "{'a': 9.9}"},
         {"{}", "{'a': 4}", "{'a': 10}", "{'a': '7'}", "{'a': b'7'}", "{'a': nil}"}},
        {"{'a': {'numeric': ['<', 5, '>', 10]}}", {NULL}, {"{}", "{'a': 4}", "{'a': 7}", "{'a': 11}"}},
        {"{'a': {'anything-but': 'x'}}", {"{'a': 'y'}", "{'a': 1}", "{'a': nil}"}, {"{}", "{'a': 'x'}", "{'a': b'x'}"}},
        {"{'a': {'anything-but': [1, 'x', nil]}}",
         {"{'a': 2}", "{'a': ''}", "{'a': true}"},
         {"{}", "{'a': 1.0}", "{'a': 'x'}", "{'a': nil}"}},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

/* Of a key's alternatives one must hold; of the keys all must. */
static void test_all_keys_and_any_alternative(void **state)
{
    static const struct row rows[] = {
        {"{'a': ['x', 'y']}", {"{'a': 'x'}", "{'a': 'y'}"}, {"{}", "{'a': 'z'}"}},
        {"{'a': ['x', {'prefix': 'z'}, {'exists': false}]}",
         {"{}", "{'a': 'x'}", "{'a': 'zz'}"},
         {"{'a': 'y'}", "{'a': nil}"}},
        {"{'a': [{'numeric': ['<', 5]}, {'numeric': ['>', 10]}, 7]}",
         {"{'a': 4}", "{'a': 7}", "{'a': 11}"},
         {"{}", "{'a': 5}", "{'a': 10}"}},
        {"{'a': [{'numeric': ['<', 5, '>', 2]}, 'x'], 'b': 'y'}",
         {"{'b': 'y', 'a': 3}", "{'a': 'x', 'b': 'y'}"},
         {"{'a': 3}", "{'b': 'y'}", "{'a': 2, 'b': 'y'}", "{'a': 'y', 'b': 'x'}"}},
        {"{'a': [{'anything-but': ['x', 'y']}, 'x'], 'b': [{'exists': false}, 1]}",
         {"{'a': 'x'}", "{'a': 'z', 'b': 1}"},
         {"{}", "{'a': 'y'}", "{'a': 'x', 'b': 2}"}},
        {"{'a': 1, 'b': 2, 'c': 3}",
         {"{'c': 3, 'b': 2, 'a': 1, 'd': 4}"},
         {"{'a': 1, 'b': 2}", "{'a': 1, 'b': 2, 'c': 4}", "{'a': 2, 'b': 2, 'c': 3}"}},
        {"{'a': 1}", {"{'a': 1, 'a': 2}"}, {"{'a': 2, 'a': 1}"}},
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static struct header number_uint(uint64_t number)
{
    return (struct header){.kind = HEADER_UINT, .number = number};
}

static struct header number_int(int64_t number)
{
    return (struct header){.kind = HEADER_INT, .number = (uint64_t)number};
}

static struct header number_real(enum header_kind kind, double real)
{
    struct header h = {.kind = kind};

    memcpy(&h.number, &real, sizeof real);
    return h;
}

/* True if a header `a` fulfils the comparison with `b`, alone. */
static bool compares(struct header a, enum filter_op op, struct header b)
{
    struct filter_builder builder;
    uint8_t filter[LIMIT_FILTER_BYTES], headers[64];

    filter_begin(&builder);
    assert_true(filter_add_key(&builder, text("n"), 1));
    assert_true(filter_add_test(&builder, &(struct filter_test){.op = FILTER_NUMERIC, .count = 1}));
    assert_true(filter_add_test(&builder, &(struct filter_test){.op = op, .value = b}));
    filter_store(&builder, filter);
    a.key = text("n");
    const uint8_t *end = header_put(headers, &a);
    return filter_matches((struct view){filter, builder.bytes}, (struct view){headers, (size_t)(end - headers)});
}

/* Every two numbers of different types compare as they stand on the line of numbers, where no double is rounded. */
static void test_numbers_compare_exactly(void **state)
{
    const struct {
        int place; /* on the line */
        struct header number;
    } line[] = {
        {0, number_real(HEADER_DOUBLE, -(double)INFINITY)},
        {0, number_real(HEADER_FLOAT, -(double)INFINITY)},
        {1, number_real(HEADER_DOUBLE, nextafter(-0x1p63, -(double)INFINITY))},
        {2, number_real(HEADER_DOUBLE, -0x1p63)},
        {2, number_real(HEADER_FLOAT, -0x1p63)},
        {2, number_int(INT64_MIN)},
        {3, number_int(INT64_MIN + 1)},
        {4, number_real(HEADER_DOUBLE, nextafter(-0x1p63, 0))},
        {5, number_int(-((int64_t)1 << 53) - 1)},
        {6, number_int(-((int64_t)1 << 53))},
        {6, number_real(HEADER_DOUBLE, -0x1p53)},
        {7, number_real(HEADER_DOUBLE, -1.5)},
        {8, number_int(-1)},
        {8, number_real(HEADER_FLOAT, -1)},
        {9, number_real(HEADER_DOUBLE, -0.5)},
        {10, number_real(HEADER_DOUBLE, -0.0)},
        {10, number_real(HEADER_DOUBLE, 0)},
        {10, number_uint(0)},
        {10, number_int(0)},
        {11, number_real(HEADER_DOUBLE, 0x1p-1074)},
        {12, number_real(HEADER_FLOAT, 0.5)},
        {13, number_uint(1)},
        {13, number_int(1)},
        {13, number_real(HEADER_FLOAT, 1)},
        {14, number_real(HEADER_DOUBLE, 1.5)},
        {15, number_uint((uint64_t)1 << 53)},
        {15, number_real(HEADER_DOUBLE, 0x1p53)},
        {16, number_uint(((uint64_t)1 << 53) + 1)},
        {17, number_real(HEADER_DOUBLE, 0x1p53 + 2)},
        {18, number_uint(INT64_MAX)},
        {18, number_int(INT64_MAX)},
        {19, number_uint((uint64_t)1 << 63)},
        {19, number_real(HEADER_FLOAT, 0x1p63)},
        {20, number_real(HEADER_DOUBLE, nextafter(0x1p64, 0))},
        {21, number_uint(UINT64_MAX)},
        {22, number_real(HEADER_DOUBLE, 0x1p64)},
        {23, number_real(HEADER_DOUBLE, (double)INFINITY)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(line); i++)
        for (size_t k = 0; k < COUNT_OF(line); k++) {
            const struct header a = line[i].number, b = line[k].number;
            assert_int_equal(compares(a, FILTER_EQUAL, b), line[i].place == line[k].place);
            assert_int_equal(compares(a, FILTER_UNEQUAL, b), line[i].place != line[k].place);
            assert_int_equal(compares(a, FILTER_LESS, b), line[i].place < line[k].place);
            assert_int_equal(compares(a, FILTER_LESS_EQUAL, b), line[i].place <= line[k].place);
            assert_int_equal(compares(a, FILTER_GREATER, b), line[i].place > line[k].place);
            assert_int_equal(compares(a, FILTER_GREATER_EQUAL, b), line[i].place >= line[k].place);
        }
}

/* Nothing but != is true of NaN, on either side, itself included. */
static void test_nan_is_only_unequal(void **state)
{
    const struct header nan = number_real(HEADER_DOUBLE, (double)NAN);
    const struct header others[] = {nan, number_uint(0), number_int(-1), number_real(HEADER_FLOAT, 1.5)};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        for (unsigned op = FILTER_EQUAL; op <= FILTER_GREATER_EQUAL; op++) {
            assert_int_equal(compares(nan, (enum filter_op)op, others[i]), op == FILTER_UNEQUAL);
            assert_int_equal(compares(others[i], (enum filter_op)op, nan), op == FILTER_UNEQUAL);
        }
}

/* ---- builder ----------------------------------------------------------------------------------------------------- */

static void add_equal(struct filter_builder *b, const char *key, uint64_t number)
{
    filter_add_key(b, text(key), 1);
    filter_add_test(b, &(struct filter_test){.op = FILTER_EQUAL, .value = number_uint(number)});
}

/* In whatever order keys are added, the bytes are the same, and keys are read in the order of their bytes. */
static void test_keys_are_stored_in_order(void **state)
{
    static const char *const sorted[] = {"", "B", "a", "aa", "ab", "b", "\xc3\xa4"};
    uint8_t first[LIMIT_FILTER_BYTES], other[LIMIT_FILTER_BYTES];
    struct filter_builder b;

    (void)state;
    filter_begin(&b);
    for (size_t i = 0; i < COUNT_OF(sorted); i++)
        add_equal(&b, sorted[i], i);
    filter_store(&b, first);
    for (size_t step = 1; step < COUNT_OF(sorted); step++) {
        const size_t bytes = b.bytes;
        filter_begin(&b);
        for (size_t i = 1; i <= COUNT_OF(sorted); i++)
            add_equal(&b, sorted[i * step % COUNT_OF(sorted)], i * step % COUNT_OF(sorted));
        assert_int_equal(b.refusal, FILTER_FINE);
        assert_int_equal(b.bytes, bytes);
        filter_store(&b, other);
        assert_memory_equal(first, other, bytes);
    }
    struct view rest = {first, b.bytes}, key;
    assert_int_equal(filter_key_count(rest), COUNT_OF(sorted));
    for (size_t i = 0; i < COUNT_OF(sorted); i++) {
        struct filter_test test;
        uint32_t alternatives;
        assert_true(filter_next_key(&rest, &key, &alternatives));
        assert_int_equal(key.bytes, strlen(sorted[i]));
        assert_memory_equal(key.data, sorted[i], key.bytes);
        assert_int_equal(alternatives, 1);
        filter_next_test(&rest, &test);
        assert_int_equal(test.op, FILTER_EQUAL);
        assert_int_equal(test.value.number, i);
    }
    assert_int_equal(rest.bytes, 0);
}

/* The first refusal sticks and what comes after it changes nothing. */
static void test_the_first_refusal_stays(void **state)
{
    struct filter_builder b;

    (void)state;
    filter_begin(&b);
    add_equal(&b, "a", 1);
    const size_t bytes = b.bytes;
    assert_false(filter_add_key(&b, text("a"), 1));
    assert_false(filter_add_key(&b, text("b"), 0));
    assert_false(filter_add_test(&b, &(struct filter_test){.op = FILTER_PREFIX, .value = number_uint(1)}));
    assert_int_equal(b.refusal, FILTER_KEY_TWICE);
    assert_int_equal(b.bytes, bytes);
    filter_begin(&b);
    add_equal(&b, "a", 1);
    assert_int_equal(b.refusal, FILTER_FINE);
}

/* Each operator is found by its word and by nothing else. */
static void test_operators_have_their_words(void **state)
{
    enum filter_op found;

    (void)state;
    for (unsigned op = 0; op < FILTER_OP_COUNT; op++) {
        assert_true(filter_op_from_word(text(filter_op_word((enum filter_op)op)), &found));
        assert_int_equal(found, op);
    }
    assert_false(filter_op_from_word(text(""), &found));
    assert_false(filter_op_from_word(text("=="), &found));
    assert_false(filter_op_from_word(text("Prefix"), &found));
    assert_false(filter_op_from_word(text("prefixes"), &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars_are_equal_by_value),   cmocka_unit_test(test_operators_hold_as_they_say),
        cmocka_unit_test(test_all_keys_and_any_alternative), cmocka_unit_test(test_numbers_compare_exactly),
        cmocka_unit_test(test_nan_is_only_unequal),          cmocka_unit_test(test_keys_are_stored_in_order),
        cmocka_unit_test(test_the_first_refusal_stays),      cmocka_unit_test(test_operators_have_their_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
