/*
 * The native door: a publish that repeats the one before it in the same input is answered and stored as if it had come alone.
 * Streams of requests go to one door as they come, in large pieces, and to another request by request, where no request has one
 * before it: answers and brokers must be the same.
 */
#include "protocol/encoder.h"
#include "server/broker/digest.h"
#include "server/doors/native/twin.h"
#include "tests/support/native_door.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS 60
#define STREAMS  400

/* ---- twin_read() ------------------------------------------------------------------------------------------------- */

static const uint8_t head[] = "\xa7publish\x92\xa4jobs\x92", tail[] = "\x81\xa6"
                                                                      "atomic\xc3";

static struct twin noted(size_t tail_bytes)
{
    return (struct twin){
        .head = head, .head_bytes = sizeof head - 1, .tail = tail, .tail_bytes = (uint32_t)tail_bytes, .count = 2};
}

/* A twin in memory of its own, of exactly its size: 94 00, the msgid as it is written, the head, two bodies, the tail. */
static uint8_t *twin_new(const char *msgid, size_t msgid_bytes, const char *bodies, size_t body_bytes,
                         size_t tail_bytes, size_t *bytes)
{
    *bytes = 2 + msgid_bytes + sizeof head - 1 + body_bytes + tail_bytes;
    uint8_t *at, *twin = malloc(*bytes);
    assert_non_null(twin);
    twin[0] = 0x94;
    twin[1] = 0;
    at = twin + 2;
    memcpy(at, msgid, msgid_bytes);
    memcpy(at += msgid_bytes, head, sizeof head - 1);
    memcpy(at += sizeof head - 1, bodies, body_bytes);
    memcpy(at + body_bytes, tail, tail_bytes);
    return twin;
}

#define BODIES      "\xc4\x03one\xc5\x00\x05three"
#define BODY_BYTES  (sizeof BODIES - 1)
#define OWN(msgid_) msgid_, sizeof msgid_ - 1

static void test_a_twin_is_read_with_any_msgid(void **state)
{
    static const struct {
        const char *msgid;
        size_t bytes;
        uint32_t number;
    } cases[] = {{OWN("\x7f"), 127},
                 {OWN("\x01"), 1},
                 {OWN("\xcc\x80"), 128},
                 {OWN("\xcd\x01\x02"), 258},
                 {OWN("\xcd\x00\x02"), 2},
                 {OWN("\xce\xff\xff\xff\xfe"), 4294967294},
                 {OWN("\xce\x00\x01\x02\x03"), 66051}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t tail_bytes = 0; tail_bytes < sizeof tail; tail_bytes += sizeof tail - 1) {
            const struct twin before = noted(tail_bytes);
            struct view bodies[2];
            size_t bytes, used = 0;
            uint32_t msgid = 0;
            uint8_t *twin = twin_new(cases[i].msgid, cases[i].bytes, BODIES, BODY_BYTES, tail_bytes, &bytes);
            assert_true(twin_read(&before, twin, bytes, bodies, &msgid, &used));
            assert_int_equal(used, bytes);
            assert_int_equal(msgid, cases[i].number);
            assert_int_equal(bodies[0].bytes, 3);
            assert_memory_equal(bodies[0].data, "one", 3);
            assert_int_equal(bodies[1].bytes, 5);
            assert_memory_equal(bodies[1].data, "three", 5);
            free(twin);
        }
}

static void test_what_is_cut_anywhere_is_no_twin(void **state)
{
    const struct twin before = noted(sizeof tail - 1);
    size_t bytes, used;
    uint8_t *twin = twin_new(OWN("\xcd\x01\x02"), BODIES, BODY_BYTES, sizeof tail - 1, &bytes);
    (void)state;
    for (size_t left = 0; left < bytes; left++) {
        struct view bodies[2];
        uint32_t msgid;
        uint8_t *cut = malloc(left + (left == 0));
        assert_non_null(cut);
        memcpy(cut, twin, left);
        assert_false(twin_read(&before, cut, left, bodies, &msgid, &used));
        free(cut);
    }
    free(twin);
}

static void test_what_differs_in_a_byte_is_no_twin(void **state)
{
    const struct twin before = noted(sizeof tail - 1);
    const size_t from = 2 + 3, first = from + sizeof head - 1;
    size_t bytes;
    uint8_t *twin = twin_new(OWN("\xcd\x01\x02"), BODIES, BODY_BYTES, sizeof tail - 1, &bytes);
    (void)state;
    for (size_t at = 0; at < bytes; at++) {
        const bool in_msgid = at > 2 && at < from, in_body = at >= first && at < bytes - (sizeof tail - 1);
        if (in_msgid || (in_body && at != first && at != first + 5))
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            struct view bodies[2];
            uint32_t msgid;
            size_t used;
            twin[at] ^= (uint8_t)(1u << bit);
            assert_false(twin_read(&before, twin, bytes, bodies, &msgid, &used));
            twin[at] ^= (uint8_t)(1u << bit);
        }
    }
    free(twin);
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

struct stream_of {
    struct buffer bytes;
    size_t ends[REQUESTS];
    struct random random;
};

static void put_msgid(struct buffer *out, struct random *random, uint32_t msgid)
{
    const uint8_t wide[] = {0xce, (uint8_t)(msgid >> 24), (uint8_t)(msgid >> 16), (uint8_t)(msgid >> 8),
                            (uint8_t)msgid};
    if (random_below(random, 4) == 0)
        buffer_append(out, wide, sizeof wide);
    else
        encode_uint(out, msgid);
}

static void put_head(struct stream_of *s, uint32_t msgid, const char *method, uint32_t params)
{
    encode_array(&s->bytes, 4);
    encode_uint(&s->bytes, 0);
    put_msgid(&s->bytes, &s->random, msgid);
    encode_text(&s->bytes, method);
    encode_array(&s->bytes, params);
}

static void put_body(struct stream_of *s)
{
    static const uint8_t body[70000];
    const uint64_t kind = random_below(&s->random, 40);
    const uint32_t bytes = kind == 0 ? 66000 : kind < 5 ? 4000 : (uint32_t)random_below(&s->random, 300);
    if (kind == 39) {
        encode_str(&s->bytes, body, bytes);
    } else if (kind == 38) {
        encode_array(&s->bytes, 2);
        encode_bin(&s->bytes, body, bytes);
        encode_map(&s->bytes, 1);
        encode_text(&s->bytes, "delay");
        encode_uint(&s->bytes, 50);
    } else {
        encode_bin(&s->bytes, body, bytes);
    }
}

/* One of few kinds, so that they often follow each other. */
static void put_publish(struct stream_of *s, uint32_t msgid, uint64_t kind)
{
    static const char *const queues[] = {"jobs", "jobz", "few", "none"};
    const uint32_t count = kind % 3 == 0 ? 1 : 3;
    put_head(s, msgid, "publish", kind / 3 % 2 == 0 ? 2 : 3);
    encode_text(&s->bytes, queues[kind % 4]);
    encode_array(&s->bytes, count);
    for (uint32_t i = 0; i < count; i++)
        put_body(s);
    if (kind / 3 % 2 != 0) {
        encode_map(&s->bytes, 1);
        encode_text(&s->bytes, kind / 6 % 2 == 0 ? "atomic" : "wait");
        if (kind / 6 % 2 == 0)
            encode_bool(&s->bytes, true);
        else
            encode_uint(&s->bytes, 20);
    }
}

/* What changes that on which a publish depends. */
static void put_other(struct stream_of *s, uint32_t msgid)
{
    static const char *const methods[] = {"queue.delete", "queue.create", "queue.purge", "queue.info"};
    put_head(s, msgid, methods[random_below(&s->random, 4)], 1);
    encode_text(&s->bytes, random_below(&s->random, 2) == 0 ? "jobs" : "few");
}

static void stream_make(struct stream_of *s, uint64_t seed)
{
    uint64_t kind = 0;
    *s = (struct stream_of){.random = {seed}};
    buffer_init(&s->bytes, NULL);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (random_below(&s->random, 4) == 0)
            kind = random_below(&s->random, 12);
        if (random_below(&s->random, 10) == 0)
            put_other(s, i * 97);
        else
            put_publish(s, i * 97, kind);
        s->ends[i] = s->bytes.bytes;
    }
    assert_false(s->bytes.failed);
}

/* In pieces of random lengths, or request by request. */
static void feed(struct fixture *f, const struct stream_of *s, struct random *pieces)
{
    size_t at = 0;
    for (uint32_t i = 0; i < REQUESTS && at < s->bytes.bytes; i++) {
        size_t end = s->ends[i];
        if (pieces)
            end = at + 1 + random_below(pieces, random_below(pieces, 3) == 0 ? 2000 : 400000);
        if (end > s->bytes.bytes || i == REQUESTS - 1)
            end = s->bytes.bytes;
        while (at < end)
            at += door_input(f, A, s->bytes.data + at, end - at);
    }
    f->safe = f->place;
    door_turn(f);
}

static void compare(struct fixture *in_pieces, struct fixture *one_by_one)
{
    const struct buffer *answers[] = {&in_pieces->clients[A].answers, &one_by_one->clients[A].answers};
    assert_true(answers[0]->bytes > 0);
    assert_int_equal(answers[0]->bytes, answers[1]->bytes);
    assert_memory_equal(answers[0]->data, answers[1]->data, answers[0]->bytes);
    assert_int_equal(in_pieces->place, one_by_one->place);
    assert_int_equal(in_pieces->event_count, one_by_one->event_count);
    assert_int_equal(in_pieces->door.counters.requests, one_by_one->door.counters.requests);
    assert_int_equal(broker_digest(&in_pieces->broker, in_pieces->now_ms),
                     broker_digest(&one_by_one->broker, one_by_one->now_ms));
}

static void tell_streams(struct random random, bool log)
{
    void *doors[2];
    for (int i = 0; i < 2; i++) {
        door_setup(&doors[i]);
        check(doors[i], A, "queue.create", "['jobs']", "{'created': true}");
        check(doors[i], A, "queue.create", "['jobz', {'durable': false}]", "{'created': true}");
        check(doors[i], A, "queue.create", "['few', {'max_messages': 9}]", "{'created': true}");
        if (log)
            door_keep(doors[i]);
    }
    for (int i = 0; i < 20; i++) {
        struct stream_of s;
        stream_make(&s, random_next(&random));
        feed(doors[0], &s, &random);
        feed(doors[1], &s, NULL);
        compare(doors[0], doors[1]);
        for (int j = 0; j < 2; j++) {
            struct fixture *f = doors[j];
            buffer_reset(&f->clients[A].answers);
            door_wait_ms(f, 30); /* those who wait for room are answered */
            buffer_reset(&f->clients[A].answers);
        }
        buffer_close(&s.bytes);
    }
    for (int i = 0; i < 2; i++)
        door_teardown(&doors[i]);
}

static void test_a_twin_is_handled_as_if_it_had_come_alone(void **state)
{
    struct random random = test_seed("twins");
    (void)state;
    for (int i = 0; i < STREAMS / 20; i++)
        tell_streams((struct random){random_next(&random)}, false);
}

static void test_the_answer_to_a_twin_waits_for_the_log_as_well(void **state)
{
    struct random random = test_seed("twins and log");
    (void)state;
    for (int i = 0; i < STREAMS / 20; i++)
        tell_streams((struct random){random_next(&random)}, true);
}

/* What the request before has found out is only good as long as nothing has come in between. */
static void test_a_publish_after_another_request_is_no_twin(void **state)
{
    struct fixture *f = *state;
    struct buffer out;
    check(f, A, "queue.create", "['jobs']", "{'created': true}");
    buffer_init(&out, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        encode_array(&out, 4);
        encode_uint(&out, 0);
        encode_uint(&out, 100 + i);
        encode_text(&out, i == 1 ? "queue.delete" : "publish");
        encode_array(&out, i == 1 ? 1 : 2);
        encode_text(&out, "jobs");
        if (i != 1) {
            encode_array(&out, 1);
            encode_bin(&out, "a", 1);
        }
    }
    assert_int_equal(door_input(f, A, out.data, out.bytes), out.bytes);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 100), "[1, 1]");
    assert_string_equal(door_answer(f, A, 102), "! ['QUEUE_NOT_FOUND', ...]");
    buffer_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_twin_is_read_with_any_msgid),
        cmocka_unit_test(test_what_is_cut_anywhere_is_no_twin),
        cmocka_unit_test(test_what_differs_in_a_byte_is_no_twin),
        cmocka_unit_test(test_a_twin_is_handled_as_if_it_had_come_alone),
        cmocka_unit_test(test_the_answer_to_a_twin_waits_for_the_log_as_well),
        cmocka_unit_test_setup_teardown(test_a_publish_after_another_request_is_no_twin, door_setup, door_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
