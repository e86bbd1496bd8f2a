/*
 * cursor: it does what the parser would have done. Random values, whole, cut and damaged, go through a decoder and
 * through one without a cursor; both must hold the same nodes after each piece, and stand at the same place if the
 * value is not complete. The largest number of nodes is one that short values reach.
 */
#include "protocol/limits.h"
#undef LIMIT_NODES
#define LIMIT_NODES 300

#include "protocol/buffer.h"
#include "tests/support/decoded.h"
#include "tests/support/parser_alone.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_VALUE_BYTES 100000

/* --- values ------------------------------------------------------------------------------------------------------- */

static void put_byte(struct buffer *b, uint64_t byte)
{
    const uint8_t bytes[1] = {(uint8_t)byte};
    buffer_append(b, bytes, 1);
}

/* A first byte, and `width` bytes of a number behind it. */
static void put_header(struct buffer *b, unsigned first, unsigned width, uint64_t number)
{
    put_byte(b, first);
    for (unsigned i = width; i > 0; i--)
        put_byte(b, number >> (8 * (i - 1)));
}

static void put_noise(struct buffer *b, struct random *r, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        put_byte(b, random_next(r));
}

static void put_text(struct buffer *b, struct random *r)
{
    static const struct {
        uint8_t first, width;
    } headers[] = {{0xc4, 1}, {0xc5, 2}, {0xc6, 4}, {0xd9, 1}, {0xda, 2}, {0xdb, 4}};
    const size_t i = random_below(r, 8);
    uint64_t bytes = random_bits(r, 7);

    if (i >= 6) {
        bytes %= 32;
        put_byte(b, 0xa0 | bytes);
    } else {
        put_header(b, headers[i].first, headers[i].width, bytes);
    }
    put_noise(b, r, bytes);
}

/* Anything without elements; an ext only now and then, as the cursor stops there. */
static void put_single(struct buffer *b, struct random *r)
{
    static const uint8_t widths[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8}; /* 0xca to 0xd3 */
    const size_t i = random_below(r, sizeof widths);

    switch (random_below(r, 100)) {
    case 0:
        put_header(b, 0xc7, 1, 3);
        put_noise(b, r, 4);
        break;
    case 1:
        put_byte(b, 0xd4);
        put_noise(b, r, 2);
        break;
    case 2 ... 29:
        put_byte(b, random_below(r, 128));
        break;
    case 30 ... 39:
        put_byte(b, 0xe0 | random_below(r, 32));
        break;
    case 40 ... 49:
        put_byte(b, (const uint8_t[]){0xc0, 0xc2, 0xc3}[random_below(r, 3)]);
        break;
    case 50 ... 69:
        put_header(b, 0xca + (unsigned)i, widths[i], random_next(r));
        break;
    default:
        put_text(b, r);
    }
}

static void put_value(struct buffer *b, struct random *r, int levels)
{
    if (levels == 0 || random_below(r, 3) == 0) {
        put_single(b, r);
        return;
    }
    const bool map = random_below(r, 3) == 0;
    const uint64_t count = random_bits(r, 4);
    const unsigned width = (const unsigned[]){0, 2, 4}[random_below(r, 3)];
    if (width == 0 && count < 16)
        put_byte(b, (map ? 0x80 : 0x90) | count);
    else if (width == 2)
        put_header(b, map ? 0xde : 0xdc, 2, count);
    else
        put_header(b, map ? 0xdf : 0xdd, 4, count);
    const bool alike = random_below(r, 3) == 0;
    for (uint64_t i = 0; i < count * (map ? 2 : 1); i++) {
        if (alike)
            put_header(b, map ? 0xcf : 0xc4, map ? 8 : 1, 0);
        else
            put_value(b, r, levels - 1);
    }
}

/* A value and the beginning of the next; seldom something that is a little too deep. */
static void make_wire(struct buffer *wire, struct random *r)
{
    buffer_reset(wire);
    if (random_below(r, 8) == 0)
        for (uint64_t i = random_below(r, LIMIT_DEPTH + 2); i > 0; i--)
            put_byte(wire, 0x91);
    put_value(wire, r, (int)random_below(r, 6));
    put_noise(wire, r, random_below(r, 3));
    assert_false(wire->failed);
}

static void damage(struct buffer *wire, struct random *r)
{
    for (uint64_t i = random_below(r, 4); i > 0; i--)
        wire->data[random_below(r, wire->bytes)] = (uint8_t)random_next(r);
    if (random_below(r, 4) == 0)
        wire->bytes = 1 + random_below(r, wire->bytes);
}

/* --- both ways ---------------------------------------------------------------------------------------------------- */

struct pair {
    struct decoder *with;
    struct decoder *alone;
};

static void pair_open(struct pair *p, uint64_t max_value_bytes)
{
    p->with = decoder_new(max_value_bytes, NULL);
    p->alone = decoder_new(max_value_bytes, NULL);
    assert_non_null(p->with);
    assert_non_null(p->alone);
}

static void pair_close(struct pair *p)
{
    decoder_free(p->with);
    decoder_free(p->alone);
}

/* Feeds a piece, in memory of exactly its size, until it is taken or refused. */
static void feed_both(struct pair *p, const uint8_t *bytes, size_t count)
{
    uint8_t *piece = malloc(count > 0 ? count : 1);
    enum decoder_result result = DECODER_READY;

    assert_non_null(piece);
    memcpy(piece, bytes, count);
    for (size_t at = 0, used; at < count && result == DECODER_READY; at += used) {
        size_t used_alone;
        result = decoder_feed(p->with, piece + at, count - at, &used);
        assert_int_equal(result, parser_alone_feed(p->alone, piece + at, count - at, &used_alone));
        assert_int_equal(used, used_alone);
        assert_true(parser_alone_same(p->with, p->alone));
        if (result == DECODER_READY) {
            assert_true(p->with->too_many_nodes || decoded_well_formed(p->with));
            decoder_next(p->with);
            decoder_next(p->alone);
        }
    }
    free(piece);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

/* Whole values give the nodes that the parser gives. */
static void test_whole_values_are_what_the_parser_makes_of_them(void **state)
{
    struct random r = test_seed("whole values");
    struct buffer wire;
    struct pair p;

    (void)state;
    buffer_init(&wire, NULL);
    pair_open(&p, MAX_VALUE_BYTES);
    for (int i = 0; i < 20000; i++) {
        make_wire(&wire, &r);
        feed_both(&p, wire.data, wire.bytes);
        if (p.with->refusal || !decoder_idle(p.with)) {
            pair_close(&p);
            pair_open(&p, MAX_VALUE_BYTES);
        }
    }
    pair_close(&p);
    buffer_close(&wire);
}

/* Where a value is cut, the parser goes on as if it had read it from the beginning. */
static void test_the_parser_goes_on_behind_each_cut(void **state)
{
    struct random r = test_seed("cuts");
    struct buffer wire;

    (void)state;
    buffer_init(&wire, NULL);
    for (int i = 0; i < 200; i++) {
        do
            make_wire(&wire, &r);
        while (wire.bytes > 1000);
        for (size_t cut = 0; cut <= wire.bytes; cut++) {
            struct pair p;
            pair_open(&p, MAX_VALUE_BYTES);
            feed_both(&p, wire.data, cut);
            if (!p.with->refusal)
                feed_both(&p, wire.data + cut, wire.bytes - cut);
            pair_close(&p);
        }
    }
    buffer_close(&wire);
}

/* Damaged values, with limits of all sizes, are refused for the same reasons. */
static void test_damaged_values_are_refused_for_the_same_reasons(void **state)
{
    struct random r = test_seed("damage");
    struct buffer wire;
    int refused = 0;

    (void)state;
    buffer_init(&wire, NULL);
    for (int i = 0; i < 20000; i++) {
        struct pair p;
        make_wire(&wire, &r);
        damage(&wire, &r);
        pair_open(&p, 1 + random_bits(&r, 12));
        const size_t cut = random_below(&r, wire.bytes + 1);
        feed_both(&p, wire.data, cut);
        if (!p.with->refusal)
            feed_both(&p, wire.data + cut, wire.bytes - cut);
        refused += p.with->refusal != DECODER_REFUSAL_NONE;
        pair_close(&p);
    }
    assert_in_range(refused, 1000, 19000);
    buffer_close(&wire);
}

/* Feeds one whole value and returns whether the parser had to see it. */
static bool needs_parser(const void *wire, size_t bytes)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    size_t used;

    assert_int_equal(decoder_feed(d, wire, bytes, &used), DECODER_READY);
    assert_int_equal(used, bytes);
    const bool parsed = d->impl->debris & DEBRIS_PARSED;
    decoder_next(d);
    assert_int_equal(d->impl->debris, 0);
    decoder_free(d);
    return parsed;
}

/* Each kind of item but an ext is the cursor's, so that the parser never sees a request that came whole. */
static void test_a_whole_value_is_not_parsed(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t wire[64] = {0x93, (uint8_t)first};
        const bool ext = (first >= 0xc7 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8);
        struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
        size_t used;

        if (first != 0xc1) {
            assert_int_equal(decoder_feed(d, wire, sizeof wire, &used), DECODER_READY);
            assert_int_equal(d->impl->debris, ext ? DEBRIS_PARSED : 0);
        }
        decoder_free(d);
    }
}

/* As many nodes as are kept, and as many levels as there may be, are no more than the cursor can do. */
static void test_the_largest_values_are_not_parsed(void **state)
{
    uint8_t wire[3 + LIMIT_NODES] = {0xdc, (LIMIT_NODES - 1) >> 8, (LIMIT_NODES - 1) & 0xff};
    uint8_t deep[LIMIT_DEPTH];
    struct pair p;

    (void)state;
    assert_false(needs_parser(wire, 3 + LIMIT_NODES - 1));
    wire[2]++;
    assert_true(needs_parser(wire, 3 + LIMIT_NODES));
    memset(deep, 0x91, sizeof deep);
    deep[LIMIT_DEPTH - 1] = 0x90;
    assert_false(needs_parser(deep, sizeof deep));

    pair_open(&p, MAX_VALUE_BYTES);
    feed_both(&p, wire, 3 + LIMIT_NODES);
    pair_close(&p);
}

/* The array of nodes grows with the elements that the input can hold, not with those that a header claims. */
static void test_nodes_are_reserved_for_what_has_arrived(void **state)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    const size_t bare = decoder_memory(d);
    uint8_t wire[200] = {0xdc, 0, 198};
    size_t used;

    (void)state;
    assert_int_equal(decoder_feed(d, wire, sizeof wire, &used), DECODER_NEED_MORE);
    assert_int_equal(used, sizeof wire);
    assert_int_equal(d->node_count, 198);
    decoder_free(d);

    d = decoder_new(MAX_VALUE_BYTES, NULL);
    assert_int_equal(decoder_feed(d, wire, 20, &used), DECODER_NEED_MORE);
    assert_in_range(decoder_memory(d) - bare, 0, FIRST_NODES * sizeof(struct node) + FIRST_HELD_BYTES);
    decoder_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_values_are_what_the_parser_makes_of_them),
        cmocka_unit_test(test_the_parser_goes_on_behind_each_cut),
        cmocka_unit_test(test_damaged_values_are_refused_for_the_same_reasons),
        cmocka_unit_test(test_a_whole_value_is_not_parsed),
        cmocka_unit_test(test_the_largest_values_are_not_parsed),
        cmocka_unit_test(test_nodes_are_reserved_for_what_has_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
