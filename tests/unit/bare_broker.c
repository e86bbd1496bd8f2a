#include "tests/unit/bare_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void bare_open(struct bare *s, uint32_t run)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = UINT64_C(1) << 40,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 1 << 20,
        .max_response_bytes = 1 << 24,
        .max_batch = 1000,
        .max_wait_ms = 60000,
        .max_queues = 100,
    };
    s->now_ms = 1000;
    broker_init(&s->b, &limits, s->now_ms, run);
    broker_peer_open(&s->peer, NULL, INT64_MAX);
}

void bare_close(struct bare *s)
{
    broker_peer_close(&s->b, s->now_ms, &s->peer);
    broker_close(&s->b);
    assert_int_equal(s->b.pool.used_bytes, 0);
}

struct queue *bare_queue(struct bare *s, const char *name, const struct attribute_set *set)
{
    static const struct attribute_set none;
    bool created;
    uint32_t differing;
    enum error_code code = broker_queue_create(&s->b, s->now_ms, name, strlen(name), set ? set : &none, &created,
                                               &differing);
    assert_int_equal(code, ERR_NONE);
    assert_true(created);
    return broker_queue_find(&s->b, name, strlen(name));
}

struct queue *bare_fifo(struct bare *s, const char *name)
{
    struct attribute_set set = {.named = 1u << ATTRIBUTE_type};
    set.values.type = QUEUE_FIFO;
    return bare_queue(s, name, &set);
}

struct publication bare_message(const char *group)
{
    struct publication p = {.body = {"body", 4}, .delay_ms = -1, .ttl_ms = -1};
    if (group)
        p.group = (struct view){group, strlen(group)};
    return p;
}

static enum error_code publish(struct bare *s, struct queue *q, const struct publication *p, uint32_t count)
{
    const struct publications messages = {.items = p, .count = count};
    const struct publish_options options = {.atomic = true};
    struct publish_result result;
    enum error_code code = broker_publish(&s->b, s->now_ms, q, &messages, &options, &result);
    if (code == ERR_NONE)
        assert_int_equal(result.stored, count);
    return code;
}

enum error_code bare_publish(struct bare *s, struct queue *q, const struct publication *p)
{
    return publish(s, q, p, 1);
}

enum error_code bare_publish_all(struct bare *s, struct queue *q, const struct publication *p, uint32_t count)
{
    return publish(s, q, p, count);
}

uint64_t bare_receive(struct bare *s, struct queue *q)
{
    const struct receive_options options = {.max = 1, .visibility_ms = -1};
    bool served = false;
    assert_int_equal(broker_receive(&s->b, s->now_ms, q, &s->peer, &options, &served), ERR_NONE);
    assert_true(served);
    assert_int_equal(s->b.delivery_count, 1);
    return s->b.deliveries[0].receipt;
}

uint32_t bare_ack(struct bare *s, const uint64_t *receipts, uint32_t count)
{
    uint32_t applied = 0;
    assert_int_equal(broker_ack(&s->b, s->now_ms, receipts, count, false, &applied), ERR_NONE);
    return applied;
}

uint32_t bare_nack(struct bare *s, uint64_t receipt, int64_t delay_ms)
{
    const struct nack_options options = {.delay_ms = delay_ms};
    uint32_t applied = 0;
    assert_int_equal(broker_nack(&s->b, s->now_ms, &receipt, 1, &options, &applied), ERR_NONE);
    return applied;
}

unsigned bare_turn(struct bare *s, int64_t now_ms)
{
    unsigned turns = 1;
    s->now_ms = now_ms;
    for (; broker_turn(&s->b, now_ms); turns++)
        broker_effects_done(&s->b);
    broker_effects_done(&s->b);
    return turns;
}
