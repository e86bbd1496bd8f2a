/*
 * The ledger of the benchmark: it knows which messages have come, in whatever order.
 */
#include "benchmarks/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void messages_in_order_take_no_memory(void **state)
{
    (void)state;
    struct ledger ledger = {0};

    for (uint64_t n = 0; n < 100000; n++)
        assert_true(ledger_receive(&ledger, n));
    assert_int_equal(ledger.received, 100000);
    assert_int_equal(ledger.next, 100000);
    assert_int_equal(ledger.duplicates, 0);
    assert_null(ledger.seen);
    ledger_close(&ledger);
}

static void a_message_that_comes_again_is_a_duplicate(void **state)
{
    (void)state;
    struct ledger ledger = {0};

    assert_true(ledger_receive(&ledger, 0));
    assert_true(ledger_receive(&ledger, 0));
    assert_int_equal(ledger.duplicates, 1);
    assert_true(ledger_receive(&ledger, 5));
    assert_true(ledger_receive(&ledger, 5));
    assert_int_equal(ledger.duplicates, 2);
    assert_int_equal(ledger.received, 2);
    ledger_close(&ledger);
}

/* A message that never comes stays the next one, however many come after it. */
static void a_gap_stays_until_its_message_comes(void **state)
{
    (void)state;
    struct ledger ledger = {0};

    for (uint64_t n = 1; n < 100000; n++)
        assert_true(ledger_receive(&ledger, n));
    assert_int_equal(ledger.received, 99999);
    assert_int_equal(ledger.next, 0);
    for (uint64_t n = 1; n < 100000; n++)
        assert_true(ledger_receive(&ledger, n));
    assert_int_equal(ledger.duplicates, 99999);
    assert_true(ledger_receive(&ledger, 0));
    assert_int_equal(ledger.next, 100000);
    assert_int_equal(ledger.received, 100000);
    ledger_close(&ledger);
}

/* Many times around the ring of bits, and while it grows: what a plain array of counts says. */
static void any_order_counts_what_a_plain_array_counts(void **state)
{
    (void)state;
    enum { MESSAGES = 60000 };
    uint8_t *times = calloc(MESSAGES, 1);
    struct ledger ledger = {0};
    uint64_t different = 0, repeated = 0, random = 1;

    assert_non_null(times);
    for (uint64_t step = 0; step < 4 * MESSAGES; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const uint64_t reach = step % 1000 == 0 ? 9000 : 60;
        const uint64_t n = (step / 4 + (random >> 33) % reach) % MESSAGES;
        different += times[n] == 0;
        repeated += times[n] > 0;
        times[n] = 1;
        assert_true(ledger_receive(&ledger, n));
        assert_int_equal(ledger.received, different);
        assert_int_equal(ledger.duplicates, repeated);
    }
    assert_true(repeated > MESSAGES);
    free(times);
    ledger_close(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_in_order_take_no_memory),
        cmocka_unit_test(a_message_that_comes_again_is_a_duplicate),
        cmocka_unit_test(a_gap_stays_until_its_message_comes),
        cmocka_unit_test(any_order_counts_what_a_plain_array_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
