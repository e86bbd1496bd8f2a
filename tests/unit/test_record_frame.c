/* record: the headers of segments and batches are what the format says, and no damaged one is taken for good. */
#include "server/log/record.h"
#include "tests/unit/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct segment_header segment = {
    .version = 1,
    .log = 0x1122334455667788,
    .number = 9,
    .run = 2,
    .first_of_run = 1000,
    .oldest = 4,
    .made_at_ms = 1700000000000,
    .receipts = 3,
    .before_segment = 8,
    .before_offset = 5000,
};

static const struct batch_header batch = {
    .bytes = 70000,
    .number = 1001,
    .at_ms = 1700000000001,
    .synced_segment = 8,
    .synced_offset = 4096,
    .receipts = 3,
    .oldest = 4,
    .checksum = 0xabcdef,
};

static void assert_bytes(const uint8_t *got, size_t bytes, const char *hex)
{
    uint8_t expected[128];
    assert_int_equal(records_from_hex(hex, expected, sizeof expected), bytes);
    assert_memory_equal(got, expected, bytes);
}

static void test_a_segment_header_is_as_the_format_says(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header got;
    segment_header_put(bytes, &segment);
    assert_bytes(bytes, 88,
                 "72696e676d710001 01000000 60000000 8877665544332211 0900000000000000 0200000000000000"
                 "e803000000000000 0400000000000000 0068e5cf8b010000 0300000000000000 0800000000000000"
                 "88130000 00000000");
    assert_bytes(bytes + 88, 8, "97b4f7b5faba3365");
    assert_int_equal(segment_header_read(bytes, &got), SEGMENT_GOOD);
    assert_int_equal(got.log, segment.log);
    assert_int_equal(got.number, 9);
    assert_int_equal(got.run, 2);
    assert_int_equal(got.first_of_run, 1000);
    assert_int_equal(got.oldest, 4);
    assert_int_equal(got.made_at_ms, segment.made_at_ms);
    assert_int_equal(got.receipts, 3);
    assert_int_equal(got.before_segment, 8);
    assert_int_equal(got.before_offset, 5000);
}

static void test_a_batch_header_is_as_the_format_says(void **state)
{
    (void)state;
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch_header got;
    batch_header_put(bytes, &batch, segment_salt(segment.log, segment.number));
    assert_bytes(bytes, 64,
                 "52514231 70110100 e903000000000000 0000000000000000 0168e5cf8b010000 0800000000000000"
                 "00100000 03000000 0400000000000000 efcdab0000000000");
    assert_bytes(bytes + 64, 8, "cd09a857145468ad");
    assert_true(batch_header_read(bytes, segment_salt(segment.log, segment.number), &got));
    assert_int_equal(got.bytes, 70000);
    assert_int_equal(got.number, 1001);
    assert_int_equal(got.term, 0);
    assert_int_equal(got.at_ms, batch.at_ms);
    assert_int_equal(got.synced_segment, 8);
    assert_int_equal(got.synced_offset, 4096);
    assert_int_equal(got.receipts, 3);
    assert_int_equal(got.oldest, 4);
    assert_int_equal(got.checksum, 0xabcdef);
}

static void test_no_flipped_bit_is_overlooked(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header s;
    struct batch_header b;
    segment_header_put(bytes, &segment);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const enum segment_result result = segment_header_read(bytes, &s);
        /* The version is believed, whatever the checksum says, if it is a higher one. */
        assert_int_equal(result, bit / 32 == 2 && s.version > 1 ? SEGMENT_NEWER : SEGMENT_BAD);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    batch_header_put(bytes, &batch, 77);
    for (size_t bit = 0; bit < 8 * BATCH_HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(batch_header_read(bytes, 77, &b));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(batch_header_read(bytes, 77, &b));
}

static void test_zeros_and_newer_versions_are_known(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES] = {0};
    struct segment_header s;
    struct batch_header b;
    assert_int_equal(segment_header_read(bytes, &s), SEGMENT_BLANK);
    assert_false(batch_header_read(bytes, 0, &b));
    struct segment_header newer = segment;
    newer.version = 7;
    segment_header_put(bytes, &newer);
    assert_int_equal(segment_header_read(bytes, &s), SEGMENT_NEWER);
    assert_int_equal(s.version, 7);
}

/* Numbers count from 1. */
static void test_headers_without_numbers_are_bad(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header s;
    struct batch_header b, without = batch;
    for (unsigned i = 0; i < 4; i++) {
        struct segment_header h = segment;
        h.number = i == 1 ? 0 : 1;
        h.run = i == 2 ? 0 : 1;
        h.first_of_run = i == 3 ? 0 : 1;
        segment_header_put(bytes, &h);
        assert_int_equal(segment_header_read(bytes, &s), i == 0 ? SEGMENT_GOOD : SEGMENT_BAD);
    }
    without.number = 0;
    batch_header_put(bytes, &without, 77);
    assert_false(batch_header_read(bytes, 77, &b));
}

/* What is left of a segment's earlier life is no batch of its new one. */
static void test_a_batch_of_another_segment_or_log_is_none(void **state)
{
    (void)state;
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch_header b;
    assert_int_equal(segment_salt(5, 2), 5 + 2 * 0x9e3779b97f4a7c15u);
    batch_header_put(bytes, &batch, segment_salt(5, 9));
    assert_true(batch_header_read(bytes, segment_salt(5, 9), &b));
    assert_false(batch_header_read(bytes, segment_salt(5, 10), &b));
    assert_false(batch_header_read(bytes, segment_salt(6, 9), &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_segment_header_is_as_the_format_says),
        cmocka_unit_test(test_a_batch_header_is_as_the_format_says),
        cmocka_unit_test(test_no_flipped_bit_is_overlooked),
        cmocka_unit_test(test_zeros_and_newer_versions_are_known),
        cmocka_unit_test(test_headers_without_numbers_are_bad),
        cmocka_unit_test(test_a_batch_of_another_segment_or_log_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
