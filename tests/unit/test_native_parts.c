/* The small parts of the native door: what is owed, the arena, UTF-8. */
#include "protocol/utf8.h"
#include "server/doors/native/arena.h"
#include "server/doors/native/owed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- owed -------------------------------------------------------------------------------------------------------- */

/* Entries come out in their order, each when its end has been written, over any number of blocks. */
static void test_owed_is_first_in_first_out(void **state)
{
    struct owed_store store = {NULL, 0};
    struct owed owed = {NULL, NULL, 0, 0, 0};
    uint64_t receipt, taken = 0;
    bool auto_ack;

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++)
        assert_true(owed_push(&owed, &store, i * 10, i, i % 3 == 0));
    assert_int_equal(owed.block_count, (1000 + OWED_PER_BLOCK - 1) / OWED_PER_BLOCK);
    assert_int_equal(owed.auto_count, 333);
    assert_false(owed_take(&owed, &store, 9, &receipt, &auto_ack));
    for (uint64_t written = 10; written <= 10000; written += 35) {
        while (owed_take(&owed, &store, written, &receipt, &auto_ack)) {
            assert_int_equal(receipt, ++taken);
            assert_int_equal(auto_ack, taken % 3 == 0);
        }
        assert_int_equal(taken, written / 10);
    }
    while (owed_take(&owed, &store, OWED_NEVER, &receipt, &auto_ack))
        taken++;
    assert_int_equal(taken, 1000);
    assert_int_equal(owed.block_count, 0);
    assert_int_equal(owed.auto_count, 0);
    assert_int_equal(store.spare_count, 4);
    owed_store_close(&store);
}

/* What has been given back serves the next session; a receipt of 53 bits survives. */
static void test_owed_blocks_are_used_again(void **state)
{
    struct owed_store store = {NULL, 0};
    struct owed one = {NULL, NULL, 0, 0, 0}, two = {NULL, NULL, 0, 0, 0};
    const uint64_t largest = ((uint64_t)1 << 53) - 1;
    uint64_t receipt;
    bool auto_ack;

    (void)state;
    assert_true(owed_push(&one, &store, 5, largest, true));
    struct owed_block *block = one.first;
    owed_clear(&one, &store);
    assert_int_equal(one.auto_count, 0);
    assert_true(owed_push(&two, &store, OWED_NEVER, largest, true));
    assert_ptr_equal(two.first, block);
    assert_false(owed_take(&two, &store, OWED_NEVER - 1, &receipt, &auto_ack));
    assert_true(owed_take(&two, &store, OWED_NEVER, &receipt, &auto_ack));
    assert_int_equal(receipt, largest);
    assert_true(auto_ack);
    owed_store_close(&store);
    assert_null(store.spare);
}

/* ---- arena ------------------------------------------------------------------------------------------------------- */

/* Pieces do not move and do not overlap, large ones included; after a reset one block is kept. */
static void test_arena_pieces_stay(void **state)
{
    struct arena arena = {NULL};
    uint8_t *pieces[100];

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        const size_t bytes = i % 10 == 9 ? 100000 : i * 40 + 1;
        pieces[i] = arena_take(&arena, bytes);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)i, bytes);
    }
    for (size_t i = 0; i < 100; i++) {
        const size_t bytes = i % 10 == 9 ? 100000 : i * 40 + 1;
        for (size_t at = 0; at < bytes; at++)
            assert_int_equal(pieces[i][at], i);
    }
    arena_reset(&arena);
    assert_non_null(arena.block);
    assert_null(arena.block->next);
    assert_int_equal(arena.block->bytes, 0);
    arena_close(&arena);
    assert_null(arena.block);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------- */

/* What RFC 3629 allows is UTF-8 and nothing else is, wherever it stands. */
static void test_utf8(void **state)
{
    static const char *const valid[] = {
        "",
        "a",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "gr\xc3\xbcn",
    };
    static const char *const invalid[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xc2\xc2",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xe0\xa0",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
    };
    char text[64];

    (void)state;
    for (size_t before = 0; before < 20; before++) {
        for (size_t after = 0; after < 20; after += 9) {
            for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
                const int bytes = snprintf(text, sizeof text, "%.*s%s%.*s", (int)before, "aaaaaaaaaaaaaaaaaaaa",
                                           valid[i], (int)after, "aaaaaaaaaaaaaaaaaaaa");
                assert_true(utf8_is_text(text, (size_t)bytes));
            }
            for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
                const int bytes = snprintf(text, sizeof text, "%.*s%s%.*s", (int)before, "aaaaaaaaaaaaaaaaaaaa",
                                           invalid[i], (int)after, "aaaaaaaaaaaaaaaaaaaa");
                assert_false(utf8_is_text(text, (size_t)bytes));
            }
        }
    }
    assert_true(utf8_is_text("a\0b", 3));
    assert_true(utf8_is_text(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owed_is_first_in_first_out),
        cmocka_unit_test(test_owed_blocks_are_used_again),
        cmocka_unit_test(test_arena_pieces_stay),
        cmocka_unit_test(test_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
