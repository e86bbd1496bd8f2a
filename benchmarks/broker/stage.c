#include "benchmarks/broker/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When the virtual time begins: no round number, so that deadlines lie anyhow in the timers' buckets. */
#define BEGIN_MS 123456789

void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench-broker: this does not hold: %s\n", what);
    exit(1);
}

void stage_open(struct stage *s)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = UINT64_C(1) << 50,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 1 << 20,
        .max_response_bytes = 1 << 24,
        .max_batch = 1000,
        .max_wait_ms = 60000,
        .max_queues = 100,
    };
    s->now_ms = BEGIN_MS;
    broker_init(&s->b, &limits, s->now_ms, 1);
    broker_peer_open(&s->peer, NULL, INT64_MAX);
}

void stage_close(struct stage *s)
{
    broker_peer_close(&s->b, s->now_ms, &s->peer);
    broker_close(&s->b);
}

struct queue *stage_queue(struct stage *s, const char *name, enum queue_type type)
{
    struct attribute_set set = {.named = 1u << ATTRIBUTE_type};
    bool created;
    uint32_t differing;
    set.values.type = type;
    must(broker_queue_create(&s->b, s->now_ms, name, strlen(name), &set, &created, &differing) == ERR_NONE && created,
         "a queue is created");
    return broker_queue_find(&s->b, name, strlen(name));
}

void stage_publish(struct stage *s, struct queue *q, const struct publication *p)
{
    const struct publications messages = {.items = p, .count = 1};
    const struct publish_options options = {.wait_ms = 0};
    struct publish_result result;
    must(broker_publish(&s->b, s->now_ms, q, &messages, &options, &result) == ERR_NONE && result.stored == 1,
         "a message is stored");
}

struct taken stage_receive(struct stage *s, struct queue *q, int64_t visibility_ms)
{
    const struct receive_options options = {.max = 1, .visibility_ms = visibility_ms};
    bool served = false;
    must(broker_receive(&s->b, s->now_ms, q, &s->peer, &options, &served) == ERR_NONE && served &&
             s->b.delivery_count == 1,
         "a message is received");
    return (struct taken){s->b.deliveries[0].message, s->b.deliveries[0].receipt};
}

void stage_ack(struct stage *s, uint64_t receipt)
{
    uint32_t applied = 0;
    must(broker_ack(&s->b, s->now_ms, &receipt, 1, false, &applied) == ERR_NONE && applied == 1, "a delivery is acked");
}

void stage_nack(struct stage *s, uint64_t receipt)
{
    const struct nack_options options = {.delay_ms = 0};
    uint32_t applied = 0;
    must(broker_nack(&s->b, s->now_ms, &receipt, 1, &options, &applied) == ERR_NONE && applied == 1,
         "a delivery is given back");
}

void stage_turn(struct stage *s)
{
    while (broker_turn(&s->b, s->now_ms))
        ;
    broker_effects_done(&s->b);
}
