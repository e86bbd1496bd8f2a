/*
 * Filters against headers, built step by step: within a key one alternative is enough, of the keys each must hold.
 */
#include "server/broker/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct view text(const char *s)
{
    return (struct view){s, strlen(s)};
}

static struct header text_header(const char *key, const char *value)
{
    return (struct header){.kind = HEADER_TEXT, .key = text(key), .bytes = text(value)};
}

static struct header number_header(const char *key, uint64_t value)
{
    return (struct header){.kind = HEADER_UINT, .key = text(key), .number = value};
}

/* Builds a filter of keys in any order, and asks it. */
struct asking {
    struct filter_builder builder;
    uint8_t stored[LIMIT_FILTER_BYTES];
    uint8_t headers[256];
    size_t header_bytes;
};

static void filter_key(struct asking *a, const char *key, uint32_t alternatives)
{
    assert_true(filter_add_key(&a->builder, text(key), alternatives));
}

static void filter_equal(struct asking *a, const char *value)
{
    struct filter_test test = {.op = FILTER_EQUAL, .value = text_header("", value)};
    assert_true(filter_add_test(&a->builder, &test));
}

static void filter_op(struct asking *a, enum filter_op op, uint64_t number)
{
    struct filter_test test = {.op = op, .value = number_header("", number)};
    if (op == FILTER_NUMERIC || op == FILTER_ANYTHING_BUT)
        test.count = (uint32_t)number;
    assert_true(filter_add_test(&a->builder, &test));
}

static void has(struct asking *a, struct header h)
{
    a->header_bytes = (size_t)(header_put(a->headers + a->header_bytes, &h) - a->headers);
}

/* Asks, and forgets the headers. */
static bool matches(struct asking *a)
{
    filter_store(&a->builder, a->stored);
    size_t bytes = a->header_bytes;
    a->header_bytes = 0;
    return filter_matches((struct view){a->stored, a->builder.bytes}, (struct view){a->headers, bytes});
}

static void begin(struct asking *a)
{
    filter_begin(&a->builder);
    a->header_bytes = 0;
}

/* Of three alternatives each is enough, wherever it stands, and another value is not. */
static void test_one_alternative_is_enough(void **state)
{
    (void)state;
    static struct asking a;
    begin(&a);
    filter_key(&a, "kind", 3);
    filter_equal(&a, "red");
    filter_equal(&a, "green");
    filter_equal(&a, "blue");
    static const char *const values[] = {"red", "green", "blue"};
    for (int i = 0; i < 3; i++) {
        has(&a, text_header("kind", values[i]));
        assert_true(matches(&a));
    }
    has(&a, text_header("kind", "re"));
    assert_false(matches(&a));
    has(&a, text_header("other", "red"));
    assert_false(matches(&a));
    assert_false(matches(&a));
}

/* With two keys both must hold. */
static void test_every_key_must_hold(void **state)
{
    (void)state;
    static struct asking a;
    begin(&a);
    filter_key(&a, "kind", 1);
    filter_equal(&a, "red");
    filter_key(&a, "country", 2);
    filter_equal(&a, "fr");
    filter_equal(&a, "de");
    for (int i = 0; i < 4; i++) {
        has(&a, text_header("kind", i & 1 ? "red" : "green"));
        has(&a, text_header("country", i & 2 ? "de" : "it"));
        assert_int_equal(matches(&a), i == 3);
    }
    has(&a, text_header("country", "fr"));
    assert_false(matches(&a));
}

/* A range holds between its ends only; numbers are never equal to text. */
static void test_both_ends_of_a_range_hold(void **state)
{
    (void)state;
    static struct asking a;
    begin(&a);
    filter_key(&a, "size", 1);
    filter_op(&a, FILTER_NUMERIC, 2);
    filter_op(&a, FILTER_GREATER_EQUAL, 10);
    filter_op(&a, FILTER_LESS, 20);
    static const uint64_t sizes[] = {9, 10, 19, 20};
    for (int i = 0; i < 4; i++) {
        has(&a, number_header("size", sizes[i]));
        assert_int_equal(matches(&a), i == 1 || i == 2);
    }
    has(&a, text_header("size", "15"));
    assert_false(matches(&a));
}

/* Anything but two values: neither of them, and not nothing. */
static void test_anything_but_some_values(void **state)
{
    (void)state;
    static struct asking a;
    begin(&a);
    filter_key(&a, "kind", 1);
    filter_op(&a, FILTER_ANYTHING_BUT, 2);
    filter_equal(&a, "red");
    filter_equal(&a, "green");
    static const char *const values[] = {"red", "green", "blue"};
    for (int i = 0; i < 3; i++) {
        has(&a, text_header("kind", values[i]));
        assert_int_equal(matches(&a), i == 2);
    }
    assert_false(matches(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_alternative_is_enough),
        cmocka_unit_test(test_every_key_must_hold),
        cmocka_unit_test(test_both_ends_of_a_range_hold),
        cmocka_unit_test(test_anything_but_some_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
