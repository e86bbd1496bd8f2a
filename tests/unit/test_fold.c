/* fold: messages become what they were, and share what they shared. */
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

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void test_messages_come_back_in_their_states(void **state)
{
    (void)state;
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_READY, 0);
    folds_put(&f, 2, MESSAGE_READY, 0);
    folds_put(&f, 3, MESSAGE_DELAYED, 5000);
    folds_put(&f, 4, MESSAGE_PARKED, 1500);
    folds_put(&f, 5, MESSAGE_INFLIGHT, 0);
    folds_all(&f);
    struct queue *q = folds_find(&f, 3);
    assert_non_null(q);
    assert_int_equal(queue_count(q, MESSAGE_READY), 2);
    assert_int_equal(queue_count(q, MESSAGE_DELAYED), 1);
    assert_int_equal(queue_count(q, MESSAGE_PARKED), 1);
    assert_int_equal(queue_count(q, MESSAGE_INFLIGHT), 1);
    enum message_state at;
    const struct message *m = restore_find(q, 2, &at);
    assert_int_equal(m->published_ms, 1000);
    assert_memory_equal(message_body(m).data, "body", 4);
    assert_int_equal(q->next_id, 6);
    assert_int_equal(f.fold.records, 5);
    assert_int_equal(f.fold.unknown, 0);
}

static enum message_state state_of(uint64_t id)
{
    enum message_state at;
    assert_non_null(restore_find(folds_find(&f, 3), id, &at));
    return at;
}

static void test_changes_are_made_again(void **state)
{
    (void)state;
    struct message *m = records_message(&f.r, 1, "body", 4);
    const struct slot slot = {.since_ms = 2500, .reason = PARK_REQUESTED};
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_READY, 0);
    record_id(&f.r.w, RECORD_DELIVERED, &f.r.queue, 1, 2000);
    folds_all(&f);
    assert_int_equal(state_of(1), MESSAGE_INFLIGHT);
    record_id(&f.r.w, RECORD_DELAYED, &f.r.queue, 1, 3000);
    folds_all(&f);
    assert_int_equal(state_of(1), MESSAGE_DELAYED);
    record_id(&f.r.w, RECORD_READY, &f.r.queue, 1, 0);
    record_id(&f.r.w, RECORD_DELIVERED, &f.r.queue, 1, 2400);
    record_id(&f.r.w, RECORD_UNDELIVERED, &f.r.queue, 1, 0);
    record_parked(&f.r.w, &f.r.queue, m, &slot);
    folds_all(&f);
    enum message_state at;
    const struct message *got = restore_find(folds_find(&f, 3), 1, &at);
    assert_int_equal(at, MESSAGE_PARKED);
    assert_int_equal(got->attempts, 1);
    assert_int_equal(message_first_ms(got), 2000);
    record_id(&f.r.w, RECORD_KICKED, &f.r.queue, 1, 0);
    folds_all(&f);
    assert_int_equal(state_of(1), MESSAGE_READY);
    record_id(&f.r.w, RECORD_GONE, &f.r.queue, 1, 0);
    folds_all(&f);
    assert_int_equal(queue_total(folds_find(&f, 3)), 0);
    assert_int_equal(f.fold.unknown, 0);
    records_free(&f.r, m);
}

static void test_a_message_that_is_stored_anew_replaces_the_old_one(void **state)
{
    (void)state;
    folds_put_queue(&f);
    folds_put(&f, 1, MESSAGE_READY, 0);
    folds_put(&f, 1, MESSAGE_DELAYED, 5000);
    folds_put(&f, 1, MESSAGE_READY, 0);
    folds_all(&f);
    assert_int_equal(f.messages, 1);
    assert_int_equal(state_of(1), MESSAGE_READY);
}

static void test_times_before_the_clock_began_are_1(void **state)
{
    (void)state;
    f.fold.wall_offset_ms = FOLDS_OFFSET + 50000;
    struct message *m = records_message(&f.r, 1, "body", 4);
    m->expires_ms = 2000;
    folds_put_queue(&f);
    record_message(&f.r.w, &f.r.queue, m, MESSAGE_DELAYED, 3000, NULL, false, false);
    folds_all(&f);
    enum message_state at;
    const struct message *got = restore_find(folds_find(&f, 3), 1, &at);
    assert_int_equal(got->published_ms, 1);
    assert_int_equal(got->expires_ms, 1);
    records_free(&f.r, m);
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static void test_copies_share_one_body(void **state)
{
    (void)state;
    static const char body[20000];
    static const size_t sizes[] = {0, 4, sizeof body};
    folds_put_queue(&f);
    folds_all(&f);
    for (unsigned i = 0; i < 3; i++) {
        const struct publication p = {.body = {body, sizes[i]}, .headers = {"\x02\x01k", 3}};
        struct message *m = records_message_of(&f.r, 1, &p);
        const uint64_t before = f.to.b.pool.used_bytes;
        for (m->id = 10 * i + 1; m->id <= 10 * i + 5; m->id++)
            record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, m->id > 10 * i + 1, m->id == 10 * i + 1);
        folds_all(&f);
        assert_int_equal(f.aboves, 4 * (i + 1));
        enum message_state at;
        const struct message *first = restore_find(folds_find(&f, 3), 10 * i + 1, &at);
        for (uint64_t id = 10 * i + 1; id <= 10 * i + 5; id++) {
            const struct message *copy = restore_find(folds_find(&f, 3), id, &at);
            assert_non_null(message_shared(copy));
            assert_ptr_equal(message_shared(copy), message_shared(first));
            assert_int_equal(message_headers(copy).bytes, 3);
        }
        assert_int_equal(message_shared(first)->refs, 5);
        assert_in_range(f.to.b.pool.used_bytes - before, sizes[i], sizes[i] + 5000);
        records_free(&f.r, m);
    }
}

static void test_a_copy_may_come_later_and_after_the_first_has_gone(void **state)
{
    (void)state;
    static const char body[20000];
    struct message *m = records_message(&f.r, 1, body, sizeof body);
    folds_put_queue(&f);
    record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, false, true);
    record_id(&f.r.w, RECORD_GONE, &f.r.queue, 1, 0);
    m->id = 2;
    record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, true, false);
    folds_all(&f);
    enum message_state at;
    assert_int_equal(message_body(restore_find(folds_find(&f, 3), 2, &at)).bytes, sizeof body);
    records_free(&f.r, m);
}

static void test_a_copy_of_nothing_is_refused(void **state)
{
    (void)state;
    size_t at;
    struct message *m = records_message(&f.r, 1, "body", 4);
    folds_put_queue(&f);
    record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, false, true);
    folds_all(&f);
    folds_put(&f, 2, MESSAGE_READY, 0); /* a run is no message that could be copied */
    record_close(&f.r.w);
    const size_t before = f.r.w.used;
    record_message(&f.r.w, &f.r.queue, m, MESSAGE_READY, 0, NULL, true, false);
    assert_int_equal(folds_written(&f, &at), FOLD_BAD);
    assert_int_equal(at, before);
    assert_int_equal(f.messages, 2);
    records_free(&f.r, m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_come_back_in_their_states),
        TEST(test_changes_are_made_again),
        TEST(test_a_message_that_is_stored_anew_replaces_the_old_one),
        TEST(test_times_before_the_clock_began_are_1),
        TEST(test_copies_share_one_body),
        TEST(test_a_copy_may_come_later_and_after_the_first_has_gone),
        TEST(test_a_copy_of_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
