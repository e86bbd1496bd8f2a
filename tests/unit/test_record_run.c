/* record: many messages at once, and many ids at once, say what they say one by one. */
#include "tests/support/random.h"
#include "tests/unit/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 300

static struct records r;
static uint8_t text[RECORD_LONG];

static int set_up(void **state)
{
    (void)state;
    records_open(&r);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    records_close(&r);
    return 0;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* What one message says, whatever record it is in. */
struct told {
    uint64_t queue, id, headers, bytes;
    int64_t published_ms, expires_ms;
    bool by_ttl;
    uint32_t sum;
};

static uint32_t sum_of(struct view v)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < v.bytes; i++)
        sum = sum * 31 + ((const uint8_t *)v.data)[i];
    return sum;
}

static size_t tell(struct view all, struct told *out, unsigned *runs)
{
    size_t n = 0;
    *runs = 0;
    while (all.bytes > 0) {
        struct record record = records_next(&all);
        struct told told = {record.queue,         record.id,
                            record.headers.bytes, record.body.bytes,
                            record.published_ms,  record.expires ? record.expires_ms : -1,
                            record.by_ttl,        0};
        struct view body;
        bool bad = false;
        if (record.type == RECORD_MESSAGE) {
            told.sum = sum_of(record.body);
            out[n++] = told;
            continue;
        }
        assert_int_equal(record.type, RECORD_RUN);
        for (; record_next_body(&record.rest, &body, &bad); told.id++) {
            told.bytes = body.bytes;
            told.sum = sum_of(body);
            assert_true(n < MOST);
            out[n++] = told;
        }
        assert_false(bad);
        (*runs)++;
    }
    return n;
}

static void check_same(const struct told *x, const struct told *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(x[i].queue, y[i].queue);
        assert_int_equal(x[i].id, y[i].id);
        assert_int_equal(x[i].headers, y[i].headers);
        assert_int_equal(x[i].bytes, y[i].bytes);
        assert_int_equal(x[i].published_ms, y[i].published_ms);
        assert_int_equal(x[i].expires_ms, y[i].expires_ms);
        assert_int_equal(x[i].by_ttl, y[i].by_ttl);
        assert_int_equal(x[i].sum, y[i].sum);
    }
}

/* One by one, and at once with the buffer filled up to there. */
static void check_run(void *const *messages, uint32_t count, size_t used)
{
    static struct told one_by_one[MOST], at_once[MOST];
    unsigned runs, same_runs;
    for (uint32_t i = 0; i < count; i++)
        record_message(&r.w, &r.queue, messages[i], MESSAGE_READY, 0, NULL, false, false);
    assert_int_equal(tell(records_take(&r), one_by_one, &runs), count);
    memset(r.w.data, 0, used);
    r.w.used = used;
    record_run(&r.w, &r.queue, messages, count);
    struct view all = records_take(&r);
    all.data = (const uint8_t *)all.data + used;
    all.bytes -= used;
    assert_int_equal(tell(all, at_once, &same_runs), count);
    check_same(at_once, one_by_one, count);
    if (used == 0)
        assert_int_equal(same_runs, runs);
}

/* Bodies of any length below `most`; of 16 messages so many have headers, and so many a body of its own place. */
static uint32_t make_messages(struct random *random, void **messages, uint64_t most, unsigned rich, unsigned shared)
{
    static const char headers[] = "\x02\x01k";
    const uint32_t count = 1 + (uint32_t)random_below(random, MOST);
    const bool by_ttl = random_below(random, 2) == 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = (size_t)random_below(random, 1000);
        struct publication p = {.body = {text + at, (size_t)random_below(random, most)}};
        if (random_below(random, 16) < shared)
            p.body.bytes = MESSAGE_SHARE_BYTES + (size_t)random_below(random, MESSAGE_SHARE_BYTES);
        if (random_below(random, 16) < rich)
            p.headers = (struct view){headers, 3};
        struct message *m = records_message_of(&r, 100 + i, &p);
        m->expires_ms = by_ttl ? 5000 : 0;
        m->flags |= by_ttl ? MESSAGE_TTL : 0;
        messages[i] = m;
    }
    return count;
}

static void free_messages(void *const *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        records_free(&r, messages[i]);
}

static void test_messages_at_once_are_those_one_by_one(void **state)
{
    (void)state;
    static void *messages[MOST];
    struct random random = test_seed(__func__);
    for (int i = 0; i < 200; i++) {
        const uint64_t most = random_below(&random, 2) ? 200 : MESSAGE_SHARE_BYTES;
        const unsigned rich = i % 2 ? 2 : 0, shared = i % 3 ? 0 : 2;
        r.queue.attributes.type = i % 10 == 9 ? QUEUE_FIFO : QUEUE_STANDARD;
        const uint32_t count = make_messages(&random, messages, most, rich, shared);
        check_run(messages, count, 0);
        check_run(messages, count, RECORDS_CAP - (size_t)random_below(&random, RECORD_LONG));
        free_messages(messages, count);
    }
}

static void test_it_does_not_matter_where_the_buffer_ends(void **state)
{
    (void)state;
    void *messages[6];
    static const size_t bytes[6] = {1, 127, 0, 128, 300, 5};
    for (uint32_t i = 0; i < 6; i++)
        messages[i] = records_message(&r, 10 + i, text + i, bytes[i]);
    for (size_t left = 0; left < 1500; left++)
        check_run(messages, 6, RECORDS_CAP - left);
    free_messages(messages, 6);
}

static void test_a_run_ends_where_a_record_must(void **state)
{
    (void)state;
    static void *messages[MOST];
    const size_t body = MESSAGE_SHARE_BYTES - 1;
    assert_true(MOST * body > 4 * RECORD_LONG);
    for (uint32_t i = 0; i < MOST; i++)
        messages[i] = records_message(&r, 10 + i, text + i, body);
    check_run(messages, MOST, 0); /* records_next() finds none too long */
    free_messages(messages, MOST);
}

static void test_messages_at_once_join_the_run_before_and_are_joined(void **state)
{
    (void)state;
    void *messages[10];
    for (uint32_t i = 0; i < 10; i++)
        messages[i] = records_message(&r, 10 + i, text + i, 20);
    record_message(&r.w, &r.queue, messages[0], MESSAGE_READY, 0, NULL, false, false);
    record_run(&r.w, &r.queue, messages + 1, 4);
    record_run(&r.w, &r.queue, messages + 5, 4);
    record_message(&r.w, &r.queue, messages[9], MESSAGE_READY, 0, NULL, false, false);
    static struct told told[MOST];
    unsigned runs;
    assert_int_equal(tell(records_take(&r), told, &runs), 10);
    assert_int_equal(runs, 1);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(told[i].id, 10 + i);
    record_run(&r.w, &r.queue, messages, 0);
    assert_int_equal(records_take(&r).bytes, 0);
    free_messages(messages, 10);
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

/* The ranges of the next record. */
static unsigned ranges_of(struct view *all, uint64_t first[4], uint64_t count[4])
{
    struct record record = records_next(all);
    uint64_t end = 0;
    unsigned n = 0;
    bool bad = false;
    assert_int_equal(record.type, RECORD_DELIVERED);
    while (n < 4 && record_next_range(&record.rest, &end, &first[n], &count[n], &bad))
        n++;
    assert_false(bad);
    return n;
}

static void test_ids_at_once_join_the_range_before_them(void **state)
{
    (void)state;
    uint64_t first[4], count[4];
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 10, 5, 100);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 15, 64, 100);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 79, 100);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 80, 3, 100);
    struct view all = records_take(&r);
    assert_int_equal(ranges_of(&all, first, count), 1);
    assert_int_equal(all.bytes, 0);
    assert_int_equal(first[0], 10);
    assert_int_equal(count[0], 73);
}

static void test_ids_at_once_that_do_not_follow_begin_another_range(void **state)
{
    (void)state;
    uint64_t first[4], count[4];
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 10, 5, 100);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 16, 2, 100);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 3, 300, 100); /* backwards */
    struct view all = records_take(&r);
    assert_int_equal(ranges_of(&all, first, count), 3);
    assert_int_equal(all.bytes, 0);
    assert_int_equal(first[0], 10);
    assert_int_equal(count[0], 5);
    assert_int_equal(first[1], 16);
    assert_int_equal(count[1], 2);
    assert_int_equal(first[2], 3);
    assert_int_equal(count[2], 300);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 10, 5, 100);
    record_ids(&r.w, RECORD_DELIVERED, &r.queue, 15, 5, 101); /* another time: another record */
    all = records_take(&r);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ranges_of(&all, first, count), 1);
        assert_int_equal(first[0], 10 + 5 * i);
        assert_int_equal(count[0], 5);
    }
    assert_int_equal(all.bytes, 0);
}

/* Ids at once are byte by byte what they are one by one, wherever the buffer ends. */
static void test_ids_at_once_are_those_one_by_one(void **state)
{
    (void)state;
    static uint8_t expected[RECORDS_CAP];
    struct random random = test_seed(__func__);
    struct random again;
    for (int i = 0; i < 100; i++) {
        const size_t used = i % 2 ? RECORDS_CAP - (size_t)random_below(&random, 3000) : 0;
        struct view all = {NULL, 0};
        size_t bytes = 0;
        again = random;
        for (int at_once = 0; at_once < 2; at_once++) {
            uint64_t id = 1;
            random = again;
            r.w.used = used;
            memset(r.w.data, 0, used);
            for (int n = 0; n < 300; n++) {
                const uint32_t count = 1 + (uint32_t)random_below(&random, 70);
                id += random_below(&random, 2) ? 0 : random_bits(&random, 40);
                if (at_once)
                    record_ids(&r.w, RECORD_READY, &r.queue, id, count, 0);
                for (uint32_t k = 0; k < count && !at_once; k++)
                    record_id(&r.w, RECORD_READY, &r.queue, id + k, 0);
                id += count;
            }
            all = records_take(&r);
            if (!at_once && all.bytes - used <= sizeof expected)
                memcpy(expected, (const uint8_t *)all.data + used, bytes = all.bytes - used);
        }
        assert_int_equal(all.bytes - used, bytes);
        assert_memory_equal((const uint8_t *)all.data + used, expected, bytes);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_at_once_are_those_one_by_one),
        TEST(test_it_does_not_matter_where_the_buffer_ends),
        TEST(test_a_run_ends_where_a_record_must),
        TEST(test_messages_at_once_join_the_run_before_and_are_joined),
        TEST(test_ids_at_once_join_the_range_before_them),
        TEST(test_ids_at_once_that_do_not_follow_begin_another_range),
        TEST(test_ids_at_once_are_those_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
