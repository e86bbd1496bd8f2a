/*
 * The short way from a topic into its queues (plain_copies.c) against the long one, as test_plain.c does it: two brokers are told
 * the same, one of them with a list of what is wrong with the messages that names nothing, and must never differ.
 */
#include "server/broker/digest.h"
#include "server/broker/filter.h"
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

#define MOST   150 /* messages of a call: more than two pages of a ring */
#define QUEUES 4
#define CALLS  3000

static const enum error_code nothing_wrong[MOST];
static const char filler[2 * MESSAGE_SHARE_BYTES] = "filler";
static const char *const names[QUEUES] = {"a", "b", "c", "d"};
static const struct view all = {"#", 1}, some = {"some.*", 6}, none = {NULL, 0};

/* A header "k" with that text, as a message has it and as a filter wants it. */
static struct view header_k(const char *text, uint8_t room[8])
{
    const struct header h = {HEADER_TEXT, {"k", 1}, 0, {text, 1}};
    return (struct view){room, (size_t)(header_put(room, &h) - room)};
}

static struct view filter_k(const char *text)
{
    static struct filter_builder builder;
    static uint8_t out[LIMIT_FILTER_BYTES];
    const struct filter_test test = {.op = FILTER_EQUAL, .value = {HEADER_TEXT, {NULL, 0}, 0, {text, 1}}};
    filter_begin(&builder);
    assert_true(filter_add_key(&builder, (struct view){"k", 1}, 1) && filter_add_test(&builder, &test));
    filter_store(&builder, out);
    return (struct view){out, builder.bytes};
}

/* ---- who is told ------------------------------------------------------------------------------------------------- */

/* Folds what the watcher hears of stored messages, in its order, and looks at who follows whom. */
struct ear {
    uint64_t sum, count, followed;
    const struct message *before; /* of which a copy was to follow */
};

static void hear(void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms,
                 bool copies_follow)
{
    struct ear *ear = user;
    if (ear->before) {
        assert_non_null(message_shared(m));
        assert_ptr_equal(message_shared(ear->before), message_shared(m));
    }
    ear->before = copies_follow ? m : NULL;
    ear->sum = ear->sum * 31 + (uint64_t)q->name[0];
    ear->sum = ear->sum * 31 + m->id;
    ear->sum = ear->sum * 31 + (uint64_t)state + copies_follow + (uint64_t)due_ms;
    ear->count++;
    ear->followed += copies_follow;
}

static void hear_gone(void *user, struct queue *q, uint64_t id, uint32_t count)
{
    (void)user;
    (void)q;
    (void)id;
    (void)count;
}

static void hear_cleared(void *user, struct message *m)
{
    (void)user;
    (void)m;
}

static void hear_dedup(void *user, struct queue *q, struct dedup *entry)
{
    (void)user;
    (void)q;
    (void)entry;
}

/* ---- the same told to both --------------------------------------------------------------------------------------- */

enum { SHORT_WAY, LONG_WAY, WAYS };

struct pair {
    struct bare way[WAYS];
    struct queue *queue[WAYS][QUEUES];
    struct topic *topic[WAYS];
    struct watcher watcher[WAYS];
    struct ear ear[WAYS];
    uint64_t copies, calls;
};

static void pair_open(struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    for (int i = 0; i < WAYS; i++) {
        struct bare *s = &pair->way[i];
        bool created;
        bare_open(s, 1);
        for (int j = 0; j < QUEUES; j++) {
            const struct attribute_set set = {.named = 1u << ATTRIBUTE_durable | 1u << ATTRIBUTE_retention,
                                              .values.durable = j > 0,
                                              .values.retention = 300};
            pair->queue[i][j] = bare_queue(s, names[j], &set);
        }
        assert_int_equal(broker_topic_create(&s->b, "news", 4, &created), ERR_NONE);
        pair->topic[i] = broker_topic_find(&s->b, "news", 4);
        pair->watcher[i] = (struct watcher){.user = &pair->ear[i],
                                            .stored_cb = hear,
                                            .gone_cb = hear_gone,
                                            .cleared_cb = hear_cleared,
                                            .dedup_cb = hear_dedup};
    }
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < WAYS; i++)
        bare_close(&pair->way[i]);
}

static void check_same(const struct pair *pair)
{
    const struct bare *x = &pair->way[SHORT_WAY], *y = &pair->way[LONG_WAY];
    const struct ear *heard = pair->ear;
    assert_int_equal(broker_digest(&x->b, x->now_ms), broker_digest(&y->b, y->now_ms));
    assert_memory_equal(&x->b.counters, &y->b.counters, sizeof x->b.counters);
    assert_int_equal(x->b.pool.used_bytes, y->b.pool.used_bytes);
    assert_int_equal(broker_next_ms(&x->b), broker_next_ms(&y->b));
    assert_int_equal(heard[SHORT_WAY].count, heard[LONG_WAY].count);
    assert_int_equal(heard[SHORT_WAY].sum, heard[LONG_WAY].sum);
    assert_true(!heard[SHORT_WAY].before && !heard[LONG_WAY].before);
    assert_int_equal(pair->topic[SHORT_WAY]->published, pair->topic[LONG_WAY]->published);
    assert_int_equal(pair->topic[SHORT_WAY]->routed, pair->topic[LONG_WAY]->routed);
    for (int i = 0; i < QUEUES; i++) {
        const struct queue *p = pair->queue[SHORT_WAY][i], *q = pair->queue[LONG_WAY][i];
        assert_memory_equal(&p->counters, &q->counters, sizeof p->counters);
        assert_memory_equal(&p->publish_meter, &q->publish_meter, sizeof p->publish_meter);
        assert_memory_equal(p->state_bytes, q->state_bytes, sizeof p->state_bytes);
        assert_int_equal(p->dirty, q->dirty);
        assert_int_equal(p->dirty_next ? p->dirty_next->name[0] : 0, q->dirty_next ? q->dirty_next->name[0] : 0);
    }
}

static bool rarely(struct random *r, uint64_t n)
{
    return random_below(r, n) == 0;
}

static void tell_publish(struct pair *pair, struct view key, const struct publications *messages)
{
    const struct publish_options options = {0};
    uint64_t copies[WAYS];
    enum error_code code[WAYS];
    for (int i = 0; i < WAYS; i++) {
        struct bare *s = &pair->way[i];
        struct publications told = *messages;
        struct publication items[MOST];
        bool held;
        if (i == LONG_WAY) {
            for (uint32_t j = 0; j < told.count; j++)
                items[j] = *publication_at(messages, j, &items[j]);
            told = (struct publications){.items = items, .count = told.count, .refused = nothing_wrong};
        }
        s->b.watcher = pair->calls % 2 == 0 ? &pair->watcher[i] : NULL;
        code[i] = broker_topic_publish(&s->b, s->now_ms, pair->topic[i], key, &told, &options, &copies[i], &held);
        s->b.watcher = NULL;
    }
    assert_int_equal(code[SHORT_WAY], code[LONG_WAY]);
    assert_int_equal(copies[SHORT_WAY], copies[LONG_WAY]);
    pair->calls++;
    pair->copies += copies[SHORT_WAY];
}

static void tell_random_publish(struct pair *pair, struct random *r)
{
    struct publication items[MOST];
    struct view bodies[MOST];
    uint8_t room[2][8];
    const uint32_t count = 1 + (uint32_t)random_bits(r, 7);
    const bool bare = rarely(r, 2), headers = rarely(r, 2);
    const uint64_t most = rarely(r, 10) ? sizeof filler : 300;
    for (uint32_t i = 0; i < count; i++) {
        bodies[i] = (struct view){filler, (size_t)random_below(r, most)};
        items[i] = (struct publication){.body = bodies[i], .delay_ms = -1, .ttl_ms = -1};
        if (headers && rarely(r, 4))
            items[i].headers = rarely(r, 2) ? header_k("x", room[0]) : header_k("y", room[1]);
        if (rarely(r, 8))
            items[i].group = (struct view){"group", 5};
        if (rarely(r, 800))
            items[i].delay_ms = 50;
        if (rarely(r, 800))
            items[i].priority = 3;
    }
    const struct publications messages = {.items = bare ? NULL : items, .bodies = bare ? bodies : NULL, .count = count};
    tell_publish(pair, rarely(r, 3) ? (struct view){"some.key", 8} : (struct view){"other", 5}, &messages);
}

static void tell_random_subscription(struct pair *pair, struct random *r)
{
    const uint64_t n = random_below(r, QUEUES), what = random_below(r, 8);
    const struct view pattern = rarely(r, 2) ? all : some, filter = what == 1 ? filter_k("x") : none;
    enum error_code code[WAYS];
    for (int i = 0; i < WAYS; i++) {
        struct broker *b = &pair->way[i].b;
        struct queue *q = pair->queue[i][n];
        bool created;
        if (what == 0)
            code[i] = broker_unsubscribe(b, pair->topic[i], q, pattern);
        else
            code[i] = broker_subscribe(b, pair->topic[i], q, pattern, filter, &created);
    }
    assert_int_equal(code[SHORT_WAY], code[LONG_WAY]); /* memory may be short */
}

static void tell_random_update(struct pair *pair, struct random *r)
{
    const uint64_t n = random_below(r, QUEUES);
    const struct queue *q = pair->queue[SHORT_WAY][n];
    struct attribute_set set;
    attributes_init(&set.values);
    if (rarely(r, 8))
        set.values.max_messages = (int64_t)(queue_total(q) + 1 + random_bits(r, 9));
    set.values.overflow = rarely(r, 4) ? OVERFLOW_DROP_OLDEST : OVERFLOW_REJECT;
    set.values.retention = 300;
    set.values.content_dedup = rarely(r, 16);
    set.named = 1u << ATTRIBUTE_max_messages | 1u << ATTRIBUTE_overflow | 1u << ATTRIBUTE_retention |
                1u << ATTRIBUTE_content_dedup;
    for (int i = 0; i < WAYS; i++)
        assert_int_equal(broker_queue_update(&pair->way[i].b, pair->queue[i][n], &set), ERR_NONE);
}

static void tell_random_memory(struct pair *pair, struct random *r)
{
    const uint64_t left = rarely(r, 8) ? random_bits(r, 20) : UINT64_C(1) << 40;
    for (int i = 0; i < WAYS; i++)
        pair->way[i].b.limits.max_memory_bytes = broker_memory(&pair->way[i].b) + left;
}

static void tell_take(struct pair *pair, uint64_t n)
{
    const struct receive_options options = {.max = 500, .visibility_ms = 20};
    for (int i = 0; i < WAYS; i++) {
        struct bare *s = &pair->way[i];
        bool served = false;
        assert_int_equal(broker_receive(&s->b, s->now_ms, pair->queue[i][n], &s->peer, &options, &served), ERR_NONE);
        for (uint32_t j = 0; j < s->b.delivery_count; j++)
            assert_int_equal(bare_ack(s, &s->b.deliveries[j].receipt, 1), 1);
    }
}

static void tell_time(struct pair *pair, int64_t ms)
{
    for (int i = 0; i < WAYS; i++)
        (void)bare_turn(&pair->way[i], pair->way[i].now_ms + ms);
}

static void test_both_ways_lead_to_the_same(void **state)
{
    (void)state;
    static struct pair pair;
    struct random r = test_seed(__func__);
    pair_open(&pair);
    for (int i = 0; i < CALLS; i++) {
        switch (random_below(&r, 10)) {
        case 0:
            tell_take(&pair, random_below(&r, QUEUES));
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
        case 4:
            tell_random_subscription(&pair, &r);
            break;
        default:
            tell_random_publish(&pair, &r);
        }
        check_same(&pair);
    }
    /* Or nothing was compared. */
    assert_true(pair.copies > pair.calls && pair.ear[LONG_WAY].count > 0 && pair.ear[LONG_WAY].followed > 0);
    pair_close(&pair);
}

/* ---- what is plain, and memory ----------------------------------------------------------------------------------- */

static bool is_plain(struct bare *s, struct topic *t, const struct publications *messages)
{
    uint64_t copies;
    return plain_topic_publish(&s->b, s->now_ms, t, (struct view){"some.key", 8}, messages, &copies);
}

static struct topic *open_topic(struct bare *s, struct queue *queues[2])
{
    bool created;
    bare_open(s, 1);
    assert_int_equal(broker_topic_create(&s->b, "news", 4, &created), ERR_NONE);
    struct topic *t = broker_topic_find(&s->b, "news", 4);
    for (int i = 0; i < 2; i++) {
        queues[i] = bare_queue(s, names[i], NULL);
        assert_int_equal(broker_subscribe(&s->b, t, queues[i], all, none, &created), ERR_NONE);
    }
    return t;
}

static void test_messages_that_all_go_to_the_same_queues_are_plain(void **state)
{
    (void)state;
    static struct bare s;
    struct queue *queues[2];
    struct topic *t = open_topic(&s, queues);
    const struct view body = {"body", 4};
    const struct publications bodies = {.bodies = &body, .count = 1};
    struct publication item = {.body = body, .delay_ms = -1, .ttl_ms = -1};
    const struct publications items = {.items = &item, .count = 1};
    uint8_t room[8];
    bool created;
    assert_true(is_plain(&s, t, &bodies));
    item.headers = header_k("x", room);
    assert_true(is_plain(&s, t, &items));
    assert_int_equal(broker_subscribe(&s.b, t, queues[1], some, filter_k("x"), &created), ERR_NONE);
    assert_true(is_plain(&s, t, &items)); /* the queue gets it anyhow */
    assert_int_equal(broker_unsubscribe(&s.b, t, queues[1], all), ERR_NONE);
    assert_false(is_plain(&s, t, &items));
    item.headers = none;
    assert_true(is_plain(&s, t, &items));
    assert_int_equal(queue_total(queues[0]), 4);
    assert_int_equal(queue_total(queues[1]), 3);
    item.dedup_id = body;
    assert_false(is_plain(&s, t, &items));
    assert_int_equal(broker_unsubscribe(&s.b, t, queues[0], all), ERR_NONE);
    assert_false(is_plain(&s, t, &bodies)); /* nobody gets it */
    bare_close(&s);
}

/* With room for `left` objects of that size, `needed` being needed. */
static void check_starved(struct bare *s, struct topic *t, struct queue *queues[2], const struct publications *messages,
                          size_t bytes, unsigned left, unsigned needed)
{
    const uint64_t used_bytes = s->b.pool.used_bytes, published = t->published;
    const uint64_t totals[2] = {queue_total(queues[0]), queue_total(queues[1])};
    struct starved nothing = starve(&s->b.pool, bytes, left);
    assert_int_equal(is_plain(s, t, messages), left == needed);
    starve_end(&nothing);
    assert_int_equal(t->published, published + (left == needed ? MOST : 0));
    for (int i = 0; i < 2; i++)
        assert_int_equal(queue_total(queues[i]), totals[i] + (left == needed ? MOST : 0));
    if (left < needed)
        assert_int_equal(s->b.pool.used_bytes, used_bytes);
}

static void test_where_memory_runs_out_nothing_has_happened(void **state)
{
    (void)state;
    static struct bare s;
    struct queue *queues[2];
    struct topic *t = open_topic(&s, queues);
    struct view bodies[MOST];
    const struct publications messages = {.bodies = bodies, .count = MOST};
    for (uint32_t i = 0; i < MOST; i++)
        bodies[i] = (struct view){filler, 500};
    assert_true(is_plain(&s, t, &messages));
    check_starved(&s, t, queues, &messages, MOST * sizeof(struct publication), 0, 1);
    for (unsigned left = 0; left <= MOST; left++)
        check_starved(&s, t, queues, &messages, sizeof(struct body) + 500, left, MOST);
    for (unsigned left = 0; left <= 2 * MOST; left++)
        check_starved(&s, t, queues, &messages, sizeof(struct message) + sizeof(struct body *), left, 2 * MOST);
    bare_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_lead_to_the_same),
        cmocka_unit_test(test_messages_that_all_go_to_the_same_queues_are_plain),
        cmocka_unit_test(test_where_memory_runs_out_nothing_has_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
