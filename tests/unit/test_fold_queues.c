/* fold: definitions, whatever goes with them, in whatever order they come; and what cannot be true is refused. */
#include "tests/unit/folds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct folds f;

static int set_up(void **state)
{
    (void)state;
    folds_open(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folds_close(&f);
    return 0;
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void test_what_goes_takes_everything_with_it(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        folds_put_queue(&f);
        folds_put_rest(&f);
        folds_put_rest(&f); /* told again: not counted again */
        for (uint64_t id = 1; id <= 100; id++)
            folds_put(&f, id, id % 3 ? MESSAGE_READY : MESSAGE_DELAYED, 9000);
        folds_all(&f);
        assert_true(f.messages == 100 && f.queues == 1 && f.topics == 1 && f.subscriptions == 1 && f.dedups == 1);
        record_purged(&f.r.w, &f.r.queue, 1u << MESSAGE_DELAYED);
        folds_all(&f);
        assert_int_equal(f.messages, 67);
        const struct topic t = {.name_bytes = 1, .name = "t"};
        if (how == 0)
            record_topic_gone(&f.r.w, &t);
        record_queue_gone(&f.r.w, &f.r.queue);
        if (how == 1)
            record_topic_gone(&f.r.w, &t);
        folds_all(&f);
        assert_true(f.messages == 0 && f.queues == 0 && f.topics == 0 && f.subscriptions == 0 && f.dedups == 0);
        assert_int_equal(f.to.b.queue_count + f.to.b.topic_count, 0);
        f.r.queue.number++;
    }
    assert_int_equal(f.fold.unknown, 0);
}

static void test_changes_of_what_is_not_there_are_passed_over(void **state)
{
    (void)state;
    const struct topic t = {.name_bytes = 1, .name = "t"};
    for (unsigned known = 0; known < 2; known++) {
        record_id(&f.r.w, RECORD_GONE, &f.r.queue, 1, 0);
        record_id(&f.r.w, RECORD_DELIVERED, &f.r.queue, 1, 0);
        record_topic_gone(&f.r.w, &t);
        if (!known)
            record_queue_gone(&f.r.w, &f.r.queue);
        folds_all(&f);
        assert_int_equal(f.fold.unknown, known ? 7 : 4);
        folds_put_queue(&f);
        folds_all(&f);
    }
}

#define ALL_IDS 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f /* from 1 on, 2^53 - 1 */

static void test_a_range_of_all_ids_there_are_takes_no_time(void **state)
{
    static const uint8_t delivered[] = {RECORD_DELIVERED, 12, 0, 0, 0, 3, 0xe8, 0x07, ALL_IDS};
    static const uint8_t gone[] = {RECORD_GONE, 10, 0, 0, 0, 3, ALL_IDS};
    static const uint64_t ids[] = {1, 2, 70, UINT64_C(1) << 40};
    size_t at;
    (void)state;
    folds_put_queue(&f);
    for (size_t i = 0; i < 4; i++)
        folds_put(&f, ids[i], i == 1 ? MESSAGE_PARKED : MESSAGE_READY, 2000);
    folds_all(&f);
    const struct queue *q = folds_find(&f, 3);
    assert_int_equal(fold_batch(&f.fold, (struct view){delivered, sizeof delivered}, &at), FOLD_DONE);
    assert_int_equal(queue_count(q, MESSAGE_INFLIGHT), 3);
    assert_int_equal(f.fold.unknown, (UINT64_C(1) << 53) - 1 - 3);
    assert_int_equal(fold_batch(&f.fold, (struct view){gone, sizeof gone}, &at), FOLD_DONE);
    folds_check(&f);
    assert_int_equal(queue_total(q), 0);
}

static void test_a_queue_may_be_defined_behind_its_messages(void **state)
{
    (void)state;
    const struct publication p = {.body = {"body", 4}, .group = {"g", 1}};
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        f.r.queue.number = 10 + fifo;
        f.r.queue.name[0] = (char)('a' + fifo);
        f.r.queue.attributes.type = fifo;
        struct message *m = records_message_of(&f.r, 7, &p);
        folds_put_rest(&f); /* makes it a standard queue, until a message says otherwise */
        record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, false, false);
        folds_all(&f);
        assert_non_null(restore_next_awaited(&f.to.b));
        folds_put_queue(&f);
        folds_all(&f);
        assert_null(restore_next_awaited(&f.to.b));
        assert_int_equal(folds_find(&f, 10 + fifo)->attributes.type, fifo);
        assert_int_equal(queue_total(folds_find(&f, 10 + fifo)), 1);
        records_free(&f.r, m);
    }
    assert_int_equal(fold_end(&f.fold), FOLD_DONE);
    assert_int_equal(f.fold.unknown, 0);
    assert_int_equal(restore_finish(&f.to.b, f.to.now_ms), RESTORE_DONE);
}

static void test_what_is_never_defined_goes_at_the_end(void **state)
{
    (void)state;
    folds_put(&f, 1, MESSAGE_READY, 0);
    folds_put_rest(&f);
    folds_all(&f);
    assert_int_equal(f.messages, 1);
    assert_int_equal(fold_end(&f.fold), FOLD_DONE);
    folds_check(&f);
    assert_int_equal(f.messages, 0);
    assert_int_equal(f.to.b.queue_count, 0);
    assert_int_equal(f.fold.unknown, 1);
}

static void test_a_newer_queue_of_the_same_name_ends_the_older_one(void **state)
{
    (void)state;
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_READY, 0);
    f.r.queue.number = 4;
    folds_put_queue(&f);
    folds_all(&f);
    assert_int_equal(f.queues, 1);
    assert_int_equal(f.to.b.queue_count, 1);
    assert_null(folds_find(&f, 3));
    assert_non_null(folds_find(&f, 4));
}

/* ---- what cannot be ---------------------------------------------------------------------------------------------- */

/* The last record is refused; what came before it has been folded. */
static void assert_refused(void)
{
    size_t at;
    const uint64_t before = f.fold.records;
    assert_int_equal(folds_written(&f, &at), FOLD_BAD);
    assert_true(at > 0 && f.fold.records > before);
    folds_check(&f);
}

static void test_what_cannot_be_true_is_refused(void **state)
{
    (void)state;
    folds_put_queue(&f);
    f.r.queue.name[0] = 'r'; /* another name */
    folds_put_queue(&f);
    assert_refused();
    folds_put_rest(&f);
    f.r.queue.attributes.type = QUEUE_FIFO; /* another type */
    f.r.queue.name[0] = 'q';
    folds_put_queue(&f);
    assert_refused();
    folds_put_rest(&f);
    folds_put(&f, 1, MESSAGE_READY, 0); /* of a fifo queue, it says */
    assert_refused();
    f.r.queue.number = 4;
    f.r.queue.name[0] = 'f';
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_DELAYED, 2000); /* without a group */
    assert_refused();
    folds_put_queue(&f);
    f.r.queue.attributes.type = QUEUE_STANDARD;
    folds_put(&f, 1, MESSAGE_READY, 0); /* a run in a fifo queue */
    assert_refused();
    f.r.queue.number = 3;
    f.r.queue.name[0] = 'q';
    folds_put_queue(&f);
    folds_put(&f, LIMIT_ID, MESSAGE_READY, 0);
    folds_put(&f, LIMIT_ID + 1, MESSAGE_READY, 0);
    assert_refused();
}

static void test_a_batch_that_is_cut_is_refused_at_its_last_record(void **state)
{
    (void)state;
    size_t at;
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_DELAYED, 2000);
    const struct view all = records_take(&f.r);
    const size_t last = 18; /* bytes of the message */
    for (size_t bytes = all.bytes - 1; bytes > all.bytes - last; bytes--) {
        assert_int_equal(fold_batch(&f.fold, (struct view){all.data, bytes}, &at), FOLD_BAD);
        assert_int_equal(at, all.bytes - last);
    }
    assert_int_equal(fold_batch(&f.fold, (struct view){NULL, 0}, &at), FOLD_DONE);
}

/* Whenever the pool has nothing left, the fold says so and everything can be freed. */
static void test_want_of_memory_is_said(void **state)
{
    (void)state;
    static const char body[3000];
    bool short_of = true;
    for (uint64_t limit = 0; short_of; limit += POOL_CHUNK_BYTES / 2) {
        f.to.b.pool.held_limit = limit;
        folds_put_queue(&f);
        folds_put_rest(&f);
        for (uint64_t id = 1; id <= 300; id++) {
            struct message *m = records_message(&f.r, id, body, sizeof body);
            record_message(&f.r.w, &f.r.queue, m, id % 2 ? MESSAGE_READY : MESSAGE_DELAYED, 9000, NULL, false,
                           id % 3 == 0);
            records_free(&f.r, m);
        }
        size_t at;
        const enum fold_result result = folds_written(&f, &at);
        assert_true(result == FOLD_DONE || result == FOLD_NO_MEMORY);
        short_of = result == FOLD_NO_MEMORY;
        assert_true(limit > 0 || short_of);
        folds_again(&f);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_goes_takes_everything_with_it),
        TEST(test_changes_of_what_is_not_there_are_passed_over),
        TEST(test_a_range_of_all_ids_there_are_takes_no_time),
        TEST(test_a_queue_may_be_defined_behind_its_messages),
        TEST(test_what_is_never_defined_goes_at_the_end),
        TEST(test_a_newer_queue_of_the_same_name_ends_the_older_one),
        TEST(test_what_cannot_be_true_is_refused),
        TEST(test_a_batch_that_is_cut_is_refused_at_its_last_record),
        TEST(test_want_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
