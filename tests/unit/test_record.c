/* record: what is written is what the format says, byte by byte, and reads as what it was. */
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

/* ---- golden bytes ------------------------------------------------------------------------------------------------ */

static void test_a_queue_is_written_with_all_attributes(void **state)
{
    (void)state;
    struct queue *q = &r.queue;
    q->paused = true;
    q->next_id = 300;
    q->created_ms = 5;
    q->attributes.type = QUEUE_FIFO;
    q->attributes.delay = 7;
    q->attributes.dead_letter.bytes = 4;
    memcpy(q->attributes.dead_letter.text, "dead", 4);
    q->attributes.backoff = (struct backoff){.base_ms = 10, .cap_ms = 200, .factor = 1.5, .jitter = 0.25};
    record_queue(&r.w, q);
    /* clang-format off */
records_expect(&r,
"01 1e010000 0301ac02ca9a0c0171 "
"04 74797065 02 "
"0a 7669736962696c697479 e0d403 "
"08 6d61785f686f6c64 80b89929 "
"05 64656c6179 0e "
"09 726574656e74696f6e 80c0cbc902 "
"03 74746c 00 "
"0c 6d61785f617474656d707473 00 "
"0b 646561645f6c6574746572 0464656164 "
"13 646561645f6c65747465725f65787069726564 00 "
"07 6261636b6f6666 149003000000000000f83f000000000000d03f "
"0c 6d61785f6d65737361676573 00 "
"09 6d61785f6279746573 00 "
"08 6f766572666c6f77 00 "
"11 6d61785f6d6573736167655f6279746573 00 "
"0c 64656475705f77696e646f77 c0cf24 "
"0d 636f6e74656e745f6465647570 00 "
"0b 64656475705f73636f7065 00 "
"0d 737469636b795f67726f757073 00 "
"0e 67726f75705f7072656665746368 02 "
"07 64757261626c65 02 ");
    /* clang-format on */
    record_queue(&r.w, q);
    const struct record got = only();
    assert_int_equal(got.type, RECORD_QUEUE);
    assert_int_equal(got.queue, 3);
    assert_true(got.paused);
    assert_int_equal(got.next_id, 300);
    assert_int_equal(got.published_ms, 100005);
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        assert_true(attribute_equal(&got.attributes, &q->attributes, (enum attribute)a));
    q->paused = false;
    record_queue(&r.w, q);
    assert_false(only().paused);
}

static void test_the_end_of_a_queue_is_its_number(void **state)
{
    (void)state;
    record_queue_gone(&r.w, &r.queue);
    records_expect(&r, "02 01000000 03");
    r.queue.number = 300;
    record_queue_gone(&r.w, &r.queue);
    assert_int_equal(only().queue, 300);
}

static void test_topics_are_written_by_name(void **state)
{
    (void)state;
    const struct topic t = {.name_bytes = 3, .name = "top"};
    record_topic(&r.w, &t);
    record_topic_gone(&r.w, &t);
    records_expect(&r, "03 04000000 03746f70  04 04000000 03746f70");
    record_topic_gone(&r.w, &t);
    assert_text(only().name, "top");
}

static void test_a_subscription_is_written_with_pattern_and_filter(void **state)
{
    (void)state;
    const struct topic t = {.name_bytes = 1, .name = "t"};
    /* k = 1 alternative, = nil */
    static const char text[] = {'a', '.', '#', HEADER_UINT, 1, 'k', 1, HEADER_NIL, 1, 0};
    struct subscription *s = malloc(sizeof *s + sizeof text);
    assert_non_null(s);
    *s = (struct subscription){.queue = &r.queue, .filter_bytes = sizeof text - 3, .pattern_bytes = 3};
    memcpy(s->text, text, sizeof text);
    record_subscription(&r.w, &t, s);
    record_subscription_gone(&r.w, &t, s);
    records_expect(&r, "05 0f000000 03 0174 03612e23 07 03016b01 000100  06 07000000 03 0174 03612e23");
    record_subscription(&r.w, &t, s);
    const struct record got = only();
    assert_text(got.name, "t");
    assert_text(got.pattern, "a.#");
    assert_int_equal(got.filter.bytes, s->filter_bytes);
    free(s);
}

static void test_a_message_is_written_with_all_that_it_has(void **state)
{
    (void)state;
    const struct publication p = {
        .body = {"body", 4}, .group = {"g", 1}, .dedup_id = {"id", 2}, .headers = {"\x02\x01k", 3}, .priority = 9};
    struct message *m = records_message_of(&r, 200, &p);
    static _Alignas(struct note) char memory[sizeof(struct note) + 3];
    struct note *note = (struct note *)(void *)memory;
    note->bytes = 3;
    memcpy(note->text, "why", 3);
    const struct slot slot = {.since_ms = 1500, .reason = PARK_REJECTED, .note = note};
    m->expires_ms = 900;
    m->flags |= MESSAGE_TTL;
    message_delivered(m, 1001);
    message_delivered(m, 1300);
    r.queue.attributes.type = QUEUE_FIFO;
    record_message(&r.w, &r.queue, m, MESSAGE_PARKED, 1500, &slot, false, false);
    records_expect(
        &r, "08 24000000 03 c801 ef2f 90aa0c c701 e807 02 02 ad02 09 0167 026964 0302016b 02 03776879 04626f6479");
    record_message(&r.w, &r.queue, m, MESSAGE_PARKED, 1500, &slot, false, false);
    struct record got = only();
    assert_int_equal(got.id, 200);
    assert_int_equal(got.state, MESSAGE_PARKED);
    assert_int_equal(got.published_ms, 101000);
    assert_int_equal(got.expires_ms, 100900);
    assert_int_equal(got.at_ms, 101500);
    assert_int_equal(got.attempts, 2);
    assert_int_equal(got.first_ms, 101001);
    assert_int_equal(got.last_ms, 101300);
    assert_int_equal(got.priority, 9);
    assert_true(got.expires && got.by_ttl && got.fifo && !got.held && !got.above);
    assert_int_equal(got.reason, PARK_REJECTED);
    assert_text(got.group, "g");
    assert_text(got.dedup_id, "id");
    assert_text(got.note, "why");
    assert_text(got.body, "body");
    m->flags |= MESSAGE_HELD;
    record_message(&r.w, &r.queue, m, MESSAGE_DELAYED, 1700, NULL, true, false);
    records_expect(&r, "08 11000000 03 c801 fc30 90aa0c c701 f80a 02 02 ad02 09");
    records_free(&r, m);
}

static void test_a_message_without_anything_is_a_run_of_one(void **state)
{
    (void)state;
    struct message *m = records_message(&r, 1, "abc", 3);
    m->expires_ms = 1000;
    m->flags |= MESSAGE_TTL;
    record_message(&r.w, &r.queue, m, MESSAGE_READY, 0, NULL, false, false);
    records_expect(&r, "07 0b000000 03 01 90aa0c 01 01 03616263");
    m->expires_ms = 0;
    m->flags = 0;
    record_message(&r.w, &r.queue, m, MESSAGE_READY, 0, NULL, false, true);
    records_expect(&r, "08 0a000000 03 01 01 90aa0c 03616263");
    record_message(&r.w, &r.queue, m, MESSAGE_INFLIGHT, 0, NULL, false, false);
    records_expect(&r, "08 0a000000 03 01 02 90aa0c 03616263");
    records_free(&r, m);
}

static void test_ids_are_written_as_ranges(void **state)
{
    (void)state;
    static const enum record_type untimed[] = {RECORD_GONE, RECORD_UNDELIVERED, RECORD_READY, RECORD_KICKED};
    for (unsigned i = 0; i < 4; i++) {
        char hex[64];
        record_id(&r.w, untimed[i], &r.queue, 5, i);
        record_id(&r.w, untimed[i], &r.queue, 6, 2 * i);
        record_id(&r.w, untimed[i], &r.queue, 4, 3 * i);
        record_id(&r.w, untimed[i], &r.queue, 100, 0);
        (void)snprintf(hex, sizeof hex, "%02x 08000000 03 0a02 0501 be0101", untimed[i]);
        records_expect(&r, hex);
    }
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 1, 2000);
    record_id(&r.w, RECORD_DELIVERED, &r.queue, 2, 2000);
    record_id(&r.w, RECORD_DELAYED, &r.queue, 1, -200000);
    records_expect(&r, "0a 06000000 03 e0b90c 0202  0e 06000000 03 bf9a0c 0201");
}

static void test_a_parked_message_is_written_with_reason_and_note(void **state)
{
    (void)state;
    struct message *m = records_message(&r, 7, "", 0);
    struct slot slot = {.since_ms = 2000, .reason = PARK_OVERFLOW};
    record_parked(&r.w, &r.queue, m, &slot);
    m->expires_ms = 2001;
    record_parked(&r.w, &r.queue, m, &slot);
    records_expect(&r, "0f 08000000 03 07 e0b90c 00 05 00  0f 08000000 03 07 e0b90c 02 05 00");
    record_parked(&r.w, &r.queue, m, &slot);
    const struct record got = only();
    assert_int_equal(got.id, 7);
    assert_int_equal(got.at_ms, 102000);
    assert_int_equal(got.expires_ms, 102001);
    assert_true(got.expires);
    assert_int_equal(got.reason, PARK_OVERFLOW);
    assert_int_equal(got.note.bytes, 0);
    records_free(&r, m);
}

static void test_a_purge_is_written_as_a_mask(void **state)
{
    (void)state;
    record_purged(&r.w, &r.queue, 1u << MESSAGE_READY | 1u << MESSAGE_PARKED);
    records_expect(&r, "10 02000000 03 0a");
    record_purged(&r.w, &r.queue, 0xf);
    assert_int_equal(only().states, 0xf);
}

static void test_a_dedup_id_is_written_with_its_key(void **state)
{
    (void)state;
    struct dedup *entry = calloc(1, sizeof *entry + 5);
    assert_non_null(entry);
    entry->first_id = 12;
    entry->timer.deadline_ms = 3000;
    entry->key_bytes = 5;
    memcpy(entry->key, "\0\2idg", 5);
    record_dedup(&r.w, &r.queue, entry);
    records_expect(&r, "11 0b000000 03 0c b0c90c 05 0002696467");
    record_dedup(&r.w, &r.queue, entry);
    const struct record got = only();
    assert_int_equal(got.id, 12);
    assert_int_equal(got.at_ms, 103000);
    assert_int_equal(got.key.bytes, 5);
    free(entry);
}

static void test_a_body_that_is_not_there_yet_has_its_length(void **state)
{
    (void)state;
    static const char body[10000];
    struct message *m = records_message(&r, 1, body, sizeof body);
    record_message(&r.w, &r.queue, m, MESSAGE_READY, 0, NULL, false, false);
    struct view all = records_take(&r);
    struct record got;
    const size_t fields = all.bytes - sizeof body;
    for (size_t bytes = 0; bytes <= all.bytes; bytes += bytes < fields + 10 ? 1 : 1000) {
        assert_int_equal(record_read((struct view){all.data, bytes}, &got), bytes >= fields);
        if (bytes >= fields) {
            assert_int_equal(got.body.bytes, sizeof body);
            assert_int_equal(got.body.data != NULL, bytes == all.bytes);
        }
    }
    records_free(&r, m);
}

static void test_live_bytes_are_about_what_is_written(void **state)
{
    (void)state;
    const struct publication p = {.body = {"body", 4}, .group = {"gggg", 4}, .dedup_id = {"dd", 2}};
    struct message *m = records_message_of(&r, 1 << 20, &p);
    record_message(&r.w, &r.queue, m, MESSAGE_READY, 0, NULL, false, false);
    const size_t bytes = records_take(&r).bytes;
    assert_in_range(record_message_overhead(m) + m->body_bytes, bytes - 10, bytes + 10);
    records_free(&r, m);
    record_queue(&r.w, &r.queue);
    const size_t queue_bytes = records_take(&r).bytes;
    assert_in_range(record_queue_bytes(&r.queue), queue_bytes - 256, queue_bytes + 256);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_queue_is_written_with_all_attributes),
        TEST(test_the_end_of_a_queue_is_its_number),
        TEST(test_topics_are_written_by_name),
        TEST(test_a_subscription_is_written_with_pattern_and_filter),
        TEST(test_a_message_is_written_with_all_that_it_has),
        TEST(test_a_message_without_anything_is_a_run_of_one),
        TEST(test_ids_are_written_as_ranges),
        TEST(test_a_parked_message_is_written_with_reason_and_note),
        TEST(test_a_purge_is_written_as_a_mask),
        TEST(test_a_dedup_id_is_written_with_its_key),
        TEST(test_a_body_that_is_not_there_yet_has_its_length),
        TEST(test_live_bytes_are_about_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
