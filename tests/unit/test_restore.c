/* A broker that is restored, change by change, and then runs. */
#include "server/broker/digest.h"
#include "server/broker/restore.h"
#include "server/broker/watcher.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"
#include "tests/unit/bare_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)

static struct view text(const char *s)
{
    return (struct view){s, strlen(s)};
}

static struct attributes defaults(void)
{
    struct attributes a;
    attributes_init(&a);
    return a;
}

static struct queue *restored_queue(struct bare *s, uint64_t number, const char *name, const struct attributes *a)
{
    struct attributes own = defaults();
    struct queue *q = NULL;
    enum restore_result result = restore_queue(&s->b, number, text(name), a ? a : &own, 1, s->now_ms, false, &q);
    assert_int_equal(result, RESTORE_DONE);
    return q;
}

static struct restored_message a_message(struct queue *q, uint64_t id)
{
    return (struct restored_message){
        .queue = q,
        .id = id,
        .state = MESSAGE_READY,
        .parts = {.body = {"body", 4}},
        .published_ms = 500,
        .first_ms = -1,
        .last_ms = -1,
    };
}

static struct message *put(struct bare *s, const struct restored_message *r)
{
    struct message *m = NULL;
    assert_int_equal(restore_message(&s->b, r, &m), RESTORE_DONE);
    assert_non_null(m);
    return m;
}

static void finish(struct bare *s)
{
    assert_int_equal(restore_finish(&s->b, s->now_ms), RESTORE_DONE);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void test_a_queue_keeps_its_number_and_new_ones_get_higher_ones(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 41, "q", NULL);
    assert_ptr_equal(restore_queue_find(&s.b, 41), q);
    assert_null(restore_queue_find(&s.b, 40));
    finish(&s);
    struct queue *fresh = bare_queue(&s, "fresh", NULL);
    assert_int_equal(fresh->number, 42);
    assert_ptr_equal(restore_queue_find(&s.b, 42), fresh);
    uint64_t count;
    assert_int_equal(broker_queue_delete(&s.b, s.now_ms, q, false, false, &count), ERR_NONE);
    assert_null(restore_queue_find(&s.b, 41));
    bare_close(&s);
}

static void test_a_queue_told_again_is_the_same_queue_with_other_attributes(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attributes a = defaults();
    struct queue *q = restored_queue(&s, 1, "q", &a), *again = NULL;
    struct restored_message r = a_message(q, 7);
    put(&s, &r);
    a.visibility = 77;
    assert_int_equal(restore_queue(&s.b, 1, text("q"), &a, 3, 5, true, &again), RESTORE_DONE);
    assert_ptr_equal(again, q);
    assert_int_equal(q->attributes.visibility, 77);
    assert_int_equal(q->next_id, 8); /* it only grows */
    assert_true(q->paused);
    assert_int_equal(queue_total(q), 1);
    finish(&s);
    bare_close(&s);
}

static void test_another_queue_of_a_name_takes_the_place_of_the_one_before(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    struct restored_message r = a_message(q, 1);
    put(&s, &r);
    struct queue *other = restored_queue(&s, 2, "q", NULL);
    assert_int_equal(queue_total(other), 0);
    assert_null(restore_queue_find(&s.b, 1));
    assert_int_equal(s.b.queue_count, 1);
    finish(&s);
    bare_close(&s);
}

static void test_what_is_said_of_things_that_are_not_there_is_passed_over(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    struct view none = {NULL, 0};
    assert_int_equal(restore_gone(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_delivered(&s.b, q, 1, 600), RESTORE_UNKNOWN);
    assert_int_equal(restore_undelivered(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_ready(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_kicked(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_delayed(&s.b, q, 1, 900), RESTORE_UNKNOWN);
    assert_int_equal(restore_parked(&s.b, q, 1, PARK_REQUESTED, none, 600, 0), RESTORE_UNKNOWN);
    assert_int_equal(restore_topic_gone(&s.b, text("t")), RESTORE_UNKNOWN);
    assert_int_equal(restore_subscription_gone(&s.b, text("t"), q, text("#")), RESTORE_UNKNOWN);
    struct restored_message r = a_message(q, 1);
    put(&s, &r); /* ready: nothing that begins elsewhere can happen to it */
    assert_int_equal(restore_undelivered(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_ready(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_kicked(&s.b, q, 1), RESTORE_UNKNOWN);
    assert_int_equal(restore_delayed(&s.b, q, 1, 900), RESTORE_UNKNOWN);
    finish(&s);
    bare_close(&s);
}

/* A log that is compacted speaks of a queue before it says what it is. */
static void test_an_awaited_queue_gets_its_name_later(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *before = restored_queue(&s, 1, "b", NULL), *q, *again, *never;
    struct subscription *out;
    struct attributes a = defaults();
    a.type = QUEUE_FIFO;
    assert_int_equal(restore_queue_awaited(&s.b, 5, false, &q), RESTORE_DONE);
    assert_int_equal(restore_subscription(&s.b, text("t"), q, text("x"), text(""), &out), RESTORE_DONE);
    assert_int_equal(restore_subscription(&s.b, text("t"), before, text("x"), text(""), &out), RESTORE_DONE);
    assert_int_equal(restore_queue_awaited(&s.b, 5, true, &again), RESTORE_DONE);
    assert_ptr_equal(again, q);
    for (uint64_t id = 1; id <= 2; id++) {
        struct restored_message r = a_message(q, id);
        r.parts.group = text("g");
        put(&s, &r);
        assert_int_equal(restore_queue_awaited(&s.b, 5, true, &again), RESTORE_DONE);
    }
    assert_int_equal(restore_queue_awaited(&s.b, 6, false, &never), RESTORE_DONE);
    assert_ptr_equal(restored_queue(&s, 5, "c", &a), q);
    assert_ptr_equal(restore_next_awaited(&s.b), never);
    restore_queue_gone(&s.b, never);
    assert_null(restore_next_awaited(&s.b));
    assert_ptr_equal(broker_queue_find(&s.b, "c", 1), q);
    finish(&s);
    assert_int_equal(queue_group_count(q), 1);
    /* its subscription stands where its name belongs */
    struct topic *t = broker_topic_find(&s.b, "t", 1);
    assert_int_equal(broker_unsubscribe(&s.b, t, q, text("x")), ERR_NONE);
    assert_int_equal(broker_unsubscribe(&s.b, t, before, text("x")), ERR_NONE);
    bare_close(&s);
}

static void test_what_is_there_already_keeps_its_mark(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    struct topic *t;
    struct subscription *first, *second;
    struct dedup *one, *two;
    assert_int_equal(restore_topic(&s.b, text("t"), &t), RESTORE_DONE);
    assert_int_equal(restore_subscription(&s.b, text("t"), q, text("#"), text(""), &first), RESTORE_DONE);
    assert_int_equal(first->mark, 0);
    first->mark = 5;
    assert_int_equal(restore_subscription(&s.b, text("t"), q, text("#"), text(""), &second), RESTORE_DONE);
    assert_int_equal(second->mark, 5);
    assert_int_equal(t->subscription_count, 1);
    assert_int_equal(restore_dedup(&s.b, q, text("key"), 1, 5000, &one), RESTORE_DONE);
    assert_int_equal(one->mark, 0);
    one->mark = 6;
    assert_int_equal(restore_dedup(&s.b, q, text("key"), 2, 6000, &two), RESTORE_DONE);
    assert_int_equal(two->mark, 6);
    assert_int_equal(two->first_id, 2);
    assert_int_equal(queue_dedup_count(q), 1);
    finish(&s);
    bare_close(&s);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void test_a_message_told_again_replaces_the_one_before(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    for (unsigned from = MESSAGE_DELAYED; from <= MESSAGE_PARKED; from++) {
        struct restored_message r = a_message(q, 3);
        r.state = (enum message_state)from;
        r.at_ms = 2000;
        r.reason = PARK_REJECTED;
        r.note = text("why");
        put(&s, &r)->mark = 9;
        r = a_message(q, 3);
        r.parts.body = text("another");
        assert_int_equal(put(&s, &r)->mark, 0);
        assert_int_equal(queue_total(q), 1);
        assert_int_equal(queue_body_bytes(q), 7);
        assert_int_equal(s.b.slots.used_count, 0);
        assert_int_equal(s.b.inflight_count, 0);
    }
    finish(&s);
    bare_close(&s);
}

static void test_what_no_broker_can_hold_is_passed_over(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attributes a = defaults();
    a.type = QUEUE_FIFO;
    struct restored_message r = a_message(restored_queue(&s, 1, "q", &a), 1);
    struct message *m;
    assert_int_equal(restore_message(&s.b, &r, &m), RESTORE_UNKNOWN); /* without a group */
    r = a_message(restored_queue(&s, 2, "r", NULL), 0);
    assert_int_equal(restore_message(&s.b, &r, &m), RESTORE_UNKNOWN);
    r.id = 1;
    r.parts.priority = LIMIT_PRIORITIES;
    assert_int_equal(restore_message(&s.b, &r, &m), RESTORE_UNKNOWN);
    finish(&s);
    bare_close(&s);
}

static void test_messages_go_on_with_their_lives(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    for (uint64_t id = 1; id <= 4; id++) {
        struct restored_message r = a_message(q, id);
        put(&s, &r);
        assert_int_equal(restore_delivered(&s.b, q, id, 600), RESTORE_DONE);
    }
    assert_int_equal(s.b.inflight_count, 4);
    assert_int_equal(restore_delayed(&s.b, q, 2, 3000), RESTORE_DONE);
    assert_int_equal(restore_parked(&s.b, q, 3, PARK_REJECTED, text("why"), 700, 9000), RESTORE_DONE);
    assert_int_equal(restore_undelivered(&s.b, q, 4), RESTORE_DONE);
    assert_int_equal(restore_ready(&s.b, q, 4), RESTORE_DONE);
    finish(&s);
    assert_int_equal(queue_count(q, MESSAGE_READY), 2); /* 1 comes back, 4 has */
    assert_int_equal(s.b.inflight_count, 0);
    enum message_state where;
    assert_int_equal(restore_find(q, 1, &where)->attempts, 1);
    assert_int_equal(message_first_ms(restore_find(q, 1, &where)), 600);
    assert_int_equal(restore_find(q, 4, &where)->attempts, 0);
    assert_int_equal(message_first_ms(restore_find(q, 4, &where)), -1);
    struct slot *slot = slots_at(&s.b.slots, restore_find(q, 3, &where)->slot);
    assert_int_equal(slot->reason, PARK_REJECTED);
    assert_int_equal(slot->since_ms, 700);
    assert_memory_equal(slot->note->text, "why", 3);
    (void)bare_turn(&s, 2999);
    assert_int_equal(queue_count(q, MESSAGE_DELAYED), 1);
    (void)bare_turn(&s, 3000);
    assert_int_equal(queue_count(q, MESSAGE_READY), 3);
    (void)bare_turn(&s, 8999);
    assert_int_equal(queue_count(q, MESSAGE_PARKED), 1);
    (void)bare_turn(&s, 9000);
    assert_int_equal(queue_count(q, MESSAGE_PARKED), 0);
    bare_close(&s);
}

static void test_a_group_is_held_by_what_came_back_with_a_delay(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attributes a = defaults();
    a.type = QUEUE_FIFO;
    struct queue *q = restored_queue(&s, 1, "q", &a);
    for (uint64_t id = 1; id <= 3; id++) {
        struct restored_message r = a_message(q, id);
        r.parts.group = id == 3 ? text("other") : text("g");
        r.state = id == 1 ? MESSAGE_DELAYED : MESSAGE_READY;
        r.held = true;
        r.at_ms = 5000;
        put(&s, &r);
    }
    finish(&s);
    assert_int_equal(queue_group_count(q), 2);
    (void)bare_receive(&s, q);
    assert_int_equal(s.b.deliveries[0].message->id, 3); /* 2 waits behind 1 */
    (void)bare_turn(&s, 5000);
    (void)bare_receive(&s, q);
    assert_int_equal(s.b.deliveries[0].message->id, 1);
    bare_close(&s);
}

static void test_urgent_messages_go_first(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    for (uint64_t id = 1; id <= 3; id++) {
        struct restored_message r = a_message(q, id);
        r.parts.priority = id == 2 ? 7 : 0;
        r.state = id == 2 ? MESSAGE_INFLIGHT : MESSAGE_READY;
        put(&s, &r);
    }
    finish(&s);
    for (uint64_t i = 0; i < 3; i++) {
        static const uint64_t ids[] = {2, 1, 3};
        (void)bare_receive(&s, q);
        assert_int_equal(s.b.deliveries[0].message->id, ids[i]);
    }
    bare_close(&s);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void test_one_with_a_long_ttl_among_many_costs_one_slot(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    for (uint64_t id = 1; id <= 1000; id++) {
        struct restored_message r = a_message(q, id);
        r.published_ms = (int64_t)id;
        r.expires_ms = id == 3 ? 9 * DAY_MS : r.published_ms + 4 * DAY_MS;
        put(&s, &r);
    }
    finish(&s);
    assert_int_equal(s.b.slots.used_count, 1);
    for (int64_t ms = 4 * DAY_MS; ms <= 4 * DAY_MS + 1001; ms += 77) {
        (void)bare_turn(&s, ms);
        uint64_t over = (uint64_t)(ms - 4 * DAY_MS);
        assert_int_equal(queue_total(q), over >= 1000 ? 1 : 1000 - over + (over >= 3));
    }
    (void)bare_turn(&s, 9 * DAY_MS - 1);
    assert_int_equal(queue_total(q), 1);
    (void)bare_turn(&s, 9 * DAY_MS);
    assert_int_equal(queue_total(q), 0);
    bare_close(&s);
}

/* Whatever order they are in, none expires late and none early. */
static void test_messages_with_all_kinds_of_ends_expire_on_time(void **state)
{
    (void)state;
    static struct bare s;
    struct random random = {1};
    for (int round = 0; round < 50; round++) {
        int64_t expires[60];
        bare_open(&s, 1);
        struct queue *q = restored_queue(&s, 1, "q", NULL);
        for (uint64_t id = 1; id <= 60; id++) {
            struct restored_message r = a_message(q, id);
            expires[id - 1] = r.expires_ms = random_below(&random, 4) == 0 ? 0
                                                                           : 1000 + (int64_t)random_below(&random, 90);
            r.state = (enum message_state)random_below(&random, 4);
            r.at_ms = 1000 + (int64_t)random_below(&random, 90);
            put(&s, &r);
        }
        finish(&s);
        for (int64_t ms = 1000; ms < 1100; ms++) {
            (void)bare_turn(&s, ms);
            for (uint64_t id = 1; id <= 60; id++) {
                enum message_state where;
                bool over = expires[id - 1] != 0 && expires[id - 1] <= ms;
                assert_int_equal(restore_find(q, id, &where) == NULL, over);
            }
        }
        bare_close(&s);
    }
}

static void test_windows_go_on_and_those_that_are_over_end_with_the_first_turn(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = restored_queue(&s, 1, "q", NULL);
    struct dedup *entry;
    static const char key[] = {0, 1, 'a'}, old[] = {0, 1, 'b'};
    assert_int_equal(restore_dedup(&s.b, q, (struct view){key, 3}, 17, 2000, &entry), RESTORE_DONE);
    assert_int_equal(restore_dedup(&s.b, q, (struct view){old, 3}, 18, 900, &entry), RESTORE_DONE);
    finish(&s);
    (void)bare_turn(&s, s.now_ms);
    assert_int_equal(queue_dedup_count(q), 1);
    struct publication p = bare_message(NULL);
    p.dedup_id = text("a");
    struct publications messages = {.items = &p, .count = 1};
    struct publish_options options = {.atomic = false};
    struct publish_result result;
    assert_int_equal(broker_publish(&s.b, 1999, q, &messages, &options, &result), ERR_NONE);
    assert_int_equal(result.stored, 0);
    assert_int_equal(s.b.outcomes[0].id, 17);
    (void)bare_turn(&s, 2000);
    assert_int_equal(queue_dedup_count(q), 0);
    assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    bare_close(&s);
}

/* ---- attempts that are used up ----------------------------------------------------------------------------------- */

static void spent_message(struct bare *s, struct queue *q, uint64_t id, uint32_t attempts, enum message_state state)
{
    struct restored_message r = a_message(q, id);
    r.state = state;
    r.attempts = attempts;
    r.first_ms = r.last_ms = 600;
    put(s, &r);
}

static void test_what_was_inflight_with_its_attempts_used_up_dies_at_the_restart(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attributes a = defaults();
    a.max_attempts = 3;
    struct queue *parking = restored_queue(&s, 1, "parking", &a);
    a.dead_letter = (struct queue_name){4, "dead"};
    struct queue *q = restored_queue(&s, 2, "q", &a);
    struct queue *dead = restored_queue(&s, 3, "dead", NULL);
    spent_message(&s, q, 1, 3, MESSAGE_INFLIGHT);
    spent_message(&s, q, 2, 2, MESSAGE_INFLIGHT);
    spent_message(&s, q, 3, 3, MESSAGE_READY); /* e.g. max_attempts has been lowered since */
    spent_message(&s, parking, 1, 4, MESSAGE_INFLIGHT);
    finish(&s);
    assert_int_equal(queue_count(q, MESSAGE_READY), 3);
    struct starved nothing = starve(&s.b.pool, sizeof(struct slot), 0);
    broker_restarted(&s.b, s.now_ms); /* parking needs no memory */
    starve_end(&nothing);
    assert_int_equal(queue_total(q), 2 + (queue_total(dead) == 0));
    assert_int_equal(queue_count(parking, MESSAGE_PARKED), 1);
    enum message_state where;
    struct message *m = restore_find(parking, 1, &where);
    assert_int_equal(slots_at(&s.b.slots, m->slot)->reason, PARK_MAX_ATTEMPTS);
    assert_int_equal(restore_find(q, 3, &where)->attempts, 3);
    assert_int_equal(where, MESSAGE_READY);
    assert_int_equal(s.b.spent_count, 0);
    bare_close(&s);
}

/* ---- memory and size --------------------------------------------------------------------------------------------- */

static enum restore_result restore_something(struct bare *s)
{
    struct attributes a = defaults();
    struct queue *q;
    struct topic *t;
    struct subscription *subscription;
    struct dedup *entry;
    struct message *m;
    a.type = QUEUE_FIFO;
    a.max_attempts = 1;
    enum restore_result result = restore_queue(&s->b, 1, text("q"), &a, 1, 0, false, &q);
    if (result == RESTORE_DONE)
        result = restore_topic(&s->b, text("t"), &t);
    if (result == RESTORE_DONE)
        result = restore_subscription(&s->b, text("t"), q, text("#"), text(""), &subscription);
    if (result == RESTORE_DONE)
        result = restore_dedup(&s->b, q, text("key"), 1, 5000, &entry);
    for (uint64_t id = 1; id <= 5 && result == RESTORE_DONE; id++) {
        struct restored_message r = a_message(q, id);
        r.state = (enum message_state)(id % 4);
        r.parts.group = text("group");
        r.note = text("note");
        r.attempts = 1;
        result = restore_message(&s->b, &r, &m);
    }
    return result == RESTORE_DONE ? restore_finish(&s->b, s->now_ms) : result;
}

/* Each kind of object is once the one that is not to be had. */
static void test_without_memory_a_restoration_ends_and_leaves_nothing(void **state)
{
    (void)state;
    static struct bare s;
    static const size_t sizes[] = {sizeof(struct queue),        sizeof(struct topic),
                                   sizeof(struct ring_page),    sizeof(struct table_segment),
                                   sizeof(struct message) + 40, 100,
                                   sizeof(struct group) + 5,    17};
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned left = 0; left < 3; left++) {
            bare_open(&s, 1);
            struct starved starved = starve(&s.b.pool, sizes[i], left);
            enum restore_result result = restore_something(&s);
            assert_int_not_equal(result, RESTORE_UNKNOWN);
            failed += result == RESTORE_NO_MEMORY;
            starve_end(&starved);
            bare_close(&s);
        }
    assert_true(failed > 8);
    bare_open(&s, 1);
    assert_int_equal(restore_something(&s), RESTORE_DONE);
    bare_close(&s);
}

static void note_copy(void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms,
                      bool copies_follow)
{
    char *notes = user;
    (void)q, (void)m, (void)state, (void)due_ms;
    notes[strlen(notes)] = copies_follow ? '+' : '.';
}

/* So that whoever keeps them needs their body only once. */
static void test_copies_of_one_message_are_told_as_such(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    bool created, held;
    uint64_t copies;
    char notes[16] = "";
    assert_int_equal(broker_topic_create(&s.b, "t", 1, &created), ERR_NONE);
    struct topic *t = broker_topic_find(&s.b, "t", 1);
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(broker_subscribe(&s.b, t, bare_queue(&s, names[i], NULL), text("#"), text(""), &created),
                         ERR_NONE);
    struct watcher watcher = {.user = notes, .stored_cb = note_copy};
    s.b.watcher = &watcher;
    struct publication items[2] = {bare_message(NULL), bare_message(NULL)};
    struct publications messages = {.items = items, .count = 2};
    struct publish_options options = {.atomic = false};
    assert_int_equal(broker_topic_publish(&s.b, s.now_ms, t, text("key"), &messages, &options, &copies, &held),
                     ERR_NONE);
    assert_int_equal(copies, 6);
    assert_string_equal(notes, "++.++.");
    s.b.watcher = NULL;
    bare_close(&s);
}

static void test_the_digest_sees_every_difference(void **state)
{
    (void)state;
    static struct bare s;
    uint64_t digests[8];
    for (unsigned i = 0; i < 8; i++) {
        bare_open(&s, 1);
        struct queue *q = restored_queue(&s, 1, "q", NULL);
        struct restored_message r = a_message(q, 1);
        struct dedup *entry;
        struct topic *t;
        r.attempts = i == 1;
        r.expires_ms = i == 2 ? 99999 : 0;
        r.parts.body = i == 3 ? text("bodx") : text("body");
        r.parts.group = i == 4 ? text("g") : text("");
        put(&s, &r);
        if (i == 5)
            restore_dedup(&s.b, q, text("key"), 1, 2000, &entry);
        if (i == 6)
            restore_topic(&s.b, text("t"), &t);
        if (i == 7)
            q->paused = true;
        finish(&s);
        digests[i] = broker_digest(&s.b, s.now_ms);
        for (unsigned j = 0; j < i; j++)
            assert_true(digests[i] != digests[j]);
        bare_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_queue_keeps_its_number_and_new_ones_get_higher_ones),
        cmocka_unit_test(test_a_queue_told_again_is_the_same_queue_with_other_attributes),
        cmocka_unit_test(test_another_queue_of_a_name_takes_the_place_of_the_one_before),
        cmocka_unit_test(test_what_is_said_of_things_that_are_not_there_is_passed_over),
        cmocka_unit_test(test_an_awaited_queue_gets_its_name_later),
        cmocka_unit_test(test_what_is_there_already_keeps_its_mark),
        cmocka_unit_test(test_a_message_told_again_replaces_the_one_before),
        cmocka_unit_test(test_what_no_broker_can_hold_is_passed_over),
        cmocka_unit_test(test_messages_go_on_with_their_lives),
        cmocka_unit_test(test_a_group_is_held_by_what_came_back_with_a_delay),
        cmocka_unit_test(test_urgent_messages_go_first),
        cmocka_unit_test(test_one_with_a_long_ttl_among_many_costs_one_slot),
        cmocka_unit_test(test_messages_with_all_kinds_of_ends_expire_on_time),
        cmocka_unit_test(test_windows_go_on_and_those_that_are_over_end_with_the_first_turn),
        cmocka_unit_test(test_what_was_inflight_with_its_attempts_used_up_dies_at_the_restart),
        cmocka_unit_test(test_without_memory_a_restoration_ends_and_leaves_nothing),
        cmocka_unit_test(test_copies_of_one_message_are_told_as_such),
        cmocka_unit_test(test_the_digest_sees_every_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
