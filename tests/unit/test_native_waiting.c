/* Answers that wait until the log holds what they confirm: which do, when they come, and what else goes on meanwhile. */
#include "tests/support/native_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What is said of a call whose effect nobody knows to last. */
#define LOG_FAILED "! ['LOG_FAILED', ..., {'applied': true}]"

static int setup(void **state)
{
    door_setup(state);
    check(*state, A, "queue.create", "['q']", "{'created': true}");
    check(*state, A, "queue.create", "['memory', {'durable': false}]", "{'created': true}");
    door_keep(*state);
    return 0;
}

/* Asks, and checks that there is no answer at the end of the turn. */
static uint32_t wait_for(struct fixture *f, int client, const char *method, const char *params)
{
    const uint32_t msgid = door_ask(f, client, method, params);

    door_turn(f);
    assert_string_equal(door_answer(f, client, msgid), "");
    return msgid;
}

/* All that has been recorded becomes safe. */
static void make_safe(struct fixture *f)
{
    f->safe = f->place;
    door_turn(f);
}

static void test_an_answer_comes_when_its_place_is_safe(void **state)
{
    struct fixture *f = *state;
    const uint32_t first = wait_for(f, A, "publish", "['q', ['a', 'b']]");
    const uint32_t second = wait_for(f, A, "publish", "['q', ['c']]");
    const uint32_t other = wait_for(f, B, "publish", "['q', ['d']]");

    assert_int_equal(native_waiting(&f->door), 3);
    f->safe = 1; /* of two messages */
    door_turn(f);
    assert_string_equal(door_answer(f, A, first), "");
    f->safe = 2;
    door_turn(f);
    assert_string_equal(door_answer(f, A, first), "[1, 2]");
    assert_string_equal(door_answer(f, A, second), "");
    f->safe = 4;
    door_turn(f);
    assert_string_equal(door_answer(f, A, second), "[3, 1]");
    assert_string_equal(door_answer(f, B, other), "[4, 1]");
    assert_int_equal(native_waiting(&f->door), 0);
}

/* Every command that changes what is kept, with the answer that it gets in the end. */
static void test_every_command_that_changes_something_waits(void **state)
{
    static const char *const calls[][3] = {
        {"queue.create", "['r']", "{'created': true}"},
        {"queue.update", "['r', {'visibility': 1000}]", "true"},
        {"queue.pause", "['r']", "true"},
        {"queue.resume", "['r']", "true"},
        {"topic.create", "['t']", "{'created': true}"},
        {"topic.subscribe", "['t', 'r']", "{'created': true}"},
        {"topic.publish", "['t', 'k', ['a', 'b', 'c', 'd']]", "4"},
        {"commit", "[{'publish': [['r', ['e']]]}]", "{'publish': [[5, 1]], 'topics': [], 'ack': 0}"},
        {"publish", "['r', ['f']]", "[6, 1]"},
        {"nack", "[[R1]]", "1"},
        {"park", "[[R2]]", "1"},
        {"kick", "['r', 1]", "1"},
        {"ack", "[[R3]]", "1"},
        {"discard", "['r', [6]]", "1"},
        {"topic.unsubscribe", "['t', 'r']", "true"},
        {"topic.delete", "['t']", "true"},
        {"queue.purge", "['r']", "4"},
        {"queue.delete", "['r']", "0"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(calls[i][0], "nack") == 0)
            door_call(f, B, "receive", "['r', {'max': 3}]");
        const uint32_t msgid = wait_for(f, A, calls[i][0], calls[i][1]);
        make_safe(f);
        assert_string_equal(door_answer(f, A, msgid), calls[i][2]);
    }
}

static void test_what_confirms_nothing_does_not_wait(void **state)
{
    struct fixture *f = *state;
    const uint32_t waiting = wait_for(f, A, "publish", "['q', ['a']]");

    check(f, A, "ping", "[]", "'pong'");
    check(f, A, "publish", "['nowhere', ['a']]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "publish", "['q', []]", "! ['BAD_REQUEST', ..., {'key': 'messages'}]");
    check(f, A, "queue.create", "['q', {'type': 'fifo'}]",
          "! ['QUEUE_EXISTS', ..., {'differences': {'type': ['standard', 'fifo']}}]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a']]");
    check(f, A, "consume", "['q']", "1");
    check(f, A, "cancel", "[1]", "true");
    check(f, A, "extend", "[[R1], 5000]", "1"); /* a restart ends every delivery */
    const uint32_t nacked = wait_for(f, A, "nack", "[[R1]]");
    check(f, A, "ack", "[[R1]]", "[0, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R1}]]]]");
    assert_string_equal(door_answer(f, A, waiting), "");
    assert_string_equal(door_answer(f, A, nacked), "");
}

/* What becomes of its messages is never in the log. */
static void test_nothing_that_is_done_to_messages_of_a_queue_that_is_not_durable_waits(void **state)
{
    struct fixture *f = *state;

    wait_for(f, A, "publish", "['q', ['a']]");
    check(f, A, "publish", "['memory', ['a', 'b', 'c', 'd', 'e']]", "[1, 5]");
    check(f, A, "receive", "['memory', {'max': 4}]",
          "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b'], [R3, 3, 1, b'c'], [R4, 4, 1, b'd']]");
    check(f, A, "nack", "[[R1]]", "1");
    check(f, A, "park", "[[R2]]", "1");
    check(f, A, "extend", "[[R3], 5000]", "1");
    check(f, A, "ack", "[[R3]]", "1");
    check(f, A, "kick", "['memory', 1]", "1");
    check(f, A, "discard", "['memory', [5]]", "1");
    check(f, A, "queue.pause", "['memory']", "true");
    check(f, A, "queue.resume", "['memory']", "true");
}

/* The durable queue of that name would be back after a power failure, although a delete of it had been confirmed. */
static void test_what_queues_there_are_is_confirmed_in_order(void **state)
{
    struct fixture *f = *state;
    const uint32_t ended = wait_for(f, A, "queue.delete", "['q']");
    const uint32_t created = wait_for(f, A, "queue.create", "['q', {'durable': false}]");
    const uint32_t updated = wait_for(f, A, "queue.update", "['q', {'visibility': 1000}]");
    const uint32_t purged = wait_for(f, A, "queue.purge", "['q']");
    const uint32_t again = wait_for(f, A, "queue.delete", "['q']");

    make_safe(f);
    assert_string_equal(door_answer(f, A, ended), "0");
    assert_string_equal(door_answer(f, A, created), "{'created': true}");
    assert_string_equal(door_answer(f, A, updated), "true");
    assert_string_equal(door_answer(f, A, purged), "0");
    assert_string_equal(door_answer(f, A, again), "0");
    f->broker.refusing = ERR_LOG_FAILED; /* nothing waits any more for what cannot become safe */
    check(f, A, "queue.create", "['other', {'durable': false}]", "{'created': true}");
    check(f, A, "queue.delete", "['other']", "0");
}

/* One durable thing among what a call has changed is enough. */
static void test_what_reaches_a_durable_queue_waits_wherever_it_came_from(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.update", "['memory', {'dead_letter': 'q'}]", "true"); /* there is nothing to wait for */
    check(f, A, "publish", "['memory', ['a', 'b']]", "[1, 2]");
    const uint32_t stored = wait_for(f, A, "publish", "['q', ['c']]");
    check(f, A, "receive", "['memory', {'max': 2}]", "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b']]");
    check(f, A, "receive", "['q']", "[[R3, 1, 1, b'c']]");
    const uint32_t dead = wait_for(f, A, "nack", "[[R1], {'dead': true}]");
    const uint32_t mixed = wait_for(f, A, "ack", "[[R2, R3]]");
    const uint32_t durable = wait_for(f, A, "queue.update", "['memory', {'durable': true}]");
    make_safe(f);
    assert_string_equal(door_answer(f, A, stored), "[1, 1]");
    assert_string_equal(door_answer(f, A, dead), "1");
    assert_string_equal(door_answer(f, A, mixed), "2");
    assert_string_equal(door_answer(f, A, durable), "true");
}

/* It says as much as the first one's confirm, which has not been given yet. */
static void test_a_duplicate_waits_like_the_first_one(void **state)
{
    struct fixture *f = *state;
    const char *const message = "['q', [['a', {'dedup_id': 'x'}]]]";
    const uint32_t first = wait_for(f, A, "publish", message);
    const uint32_t again = wait_for(f, B, "publish", message);

    make_safe(f);
    assert_string_equal(door_answer(f, A, first), "[1, 1]");
    assert_string_equal(door_answer(f, B, again), "[nil, 0, [[0, 1]]]");
}

static void test_a_queue_that_is_there_already_waits_like_a_new_one(void **state)
{
    struct fixture *f = *state;
    const uint32_t first = wait_for(f, A, "queue.create", "['r']");
    const uint32_t again = wait_for(f, B, "queue.create", "['r']");

    make_safe(f);
    assert_string_equal(door_answer(f, A, first), "{'created': true}");
    assert_string_equal(door_answer(f, B, again), "{'created': false}");
}

static void test_deliveries_do_not_wait(void **state)
{
    struct fixture *f = *state;

    check(f, B, "consume", "['q']", "1");
    wait_for(f, A, "publish", "['q', ['a']]");
    assert_string_equal(door_pushed(f, B), "deliver [1, [[R1, 1, 1, b'a']]]\n");
}

static void test_a_publish_that_was_held_waits_once_it_is_stored(void **state)
{
    struct fixture *f = *state;

    native_keep(&f->door, NULL);
    check(f, A, "queue.create", "['small', {'max_messages': 1}]", "{'created': true}");
    check(f, A, "publish", "['small', ['a']]", "[1, 1]");
    native_keep(&f->door, &f->log);
    const uint32_t held = wait_for(f, B, "publish", "['small', ['b'], {'wait': 5000}]");
    const uint32_t late = wait_for(f, B, "publish", "['small', ['c'], {'wait': 5000, 'atomic': true}]");
    make_safe(f);
    assert_string_equal(door_answer(f, B, held), "");
    wait_for(f, A, "discard", "['small', [1]]");
    assert_string_equal(door_answer(f, B, held), "");
    make_safe(f);
    assert_string_equal(door_answer(f, B, held), "[2, 1]");
    door_wait_ms(f, 5001);
    assert_string_equal(door_answer(f, B, late), "! ['QUEUE_FULL', ..., {'retry': true}]");
}

static void test_a_notification_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;

    door_notify(f, A, "publish", "['q', ['a']]");
    door_turn(f);
    assert_int_equal(native_waiting(&f->door), 0);
    assert_int_equal(f->event_count, 1);
}

static void test_when_the_log_has_failed_what_is_not_safe_is_an_error(void **state)
{
    struct fixture *f = *state;
    const uint32_t safe = wait_for(f, A, "publish", "['q', ['a']]");
    const uint32_t lost = wait_for(f, B, "publish", "['q', ['b']]");

    f->safe = 1;
    f->log_failed = true;
    door_turn(f);
    assert_string_equal(door_answer(f, A, safe), "[1, 1]");
    assert_string_equal(door_answer(f, B, lost), LOG_FAILED);
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a']]");
    check(f, A, "ack", "[[R1]]", LOG_FAILED);
    check(f, A, "ack", "[[R1]]", "[0, [[0, ['RECEIPT_STALE', ..., {'index': 0, 'receipt': R1}]]]]");
    check(f, A, "publish", "['memory', ['c']]", "[1, 1]");
    check(f, A, "receive", "['memory']", "[[R2, 1, 1, b'c']]");
    check(f, A, "ack", "[[R2]]", "1");
    assert_int_equal(f->door.counters.error_answers, 2);
}

static void test_a_session_that_ends_takes_its_answers_along(void **state)
{
    struct fixture *f = *state;

    wait_for(f, A, "publish", "['q', ['a']]");
    wait_for(f, A, "publish", "['q', ['b']]");
    const uint32_t other = wait_for(f, B, "publish", "['q', ['c']]");
    door_close(f, A);
    make_safe(f);
    assert_string_equal(door_answer(f, B, other), "[3, 1]");
    door_connect(f, A);
    make_safe(f);
    check(f, A, "ping", "[]", "'pong'");

    /* Nor is it missed when the door goes first. */
    wait_for(f, A, "publish", "['q', ['d']]");
    door_close(f, A);
}

/* A client that reads nothing and one whose answers wait are held back alike; and both go on. */
static void test_answers_that_wait_count_as_output(void **state)
{
    static const uint8_t request[] = {0x94, 0,   1,    0xa7, 'p', 'u',  'b',  'l', 'i',
                                      's',  'h', 0x92, 0xa1, 'q', 0x91, 0xa1, 'x'};
    struct fixture *f = *state;
    uint32_t asked = 0;

    f->options.max_output = 64 * OPTION_KB;
    while (door_input(f, A, request, sizeof request) == sizeof request)
        asked++;
    assert_in_range(asked, 6000, 15000);
    assert_true(session_waiting_bytes(f->clients[A].session) > f->options.max_output);
    assert_true(native_memory(&f->door) > f->options.max_output);
    door_turn(f);
    assert_int_equal(door_input(f, A, request, sizeof request), 0);
    make_safe(f);
    assert_int_equal(session_waiting_bytes(f->clients[A].session), 0);
    assert_int_equal(door_input(f, A, request, sizeof request), sizeof request);
}

static void test_the_memory_of_a_crowd_goes_back(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;

    for (int i = 0; i < 20000; i++)
        last = door_ask(f, A, "publish", "['q', ['a']]");
    const size_t most = native_memory(&f->door);
    make_safe(f);
    assert_string_equal(door_answer(f, A, last), "[20000, 1]");
    assert_true(most > (size_t)512 * 1024);
    assert_true(native_memory(&f->door) < most / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_comes_when_its_place_is_safe, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_every_command_that_changes_something_waits, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_what_confirms_nothing_does_not_wait, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_that_is_done_to_messages_of_a_queue_that_is_not_durable_waits,
                                        setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_what_queues_there_are_is_confirmed_in_order, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_what_reaches_a_durable_queue_waits_wherever_it_came_from, setup,
                                        door_teardown),
        cmocka_unit_test_setup_teardown(test_a_duplicate_waits_like_the_first_one, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_queue_that_is_there_already_waits_like_a_new_one, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_deliveries_do_not_wait, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_publish_that_was_held_waits_once_it_is_stored, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_notification_leaves_nothing_behind, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_when_the_log_has_failed_what_is_not_safe_is_an_error, setup,
                                        door_teardown),
        cmocka_unit_test_setup_teardown(test_a_session_that_ends_takes_its_answers_along, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_answers_that_wait_count_as_output, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_the_memory_of_a_crowd_goes_back, setup, door_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
