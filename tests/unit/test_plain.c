/*
 * The short way into a queue (plain.h) against the long one. The list of what a door found wrong with the messages makes any
 * publish go the long way, also when it names nothing; so two brokers are told the same, one of them with such lists, and must
 * never differ. What counts as plain is said here as well, or nothing would be proved if nothing were.
 */
#include "server/broker/batch.h"
#include "server/broker/digest.h"
#include "server/broker/plain.h"
#include "server/broker/watcher.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"
#include "tests/unit/bare_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MOST  200 /* messages of a call: more than three pages of a ring */
#define CALLS 5000

static const enum error_code nothing_wrong[MOST];
static const char filler[3 * MESSAGE_SHARE_BYTES] = "filler";

/* ---- the same told to both --------------------------------------------------------------------------------------- */

enum { SHORT_WAY, LONG_WAY, WAYS };

struct pair {
    struct bare way[WAYS];
    struct queue *queue[WAYS];
    uint64_t plain, calls;
};

static void pair_open(struct pair *pair, const struct attribute_set *set)
{
    for (int i = 0; i < WAYS; i++) {
        bare_open(&pair->way[i], 1);
        pair->queue[i] = bare_queue(&pair->way[i], "jobs", set);
    }
    pair->plain = pair->calls = 0;
}

static bool pair_is_fifo(const struct pair *pair)
{
    return pair->queue[SHORT_WAY]->attributes.type == QUEUE_FIFO;
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < WAYS; i++)
        bare_close(&pair->way[i]);
}

/* The same groups in the same order, and those from which something can go out in the same order. */
static void check_same_groups(const struct queue *p, const struct queue *q)
{
    const struct group *g = p->groups.oldest, *h = q->groups.oldest;
    for (; g && h; g = g->newer, h = h->newer) {
        assert_int_equal(g->name_bytes, h->name_bytes);
        assert_memory_equal(g->name, h->name, g->name_bytes);
        assert_memory_equal(g->count, h->count, sizeof g->count);
    }
    assert_true(!g && !h);
    for (g = p->groups.deliverable.first, h = q->groups.deliverable.first; g && h; g = g->list_next, h = h->list_next)
        assert_int_equal(g->link.hash, h->link.hash);
    assert_true(!g && !h);
}

static void check_same(const struct pair *pair)
{
    const struct bare *x = &pair->way[SHORT_WAY], *y = &pair->way[LONG_WAY];
    const struct queue *p = pair->queue[SHORT_WAY], *q = pair->queue[LONG_WAY];
    assert_int_equal(broker_digest(&x->b, x->now_ms), broker_digest(&y->b, y->now_ms));
    assert_memory_equal(&p->counters, &q->counters, sizeof p->counters);
    assert_memory_equal(&x->b.counters, &y->b.counters, sizeof x->b.counters);
    assert_memory_equal(&p->publish_meter, &q->publish_meter, sizeof p->publish_meter);
    assert_memory_equal(p->state_bytes, q->state_bytes, sizeof p->state_bytes);
    assert_int_equal(p->swept_ms, q->swept_ms);
    assert_int_equal(p->sweep_from, q->sweep_from);
    assert_int_equal(p->dirty, q->dirty);
    check_same_groups(p, q);
    assert_int_equal(broker_next_ms(&x->b), broker_next_ms(&y->b));
    assert_int_equal(x->b.pool.used_bytes, y->b.pool.used_bytes);
}

static void tell_publish(struct pair *pair, const struct publications *messages, bool atomic)
{
    const struct publish_options options = {.atomic = atomic};
    struct publish_result result[WAYS] = {{0}};
    enum error_code code[WAYS];
    for (int i = 0; i < WAYS; i++) {
        struct bare *s = &pair->way[i];
        struct publications told = *messages;
        struct publication items[MOST];
        if (i == LONG_WAY) {
            for (uint32_t j = 0; j < told.count; j++)
                items[j] = *publication_at(messages, j, &items[j]);
            told = (struct publications){.items = items, .count = told.count, .refused = nothing_wrong};
        }
        code[i] = broker_publish(&s->b, s->now_ms, pair->queue[i], &told, &options, &result[i]);
    }
    assert_int_equal(code[SHORT_WAY], code[LONG_WAY]);
    assert_int_equal(result[SHORT_WAY].first_id, result[LONG_WAY].first_id);
    assert_int_equal(result[SHORT_WAY].stored, result[LONG_WAY].stored);
    const struct broker *x = &pair->way[SHORT_WAY].b, *y = &pair->way[LONG_WAY].b;
    assert_int_equal(x->outcome_count, y->outcome_count);
    for (uint32_t i = 0; i < x->outcome_count; i++) {
        assert_int_equal(x->outcomes[i].index, y->outcomes[i].index);
        assert_int_equal(x->outcomes[i].code, y->outcomes[i].code);
    }
    pair->calls++;
    pair->plain += code[SHORT_WAY] == ERR_NONE && result[SHORT_WAY].stored == messages->count;
}

/* One time in n. */
static bool rarely(struct random *r, uint64_t n)
{
    return random_below(r, n) == 0;
}

static void tell_random_publish(struct pair *pair, struct random *r)
{
    struct publication items[MOST];
    struct view bodies[MOST];
    const uint32_t count = 1 + (uint32_t)random_bits(r, 7);
    const bool bare = rarely(r, pair_is_fifo(pair) ? 50 : 2);
    const uint64_t most = rarely(r, 20) ? sizeof filler : 300;
    for (uint32_t i = 0; i < count; i++) {
        bodies[i] = (struct view){filler, (size_t)random_below(r, most)};
        items[i] = (struct publication){.body = bodies[i], .delay_ms = -1, .ttl_ms = -1};
        if (rarely(r, 4))
            items[i].headers = (struct view){"\6\1k\1v", 5};
        if (rarely(r, pair_is_fifo(pair) ? 1 : 8))
            items[i].group = (struct view){&"a group's name"[random_below(r, 12)], 1 + random_below(r, 2)};
        if (rarely(r, 2000))
            items[i].group.bytes = 0;
        if (rarely(r, 400))
            items[i].delay_ms = (int64_t)random_below(r, 3) * 50;
        if (rarely(r, 400))
            items[i].ttl_ms = (int64_t)random_below(r, 300);
        if (rarely(r, 400))
            items[i].priority = (uint8_t)random_below(r, 3);
    }
    const struct publications messages = {.items = bare ? NULL : items, .bodies = bare ? bodies : NULL, .count = count};
    tell_publish(pair, &messages, rarely(r, 2));
}

/* Attributes that are sometimes in the way, limits most of all. */
static void tell_random_update(struct pair *pair, struct random *r)
{
    const struct queue *q = pair->queue[SHORT_WAY];
    struct attribute_set set;
    attributes_init(&set.values);
    if (rarely(r, 2))
        set.values.max_messages = (int64_t)(queue_total(q) + 1 + random_bits(r, 9));
    if (rarely(r, 2))
        set.values.max_bytes = (int64_t)(queue_body_bytes(q) + 1 + random_bits(r, 16));
    if (rarely(r, 8))
        set.values.max_message_bytes = 100 + (int64_t)random_below(r, 300);
    set.values.overflow = rarely(r, 4) ? OVERFLOW_DROP_OLDEST : OVERFLOW_REJECT;
    set.values.retention = rarely(r, 4) ? 100 + (int64_t)random_below(r, 300) : 300;
    set.values.ttl = rarely(r, 4) ? (int64_t)random_below(r, 300) : 0;
    set.values.delay = rarely(r, 16) ? 10 : 0;
    set.values.content_dedup = rarely(r, 16);
    set.named = 1u << ATTRIBUTE_max_messages | 1u << ATTRIBUTE_max_bytes | 1u << ATTRIBUTE_max_message_bytes |
                1u << ATTRIBUTE_overflow | 1u << ATTRIBUTE_retention | 1u << ATTRIBUTE_ttl | 1u << ATTRIBUTE_delay |
                1u << ATTRIBUTE_content_dedup;
    for (int i = 0; i < WAYS; i++)
        assert_int_equal(broker_queue_update(&pair->way[i].b, pair->queue[i], &set), ERR_NONE);
}

/* Both have so much memory left: from nothing to more than a call can need. */
static void tell_random_memory(struct pair *pair, struct random *r)
{
    const uint64_t left = rarely(r, 3) ? random_bits(r, 18) : UINT64_C(1) << 40;
    for (int i = 0; i < WAYS; i++)
        pair->way[i].b.limits.max_memory_bytes = broker_memory(&pair->way[i].b) + left;
}

static void tell_random_take(struct pair *pair, struct random *r)
{
    const struct receive_options options = {.max = 1 + (uint32_t)random_bits(r, 8), .visibility_ms = 20};
    const bool acked = rarely(r, 2);
    for (int i = 0; i < WAYS; i++) {
        struct bare *s = &pair->way[i];
        uint64_t receipts[1000];
        bool served = false;
        uint32_t applied;
        assert_int_equal(broker_receive(&s->b, s->now_ms, pair->queue[i], &s->peer, &options, &served), ERR_NONE);
        assert_true(served && s->b.delivery_count <= options.max);
        const uint32_t count = s->b.delivery_count;
        for (uint32_t j = 0; j < count; j++)
            receipts[j] = s->b.deliveries[j].receipt;
        if (acked && count > 0)
            assert_int_equal(broker_ack(&s->b, s->now_ms, receipts, count, false, &applied), ERR_NONE);
    }
}

static void tell_time(struct pair *pair, int64_t ms)
{
    for (int i = 0; i < WAYS; i++)
        (void)bare_turn(&pair->way[i], pair->way[i].now_ms + ms);
}

static void compare_ways(struct random r, const struct attribute_set *set)
{
    static struct pair pair;
    pair_open(&pair, set);
    for (int i = 0; i < CALLS; i++) {
        switch (random_below(&r, 8)) {
        case 0:
            tell_random_take(&pair, &r);
            break;
        case 1:
            tell_time(&pair, (int64_t)random_bits(&r, 7));
            break;
        case 2:
            tell_random_update(&pair, &r);
            break;
        case 3:
            tell_random_memory(&pair, &r);
            break;
        default:
            tell_random_publish(&pair, &r);
        }
        check_same(&pair);
    }
    /* Without both kinds nothing is compared. */
    assert_in_range(pair.plain, pair.calls / 10, pair.calls - pair.calls / 10);
    pair_close(&pair);
}

static void test_both_ways_lead_to_the_same(void **state)
{
    (void)state;
    const struct attribute_set set = {.named = 1u << ATTRIBUTE_retention, .values.retention = 300};
    compare_ways(test_seed(__func__), &set);
}

static void test_both_ways_into_a_fifo_queue_lead_to_the_same(void **state)
{
    (void)state;
    const struct attribute_set set = {.named = 1u << ATTRIBUTE_type | 1u << ATTRIBUTE_retention,
                                      .values = {.type = QUEUE_FIFO, .retention = 300}};
    compare_ways(test_seed(__func__), &set);
}

/* ---- what is plain ----------------------------------------------------------------------------------------------- */

static bool is_plain(struct bare *s, struct queue *q, const struct publications *messages)
{
    struct publish_result result;
    const uint64_t total = queue_total(q);
    const bool plain = plain_publish(&s->b, s->now_ms, q, messages, &result);
    assert_int_equal(queue_total(q), total + (plain ? messages->count : 0));
    return plain;
}

static bool is_plain_item(struct bare *s, struct queue *q, struct publication p)
{
    const struct publication items[] = {bare_message(NULL), p};
    return is_plain(s, q, &(struct publications){.items = items, .count = 2});
}

/* A message with that option. */
#define CHECK(plain, field, value)                        \
    do {                                                  \
        struct publication p = bare_message(NULL);        \
        p.field = value;                                  \
        assert_int_equal(is_plain_item(&s, q, p), plain); \
    } while (0)

static void test_bodies_headers_and_groups_are_plain_and_options_that_need_a_decision_are_not(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    const struct view text = {"text", 4}, large = {filler, sizeof filler}, bodies[] = {text, large, {NULL, 0}};
    assert_true(is_plain(&s, q, &(struct publications){.bodies = bodies, .count = 3}));
    CHECK(true, body, large);
    CHECK(true, group, text);
    CHECK(true, delay_ms, 0);
    CHECK(false, dedup_id, text);
    CHECK(false, delay_ms, 1);
    CHECK(false, ttl_ms, 0);
    CHECK(false, priority, 1);
    const struct publication item = bare_message(NULL);
    const enum error_code refused[] = {ERR_BAD_REQUEST};
    assert_false(is_plain(&s, q, &(struct publications){.items = &item, .count = 1, .refused = refused}));
    bare_close(&s);
}

/* With that attribute. */
#define QUEUE(field, value)                                                                \
    set = (struct attribute_set){.named = 1u << ATTRIBUTE_##field, .values.field = value}; \
    q = bare_queue(&s, #field, &set)

static void test_a_queue_that_decides_for_each_message_is_not_plain(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    const struct view body = {"body", 4};
    const struct publications messages = {.bodies = &body, .count = 1};
    struct attribute_set set;
    struct queue *q;
    QUEUE(retention, 0);
    assert_true(is_plain(&s, q, &messages));
    QUEUE(ttl, 10);
    assert_true(is_plain(&s, q, &messages));
    QUEUE(type, QUEUE_FIFO);
    assert_false(is_plain(&s, q, &messages)); /* without groups */
    CHECK(false, group, ((struct view){NULL, 0}));
    struct publication grouped = bare_message(NULL);
    grouped.group = body;
    assert_true(is_plain(&s, q, &(struct publications){.items = &grouped, .count = 1}));
    QUEUE(delay, 1);
    assert_false(is_plain(&s, q, &messages));
    QUEUE(content_dedup, true);
    assert_false(is_plain(&s, q, &messages));
    QUEUE(max_bytes, 7);
    assert_true(is_plain(&s, q, &messages));
    assert_false(is_plain(&s, q, &messages));
    QUEUE(max_messages, 1);
    assert_true(is_plain(&s, q, &messages));
    assert_false(is_plain(&s, q, &messages));
    QUEUE(max_message_bytes, 3);
    assert_false(is_plain(&s, q, &messages));
    bare_close(&s);
}

static void test_where_somebody_waits_for_room_nothing_is_plain(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attribute_set set;
    struct queue *q;
    QUEUE(max_messages, 2);
    const struct view bodies[] = {{"1", 1}, {"2", 1}};
    const struct publications one = {.bodies = bodies, .count = 1}, two = {.bodies = bodies, .count = 2};
    const struct publish_options options = {.wait_ms = 1000, .peer = &s.peer};
    struct publish_result result;
    assert_true(is_plain(&s, q, &one));
    assert_int_equal(broker_publish(&s.b, s.now_ms, q, &two, &options, &result), ERR_NONE);
    assert_true(result.held);
    assert_false(is_plain(&s, q, &one));
    bare_close(&s);
}

/* ---- who is told ------------------------------------------------------------------------------------------------- */

struct told {
    uint64_t next_id;
    const struct queue *queue;
};

static void note_stored_run(void *user, struct queue *q, void *const *messages, uint32_t count)
{
    struct told *told = user;
    assert_ptr_equal(q, told->queue);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(((const struct message *)messages[i])->id, told->next_id++);
}

static void test_the_watcher_is_told_each_message_in_order(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct view bodies[MOST] = {{NULL, 0}};
    struct told told = {.next_id = 1, .queue = q};
    struct watcher watcher = {.user = &told, .stored_run_cb = note_stored_run};
    s.b.watcher = &watcher;
    for (uint32_t count = 1; count <= MOST; count++) {
        assert_true(is_plain(&s, q, &(struct publications){.bodies = bodies, .count = count}));
        assert_int_equal(told.next_id, q->next_id);
    }
    s.b.watcher = NULL;
    bare_close(&s);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* With room for `left` objects of that size, `needed` being needed. */
static void check_starved(struct bare *s, struct queue *q, const struct publications *messages, size_t bytes,
                          unsigned left, unsigned needed)
{
    const uint64_t used_bytes = s->b.pool.used_bytes, next_id = q->next_id, published = q->counters.published;
    const uint64_t ready = queue_count(q, MESSAGE_READY), ready_bytes = q->state_bytes[MESSAGE_READY];
    const int64_t swept_ms = q->swept_ms;
    s->now_ms++;
    struct starved nothing = starve(&s->b.pool, bytes, left);
    assert_int_equal(is_plain(s, q, messages), left == needed);
    starve_end(&nothing);
    if (left == needed)
        return;
    assert_int_equal(q->next_id, next_id);
    assert_int_equal(q->swept_ms, swept_ms);
    assert_int_equal(queue_count(q, MESSAGE_READY), ready);
    assert_int_equal(q->state_bytes[MESSAGE_READY], ready_bytes);
    assert_int_equal(q->counters.published, published);
    assert_int_equal(s->b.pool.used_bytes, used_bytes);
}

static void test_where_memory_runs_out_nothing_has_happened(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct view bodies[MOST];
    const struct publications messages = {.bodies = bodies, .count = MOST};
    for (uint32_t i = 0; i < MOST; i++)
        bodies[i] = (struct view){filler, 22};
    assert_true(is_plain(&s, q, &messages));
    /* The next are in four pages, of which one is there. */
    for (unsigned left = 0; left <= 3; left++)
        check_starved(&s, q, &messages, sizeof(struct ring_page), left, 3);
    for (unsigned left = 0; left <= MOST; left++)
        check_starved(&s, q, &messages, sizeof(struct message) + 22, left, MOST);
    bare_close(&s);
}

static void test_where_memory_runs_out_a_fifo_queue_has_no_groups_of_it(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 1);
    struct attribute_set set;
    struct queue *q;
    QUEUE(type, QUEUE_FIFO);
    struct publication items[MOST], known = bare_message("known");
    const struct publications messages = {.items = items, .count = MOST};
    known.group = (struct view){"0", 1};
    assert_true(is_plain(&s, q, &(struct publications){.items = &known, .count = 1}));
    for (uint32_t i = 0; i < MOST; i++) {
        items[i] = (struct publication){.body = {filler, 22}, .delay_ms = -1, .ttl_ms = -1};
        items[i].group = (struct view){&"0123456789"[i % 10], 1};
    }
    const size_t message_bytes = sizeof(struct message) + sizeof(struct message_links) + 16 + 22;
    assert_int_not_equal(pool_size(message_bytes), pool_size(sizeof(struct group) + 1));
    for (unsigned left = 0; left < MOST; left++) {
        check_starved(&s, q, &messages, message_bytes, left, MOST);
        assert_int_equal(q->groups.table.count, 1);
    }
    for (unsigned left = 0; left < 9; left++) {
        check_starved(&s, q, &messages, sizeof(struct group) + 1, left, 9);
        assert_int_equal(q->groups.table.count, 1);
    }
    assert_int_equal(q->groups.oldest->count[MESSAGE_READY], 1);
    assert_true(is_plain(&s, q, &messages));
    assert_int_equal(q->groups.table.count, 10);
    bare_close(&s);
}

/* Where the long way would find that there is not memory enough the short one does not pass. */
static void check_memory(const struct attribute_set *set, size_t least)
{
    static struct bare s;
    bare_open(&s, 1);
    struct queue *q = bare_queue(&s, "jobs", set);
    for (size_t bytes = 0; bytes <= sizeof filler; bytes += 1 + bytes / 100) {
        struct publication item = {.body = {filler, bytes}, .delay_ms = -1, .ttl_ms = -1};
        item.group = (struct view){filler, least + bytes % 3};
        item.headers = (struct view){filler, bytes % 100};
        const uint64_t needed = batch_size(1) + batch_cost_of(q, &item);
        s.b.limits.max_memory_bytes = broker_memory(&s.b) + needed - 1;
        assert_false(is_plain(&s, q, &(struct publications){.items = &item, .count = 1}));
        s.b.limits.max_memory_bytes += 300 + needed / 8;
        assert_true(is_plain(&s, q, &(struct publications){.items = &item, .count = 1}));
    }
    bare_close(&s);
}

static void test_memory_that_would_not_do_for_the_long_way_is_not_enough(void **state)
{
    (void)state;
    const struct attribute_set fifo = {.named = 1u << ATTRIBUTE_type, .values.type = QUEUE_FIFO};
    check_memory(NULL, 0);
    check_memory(&fifo, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_lead_to_the_same),
        cmocka_unit_test(test_both_ways_into_a_fifo_queue_lead_to_the_same),
        cmocka_unit_test(test_bodies_headers_and_groups_are_plain_and_options_that_need_a_decision_are_not),
        cmocka_unit_test(test_a_queue_that_decides_for_each_message_is_not_plain),
        cmocka_unit_test(test_where_somebody_waits_for_room_nothing_is_plain),
        cmocka_unit_test(test_the_watcher_is_told_each_message_in_order),
        cmocka_unit_test(test_where_memory_runs_out_nothing_has_happened),
        cmocka_unit_test(test_where_memory_runs_out_a_fifo_queue_has_no_groups_of_it),
        cmocka_unit_test(test_memory_that_would_not_do_for_the_long_way_is_not_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
