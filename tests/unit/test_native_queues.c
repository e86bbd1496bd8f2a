/* The native door's administration of queues. */
#include "tests/support/native_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What `text` says behind "'key': ", up to the next comma or brace. */
static void check_field(const char *text, const char *key, const char *expected)
{
    char head[64];

    snprintf(head, sizeof head, "'%s': ", key);
    const char *at = strstr(text, head);
    if (at == NULL)
        fail_msg("no %s in %s", key, text);
    at += strlen(head);
    if (strncmp(at, expected, strlen(expected)) != 0 || strchr(",}", at[strlen(expected)]) == NULL)
        fail_msg("%s is not %s in %s", key, expected, at);
}

/* A queue is made once; the same call again finds it, another one is told the differences. */
static void test_create(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q', {'visibility': 1000, 'overflow': 'drop_oldest'}]", "{'created': true}");
    check(f, A, "queue.create", "['q']", "{'created': false}");
    check(f, A, "queue.create", "['q', {'overflow': b'drop_oldest', 'type': 'standard'}]", "{'created': false}");
    check(f, A, "queue.create", "['q', {'visibility': 1000, 'ttl': 5, 'overflow': 'reject'}]",
          "! ['QUEUE_EXISTS', ..., {'differences': {'ttl': [0, 5], 'overflow': ['drop_oldest', 'reject']}}]");
}

/* Attributes that are no numbers are shown as they were written, and backoff with the parts that were left out. */
static void test_attributes_of_every_kind(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['dead', {'type': 'fifo'}]", "{'created': true}");
    check(f, A, "queue.create",
          "['q', {'type': 'fifo', 'dead_letter': b'dead', 'dead_letter_expired': true, 'backoff': {'base': 100},"
          " 'durable': false, 'dedup_scope': 'group', 'group_prefetch': 3}]",
          "{'created': true}");
    const char *info = door_call(f, A, "queue.info", "['q']");
    check_field(info, "type", "'fifo'");
    check_field(info, "dead_letter", "'dead'");
    check_field(info, "dead_letter_expired", "true");
    check_field(info, "durable", "false");
    check_field(info, "dedup_scope", "'group'");
    check_field(info, "group_prefetch", "3");
    assert_non_null(strstr(info, "'backoff': {'base': 100, 'factor': 2, 'cap': 0, 'jitter': 0}"));
    check(f, A, "queue.create",
          "['q', {'type': 'standard', 'dead_letter': nil, 'dead_letter_expired': false, 'durable': false,"
          " 'backoff': {b'base': 100, 'factor': 1.5, 'cap': 5000, 'jitter': 1}, 'dedup_scope': 'group'}]",
          "! ['QUEUE_EXISTS', ..., {'differences': {'type': ['fifo', 'standard'], 'dead_letter': ['dead', nil],"
          " 'dead_letter_expired': [true, false], 'backoff': [{'base': 100, 'factor': 2, 'cap': 0, 'jitter': 0},"
          " {'base': 100, 'factor': 1.5, 'cap': 5000, 'jitter': 1}]}}]");
    check(f, A, "queue.update", "['q', {'dead_letter': nil, 'dead_letter_expired': false, 'backoff': nil}]", "true");
    info = door_call(f, A, "queue.info", "['q']");
    check_field(info, "dead_letter", "nil");
    check_field(info, "backoff", "nil");
}

/* Attributes that can't be are refused by their names, and nothing is made. */
static void test_wrong_attributes(void **state)
{
    static const struct {
        const char *attributes, *expected;
    } rows[] = {
        {"{'visibilty': 5}", "! ['BAD_REQUEST', ..., {'key': 'visibilty'}]"},
        {"{'fifo': true}", "! ['BAD_REQUEST', ..., {'key': 'fifo'}]"},
        {"{5: 5}", "! ['BAD_REQUEST', ..., {'key': 'attributes'}]"},
        {"{'visibility': 0}", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]"},
        {"{'visibility': -1}", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]"},
        {"{'visibility': '30s'}", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]"},
        {"{'visibility': nil}", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]"},
        {"{'delay': 1.5}", "! ['BAD_REQUEST', ..., {'key': 'delay'}]"},
        {"{'delay': 315360000001}", "! ['BAD_REQUEST', ..., {'key': 'delay'}]"},
        {"{'max_messages': 18446744073709551615}", "! ['BAD_REQUEST', ..., {'key': 'max_messages'}]"},
        {"{'ttl': 1, 'ttl': 1}", "! ['BAD_REQUEST', ..., {'key': 'ttl'}]"},
        {"{'type': 'stream'}", "! ['BAD_REQUEST', ..., {'key': 'type'}]"},
        {"{'dead_letter_expired': 1}", "! ['BAD_REQUEST', ..., {'key': 'dead_letter_expired'}]"},
        {"{'content_dedup': 'true'}", "! ['BAD_REQUEST', ..., {'key': 'content_dedup'}]"},
        {"{'dead_letter': true}", "! ['BAD_REQUEST', ..., {'key': 'dead_letter'}]"},
        {"{'dead_letter': ''}", "! ['BAD_REQUEST', ..., {'key': 'dead_letter'}]"},
        {"{'dead_letter': 'a b'}", "! ['BAD_REQUEST', ..., {'key': 'dead_letter'}]"},
        {"{'dead_letter': 'nowhere'}", "! ['QUEUE_NOT_FOUND', ..., {'key': 'dead_letter'}]"},
        {"{'backoff': 5}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 0}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 315360000001}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'max': 5}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'base': 1}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'factor': 0.5}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'factor': 1001}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'factor': '2'}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'cap': -1}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'jitter': 1.5}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'backoff': {'base': 1, 'jitter': -0.5}}", "! ['BAD_REQUEST', ..., {'key': 'backoff'}]"},
        {"{'group_prefetch': 0}", "! ['BAD_REQUEST', ..., {'key': 'group_prefetch'}]"},
        {"{'dedup_scope': 'topic'}", "! ['BAD_REQUEST', ..., {'key': 'dedup_scope'}]"},
        {"{'overflow': 'drop'}", "! ['BAD_REQUEST', ..., {'key': 'overflow'}]"},
        {"{'overflow': 1}", "! ['BAD_REQUEST', ..., {'key': 'overflow'}]"},
        {"{'visibility': 2000, 'max_hold': 1000}", "! ['LIMIT', ..., {'which': 'max_hold'}]"},
        {"[]", "! ['BAD_REQUEST', ..., {'key': 'attributes'}]"},
    };
    struct fixture *f = *state;
    char params[128];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(params, sizeof params, "['new', %s]", rows[i].attributes);
        check(f, A, "queue.create", params, rows[i].expected);
    }
    check(f, A, "queue.create", "['a b']", "! ['BAD_REQUEST', ..., {'key': 'queue'}]");
    assert_int_equal(f->broker.queue_count, 0);
    check(f, A, "queue.create", "['old']", "{'created': true}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(params, sizeof params, "['old', %s]", rows[i].attributes);
        check(f, A, "queue.update", params, rows[i].expected);
    }
}

/* At max_queues the next one is refused. */
static void test_max_queues(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.set", "['max_queues', 1]", "true");
    check(f, A, "queue.create", "['one']", "{'created': true}");
    check(f, A, "queue.create", "['two']", "! ['LIMIT', ..., {'which': 'max_queues'}]");
}

/* An update changes what it names, but not the type. */
static void test_update(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q', {'ttl': 9}]", "{'created': true}");
    check(f, A, "queue.update", "['q', {'visibility': 5, 'overflow': 'drop_oldest'}]", "true");
    check(f, A, "queue.update", "['q', {}]", "true");
    check(f, A, "queue.update", "['q', {'type': 'standard'}]", "! ['BAD_REQUEST', ..., {'key': 'type'}]");
    check(f, A, "queue.update", "['nowhere', {}]", "! ['QUEUE_NOT_FOUND', ...]");
    const char *info = door_call(f, A, "queue.info", "['q']");
    check_field(info, "visibility", "5");
    check_field(info, "overflow", "'drop_oldest'");
    check_field(info, "ttl", "9");
}

/* Deleting answers the number of messages; it may be asked to spare queues that are in use. */
static void test_delete(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a', 'b']]", "[1, 2]");
    check(f, A, "queue.delete", "['q', {'if_empty': true}]", "! ['QUEUE_NOT_EMPTY', ...]");
    check(f, B, "consume", "['q', {'prefetch': 0}]", "1");
    check(f, A, "queue.delete", "['q', {'if_unused': true}]", "! ['QUEUE_IN_USE', ..., {'retry': true}]");
    check(f, A, "queue.delete", "['q', {'if_unused': false}]", "2");
    assert_string_equal(door_pushed(f, B), "cancelled [1, 'queue_deleted']\n");
    check(f, A, "queue.delete", "['q']", "! ['QUEUE_NOT_FOUND', ...]");
}

/* A connection that has used a queue does not reach another one, or none, under its name by what it remembers. */
static void test_a_remembered_queue_that_was_deleted(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a']]", "[1, 1]");
    check(f, B, "queue.delete", "['q']", "1");
    check(f, A, "publish", "['q', ['a']]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, B, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a']]", "[1, 1]");
}

/* A purge takes all messages or those in one state. */
static void test_purge(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a', ['b', {'delay': 9}], 'c', 'd']]", "[1, 4]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a']]");
    check(f, A, "queue.purge", "['q', {'state': 'inflight'}]", "1");
    check(f, A, "queue.purge", "['q', {'state': 'parked'}]", "0");
    check(f, A, "queue.purge", "['q']", "3");
    check(f, A, "queue.purge", "['q', {'state': 'all'}]", "! ['BAD_REQUEST', ..., {'key': 'state'}]");
    check(f, A, "queue.purge", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
}

/* A paused queue delivers nothing until it is resumed. */
static void test_pause_and_resume(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a']]", "[1, 1]");
    check(f, A, "queue.pause", "['q']", "true");
    check(f, A, "queue.pause", "['q']", "true");
    check(f, A, "receive", "['q']", "[]");
    check_field(door_call(f, A, "queue.info", "['q']"), "paused", "true");
    check(f, A, "queue.resume", "['q']", "true");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a']]");
    check(f, A, "queue.pause", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "queue.resume", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
}

/* queue.info has every count, rate, counter and attribute, each key once. */
static void test_info(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['aa', ['bbb', {'delay': 9}], 'c', 'd', 'e']]", "[1, 5]");
    check(f, A, "receive", "['q', {'max': 3}]", "[[R1, 1, 1, b'aa'], [R2, 3, 1, b'c'], [R3, 4, 1, b'd']]");
    check(f, A, "ack", "[[R1]]", "1");
    check(f, A, "park", "[[R2]]", "1");
    f->now_ms += 1000;
    check(f, B, "receive", "['q', {'max': 1}]", "[[R4, 5, 1, b'e']]");
    check(f, A, "nack", "[[R4]]", "1");
    const char *info = door_call(f, A, "queue.info", "['q']");
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"name", "'q'"},          {"type", "'standard'"},
        {"delayed", "0"},         {"ready", "2"},
        {"inflight", "1"},        {"parked", "1"},
        {"total", "4"},           {"bytes", "6"},
        {"next_id", "6"},         {"consumers", "0"},
        {"waiters", "0"},         {"paused", "false"},
        {"oldest_ms", "1000"},    {"publish_rate", "1"},
        {"deliver_rate", "0.6"},  {"ack_rate", "0.2"},
        {"published", "5"},       {"refused", "0"},
        {"delivered", "4"},       {"acked", "1"},
        {"nacked", "1"},          {"parks", "1"},
        {"visibility", "30000"},  {"max_hold", "43200000"},
        {"overflow", "'reject'"}, {"max_message_bytes", "0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_field(info, rows[i].key, rows[i].value);
    const char *first = strstr(info, "'type': ");
    assert_null(strstr(first + 1, "'type': "));
    check(f, A, "queue.info", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
}

/* The names in an answer of queue.list, and its next. */
static const char *names(struct fixture *f, const char *params)
{
    static char out[256];
    const char *at = door_call(f, A, "queue.list", params);

    out[0] = '\0';
    while ((at = strstr(at, "{'name': '")) != NULL) {
        at += strlen("{'name': '");
        strncat(out, at, strcspn(at, "'"));
        strcat(out, " ");
    }
    strcat(out, strstr(f->text, "'next': "));
    return out;
}

/* Queues come sorted by name, by prefix, page by page. */
static void test_list(void **state)
{
    static const char *const made[] = {"b", "a.2", "a.1", "ab", "a", "a.10"};
    struct fixture *f = *state;
    char params[32];

    assert_string_equal(names(f, "[]"), "'next': nil}");
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        snprintf(params, sizeof params, "['%s']", made[i]);
        check(f, A, "queue.create", params, "{'created': true}");
    }
    assert_string_equal(names(f, "[]"), "a a.1 a.10 a.2 ab b 'next': nil}");
    assert_string_equal(names(f, "[{'max': 2}]"), "a a.1 'next': 'a.10'}");
    assert_string_equal(names(f, "[{'max': 2, 'cursor': 'a.10'}]"), "a.10 a.2 'next': 'ab'}");
    assert_string_equal(names(f, "[{'cursor': 'a.15'}]"), "a.2 ab b 'next': nil}");
    assert_string_equal(names(f, "[{'prefix': 'a.'}]"), "a.1 a.10 a.2 'next': nil}");
    assert_string_equal(names(f, "[{'prefix': 'a.', 'max': 1}]"), "a.1 'next': 'a.10'}");
    assert_string_equal(names(f, "[{'prefix': 'a.', 'cursor': 'a.2', 'max': 1}]"), "a.2 'next': nil}");
    assert_string_equal(names(f, "[{'prefix': 'a.', 'cursor': 'b'}]"), "'next': nil}");
    assert_string_equal(names(f, "[{'prefix': 'zz'}]"), "'next': nil}");
    check(f, A, "queue.list", "[{'max': 0}]", "! ['BAD_REQUEST', ..., {'key': 'max'}]");
    check(f, A, "queue.list", "[{'max': 1001}]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
    check(f, A, "queue.list", "[{'prefix': 'b'}]",
          "{'queues': [{'name': 'b', 'type': 'standard', 'delayed': 0, 'ready': 0, 'inflight': 0, 'parked': 0, "
          "'total': 0,"
          " 'bytes': 0, 'consumers': 0, 'waiters': 0, 'paused': false}], 'next': nil}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, door_setup, door_teardown)
        TEST(test_create),
        TEST(test_attributes_of_every_kind),
        TEST(test_wrong_attributes),
        TEST(test_max_queues),
        TEST(test_update),
        TEST(test_delete),
        TEST(test_a_remembered_queue_that_was_deleted),
        TEST(test_purge),
        TEST(test_pause_and_resume),
        TEST(test_info),
        TEST(test_list),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
