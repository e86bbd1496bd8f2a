/* Duplicates, topics, commits and moves: what the client sends, and what it makes of each answer. */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
    struct peer peer;
    struct ringmq *conn;
};

static int setup(void **state)
{
    static struct fixture fixture;
    peer_open(&fixture.peer);
    fixture.conn = peer_ready_client(&fixture.peer, NULL);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ringmq_free(f->conn);
    peer_close(&f->peer);
    return 0;
}

static bool bytes_are(struct ringmq_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.bytes == strlen(text) && memcmp(bytes.data, text, bytes.bytes) == 0;
}

static const struct ringmq_message ONE = {.body = "1", .body_bytes = 1};
static const struct ringmq_message TWO = {.body = "2", .body_bytes = 1, .group = "g"};

/* ---- publish ---- */

/* Dedup id and priority travel with the message, wait and mandatory with the call. */
static void publish_sends_what_belongs_to_messages_and_calls(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message message = {.body = "b", .body_bytes = 1, .group = "g", .dedup_id = "d", .priority = 9};
    const struct ringmq_publish_options options = {.atomic = true, .mandatory = true, .wait_ms = 1500};
    peer_answers(&f->peer, "[1, 1]");
    assert_int_equal(ringmq_publish(f->conn, "q", &message, 1, &options, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"publish\", [\"q\", [[#\"b\", {\"group\": \"g\", \"dedup_id\": \"d\", \"priority\": 9}]], "
                        "{\"atomic\": true, \"mandatory\": true, \"wait\": 1500}]");
}

/* The server may use up the wait before it answers: the call does not end before that. */
static void a_publish_waits_for_its_wait_on_top_of_the_timeout(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_publish_options longest = {.wait_ms = INT64_MAX};
    peer_answers(&f->peer, "[1, 1]");
    assert_int_equal(ringmq_publish(f->conn, "q", &ONE, 1, &longest, NULL, 1), RINGMQ_OK);
    const struct ringmq_publish_options options = {.wait_ms = 60};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(ringmq_publish(f->conn, "q", &ONE, 1, &options, NULL, 20), RINGMQ_ERR_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 >= 79);
}

/* A duplicate has the first one's id and is no refusal; the stored ones are numbered past it. */
static void duplicates_of_a_batch_are_told_by_index(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message messages[4] = {ONE, ONE, ONE, ONE};
    struct ringmq_published result;
    struct ringmq_duplicate duplicate;
    struct ringmq_refusal refusal;
    peer_answers(&f->peer, "[7, 2, [[1, 3], [2, [\"QUEUE_FULL\", \"full\", {\"retry\": true}]]]]");
    assert_int_equal(ringmq_publish(f->conn, "q", messages, 4, NULL, &result, 0), RINGMQ_OK);
    const uint64_t ids[] = {7, 3, 0, 8, 0};
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(ringmq_published_id(&result, i), ids[i]);

    struct ringmq_iterator it = ringmq_iterate_duplicates(result.exceptions);
    assert_true(ringmq_next_duplicate(&it, &duplicate));
    assert_int_equal(duplicate.index, 1);
    assert_int_equal(duplicate.id, 3);
    assert_false(ringmq_next_duplicate(&it, &duplicate));
    it = ringmq_iterate_refusals(result.exceptions);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 2);
    assert_false(ringmq_next_refusal(&it, &refusal));

    uint64_t id = 0;
    peer_answers(&f->peer, "[nil, 0, [[0, 5]]]");
    assert_int_equal(ringmq_publish_one(f->conn, "q", "1", 1, &id, 0), RINGMQ_OK);
    assert_int_equal(id, 5);
}

static void deliveries_show_priority_and_dedup_id(void **state)
{
    struct fixture *f = *state;
    struct ringmq_deliveries deliveries;
    struct ringmq_delivery d;
    peer_answers(&f->peer, "[[1, 2, 3, #\"b\", {\"priority\": 4, \"dedup_id\": \"x\"}], [2, 3, 1, #\"c\"]]");
    assert_int_equal(ringmq_receive(f->conn, "q", NULL, &deliveries, 0), RINGMQ_OK);
    assert_true(ringmq_next_delivery(&deliveries, &d));
    assert_int_equal(d.priority, 4);
    assert_true(bytes_are(d.dedup_id, "x"));
    assert_true(ringmq_next_delivery(&deliveries, &d));
    assert_int_equal(d.priority, 0);
    assert_null(d.dedup_id.data);
}

/* ---- topics ---- */

static void a_topic_publish_names_topic_and_key_and_is_answered_with_copies(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message messages[] = {ONE, TWO};
    const struct ringmq_publish_options options = {.atomic = true, .mandatory = true, .wait_ms = 5};
    uint64_t copies = 0;
    peer_answers(&f->peer, "3");
    assert_int_equal(ringmq_topic_publish(f->conn, "t", "a.b", messages, 2, &options, &copies, 0), RINGMQ_OK);
    assert_int_equal(copies, 3);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.publish\", [\"t\", \"a.b\", [#\"1\", [#\"2\", {\"group\": "
                                                   "\"g\"}]], {\"mandatory\": true, \"wait\": 5}]");
    peer_answers(&f->peer, "0");
    assert_int_equal(ringmq_topic_publish(f->conn, "t", "", messages, 1, NULL, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.publish\", [\"t\", \"\", [#\"1\"]]");
    peer_answers(&f->peer, "[1, 1]");
    assert_int_equal(ringmq_topic_publish(f->conn, "t", "", messages, 1, NULL, &copies, 0), RINGMQ_ERR_PROTOCOL);
    assert_int_equal(copies, 3);
    assert_int_equal(ringmq_topic_publish(f->conn, "t", NULL, messages, 1, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_topic_publish(f->conn, NULL, "", messages, 1, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
}

static void topics_are_administrated_as_the_protocol_says(void **state)
{
    struct fixture *f = *state;
    struct ringmq_value value;
    bool created = true;
    peer_answers(&f->peer, "{\"created\": false}");
    assert_int_equal(ringmq_topic_create(f->conn, "t", &created, 0), RINGMQ_OK);
    assert_false(created);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.create\", [\"t\"]");
    struct ringmq_args *filter = ringmq_args_new();
    ringmq_args_map(filter, 1);
    ringmq_args_text(filter, "kind");
    peer_answers(&f->peer, "{\"created\": true}");
    assert_int_equal(ringmq_topic_subscribe(f->conn, "t", "q", NULL, filter, 0), RINGMQ_ERR_ARGUMENT);
    ringmq_args_text(filter, "a");
    assert_int_equal(ringmq_topic_subscribe(f->conn, "t", "q", "a.*", filter, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.subscribe\", [\"t\", \"q\", {\"pattern\": \"a.*\", "
                                                   "\"filter\": {\"kind\": \"a\"}}]");
    ringmq_args_free(filter);
    peer_answers(&f->peer, "{\"created\": true}");
    assert_int_equal(ringmq_topic_subscribe(f->conn, "t", "q", NULL, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.subscribe\", [\"t\", \"q\", {}]");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_topic_unsubscribe(f->conn, "t", "q", "#", 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.unsubscribe\", [\"t\", \"q\", {\"pattern\": \"#\"}]");
    peer_answers(&f->peer, "{\"name\": \"t\"}");
    assert_int_equal(ringmq_topic_info(f->conn, "t", &value, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.info\", [\"t\"]");
    peer_answers(&f->peer, "{\"topics\": [], \"next\": nil}");
    const struct ringmq_list_options list = {.prefix = "t", .max = 2};
    assert_int_equal(ringmq_topic_list(f->conn, &list, &value, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.list\", [{\"prefix\": \"t\", \"max\": 2}]");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_topic_delete(f->conn, "t", 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.delete\", [\"t\"]");
    assert_int_equal(ringmq_topic_subscribe(f->conn, "t", NULL, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_topic_create(f->conn, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
}

/* ---- commit ---- */

/* Parts are collected in any order, sent by kind, and their answers read by their number. */
static void a_transaction_is_sent_whole_and_its_answer_is_typed(void **state)
{
    struct fixture *f = *state;
    const uint64_t receipts[] = {11, 12, 13};
    struct ringmq_transaction *t = ringmq_transaction_new();
    ringmq_transaction_ack(t, receipts, 2);
    ringmq_transaction_publish(t, "q", &ONE, 1);
    ringmq_transaction_topic(t, "t", "k", &TWO, 1);
    ringmq_transaction_publish(t, "r", &TWO, 1);
    ringmq_transaction_ack(t, receipts + 2, 1);
    struct ringmq_committed committed;
    peer_answers(&f->peer, "{\"publish\": [[5, 1], [nil, 0, [[0, 4]]]], \"topics\": [2], \"ack\": 3}");
    assert_int_equal(ringmq_commit(f->conn, t, &committed, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"commit\", [{\"publish\": [[\"q\", [#\"1\"]], [\"r\", [[#\"2\", {\"group\": \"g\"}]]]], "
                        "\"topics\": [[\"t\", \"k\", [[#\"2\", {\"group\": \"g\"}]]]], \"ack\": [11, 12, 13]}]");
    struct ringmq_published published;
    assert_int_equal(committed.acked, 3);
    assert_true(ringmq_committed_publish(&committed, 0, &published));
    assert_int_equal(published.first_id, 5);
    assert_true(ringmq_committed_publish(&committed, 1, &published));
    assert_int_equal(ringmq_published_id(&published, 0), 4);
    assert_false(ringmq_committed_publish(&committed, 2, &published));
    assert_int_equal(ringmq_committed_copies(&committed, 0), 2);
    assert_int_equal(ringmq_committed_copies(&committed, 1), 0);

    ringmq_transaction_reset(t);
    ringmq_transaction_ack(t, receipts, 1);
    peer_answers(&f->peer, "{\"publish\": [], \"topics\": [], \"ack\": 1}");
    assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"commit\", [{\"ack\": [11]}]");
    ringmq_transaction_free(t);
}

/* A part that can't be sent spoils the transaction until it is reset; nothing is sent. */
static void a_transaction_remembers_what_is_wrong_with_it(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message bad = {.body_bytes = 1};
    struct ringmq_transaction *t = ringmq_transaction_new();
    for (int i = 0; i < 5; i++) {
        ringmq_transaction_reset(t);
        if (i == 0)
            ringmq_transaction_publish(t, NULL, &ONE, 1);
        else if (i == 1)
            ringmq_transaction_publish(t, "q", &bad, 1);
        else if (i == 2)
            ringmq_transaction_topic(t, "t", NULL, &ONE, 1);
        else if (i == 3)
            ringmq_transaction_ack(t, NULL, 1);
        else
            ringmq_transaction_topic(t, "t", "", NULL, 1);
        ringmq_transaction_publish(t, "q", &ONE, 1);
        assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_ARGUMENT);
    }
    assert_int_equal(ringmq_commit(f->conn, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    peer_hears_nothing(&f->peer);
    ringmq_transaction_free(t);
}

static void the_error_of_a_commit_names_its_culprit(void **state)
{
    struct fixture *f = *state;
    struct ringmq_transaction *t = ringmq_transaction_new();
    struct ringmq_culprit culprit = {.receipt = 99};
    const uint64_t receipt = 7;
    ringmq_transaction_ack(t, &receipt, 1);
    peer_refuses(&f->peer, "[\"RECEIPT_STALE\", \"stale\", {\"part\": \"ack\", \"index\": 0, \"receipt\": 7}]");
    assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_SERVER);
    assert_true(ringmq_error_culprit(ringmq_error_details(f->conn), &culprit));
    assert_true(culprit.part == RINGMQ_PART_ACK && culprit.index == 0 && culprit.receipt == 7);
    peer_refuses(&f->peer, "[\"QUEUE_FULL\", \"full\", {\"part\": \"topics\", \"index\": 2, \"message\": 1}]");
    assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_SERVER);
    assert_true(ringmq_error_culprit(ringmq_error_details(f->conn), &culprit));
    assert_true(culprit.part == RINGMQ_PART_TOPIC && culprit.index == 2 && culprit.has_message);
    assert_int_equal(culprit.message, 1);
    peer_refuses(&f->peer, "[\"QUEUE_NOT_FOUND\", \"no\", {\"part\": \"publish\", \"index\": 1}]");
    assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_SERVER);
    assert_true(ringmq_error_culprit(ringmq_error_details(f->conn), &culprit));
    assert_true(culprit.part == RINGMQ_PART_PUBLISH && culprit.index == 1 && !culprit.has_message);
    peer_refuses(&f->peer, "[\"MEMORY_LIMIT\", \"full\", {\"retry\": true}]");
    assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_SERVER);
    assert_false(ringmq_error_culprit(ringmq_error_details(f->conn), &culprit));
    assert_int_equal(culprit.index, 1);
    ringmq_transaction_free(t);
}

static void answers_to_a_commit_of_the_wrong_shape_are_errors(void **state)
{
    struct fixture *f = *state;
    static const char *answers[] = {"nil",
                                    "[]",
                                    "{\"publish\": 1}",
                                    "{\"publish\": [1]}",
                                    "{\"ack\": -1}",
                                    "{\"ack\": []}",
                                    "{\"topics\": [\"a\"]}",
                                    "{\"topics\": {}}"};
    struct ringmq_transaction *t = ringmq_transaction_new();
    ringmq_transaction_publish(t, "q", &ONE, 1);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        peer_answers(&f->peer, answers[i]);
        assert_int_equal(ringmq_commit(f->conn, t, NULL, 0), RINGMQ_ERR_PROTOCOL);
    }
    ringmq_transaction_free(t);
}

/* ---- the rest ---- */

static void moves_are_begun_listed_and_ended(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_move_options options = {.to = "orders", .rate = 100, .max = 7};
    struct ringmq_value list;
    uint64_t move = 0;
    peer_answers(&f->peer, "3");
    assert_int_equal(ringmq_move(f->conn, "failed", &options, &move, 0), RINGMQ_OK);
    assert_int_equal(move, 3);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"move\", [\"failed\", {\"to\": \"orders\", \"rate\": 100, \"max\": 7}]");
    peer_answers(&f->peer, "4");
    assert_int_equal(ringmq_move(f->conn, "failed", NULL, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"move\", [\"failed\", {}]");
    peer_answers(&f->peer, "{\"tasks\": []}");
    assert_int_equal(ringmq_move_list(f->conn, &list, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"move.list\", []");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_move_cancel(f->conn, 3, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"move.cancel\", [3]");
}

static void attributes_of_every_kind_can_be_written(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_backoff all = {.base_ms = 1000, .factor = 3, .cap_ms = 60000, .jitter = 0.5};
    const struct ringmq_backoff least = {.base_ms = 1};
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_map(args, 4);
    ringmq_args_text(args, "dead_letter");
    ringmq_args_text(args, "failed");
    ringmq_args_text(args, "content_dedup");
    ringmq_args_bool(args, true);
    ringmq_args_text(args, "backoff");
    ringmq_args_backoff(args, &all);
    ringmq_args_text(args, "other");
    ringmq_args_backoff(args, &least);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_update(f->conn, "q", args, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"queue.update\", [\"q\", {\"dead_letter\": \"failed\", \"content_dedup\": true, \"backoff\": "
                        "{\"base\": 1000, \"factor\": 3, \"cap\": 60000, \"jitter\": 0.5}, \"other\": {\"base\": 1, "
                        "\"jitter\": 0}}]");
    ringmq_args_reset(args);
    ringmq_args_map(args, 1);
    ringmq_args_text(args, "backoff");
    ringmq_args_backoff(args, NULL);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_update(f->conn, "q", args, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.update\", [\"q\", {\"backoff\": nil}]");
    ringmq_args_free(args);
}

/* Values that are MessagePack already go in as they are, if they are whole. */
static void packed_values_are_taken_if_they_are_whole(void **state)
{
    struct fixture *f = *state;
    struct ringmq_args *args = ringmq_args_new();
    size_t bytes;
    uint8_t *packed = peer_encode("{\"a\": [1, nil, #\"b\"]}", &bytes);
    ringmq_args_text(args, "first");
    ringmq_args_packed(args, packed, bytes);
    ringmq_args_packed(args, "\x01\x02", 2);
    ringmq_args_packed(args, NULL, 0);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_call(f->conn, "any", args, 0, NULL), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"any\", [\"first\", {\"a\": [1, nil, #\"b\"]}, 1, 2]");
    ringmq_args_reset(args);
    ringmq_args_packed(args, packed, bytes - 1);
    assert_int_equal(ringmq_call(f->conn, "any", args, 0, NULL), RINGMQ_ERR_ARGUMENT);
    ringmq_args_reset(args);
    ringmq_args_packed(args, "\xc1", 1);
    assert_int_equal(ringmq_call(f->conn, "any", args, 0, NULL), RINGMQ_ERR_ARGUMENT);
    peer_hears_nothing(&f->peer);
    free(packed);
    ringmq_args_free(args);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(publish_sends_what_belongs_to_messages_and_calls),
        TEST(a_publish_waits_for_its_wait_on_top_of_the_timeout),
        TEST(duplicates_of_a_batch_are_told_by_index),
        TEST(deliveries_show_priority_and_dedup_id),
        TEST(a_topic_publish_names_topic_and_key_and_is_answered_with_copies),
        TEST(topics_are_administrated_as_the_protocol_says),
        TEST(a_transaction_is_sent_whole_and_its_answer_is_typed),
        TEST(a_transaction_remembers_what_is_wrong_with_it),
        TEST(the_error_of_a_commit_names_its_culprit),
        TEST(answers_to_a_commit_of_the_wrong_shape_are_errors),
        TEST(moves_are_begun_listed_and_ended),
        TEST(attributes_of_every_kind_can_be_written),
        TEST(packed_values_are_taken_if_they_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
