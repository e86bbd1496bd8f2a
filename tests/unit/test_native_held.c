/* The native door's publishes that wait for room: who is answered, when, and what with. */
#include "tests/support/native_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A queue for two messages that holds two. */
static int setup(void **state)
{
    door_setup(state);
    check(*state, A, "queue.create", "['q', {'max_messages': 2}]", "{'created': true}");
    check(*state, A, "publish", "['q', ['a', 'b']]", "[1, 2]");
    return 0;
}

static uint32_t hold(struct fixture *f, int client, const char *params)
{
    const uint32_t msgid = door_ask(f, client, "publish", params);

    door_turn(f);
    assert_string_equal(door_answer(f, client, msgid), "");
    return msgid;
}

/* It is answered in the turn in which there is room, by its own msgid, and the connection goes on meanwhile. */
static void test_it_is_answered_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    const uint32_t msgid = hold(f, B, "['q', ['c', ['d', {'headers': {'k': 1}}]], {'wait': 5000}]");

    check(f, B, "ping", "[]", "'pong'");
    door_wait_ms(f, 4999);
    assert_string_equal(door_answer(f, B, msgid), "");
    check(f, A, "discard", "['q', [1, 2]]", "2");
    assert_string_equal(door_answer(f, B, msgid), "[3, 2]");
    check(f, A, "receive", "['q', {'max': 9}]", "[[R1, 3, 1, b'c'], [R2, 4, 1, b'd', {'headers': {'k': 1}}]]");
}

/* What was wrong with one of its messages is an entry then, whatever was sent after it. */
static void test_entries_are_kept(void **state)
{
    struct fixture *f = *state;
    const uint32_t msgid = hold(f, B, "['q', ['c', ['d', {'grooup': 'g'}], 5], {'wait': 5000}]");

    check(f, B, "publish", "['q', [['e', {'other': 1}]]]", "[nil, 0, [[0, ['BAD_REQUEST', ..., {'key': 'other'}]]]]");
    check(f, A, "discard", "['q', [1]]", "1");
    assert_string_equal(door_answer(f, B, msgid),
                        "[3, 1, [[1, ['BAD_REQUEST', ..., {'key': 'grooup'}]], [2, ['BAD_REQUEST', ...]]]]");
}

/* When the wait is over, and not before, what fits is stored; an atomic batch is one error. */
static void test_the_end_of_the_wait(void **state)
{
    struct fixture *f = *state;

    check(f, A, "discard", "['q', [1]]", "1");
    const uint32_t atomic = hold(f, C, "['q', ['c', 'd'], {'wait': 500, 'atomic': true}]");
    const uint32_t plain = hold(f, B, "['q', ['c', 'd'], {'wait': 500}]");
    door_wait_ms(f, 499);
    assert_string_equal(door_answer(f, B, plain), "");
    door_wait_ms(f, 1);
    assert_string_equal(door_answer(f, C, atomic), "! ['QUEUE_FULL', ..., {'retry': true}]");
    assert_string_equal(door_answer(f, B, plain), "[3, 1, [[1, ['QUEUE_FULL', ..., {'retry': true}]]]]");
    assert_int_equal(f->door.counters.error_answers, 1);
}

/* A notification waits like a request, and nothing comes back; its failure is counted. */
static void test_a_notification_waits_without_a_word(void **state)
{
    struct fixture *f = *state;

    door_notify(f, B, "publish", "['q', ['c'], {'wait': 500}]");
    door_notify(f, B, "publish", "['q', ['d'], {'wait': 500, 'atomic': true}]");
    door_turn(f);
    check(f, A, "discard", "['q', [1]]", "1");
    assert_int_equal(f->broker.counters.published, 3);
    door_wait_ms(f, 500);
    assert_int_equal(f->door.counters.notification_errors, 1);
    assert_int_equal(f->clients[B].answers.bytes, 0);
    assert_string_equal(door_pushed(f, B), "");
}

/* A large body stays where it was streamed to, and is given back with the connection. */
static void test_large_bodies_and_the_end_of_the_connection(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = broker_memory(&f->broker);

    (void)hold(f, B, "['q', ['x'*200000], {'wait': 5000}]");
    assert_true(broker_memory(&f->broker) > before + 200000);
    assert_int_equal(f->door.streaming_bytes, 0);
    door_close(f, B);
    door_turn(f);
    assert_true(broker_memory(&f->broker) < before + 10000);
    check(f, A, "queue.purge", "['q']", "2");
    assert_int_equal(f->broker.counters.published, 2);
}

/* Draining ends all of them; so does the end of their queue. */
static void test_they_end_with_draining_and_with_their_queue(void **state)
{
    struct fixture *f = *state;
    uint32_t msgid = hold(f, B, "['q', ['c'], {'wait': 5000}]");

    check(f, A, "config.set", "['draining', true]", "true");
    assert_string_equal(door_answer(f, B, msgid), "! ['DRAINING', ..., {'retry': true}]");
    check(f, A, "config.set", "['draining', false]", "true");
    msgid = hold(f, B, "['q', ['c'], {'wait': 5000}]");
    check(f, A, "queue.delete", "['q']", "2");
    assert_string_equal(door_answer(f, B, msgid), "! ['QUEUE_NOT_FOUND', ...]");
}

/* A topic that waits is answered with its copies. */
static void test_a_topic_waits(void **state)
{
    struct fixture *f = *state;

    check(f, A, "topic.create", "['t']", "{'created': true}");
    check(f, A, "queue.create", "['r']", "{'created': true}");
    check(f, A, "topic.subscribe", "['t', 'q']", "{'created': true}");
    check(f, A, "topic.subscribe", "['t', 'r', {'pattern': 'k'}]", "{'created': true}");
    const uint32_t first = door_ask(f, B, "topic.publish", "['t', 'k', ['c'], {'wait': 500}]");
    const uint32_t second = door_ask(f, B, "topic.publish", "['t', 'k', ['d'], {'wait': 100}]");
    door_turn(f);
    assert_string_equal(door_answer(f, B, first), "");
    door_wait_ms(f, 100);
    assert_string_equal(door_answer(f, B, second), "! ['QUEUE_FULL', ..., {'retry': true, 'index': 0}]");
    check(f, A, "discard", "['q', [2]]", "1");
    assert_string_equal(door_answer(f, B, first), "2");
    check(f, A, "receive", "['r', {'max': 9}]", "[[R1, 1, 1, b'c']]");
}

/* Whoever can't be answered any more is not. */
static void test_a_session_that_is_ending_gets_no_answer(void **state)
{
    struct fixture *f = *state;
    const uint32_t msgid = hold(f, B, "['q', ['c'], {'wait': 5000}]");

    session_refuse(f->clients[B].session, ERR_LIMIT, "enough");
    check(f, A, "discard", "['q', [1]]", "1");
    assert_string_equal(door_answer(f, B, msgid), "");
    assert_string_equal(door_pushed(f, B), "error ['LIMIT', ...]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
        TEST(test_it_is_answered_when_there_is_room),
        TEST(test_entries_are_kept),
        TEST(test_the_end_of_the_wait),
        TEST(test_a_notification_waits_without_a_word),
        TEST(test_large_bodies_and_the_end_of_the_connection),
        TEST(test_they_end_with_draining_and_with_their_queue),
        TEST(test_a_topic_waits),
        TEST(test_a_session_that_is_ending_gets_no_answer),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
