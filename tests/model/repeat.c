#include "tests/model/repeat.h"

static uint64_t receipt_of(struct story *story, const struct queue *q, uint64_t id)
{
    struct ring_cursor at = ring_find(q->messages, id);
    assert_non_null(at.page);
    const struct message *m = ring_item(at);
    return slots_at(&story->broker.slots, m->slot)->receipt;
}

static void repeat_publish(struct story *story, struct queue *q, const struct step *s)
{
    struct publication items[STEP_MESSAGES];
    struct publish_options options = {.atomic = false};
    struct publish_result result;
    for (int i = 0; i < s->message_count; i++) {
        const struct step_message *m = &s->messages[i];
        items[i] = (struct publication){
            .body = {&m->body, 1}, .group = {&m->group, 1}, .delay_ms = NO_NUMBER, .ttl_ms = NO_NUMBER};
    }
    struct publications messages = {.items = items, .count = (uint32_t)s->message_count};
    assert_int_equal(broker_publish(&story->broker, story->now_ms, q, &messages, &options, &result), ERR_NONE);
}

static void repeat_settle(struct story *story, struct queue *q, const struct step *s)
{
    uint64_t receipt = receipt_of(story, q, s->refs[0].id);
    struct nack_options options = {.delay_ms = s->number};
    struct view none = {NULL, 0};
    uint32_t applied;
    if (s->op == STEP_ACK)
        broker_ack(&story->broker, story->now_ms, &receipt, 1, false, &applied);
    else if (s->op == STEP_PARK)
        broker_park(&story->broker, story->now_ms, &receipt, 1, none, &applied);
    else
        broker_nack(&story->broker, story->now_ms, &receipt, 1, &options, &applied);
    assert_int_equal(applied, 1);
}

static void repeat_create(struct story *story, const struct step *s)
{
    struct attribute_set set = {.named = 0};
    bool created;
    uint32_t differing;
    attributes_init(&set.values);
#define X(name)                               \
    if (s->attributes.name >= 0) {            \
        set.values.name = s->attributes.name; \
        set.named |= 1u << ATTRIBUTE_##name;  \
    }
    STEP_ATTRIBUTES(X)
#undef X
    assert_int_equal(broker_queue_create(&story->broker, 0, "q2", 2, &set, &created, &differing), ERR_NONE);
}

void step_repeat(struct story *story, const struct step *s)
{
    struct broker *b = &story->broker;
    struct queue *q = b->queue_count > 0 ? b->queues[0] : NULL;
    struct receive_options receive = {.max = s->max, .visibility_ms = NO_NUMBER};
    struct consume_options consume = {.prefetch = s->max, .visibility_ms = NO_NUMBER};
    bool served;
    uint64_t id;
    if (s->op == STEP_CREATE)
        repeat_create(story, s);
    else if (s->op == STEP_CONSUME)
        broker_consume(b, q, word_peer(story, s->peer), &consume, &id);
    else if (s->op == STEP_PUBLISH)
        repeat_publish(story, q, s);
    else if (s->op == STEP_RECEIVE)
        broker_receive(b, story->now_ms, q, word_peer(story, s->peer), &receive, &served);
    else if (s->op == STEP_CREDIT)
        broker_credit(b, word_peer(story, s->peer), s->consumer, (uint32_t)s->number);
    else if (s->op == STEP_KICK)
        broker_kick(b, story->now_ms, q, (uint64_t)s->number);
    else if (s->op == STEP_AT)
        story->now_ms = s->number;
    else
        repeat_settle(story, q, s);
    while (broker_turn(b, story->now_ms))
        broker_effects_done(b);
    broker_effects_done(b);
}

void steps_show_deliveries(struct story *story)
{
    struct queue *q = story->broker.queues[0];
    for (struct ring_cursor at = ring_first(q->messages, MESSAGE_INFLIGHT, 0); at.page;
         at = ring_first(q->messages, MESSAGE_INFLIGHT, ring_key(at) + 1)) {
        const struct message *m = ring_item(at);
        story->seen = realloc(story->seen, (story->seen_count + 1) * sizeof *story->seen);
        assert_non_null(story->seen);
        story->seen_cap = story->seen_count + 1;
        struct seen *seen = &story->seen[story->seen_count++];
        *seen = (struct seen){.receipt = receipt_of(story, q, m->id), .id = m->id, .attempt = m->attempts};
        snprintf(seen->queue, sizeof seen->queue, "%s", q->name);
    }
}
