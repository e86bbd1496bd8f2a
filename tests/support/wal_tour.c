#include "tests/support/wal_tour.h"

#include <assert.h>
#include <string.h>

struct tour {
    struct wal_world *w;
    struct queue *tour, *lane;
    uint64_t receipts[16];
    uint32_t receipt_count;
};

/* What has been done is a batch of its own. */
static void turn(struct tour *t)
{
    world_turn(t->w);
    world_jobs(t->w, 2);
    t->w->now_ms += 3;
}

static struct queue *create(struct tour *t, const char *name, enum queue_type type)
{
    struct attribute_set set = {.named = 1u << ATTRIBUTE_type | 1u << ATTRIBUTE_dedup_window};
    bool created;
    uint32_t differing;
    attributes_init(&set.values);
    set.values.type = type;
    set.values.dedup_window = 100000;
    (void)broker_queue_create(&t->w->b, t->w->now_ms, name, strlen(name), &set, &created, &differing);
    assert(created);
    turn(t);
    return broker_queue_find(&t->w->b, name, strlen(name));
}

static void publish(struct tour *t, struct queue *q, const char *body, const char *dedup_id)
{
    struct publication p = {.body = {body, strlen(body)}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    const struct publish_options options = {0};
    struct publish_result result;
    if (q == t->lane)
        p.group = (struct view){"g", 1};
    if (dedup_id)
        p.dedup_id = (struct view){dedup_id, strlen(dedup_id)};
    (void)broker_publish(&t->w->b, t->w->now_ms, q, &all, &options, &result);
    turn(t);
}

static void receive(struct tour *t, uint32_t count)
{
    const struct receive_options options = {.max = count, .visibility_ms = -1};
    bool served;
    (void)broker_receive(&t->w->b, t->w->now_ms, t->tour, &t->w->peer, &options, &served);
    assert(served && t->w->b.delivery_count == count);
    for (uint32_t i = 0; i < count; i++)
        t->receipts[t->receipt_count++] = t->w->b.deliveries[i].receipt;
    turn(t);
}

/* RUN, MESSAGE, DEDUP; TOPIC, SUBSCRIPTION and their ends. */
static void put_in(struct tour *t)
{
    struct broker *b = &t->w->b;
    const struct publication item = {.body = {"news", 4}, .group = {"g", 1}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &item, .count = 1};
    const struct publish_options options = {0};
    uint64_t copies;
    bool created, held;
    for (int i = 0; i < 5; i++)
        publish(t, t->tour, "plain words", NULL);
    publish(t, t->tour, "told once", "id");
    publish(t, t->lane, "in line", NULL);
    (void)broker_topic_create(b, "brief", 5, &created);
    struct topic *topic = broker_topic_find(b, "brief", 5);
    (void)broker_subscribe(b, topic, t->tour, (struct view){"#", 1}, (struct view){NULL, 0}, &created);
    (void)broker_subscribe(b, topic, t->lane, (struct view){"#", 1}, (struct view){NULL, 0}, &created);
    turn(t);
    (void)broker_topic_publish(b, t->w->now_ms, topic, (struct view){"a", 1}, &all, &options, &copies, &held);
    turn(t);
    (void)broker_unsubscribe(b, topic, t->lane, (struct view){NULL, 0});
    turn(t);
    broker_topic_delete(b, topic);
    turn(t);
}

/* What becomes of deliveries; then the ends of messages and of a queue. */
static void take_out(struct tour *t)
{
    struct broker *b = &t->w->b;
    const struct nack_options soon = {.delay_ms = 0}, later = {.delay_ms = 5000};
    uint64_t count;
    uint32_t applied;
    receive(t, 5);
    broker_unwritten(b, t->w->now_ms, t->receipts[0]);
    turn(t);
    (void)broker_nack(b, t->w->now_ms, &t->receipts[1], 1, &soon, &applied);
    turn(t);
    (void)broker_nack(b, t->w->now_ms, &t->receipts[2], 1, &later, &applied);
    turn(t);
    (void)broker_park(b, t->w->now_ms, &t->receipts[3], 1, (struct view){"why", 3}, &applied);
    turn(t);
    (void)broker_kick(b, t->w->now_ms, t->tour, 1);
    turn(t);
    (void)broker_ack(b, t->w->now_ms, &t->receipts[4], 1, false, &applied);
    turn(t);
    (void)broker_queue_purge(b, t->lane, 15);
    turn(t);
    (void)broker_queue_delete(b, t->w->now_ms, t->lane, false, false, &count);
    turn(t);
    publish(t, t->tour, "the last one", NULL);
}

void world_tour(struct wal_world *w)
{
    struct tour t = {.w = w};
    w->b.watcher = &w->watcher;
    t.tour = create(&t, "tour", QUEUE_STANDARD);
    t.lane = create(&t, "lane", QUEUE_FIFO);
    put_in(&t);
    take_out(&t);
}
