/* Values and arguments of the client: what is written is what is read, and no reader can be led astray. */
#include "client/args.h"
#include "client/tree.h"
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A value decoded from text. */
struct decoded {
    uint8_t *bytes;
    struct decoder *decoder;
    struct ringmq_tree tree;
    struct ringmq_value value;
};

static void decode_bytes(struct decoded *d, const void *bytes, size_t count)
{
    size_t used;
    d->decoder = decoder_new(1 << 20, NULL);
    assert_non_null(d->decoder);
    assert_int_equal(decoder_feed(d->decoder, bytes, count, &used), DECODER_READY);
    assert_int_equal(used, count);
    d->tree = (struct ringmq_tree){.nodes = d->decoder->nodes, .decoder = d->decoder};
    d->value = (struct ringmq_value){&d->tree, 0};
}

static void decode(struct decoded *d, const char *text)
{
    size_t count;
    d->bytes = peer_encode(text, &count);
    decode_bytes(d, d->bytes, count);
}

static void decoded_free(struct decoded *d)
{
    decoder_free(d->decoder);
    free(d->bytes);
}

static void assert_value_text(struct ringmq_value value, const char *text)
{
    char *has = peer_value_text(value);
    assert_string_equal(has, text);
    free(has);
}

static const char sample[] = "{\"a\": [1, -2, 0.5, nil, true], \"b\": {\"c\": #\"xyz\", \"d\": \"\"}, \"e\": []}";

static void readers_answer_what_is_there_and_otherwise_what_was_asked_for(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "[7, -7, 2.5, true, \"text\", #\"bin\", nil, 18446744073709551615, -9223372036854775808]");
    struct ringmq_value v[9];
    for (uint32_t i = 0; i < 9; i++)
        v[i] = ringmq_value_item(d.value, i);

    assert_int_equal(ringmq_value_uint(v[0], 1), 7);
    assert_int_equal(ringmq_value_int(v[0], 1), 7);
    assert_true(ringmq_value_double(v[0], 1) == 7.0);
    assert_false(ringmq_value_bool(v[0], false));
    assert_int_equal(ringmq_value_uint(v[1], 1), 1);
    assert_int_equal(ringmq_value_int(v[1], 1), -7);
    assert_true(ringmq_value_double(v[1], 1) == -7.0);
    assert_true(ringmq_value_double(v[2], 1) == 2.5);
    assert_int_equal(ringmq_value_int(v[2], 3), 3);
    assert_true(ringmq_value_bool(v[3], false));
    assert_int_equal(ringmq_value_uint(v[3], 9), 9);
    assert_true(ringmq_value_equals(v[4], "text"));
    assert_false(ringmq_value_equals(v[4], "tex"));
    assert_true(ringmq_value_equals(v[5], "bin"));
    assert_null(ringmq_value_bytes(v[6]).data);
    assert_int_equal(ringmq_value_type(v[6]), RINGMQ_NIL);
    assert_true(ringmq_value_uint(v[7], 0) == UINT64_MAX);
    assert_int_equal(ringmq_value_int(v[7], -1), -1);
    assert_true(ringmq_value_int(v[8], 0) == INT64_MIN);
    decoded_free(&d);
}

static void no_value_reads_as_nothing(void **state)
{
    (void)state;
    struct ringmq_value none = {NULL, 0};
    struct ringmq_value value;
    struct ringmq_iterator it = ringmq_iterate(none);
    assert_int_equal(ringmq_value_type(none), RINGMQ_NONE);
    assert_int_equal(ringmq_value_uint(none, 5), 5);
    assert_int_equal(ringmq_value_count(none), 0);
    assert_null(ringmq_value_bytes(none).data);
    assert_int_equal(ringmq_value_type(ringmq_value_get(none, "k")), RINGMQ_NONE);
    assert_int_equal(ringmq_value_type(ringmq_value_item(none, 0)), RINGMQ_NONE);
    assert_false(ringmq_next(&it, NULL, &value));
}

static void maps_and_arrays_are_found_and_iterated_past_nested_values(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, sample);
    assert_value_text(d.value, sample);
    assert_int_equal(ringmq_value_count(d.value), 3);
    assert_int_equal(ringmq_value_type(ringmq_value_get(d.value, "e")), RINGMQ_ARRAY);
    assert_value_text(ringmq_value_get(ringmq_value_get(d.value, "b"), "c"), "#\"xyz\"");
    struct ringmq_bytes empty = ringmq_value_bytes(ringmq_value_get(ringmq_value_get(d.value, "b"), "d"));
    assert_non_null(empty.data);
    assert_int_equal(empty.bytes, 0);
    assert_value_text(ringmq_value_item(ringmq_value_get(d.value, "a"), 4), "true");
    assert_int_equal(ringmq_value_type(ringmq_value_item(ringmq_value_get(d.value, "a"), 5)), RINGMQ_NONE);
    assert_int_equal(ringmq_value_type(ringmq_value_get(d.value, "z")), RINGMQ_NONE);
    assert_int_equal(ringmq_value_type(ringmq_value_item(d.value, 0)), RINGMQ_NONE);
    assert_int_equal(ringmq_value_type(ringmq_value_get(ringmq_value_get(d.value, "a"), "a")), RINGMQ_NONE);
    decoded_free(&d);
}

static void a_copy_is_the_same_value_after_its_source_is_gone(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, sample);
    struct ringmq_copy *whole = ringmq_copy_new(d.value);
    struct ringmq_copy *part = ringmq_copy_new(ringmq_value_get(d.value, "b"));
    struct ringmq_copy *of_copy = ringmq_copy_new(ringmq_value_get(ringmq_copy_value(whole), "a"));
    struct ringmq_copy *none = ringmq_copy_new((struct ringmq_value){NULL, 0});
    memset(d.bytes, 0, 10);
    decoded_free(&d);
    assert_value_text(ringmq_copy_value(whole), sample);
    assert_value_text(ringmq_copy_value(part), "{\"c\": #\"xyz\", \"d\": \"\"}");
    assert_value_text(ringmq_copy_value(of_copy), "[1, -2, 0.5, nil, true]");
    assert_int_equal(ringmq_value_type(ringmq_copy_value(none)), RINGMQ_NONE);
    assert_int_equal(ringmq_value_type(ringmq_copy_value(NULL)), RINGMQ_NONE);
    ringmq_copy_free(whole);
    ringmq_copy_free(part);
    ringmq_copy_free(of_copy);
    ringmq_copy_free(none);
    ringmq_copy_free(NULL);
}

static void what_is_written_is_what_is_read(void **state)
{
    (void)state;
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_map(args, 3);
    ringmq_args_text(args, "a");
    ringmq_args_array(args, 5);
    ringmq_args_uint(args, 1);
    ringmq_args_int(args, -2);
    ringmq_args_double(args, 0.5);
    ringmq_args_nil(args);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_bool(args, true);
    ringmq_args_str(args, "b", 1);
    ringmq_args_map(args, 2);
    ringmq_args_text(args, "c");
    ringmq_args_bin(args, "xyz", 3);
    ringmq_args_text(args, "d");
    ringmq_args_str(args, NULL, 0);
    ringmq_args_text(args, "e");
    ringmq_args_array(args, 0);
    assert_int_equal(args_status(args), RINGMQ_OK);
    assert_int_equal(args->count, 1);

    struct decoded d = {0};
    decode_bytes(&d, args->bytes.data, args->bytes.bytes);
    assert_value_text(d.value, sample);

    struct ringmq_args *again = ringmq_args_new();
    ringmq_args_value(again, d.value);
    ringmq_args_value(again, ringmq_value_get(d.value, "a"));
    assert_int_equal(args_status(again), RINGMQ_OK);
    assert_int_equal(again->count, 2);
    assert_memory_equal(again->bytes.data, args->bytes.data, args->bytes.bytes);
    decoded_free(&d);
    ringmq_args_free(again);
    ringmq_args_free(args);
}

static void a_container_that_is_not_full_is_not_sent(void **state)
{
    (void)state;
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_array(args, 2);
    ringmq_args_map(args, 1);
    ringmq_args_text(args, "key");
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_nil(args);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_nil(args);
    assert_int_equal(args_status(args), RINGMQ_OK);
    ringmq_args_free(args);
}

static void nesting_deeper_than_the_protocol_allows_is_refused_until_reset(void **state)
{
    (void)state;
    struct ringmq_args *args = ringmq_args_new();
    for (int level = 3; level <= LIMIT_DEPTH; level++)
        ringmq_args_array(args, 1);
    ringmq_args_nil(args);
    assert_int_equal(args_status(args), RINGMQ_OK);
    ringmq_args_reset(args);
    for (int level = 3; level <= LIMIT_DEPTH; level++)
        ringmq_args_array(args, 1);
    ringmq_args_array(args, 0);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_nil(args);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_reset(args);
    assert_int_equal(args_status(args), RINGMQ_OK);
    assert_int_equal(args->count, 0);
    ringmq_args_free(args);
}

static void arguments_that_are_no_values_are_refused(void **state)
{
    (void)state;
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_text(args, NULL);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_reset(args);
    ringmq_args_bin(args, NULL, 3);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_reset(args);
    ringmq_args_str(args, "x", (size_t)UINT32_MAX + 1);
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_reset(args);
    ringmq_args_value(args, (struct ringmq_value){NULL, 0});
    assert_int_equal(args_status(args), RINGMQ_ERR_ARGUMENT);
    ringmq_args_free(args);
    ringmq_args_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_answer_what_is_there_and_otherwise_what_was_asked_for),
        cmocka_unit_test(no_value_reads_as_nothing),
        cmocka_unit_test(maps_and_arrays_are_found_and_iterated_past_nested_values),
        cmocka_unit_test(a_copy_is_the_same_value_after_its_source_is_gone),
        cmocka_unit_test(what_is_written_is_what_is_read),
        cmocka_unit_test(a_container_that_is_not_full_is_not_sent),
        cmocka_unit_test(nesting_deeper_than_the_protocol_allows_is_refused_until_reset),
        cmocka_unit_test(arguments_that_are_no_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
