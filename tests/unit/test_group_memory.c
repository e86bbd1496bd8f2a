/*
 * The memory of groups and dedup ids: it is there while it is needed and not longer, and where there is none for a call,
 * whatever it was needed for, nothing has happened.
 */
#include "server/broker/dedup.h"
#include "tests/support/starve.h"
#include "tests/unit/bare_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUPS 5000

static uint64_t group_count(const struct queue *q)
{
    uint64_t listed = 0;
    for (const struct group *g = q->groups.oldest; g; g = g->newer)
        listed++;
    assert_int_equal(listed, q->groups.table.count);
    return listed;
}

/* One message for each of many groups. */
static void fill(struct bare *s, struct queue *q, uint32_t groups)
{
    for (uint32_t i = 0; i < groups; i++) {
        char name[32];
        snprintf(name, sizeof name, "group-%u", i);
        struct publication p = bare_message(name);
        assert_int_equal(bare_publish(s, q, &p), ERR_NONE);
    }
}

/* A group ends with its last message, and gives back what it took. */
static void test_an_empty_group_costs_nothing(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_fifo(&s, "orders");
    uint64_t before_bytes = 0;
    for (int round = 0; round < 3; round++) {
        fill(&s, q, GROUPS);
        assert_int_equal(group_count(q), GROUPS);
        for (uint32_t i = 0; i < GROUPS; i++) {
            uint64_t receipt = bare_receive(&s, q);
            assert_int_equal(bare_ack(&s, &receipt, 1), 1);
            assert_int_equal(group_count(q) == 0, i == GROUPS - 1);
        }
        if (round > 0)
            assert_int_equal(s.b.pool.used_bytes, before_bytes);
        before_bytes = s.b.pool.used_bytes;
    }
    bare_close(&s);
}

/* Whatever a group's last message is doing, ready, inflight, delayed or parked, the group is there. */
static void test_a_group_lasts_as_long_as_a_message_in_any_state(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_fifo(&s, "orders");
    struct publication p = bare_message("only");
    assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    uint64_t receipt = bare_receive(&s, q);
    assert_int_equal(group_count(q), 1);
    assert_int_equal(bare_nack(&s, receipt, 500), 1);
    assert_int_equal(group_count(q), 1);
    (void)bare_turn(&s, s.now_ms + 500);
    receipt = bare_receive(&s, q);
    uint32_t applied = 0;
    const struct view note = {NULL, 0};
    assert_int_equal(broker_park(&s.b, s.now_ms, &receipt, 1, note, &applied), ERR_NONE);
    assert_int_equal(applied, 1);
    assert_int_equal(group_count(q), 1);
    const uint64_t id = 1;
    assert_int_equal(broker_discard(&s.b, q, &id, 1), 1);
    assert_int_equal(group_count(q), 0);
    bare_close(&s);
}

/* The groups of a purged queue are gone at once, and their memory comes back in slices. */
static void test_purged_groups_are_freed_in_slices(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_fifo(&s, "orders");
    uint64_t before_bytes = 0;
    for (int round = 0; round < 2; round++) {
        fill(&s, q, GROUPS);
        assert_int_equal(broker_queue_purge(&s.b, q, 15), GROUPS);
        assert_int_equal(group_count(q), 0);
        assert_true(s.b.pool.used_bytes > GROUPS * sizeof(struct group));
        assert_in_range(bare_turn(&s, s.now_ms), 4, 20);
        if (round > 0)
            assert_int_equal(s.b.pool.used_bytes, before_bytes);
        before_bytes = s.b.pool.used_bytes;
    }
    fill(&s, q, 1);
    assert_int_equal(group_count(q), 1);
    bare_close(&s);
}

/* Everything of a publish that is seen from outside. */
struct picture {
    uint64_t used_bytes, total, bytes, groups, next_id, remembered;
};

static struct picture take_picture(const struct bare *s, const struct queue *q)
{
    return (struct picture){s->b.pool.used_bytes, queue_total(q), queue_body_bytes(q),
                            group_count(q),       q->next_id,     q->dedups ? q->dedups->table.count : 0};
}

/* A batch into groups old and new, with dedup ids, where only `left` objects of that size are to be had, then one more, and so
   on until it goes in. Returns how often it was refused: then everything must be as before. */
static unsigned refusals_at(size_t bytes)
{
    enum { COUNT = 3 };
    static const char *const groups[COUNT] = {"old", "fresh", "a-fresh-group-with-a-rather-long-name-of-its-own"};
    static const char *const ids[COUNT] = {"id", "another-id", "an-id-that-is-of-another-size-than-all-before-it"};
    static char body[700];
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_fifo(&s, "orders");
    struct publication p[COUNT], first = bare_message("old");
    first.dedup_id = (struct view){"first", 5};
    first.delay_ms = 500; /* what is made once and kept, tables and slots, is there from now on */
    assert_int_equal(bare_publish(&s, q, &first), ERR_NONE);
    for (int i = 0; i < COUNT; i++) {
        p[i] = bare_message(groups[i]);
        p[i].dedup_id = (struct view){ids[i], strlen(ids[i])};
        p[i].body = (struct view){body, 100 + 250 * (size_t)i};
    }
    p[1].delay_ms = 1000;
    /* The same in a queue that is emptied again leaves room for objects of every other size. */
    struct queue *other = bare_fifo(&s, "other");
    assert_int_equal(bare_publish_all(&s, other, p, COUNT), ERR_NONE);
    assert_int_equal(broker_queue_purge(&s.b, other, 15), COUNT);
    (void)bare_turn(&s, s.now_ms);
    unsigned refusals = 0;
    for (enum error_code code = ERR_MEMORY_LIMIT; code != ERR_NONE; refusals += code != ERR_NONE) {
        assert_true(refusals < 10);
        struct picture before = take_picture(&s, q);
        struct starved nothing = starve(&s.b.pool, bytes, refusals);
        code = bare_publish_all(&s, q, p, COUNT);
        starve_end(&nothing);
        if (code == ERR_NONE)
            break;
        assert_int_equal(code, ERR_MEMORY_LIMIT);
        struct picture after = take_picture(&s, q);
        assert_memory_equal(&before, &after, sizeof before);
    }
    assert_int_equal(queue_total(q), 1 + COUNT);
    bare_close(&s);
    return refusals;
}

/* Whichever object of a batch there is no memory for: it is refused as a whole, and nothing has changed. */
static void test_a_batch_without_memory_changes_nothing(void **state)
{
    (void)state;
    unsigned refusals = 0;
    for (size_t bytes = 8; bytes <= POOL_OBJECT_MAX; bytes = pool_size(bytes + 1))
        refusals += refusals_at(bytes);
    assert_in_range(refusals, 10, 30); /* three messages, entries and groups, the batch, a page */
}

/* Dedup ids are forgotten when their time has come, and their memory with them. */
static void test_forgotten_ids_cost_nothing(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    uint64_t before_bytes = 0;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < GROUPS; i++) {
            char id[32];
            struct publication p = bare_message(NULL);
            p.dedup_id = (struct view){id, (size_t)snprintf(id, sizeof id, "id-%u", i)};
            assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
            uint64_t receipt = bare_receive(&s, q);
            assert_int_equal(bare_ack(&s, &receipt, 1), 1);
        }
        assert_int_equal(q->dedups->table.count, GROUPS);
        (void)bare_turn(&s, s.now_ms + q->attributes.dedup_window - 1);
        assert_int_equal(q->dedups->table.count, GROUPS);
        (void)bare_turn(&s, s.now_ms + 1);
        assert_int_equal(q->dedups->table.count, 0);
        if (round > 0)
            assert_int_equal(s.b.pool.used_bytes, before_bytes);
        before_bytes = s.b.pool.used_bytes;
    }
    bare_close(&s);
}

/* An id counts until its window is over and not a millisecond longer, though the timers come to it only at the next turn. */
static void test_an_id_is_forgotten_on_time(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct publication p = bare_message(NULL);
    const struct publications messages = {.items = &p, .count = 1};
    const struct publish_options options = {.wait_ms = 0};
    struct publish_result result;
    p.dedup_id = (struct view){"id", 2};
    assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    for (int over = 0; over < 2; over++) {
        s.now_ms += over ? 1 : q->attributes.dedup_window - 1;
        assert_int_equal(broker_publish(&s.b, s.now_ms, q, &messages, &options, &result), ERR_NONE);
        assert_int_equal(result.stored, over);
    }
    (void)bare_turn(&s, s.now_ms);
    assert_int_equal(broker_publish(&s.b, s.now_ms, q, &messages, &options, &result), ERR_NONE);
    assert_int_equal(result.stored, 0); /* the window of the second one */
    assert_int_equal(queue_total(q), 2);
    bare_close(&s);
}

/* A dead letter for which there is no memory, not even for its group's record, is parked where it is. */
static void test_a_dead_letter_without_memory_is_parked(void **state)
{
    (void)state;
    static const char name[] = "a-group-with-a-name-that-makes-its-record-an-object-of-a-size-of-its-own";
    static struct bare s;
    bare_open(&s, 1);
    struct queue *dead = bare_fifo(&s, "dead");
    struct attribute_set set = {.named = 1u << ATTRIBUTE_type | 1u << ATTRIBUTE_dead_letter};
    set.values.type = QUEUE_FIFO;
    set.values.dead_letter = (struct queue_name){4, "dead"};
    struct queue *q = bare_queue(&s, "orders", &set);
    struct publication p = bare_message(name);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    for (int starving = 1; starving >= 0; starving--) {
        uint64_t receipt = bare_receive(&s, q);
        const struct nack_options options = {.delay_ms = -1, .dead = true};
        uint32_t applied = 0;
        struct starved nothing = {.pool = NULL};
        if (starving)
            nothing = starve(&s.b.pool, sizeof(struct group) + sizeof name - 1, 0);
        assert_int_equal(broker_nack(&s.b, s.now_ms, &receipt, 1, &options, &applied), ERR_NONE);
        if (starving)
            starve_end(&nothing);
        assert_int_equal(applied, 1);
        assert_int_equal(q->counters.dead_letter_failed, 1);
        assert_int_equal(queue_count(q, MESSAGE_PARKED), 1);
        assert_int_equal(queue_total(dead), starving ? 0 : 1);
    }
    bare_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_group_costs_nothing),
        cmocka_unit_test(test_a_group_lasts_as_long_as_a_message_in_any_state),
        cmocka_unit_test(test_purged_groups_are_freed_in_slices),
        cmocka_unit_test(test_a_batch_without_memory_changes_nothing),
        cmocka_unit_test(test_forgotten_ids_cost_nothing),
        cmocka_unit_test(test_an_id_is_forgotten_on_time),
        cmocka_unit_test(test_a_dead_letter_without_memory_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
