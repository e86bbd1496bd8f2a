/* The native door's settling calls, and those that take messages by their ids. */
#include "tests/support/native_door.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A queue with five messages, of which the first three are inflight as R1 to R3. */
static int setup(void **state)
{
    struct fixture *f;

    door_setup(state);
    f = *state;
    check(f, A, "queue.create", "['q', {'max_hold': 60000}]", "{'created': true}");
    check(f, A, "publish", "['q', ['a', 'b', ['c', {'headers': {'k': 1}, 'group': 'g'}], 'd', 'e']]", "[1, 5]");
    check(f, A, "receive", "['q', {'max': 3}]",
          "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b'], [R3, 3, 1, b'c', {'headers': {'k': 1}, 'group': 'g'}]]");
    return 0;
}

/* ---- by receipt -------------------------------------------------------------------------------------------------- */

/* ack answers how many are gone; with multiple those before count as well; from any connection. */
static void test_ack(void **state)
{
    struct fixture *f = *state;

    check(f, B, "ack", "[[R1]]", "1");
    check(f, B, "ack", "[[R3], {'multiple': true}]", "2");
    assert_int_equal(f->broker.counters.acked, 3);
}

/* All four answer alike: a receipt that is dead or none is an entry at its index, the others are applied. */
static void test_entries_of_receipts(void **state)
{
    static const struct {
        const char *method, *more;
    } rows[] = {{"ack", ""}, {"nack", ""}, {"extend", ", 1000"}, {"park", ""}};
    struct fixture *f = *state;

    check(f, A, "ack", "[[R1]]", "1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char params[128];
        snprintf(params, sizeof params, "[[R1, 'x', 7, -1, 9007199254740992, [1]]%s]", rows[i].more);
        check(f, A, rows[i].method, params,
              "[0, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R1}]],"
              " [1, ['BAD_REQUEST', ..., {'key': 'receipts'}]],"
              " [2, ['RECEIPT_STALE', ..., {'index': 2, 'receipt': 7}]],"
              " [3, ['BAD_REQUEST', ..., {'key': 'receipts'}]], [4, ['BAD_REQUEST', ..., {'key': 'receipts'}]],"
              " [5, ['BAD_REQUEST', ..., {'key': 'receipts'}]]]]");
        snprintf(params, sizeof params, "[[]%s]", rows[i].more);
        check(f, A, rows[i].method, params, "! ['BAD_REQUEST', ..., {'key': 'receipts'}]");
    }
    check(f, A, "ack", "[[R1, R2, R2, R3]]",
          "[2, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R1}]],"
          " [2, ['RECEIPT_STALE', ..., {'index': 2, 'receipt': R2}]]]]");
    check(f, A, "config.set", "['max_batch', 2]", "true");
    check(f, A, "park", "[[1, 2, 3]]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
}

/* nack gives back at once, after a delay, or parks. */
static void test_nack(void **state)
{
    struct fixture *f = *state;

    check(f, A, "nack", "[[R1]]", "1");
    check(f, A, "nack", "[[R2], {'delay': 5000}]", "1");
    check(f, A, "nack", "[[R3], {'dead': true, 'note': 'why'}]", "1");
    check(
        f, A, "peek", "['q', {'max': 3}]",
        "{'messages': [{'id': 1, 'state': 'ready', 'attempts': 1, 'body': b'a', 'age_ms': 0, 'expires_ms': 345600000},"
        " {'id': 2, 'state': 'delayed', 'attempts': 1, 'body': b'b', 'age_ms': 0, 'due_ms': 5000, 'expires_ms': "
        "345600000},"
        " {'id': 3, 'state': 'parked', 'attempts': 1, 'body': b'c', 'headers': {'k': 1}, 'group': 'g', 'age_ms': 0,"
        " 'expires_ms': 345600000, 'reason': 'rejected', 'note': 'why'}], 'next': 4}");
}

/* Options that exclude each other, or a note that is too long or no text, are refused and settle nothing. */
static void test_errors_of_nack_and_park(void **state)
{
    struct fixture *f = *state;

    check(f, A, "nack", "[[R1], {'dead': true, 'delay': 0}]", "! ['BAD_REQUEST', ..., {'key': 'delay'}]");
    check(f, A, "nack", "[[R1], {'dead': true, 'note': 'x'*1025}]", "! ['BAD_REQUEST', ..., {'key': 'note'}]");
    check(f, A, "park", "[[R1], {'note': 'x'*1025}]", "! ['BAD_REQUEST', ..., {'key': 'note'}]");
    check(f, A, "park", "[[R1], {'note': '\xff'}]", "! ['BAD_REQUEST', ..., {'key': 'note'}]");
    assert_int_equal(f->broker.inflight_count, 3);
    check(f, A, "nack", "[[R1], {'dead': false, 'delay': 5}]", "1");
    check(f, A, "park", "[[R2], {'note': 'x'*1024}]", "1");
}

/* extend moves the end of the visibility, gives back with 0, and is an entry beyond max_hold. */
static void test_extend(void **state)
{
    struct fixture *f = *state;

    check(f, A, "extend", "[[R1, R2], 45000]", "2");
    check(f, A, "extend", "[[R1, R2], 60001]",
          "[0, [[0, ['LIMIT', ..., {'which': 'max_hold'}]], [1, ['LIMIT', ..., {'which': 'max_hold'}]]]]");
    door_wait_ms(f, 30000);
    check(f, A, "ack", "[[R3]]", "[0, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R3}]]]]");
    check(f, A, "extend", "[[R1], 0]", "1");
    check(f, A, "ack", "[[R1, R2]]", "[1, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R1}]]]]");
}

/* ---- by id ------------------------------------------------------------------------------------------------------- */

/* kick takes a number, lowest ids first, or a list of ids; others are passed over. */
static void test_kick(void **state)
{
    struct fixture *f = *state;

    check(f, A, "park", "[[R1, R2, R3]]", "3");
    check(f, A, "kick", "['q', 1]", "1");
    check(f, A, "kick", "['q', [1, 3, 77, 0]]", "1");
    check(f, A, "kick", "['q', 9007199254740993]", "1");
    check(f, A, "receive", "['q', {'max': 3}]",
          "[[R4, 1, 1, b'a'], [R5, 2, 1, b'b'], [R6, 3, 1, b'c', {'headers': {'k': 1}, 'group': 'g'}]]");
    check(f, A, "kick", "['q', 0]", "! ['BAD_REQUEST', ..., {'key': 'what'}]");
    check(f, A, "kick", "['q', 'all']", "! ['BAD_REQUEST', ..., {'key': 'what'}]");
    check(f, A, "kick", "['q', []]", "! ['BAD_REQUEST', ..., {'key': 'what'}]");
    check(f, A, "kick", "['q', [1, 'x']]", "! ['BAD_REQUEST', ..., {'key': 'what'}]");
    check(f, A, "kick", "['nowhere', 1]", "! ['QUEUE_NOT_FOUND', ...]");
}

/* discard removes by id what is not inflight. */
static void test_discard(void **state)
{
    struct fixture *f = *state;

    check(f, A, "park", "[[R1]]", "1");
    check(f, A, "discard", "['q', [1, 2, 4, 99]]", "2");
    check(f, A, "discard", "['q', [1, [5]]]", "! ['BAD_REQUEST', ..., {'key': 'ids'}]");
    check(f, A, "discard", "['q', [9007199254740992]]", "! ['BAD_REQUEST', ..., {'key': 'ids'}]");
    check(f, A, "discard", "['q', []]", "! ['BAD_REQUEST', ..., {'key': 'ids'}]");
    check(f, A, "discard", "['nowhere', [1]]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "config.set", "['max_batch', 2]", "true");
    check(f, A, "discard", "['q', [1, 2, 3]]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
}

/* ---- peek -------------------------------------------------------------------------------------------------------- */

/* peek selects by state, ids and group, page by page, and changes nothing. */
static void test_peek(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['p', {'retention': 0}]", "{'created': true}");
    check(f, A, "publish", "['p', ['a', ['b', {'group': 'g', 'delay': 700}], ['c', {'ttl': 900}]]]", "[1, 3]");
    f->now_ms += 100;
    check(f, A, "peek", "['p']",
          "{'messages': [{'id': 1, 'state': 'ready', 'attempts': 0, 'body': b'a', 'age_ms': 100},"
          " {'id': 2, 'state': 'delayed', 'attempts': 0, 'body': b'b', 'group': 'g', 'age_ms': 100, 'due_ms': 600},"
          " {'id': 3, 'state': 'ready', 'attempts': 0, 'body': b'c', 'age_ms': 100, 'expires_ms': 800}], 'next': nil}");
    check(f, A, "peek", "['p', {'state': 'ready', 'max': 1}]",
          "{'messages': [{'id': 1, 'state': 'ready', 'attempts': 0, 'body': b'a', 'age_ms': 100}], 'next': 3}");
    check(f, A, "peek", "['p', {'from': 2, 'to': 2}]",
          "{'messages': [{'id': 2, 'state': 'delayed', 'attempts': 0, 'body': b'b', 'group': 'g', 'age_ms': 100,"
          " 'due_ms': 600}], 'next': nil}");
    check(f, A, "peek", "['p', {'group': 'g', 'state': 'ready'}]", "{'messages': [], 'next': nil}");
    check(f, A, "peek", "['q', {'state': 'inflight', 'to': 1}]",
          "{'messages': [{'id': 1, 'state': 'inflight', 'attempts': 1, 'body': b'a', 'age_ms': 100, 'due_ms': 29900,"
          " 'expires_ms': 345599900}], 'next': nil}");
}

/* A page ends before max_response_bytes, with one message at least. */
static void test_peek_stops_at_max_response_bytes(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['p', {'retention': 0}]", "{'created': true}");
    check(f, A, "publish", "['p', [b'x'*2000, b'y'*9000, b'z'*9000]]", "[1, 3]");
    check(f, A, "config.set", "['max_response_bytes', '8kb']", "true");
    check(f, A, "peek", "['p']",
          "{'messages': [{'id': 1, 'state': 'ready', 'attempts': 0, 'body': b'x'*2000, 'age_ms': 0}], 'next': 2}");
    check(f, A, "peek", "['p', {'from': 2}]",
          "{'messages': [{'id': 2, 'state': 'ready', 'attempts': 0, 'body': b'y'*9000, 'age_ms': 0}], 'next': 3}");
}

/* Options of peek that can't be are refused by their names. */
static void test_errors_of_peek(void **state)
{
    struct fixture *f = *state;

    check(f, A, "peek", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "peek", "['q', {'state': 'gone'}]", "! ['BAD_REQUEST', ..., {'key': 'state'}]");
    check(f, A, "peek", "['q', {'max': 0}]", "! ['BAD_REQUEST', ..., {'key': 'max'}]");
    check(f, A, "peek", "['q', {'max': 1001}]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
    check(f, A, "peek", "['q', {'group': ''}]", "! ['BAD_REQUEST', ..., {'key': 'group'}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
        TEST(test_ack),
        TEST(test_entries_of_receipts),
        TEST(test_nack),
        TEST(test_errors_of_nack_and_park),
        TEST(test_extend),
        TEST(test_kick),
        TEST(test_discard),
        TEST(test_peek),
        TEST(test_peek_stops_at_max_response_bytes),
        TEST(test_errors_of_peek),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
