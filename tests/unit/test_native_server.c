/* The native door's calls about the server, its options and its connections. */
#include "tests/support/native_door.h"

#include "protocol/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* hello tells versions and the limits as they are now. */
static void test_hello(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.set", "['max_batch', 50]", "true");
    check(f, A, "config.set", "['max_message_bytes', 1000]", "true");
    check(f, A, "config.set", "['max_request_bytes', '128kb']", "true");
    check(f, A, "config.set", "['max_response_bytes', '2kb']", "true");
    check(f, A, "hello", "[{'client': 'test', 'version': '1', 'user': 'x', 'password': 'y'}]",
          "{'server': 'ringmq', 'version': '" RINGMQ_VERSION "', 'protocol': 1, 'durability': 'none',"
          " 'features': ['commit', 'dead_letter', 'dedup', 'fifo', 'move', 'priority', 'topics'],"
          " 'limits': {'max_message_bytes': 1000, 'max_request_bytes': 131072, 'max_response_bytes': 2048, "
          "'max_batch': 50,"
          " 'max_wait': 20000, 'max_prefetch': 1000000, 'max_consumers': 1024, 'max_waiters': 1024,"
          " 'max_elements': 262144, 'max_commit_parts': 1000, 'max_copies': 65536, 'max_routing': 1000000, "
          "'max_topics': 10000, "
          "'max_subscriptions': 10000,"
          " 'max_moves': 1000}}");
}

/* What a client calls itself is UTF-8 of at most 128 bytes. */
static void test_hello_with_a_name_that_can_not_be_shown(void **state)
{
    struct fixture *f = *state;

    check(f, A, "hello", "[{'client': 'x'*129}]", "! ['BAD_REQUEST', ..., {'key': 'client'}]");
    check(f, A, "hello", "[{'client': '\xff'}]", "! ['BAD_REQUEST', ..., {'key': 'client'}]");
    check(f, A, "hello", "[{'version': 'x'*129}]", "! ['BAD_REQUEST', ..., {'key': 'version'}]");
    assert_true(strncmp(door_call(f, A, "hello", "[{'client': 'x'*128, 'version': 'x'*128}]"), "{'server'", 9) == 0);
}

/* help shows the table, or one row. */
static void test_help(void **state)
{
    struct fixture *f = *state;
    const char *at = door_call(f, A, "help", "[]");
    unsigned count = 0;

    for (; (at = strstr(at, "{'name': ")) != NULL; at++)
        count++;
    assert_int_equal(count, COMMAND_COUNT);
    check(f, A, "help", "['ping']", "[{'name': 'ping', 'args': '', 'help': 'answer \"pong\"', 'group': 'connection'}]");
    check(f, A, "help", "['pung']", "! ['NOT_FOUND', ...]");
    check(f, A, "ping", "[]", "'pong'");
}

/* ---- config ------------------------------------------------------------------------------------------------------ */

/* Options are shown in the form of the file, selected by a pattern. */
static void test_config_get(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.get", "['max_batch']", "{'max_batch': '1000'}");
    check(f, A, "config.get", "['*_bytes']",
          "{'max_message_bytes': '1mb', 'max_request_bytes': '16mb', 'max_response_bytes': '16mb', "
          "'log_segment_bytes': '64mb'}");
    check(f, A, "config.get", "['nothing']", "{}");
    const char *all = door_call(f, A, "config.get", "[]");
    assert_non_null(strstr(all, "'port': '7464'"));
    assert_non_null(strstr(all, "'log_level': 'info'"));
}

/* An option is set from text, an integer or a bool; what is around is told, and what can't be is refused. */
static void test_config_set(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.set", "['max_batch', 5]", "true");
    check(f, A, "config.set", "['max_wait', '7s']", "true");
    assert_int_equal(f->broker.limits.max_batch, 5);
    assert_int_equal(f->broker.limits.max_wait_ms, 7000);
    assert_int_equal(f->changed_count, 2);
    check(f, A, "config.set", "['max_bath', 5]", "! ['NOT_FOUND', ...]");
    check(f, A, "config.set", "['port', 5]", "! ['BAD_REQUEST', ..., {'key': 'key'}]");
    check(f, A, "config.set", "['max_batch', 'five']", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_batch', 0]", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_batch', -1]", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_batch', nil]", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_batch', 5.5]", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_batch', [5]]", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    check(f, A, "config.set", "['max_message_bytes', '200mb']", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    assert_int_equal(f->changed_count, 2);
}

/* draining is set and taken back by bool or text; it is no option of the file. */
static void test_draining(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.set", "['draining', true]", "true");
    assert_true(f->broker.draining);
    check(f, A, "config.set", "['draining', 'maybe']", "! ['BAD_REQUEST', ..., {'key': 'value'}]");
    assert_true(f->broker.draining);
    check(f, A, "config.set", "['draining', 'no']", "true");
    assert_false(f->broker.draining);
    assert_int_equal(f->changed_count, 2);
    check(f, A, "config.get", "['draining']", "{}");
}

/* ---- server.info, server.stats ----------------------------------------------------------------------------------- */

/* Sections come alone or together; sums go over all queues. */
static void test_server_info(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['p']", "{'created': true}");
    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['p', ['aa', ['b', {'delay': 9}]]]", "[1, 2]");
    check(f, A, "publish", "['q', ['cc']]", "[1, 1]");
    (void)door_ask(f, A, "receive", "['q', {'max': 1}]");
    check(f, A, "consume", "['q']", "1");
    (void)door_ask(f, A, "receive", "['q', {'wait': 9}]");
    check(f, A, "server.info", "['queues']",
          "{'queues': {'queues': 2, 'delayed': 1, 'ready': 1, 'inflight': 1, 'parked': 0, 'total': 3, 'bytes': 5,"
          " 'topics': 0, 'subscriptions': 0, 'moves': 0}}");
    check(f, A, "server.info", "['clients']",
          "{'clients': {'connections': 0, 'connections_total': 0, 'connections_refused': 0, 'slow_clients': 0,"
          " 'bytes_in': 5, 'bytes_out': 0, 'consumers': 1, 'waiters': 1, 'held_publishes': 0}}");
    check(f, A, "server.info", "['server']",
          "{'server': {'version': '" RINGMQ_VERSION "', 'draining': false, 'pid': 77, 'uptime_ms': 0, 'turns': 0,"
          " 'cpu_user_ms': 0, 'cpu_system_ms': 0}}");
    check(f, A, "server.info", "['nothing']", "! ['NOT_FOUND', ...]");
    const char *all = door_call(f, A, "server.info", "[]");
    assert_true(strncmp(all, "{'server': {", 12) == 0);
    assert_non_null(strstr(all, "}, 'memory': {'buffer_bytes': 0, 'rss_bytes': 0, 'used_bytes': "));
    assert_non_null(strstr(all, "}, 'counters': {'published': 3, "));
}

/* The counters are those of queues and of the door. */
static void test_server_stats(void **state)
{
    struct fixture *f = *state;

    check(f, A, "ping", "[1]", "! ['BAD_REQUEST', ..., {'key': 'params'}]");
    door_notify(f, A, "ping", "[]");
    check(f, A, "server.stats", "[]",
          "{'published': 0, 'refused': 0, 'delivered': 0, 'redelivered': 0, 'acked': 0, 'nacked': 0, 'timed_out': 0,"
          " 'returned': 0, 'expired': 0, 'parks': 0, 'kicks': 0, 'purged': 0, 'discarded': 0, 'dropped': 0, "
          "'duplicates': 0, 'dead_lettered': 0, 'dead_letter_failed': 0, 'moved': 0, 'arrived': 0, 'requests': 3,"
          " 'error_answers': 1, 'notifications': 1, 'notification_errors': 0, 'ignored': 0, 'protocol_errors': 0}");
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

/* Connections are listed oldest first, with what they said in hello and what they hold. */
static void test_client_list(void **state)
{
    struct fixture *f = *state;

    door_close(f, C);
    check(f, B, "queue.create", "['q']", "{'created': true}");
    (void)door_call(f, B, "hello", "[{'client': 'worker', 'version': '2'}]");
    check(f, B, "publish", "['q', ['a', 'b']]", "[1, 2]");
    check(f, B, "consume", "['q', {'prefetch': 2}]", "1");
    f->now_ms += 250;
    check(f, A, "client.list", "[]",
          "{'clients': [{'id': 1, 'addr': '10.0.0.1:99', 'name': '', 'version': '', 'age_ms': 250, 'consumers': 0,"
          " 'waiters': 0, 'held_publishes': 0, 'inflight': 0, 'requests': 1, 'output_bytes': 0}, {'id': 2, 'addr': "
          "'10.0.0.2:99',"
          " 'name': 'worker', 'version': '2', 'age_ms': 250, 'consumers': 1, 'waiters': 0, 'held_publishes': 0, "
          "'inflight': 2, 'requests': 4,"
          " 'output_bytes': 0}]}");
    door_connect(f, C);
    assert_non_null(strstr(door_call(f, A, "client.list", "[]"), "{'id': 4, 'addr': '10.0.0.3:99', "));
}

/* A connection can be ended by its id, one's own too. */
static void test_client_kill(void **state)
{
    struct fixture *f = *state;

    check(f, A, "client.kill", "[2]", "true");
    assert_string_equal(f->killed, "2 killed by client 1");
    check(f, A, "client.kill", "[1]", "true");
    assert_string_equal(f->killed, "1 killed by client 1");
    check(f, A, "client.kill", "[99]", "! ['NOT_FOUND', ...]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, door_setup, door_teardown)
        TEST(test_hello),       TEST(test_hello_with_a_name_that_can_not_be_shown),
        TEST(test_help),        TEST(test_config_get),
        TEST(test_config_set),  TEST(test_draining),
        TEST(test_server_info), TEST(test_server_stats),
        TEST(test_client_list), TEST(test_client_kill),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
