/* record: what can join does, and it does not matter where the buffer is drained. */
#include "tests/support/random.h"
#include "tests/unit/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct records r;

static int set_up(void **state)
{
    (void)state;
    records_open(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    records_close(&r);
    return 0;
}

static void assert_text(struct view got, const char *want)
{
    assert_int_equal(got.bytes, strlen(want));
    assert_memory_equal(got.data, want, got.bytes);
}

/* The one record that has been written; views into it are good until the next one is taken. */
static struct record only(void)
{
    struct view all = records_take(&r);
    const struct record record = records_next(&all);
    assert_int_equal(all.bytes, 0);
    return record;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static void put_ready(struct message *m)
{
    record_message(&r.w, &r.queue, m, MESSAGE_READY, 0, NULL, false, false);
}

/* How many records were written. */
static unsigned count_records(void)
{
    struct view all = records_take(&r);
    unsigned count = 0;
    for (; all.bytes > 0; count++)
        (void)records_next(&all);
    return count;
}

static void test_messages_that_follow_each_other_join_a_run(void **state)
{
    (void)state;
    struct message *m = records_message(&r, 0, "12345678", 8);
    for (m->id = 10; m->id < 1010; m->id++)
        put_ready(m);
    const struct record run = only();
    assert_int_equal(run.type, RECORD_RUN);
    assert_int_equal(run.id, 10);
    assert_false(run.expires);
    struct view rest = run.rest, body;
    bool bad;
    unsigned count = 0;
    for (; record_next_body(&rest, &body, &bad); count++)
        assert_text(body, "12345678");
    assert_false(bad);
    assert_int_equal(count, 1000);
    records_free(&r, m);
}

/* Two messages, of which the second differs from what would join. */
static void test_whatever_differs_begins_another_run(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 8; what++) {
        struct message *m = records_message(&r, 10, "body", 4);
        m->expires_ms = 5000;
        put_ready(m);
        m->id = what == 1 ? 12 : what == 2 ? 10 : 11;
        r.queue.number = what == 3 ? 4 : 3;
        message_set_published(m, what == 4 ? 1001 : 1000);
        m->expires_ms = what == 5 ? 0 : what == 6 ? 5001 : 5000;
        m->flags = what == 7 ? MESSAGE_TTL : 0;
        put_ready(m);
        assert_int_equal(count_records(), what == 0 ? 1 : 2);
        r.queue.number = 3;
        records_free(&r, m);
    }
}

static void test_what_a_run_cannot_say_is_a_message(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 7; what++) {
        static const char long_body[MESSAGE_SHARE_BYTES];
        struct publication p = {.body = {long_body, what == 1 ? MESSAGE_SHARE_BYTES : 10}};
        p.priority = what == 2;
        p.headers = (struct view){"\x02\x01k", what == 3 ? 3 : 0};
        struct message *m = records_message_of(&r, 10, &p);
        m->attempts = what == 4;
        m->expires_ms = what == 5 ? 999 : 0;
        r.queue.attributes.type = what == 6 ? QUEUE_FIFO : QUEUE_STANDARD;
        put_ready(m);
        assert_int_equal(only().type, what == 0 ? RECORD_RUN : RECORD_MESSAGE);
        records_free(&r, m);
    }
}

static void test_other_times_or_queues_begin_other_ranges(void **state)
{
    (void)state;
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 1, 10);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 2, 10);
    assert_int_equal(count_records(), 1);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 1, 10);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 2, 11);
    assert_int_equal(count_records(), 2);
    record_id(&r.w, RECORD_GONE, &r.queue, 1, 10);
    record_id(&r.w, RECORD_READY, &r.queue, 2, 10);
    assert_int_equal(count_records(), 2);
    record_id(&r.w, RECORD_GONE, &r.queue, 1, 10);
    r.queue.number++;
    record_id(&r.w, RECORD_GONE, &r.queue, 2, 10);
    assert_int_equal(count_records(), 2);
}

/* Any ids in any order come out as they went in, and no record is too long. */
static void test_ranges_hold_any_ids_in_order(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    static uint64_t ids[COUNT];
    struct random random = {1};
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = i > 0 && random_below(&random, 2) && ids[i - 1] < LIMIT_ID ? ids[i - 1] + 1
                                                                            : 1 + random_below(&random, LIMIT_ID);
        record_id(&r.w, RECORD_GONE, &r.queue, ids[i], 0);
    }
    struct view all = records_take(&r);
    size_t i = 0;
    while (all.bytes > 0) {
        struct record record = records_next(&all);
        uint64_t end = 0, first, count;
        bool bad;
        while (record_next_range(&record.rest, &end, &first, &count, &bad))
            for (; count > 0; count--)
                assert_int_equal(ids[i++], first++);
        assert_false(bad);
    }
    assert_int_equal(i, COUNT);
}

/* ---- drains ------------------------------------------------------------------------------------------------------ */

static struct message *drained_message;

/* Records of every kind that can be open, and some that cannot. */
static void put_some(void)
{
    struct message *m = drained_message;
    for (m->id = 1; m->id <= 3; m->id++)
        put_ready(m);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 1, 2000);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 2, 2000);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, LIMIT_ID, 2000);
    record_purged(&r.w, &r.queue, 3);
    m->id = 4;
    record_message(&r.w, &r.queue, m, MESSAGE_DELAYED, 2000, NULL, false, false);
    record_id(&r.w, RECORD_GONE, &r.queue, 9, 0);
    record_queue_gone(&r.w, &r.queue);
}

/* A digest of what records say, in which it does not matter how they are parted. */
static size_t tell(struct view all, uint64_t *out)
{
    size_t n = 0;
    while (all.bytes > 0) {
        struct record record = records_next(&all);
        struct view body;
        uint64_t end = 0, first, count, id = record.id;
        bool bad = false;
        if (record.type == RECORD_RUN) {
            for (; record_next_body(&record.rest, &body, &bad); n++)
                out[n] = RECORD_RUN * 1000 + id++ + body.bytes * 10000;
        } else if (record.type >= RECORD_GONE && record.type <= RECORD_DELAYED) {
            while (record_next_range(&record.rest, &end, &first, &count, &bad))
                for (; count > 0; count--)
                    out[n++] = (uint64_t)record.type * 1000 + first++;
        } else {
            out[n++] = (uint64_t)record.type * 1000 + record.id + record.body.bytes * 10000;
        }
        assert_false(bad);
    }
    return n;
}

static void test_a_drain_at_any_place_changes_nothing(void **state)
{
    (void)state;
    static const size_t bodies[] = {0, 20, 130, 8191};
    uint64_t expected[64], got[64];
    for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
        static const char body[8192];
        drained_message = records_message(&r, 1, body, bodies[b]);
        put_some();
        const size_t count = tell(records_take(&r), expected);
        for (size_t left = 0; left<4 * bodies[b] + 2000; left += bodies[b]> 1000 ? 13 : 1) {
            memset(r.w.data, 0, RECORDS_CAP - left);
            r.w.used = RECORDS_CAP - left;
            put_some();
            struct view all = records_take(&r);
            all.data = (const uint8_t *)all.data + RECORDS_CAP - left;
            all.bytes -= RECORDS_CAP - left;
            assert_int_equal(tell(all, got), count);
            assert_memory_equal(got, expected, count * sizeof *got);
        }
        records_free(&r, drained_message);
    }
}

static void test_a_large_body_is_handed_over_from_where_it_lies(void **state)
{
    (void)state;
    static uint8_t body[3 * RECORDS_CAP];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    static const size_t sizes[] = {8192, 65536, 65537, RECORDS_CAP - 100, RECORDS_CAP + 1, sizeof body};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct message *m = records_message(&r, 1, body, sizes[i]);
        r.w.used = 0;
        record_id(&r.w, RECORD_GONE, &r.queue, 5, 0);
        for (unsigned n = 0; n < 3; n++)
            put_ready(m);
        record_id(&r.w, RECORD_GONE, &r.queue, 6, 0);
        if (sizes[i] > RECORDS_CAP)
            assert_ptr_equal(r.last, message_body(m).data);
        struct view all = records_take(&r);
        assert_int_equal(records_next(&all).type, RECORD_GONE);
        for (unsigned n = 0; n < 3; n++) {
            const struct record got = records_next(&all);
            assert_int_equal(got.body.bytes, sizes[i]);
            assert_memory_equal(got.body.data, body, sizes[i]);
        }
        assert_int_equal(records_next(&all).type, RECORD_GONE);
        assert_int_equal(all.bytes, 0);
        records_free(&r, m);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_that_follow_each_other_join_a_run),
        TEST(test_whatever_differs_begins_another_run),
        TEST(test_what_a_run_cannot_say_is_a_message),
        TEST(test_other_times_or_queues_begin_other_ranges),
        TEST(test_ranges_hold_any_ids_in_order),
        TEST(test_a_drain_at_any_place_changes_nothing),
        TEST(test_a_large_body_is_handed_over_from_where_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
